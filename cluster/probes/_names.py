"""Addresses of names, kept for a while: a name server that dies with the cluster must not hide what still lives."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

FRESH_S = 300.0
"""An answer counts so long; after that it is asked again, and if nobody answers the last one still counts."""

ASK_S = 1.0
"""For a name whose last answer is known: a name server that is silent must not use up the time limit of a look."""
AGAIN_S = 60.0
"""A name server that did not answer is asked again after so long."""

_known: dict[tuple[str, int], tuple[float, tuple[int, Any]]] = {}


async def address(host: str, port: int) -> tuple[int, Any]:
    """(family, socket address). Raises OSError when the name was never known."""
    if literal := _literal(host, port):
        return literal
    loop = asyncio.get_running_loop()
    before = _known.get((host, port))
    if before and loop.time() - before[0] < FRESH_S:
        return before[1]
    try:
        async with asyncio.timeout(ASK_S if before else None):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:  # TimeoutError is one
        if before:
            _known[host, port] = (loop.time() - FRESH_S + AGAIN_S, before[1])
            return before[1]
        raise
    answer = (int(found[0][0]), found[0][4])
    _known[host, port] = (loop.time(), answer)
    return answer


def _literal(host: str, port: int) -> tuple[int, Any] | None:
    try:
        version = ipaddress.ip_address(host.partition("%")[0]).version
    except ValueError:
        return None
    return (socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))
