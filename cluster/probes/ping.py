"""An echo of ICMP. Where this process may send none (docs/install.md says how to allow it) it knocks at a TCP port
instead: whoever refuses is alive, too. A host that answers neither may be well behind a firewall, and the answer says
that it was not really pinged."""

from __future__ import annotations

import asyncio
import re
import socket

from icmplib import ICMPLibError, NameLookupError, SocketPermissionError, async_ping

from cluster.probes._common import Failed, Kind, Ok, Probe, Result, Unknown, no_connection
from cluster.probes._names import address
from cluster.settings import ClusterSettings

KNOCK = 443
"""Routers and servers seldom drop this one without a word."""
SHARE = 0.9
"""Of the time limit, so that what is said is said by this file."""
NOT_ALLOWED = "ICMP is not allowed to this process"


async def look(probe: Probe) -> Result:
    try:
        _, where = await address(probe.target, KNOCK)
    except OSError as error:
        return Unknown(f"the name {probe.target} has no address: {error.strerror}")
    for privileged in (False, True):
        try:
            answer = await async_ping(where[0], count=1, timeout=SHARE * probe.pace.timeout, privileged=privileged)
        except SocketPermissionError:
            continue
        except (ICMPLibError, OSError) as error:
            return _no_echo(probe, error)
        return Ok() if answer.is_alive else Failed(f"{probe.target} does not answer to ping")
    return await _knock(probe, *await address(probe.target, KNOCK))


def _no_echo(probe: Probe, error: Exception) -> Result:
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, OSError) and not isinstance(error, NameLookupError):
        return no_connection(probe.target, cause)
    return Failed(f"{probe.target} cannot be pinged: {error}")


async def _knock(probe: Probe, family: int, where: tuple[object, ...]) -> Result:
    note = f"was only knocked at, on TCP port {KNOCK}: {NOT_ALLOWED} (docs/install.md)"
    with socket.socket(family, socket.SOCK_STREAM) as line:
        line.setblocking(False)
        try:
            async with asyncio.timeout(SHARE * probe.pace.timeout):
                await asyncio.get_running_loop().sock_connect(line, where)
        except TimeoutError:
            return Failed(f"{probe.target} does not answer on TCP port {KNOCK}; {NOT_ALLOWED}")
        except ConnectionRefusedError:
            return Ok(note)
        except OSError as error:
            return no_connection(probe.target, error)
    return Ok(note)


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    if re.fullmatch(r"[^:]+:\d+", probe.target):
        return "must be an address without a port: a ping has none; that a port answers is the kind tcp"
    return "" if probe.target and not set(probe.target) & set(" /\t") else "must be a host name or an address"


KIND = Kind(
    name="ping",
    doc=f"Does the host answer to an ICMP echo (where that is not allowed: on TCP port {KNOCK}, be it with a refusal)?",
    target="host name or address",
    trouble=trouble,
    look=look,
)
