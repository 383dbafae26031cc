"""Ports of this machine that behave badly: one that refuses, one that never says a word."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sandbox.door import HOST

FILLED = 2
"""Connections that fill a queue for one: Linux drops whatever comes after them without a word."""


@contextmanager
def refused_port() -> Iterator[int]:
    """Bound and never listening: no other process can take it meanwhile."""
    with socket.socket() as keeper:
        keeper.bind((HOST, 0))
        yield keeper.getsockname()[1]


QUIET_PORTS = range(16_000, 32_000)
"""Below those that Linux gives to whoever does not care which."""


def free_port() -> int:
    """Free a moment ago; for a process that is about to be started with it. Raises OSError if none is found."""
    for _ in range(100):
        port = secrets.choice(QUIET_PORTS)  # not from the seed of a test: others with the same run beside it
        with socket.socket() as keeper, suppress(OSError):
            keeper.bind((HOST, port))
            return port
    raise OSError(f"no port of {QUIET_PORTS} is free")


@contextmanager
def silent_port() -> Iterator[int]:
    with ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind((HOST, 0))
        server.listen(0)
        for _ in range(FILLED):
            line = held.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(server.getsockname())
        yield server.getsockname()[1]
