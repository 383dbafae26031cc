"""Loops that end leave nothing open that the garbage collector would come across in another test."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.loops import Loop, end_all

Story = Callable[[asyncio.Server, socket.socket], Coroutine[Any, Any, None]]


def left_open(story: Story) -> list[str]:
    """What is told to be open still after a server and one connection to it have lived through `story`."""

    served: list[
        tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ] = []  # Python 3.13 closes a writer that nobody keeps

    async def live() -> None:
        server = await asyncio.start_server(lambda *line: served.append(line), "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as line:  # in the queue of the kernel
            await story(server, line)
            server.close()
            await end_all()

    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(live())
        gc.collect()
    return [str(one.message) for one in told if one.category is ResourceWarning]


def test_a_connection_that_is_let_in_in_the_turn_before_the_server_closes_is_closed() -> None:
    """In the loop's first turn it is accepted, in the second, before its task begins, the server closes."""

    async def two_turns(_: asyncio.Server, __: socket.socket) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert left_open(two_turns) == []


def test_a_connection_that_nobody_closes_ends_with_the_loop() -> None:
    async def until_served(server: asyncio.Server, line: socket.socket) -> None:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(line, b"hello")
        await asyncio.sleep(0.05)

    assert left_open(until_served) == []


def test_a_task_that_goes_on_for_ever_ends_with_the_loop() -> None:
    async def begin(*_: object) -> None:
        tasks.append(asyncio.get_running_loop().create_task(asyncio.Event().wait()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[Any]] = []
    assert left_open(begin) == []
    assert tasks[0].cancelled()
