"""Event loops that end with nothing left open. What is still there when its loop is closed is told of later, wherever
the garbage collector comes across it: in a test that has nothing to do with it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

ROUNDS = 3
"""Lines that break may begin something once more, which ends in the next round."""
LATE_S = 5.0
"""So long a task may take to obey; the one that does not is left."""


class Loop(asyncio.SelectorEventLoop):
    """Turns away whoever was let in just before the server was closed. CPython's own fails in the middle of making a
    transport for that connection, says so to nobody, and leaves both open (seen with 3.11)."""

    def _make_socket_transport(self, sock: socket.socket, *given: Any, **more: Any) -> Any:
        _turn_away(sock, more.get("server"))
        return super()._make_socket_transport(sock, *given, **more)  # type: ignore[misc]

    def _make_ssl_transport(self, rawsock: socket.socket, *given: Any, **more: Any) -> Any:
        _turn_away(rawsock, more.get("server"))
        return super()._make_ssl_transport(rawsock, *given, **more)  # type: ignore[misc]


class Server(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class InLoop:
    """Asks whatever lives in the loop of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def ask(self, fn: Callable[[], T]) -> T:
        """In the loop's own thread."""

        async def work() -> T:
            return fn()

        return self.do(work())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def running(server: Server, name: str) -> Iterator[Loop]:
    """Started in a thread and a loop of its own, ended with the block."""
    loop = Loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    there = InLoop(loop)
    try:
        there.do(server.start())
        try:
            yield loop
        finally:
            there.do(server.stop())
    finally:
        there.do(end_all())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _turn_away(line: socket.socket, server: asyncio.Server | None) -> None:
    if server is not None and not server.sockets:
        line.close()
        raise ConnectionAbortedError("the server is closed")


async def end_all() -> None:
    """The last thing that a loop does: what still goes on is cancelled and every line breaks; also TLS that waits for
    the other side's goodbye, of which no task and no server knows any more."""
    loop = asyncio.get_running_loop()
    for _ in range(ROUNDS):
        await asyncio.sleep(0)  # a connection that was just accepted has no owner before its task has begun
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=LATE_S)
        for transport in list(getattr(loop, "_transports", {}).values()):
            transport.abort()
        await asyncio.sleep(0)
