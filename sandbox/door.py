"""A port that is there when its node is: refused while the node is dark, open otherwise, always the same number."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

HOST = "127.0.0.1"


class Service(Protocol):
    """What listens behind a door."""

    async def open(self, listener: socket.socket) -> None: ...

    async def close(self) -> None:
        """Stop listening, and break every connection without a word, as a node that loses power does."""
        ...


class Door:
    """Keeps a loopback port for one service. A second socket, bound and never listening, holds the number while the
    service is away: connections are refused then, and no other process can take it (SO_REUSEPORT, as Linux has it)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._keeper = _bound(0)
        self._open = False
        self._turn = asyncio.Lock()
        self.port: int = self._keeper.getsockname()[1]

    @property
    def is_open(self) -> bool:
        return self._open

    async def follow(self, up: bool) -> None:
        """Open or close, as the node is. Safe for several at a time: one after the other."""
        async with self._turn:
            if up and not self._open:
                await self._service.open(_bound(self.port))
            elif self._open and not up:
                await self._service.close()
            self._open = up

    async def shut(self) -> None:
        """For good."""
        await self.follow(False)
        self._keeper.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.setblocking(False)
    bound.bind((HOST, port))
    return bound
