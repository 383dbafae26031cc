"""What all kinds of probes share: what is looked at, what a look may answer, and how its target is read."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster.api import Cluster
from cluster.probe_settings import Pace
from cluster.settings import ClusterSettings


@dataclass(frozen=True, slots=True)
class Ok:
    """`note`: what a person should know although it is well, or ""."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It was asked, and it is not well; half a sentence says what was seen. `heard`: by the word of somebody who knows,
    whichever way that came: no parent that is out of reach explains it."""

    why: str
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody could tell. Not good: it counts as a failed look, but is told in other words."""

    why: str


Result = Ok | Failed | Unknown


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that is looked at, as its settings say. `parents`: names of probes of the same cluster. `node` and
    `guest` ("" and 0 for none): what it goes down with; `storage`: it is about the storage, which heals after every
    reboot. `subject`: what people call the thing it is about."""

    name: str
    kind: str
    target: str
    pace: Pace
    subject: str = ""
    expect: str = ""
    verify: bool = True
    parents: tuple[str, ...] = ()
    node: str = ""
    guest: int = 0
    storage: bool = False


Look = Callable[[Probe], Awaitable[Result]]
"""Over the network alone; must not block. Runs under the probe's time limit, so it needs none of its own."""
Read = Callable[[Probe, Cluster], Result]
"""Through the cluster's own adapters; may block until they give up. May raise ClusterError: then it is unknown."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One file defines one of these as KIND, with either `look` or `read`. `trouble(probe, cluster)` says what is wrong
    with a probe's settings, half a sentence, or ""."""

    name: str
    doc: str
    target: str
    trouble: Callable[[Probe, ClusterSettings], str]
    look: Look | None = None
    read: Read | None = None


def host_and_port(target: str) -> tuple[str, int] | None:
    """ "192.0.2.1:443", "router:22", "[2001:db8::1]:443"; None if it is none of these."""
    host, colon, port = target.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not _is_port(port):
        return None
    return bare, int(port)


def with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES})
"""Troubles of the bot's own machine: they say nothing about the other side."""
_WORDS = {
    errno.ECONNREFUSED: "refuses connections",
    errno.EHOSTUNREACH: "cannot be reached: no route to the host",
    errno.ENETUNREACH: "cannot be reached: no route to its network",
    errno.ECONNRESET: "broke the connection",
    errno.ETIMEDOUT: "does not answer",
}


def no_connection(where: str, error: OSError) -> Result:
    """What an error of the network says of the other side."""
    if error.errno in OURS:
        return Unknown(f"{where} could not be asked: {error.strerror} on the bot's own machine")
    return Failed(f"{where} {_WORDS.get(error.errno or 0) or f'cannot be reached: {error.strerror or error}'}")
