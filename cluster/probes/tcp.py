"""A TCP connection to a port; with `expect`, what the server says first. A port whose process hangs still takes
connections, by its kernel's courtesy: so SSH is expected to say "SSH-"."""

from __future__ import annotations

import asyncio
import socket

from cluster.probes._common import Failed, Kind, Ok, Probe, Result, Unknown, host_and_port, no_connection
from cluster.probes._names import address
from cluster.settings import ClusterSettings

MOST_SAID = 64
"""Bytes of a wrong greeting that are shown."""


async def look(probe: Probe) -> Result:
    host, port = host_and_port(probe.target) or ("", 0)
    try:
        family, where = await address(host, port)
    except OSError as error:
        return Unknown(f"the name {host} has no address: {error.strerror}")
    try:
        with socket.socket(family, socket.SOCK_STREAM) as line:
            line.setblocking(False)
            await asyncio.get_running_loop().sock_connect(line, where)
            return await _greeting(line, probe) if probe.expect else Ok()
    except OSError as error:
        return no_connection(probe.target, error)


async def _greeting(line: socket.socket, probe: Probe) -> Result:
    wanted, said, loop = probe.expect.encode(), b"", asyncio.get_running_loop()
    while len(said) < len(wanted):
        more = await loop.sock_recv(line, 256)
        if not more:
            break
        said += more
    if said.startswith(wanted):
        return Ok()
    shown = said[:MOST_SAID].decode("utf-8", "replace").strip()
    return Failed(f'{probe.target} says "{shown}"' if shown else f"{probe.target} takes connections and says nothing")


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    return "" if host_and_port(probe.target) else 'must be an address with a port, such as "192.0.2.1:443"'


KIND = Kind(
    name="tcp",
    doc="Does the port take a connection (and greet as `expect` says)?",
    target="`host:port`",
    trouble=trouble,
    look=look,
)
