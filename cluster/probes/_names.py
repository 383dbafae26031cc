"""Addresses of names, kept for a while: a name server that dies with the cluster must not hide what still lives."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

FRESH_S = 300.0
"""An answer counts so long; after that it is asked again, and if nobody answers the last one still counts."""

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
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        if before:
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
