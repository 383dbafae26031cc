"""How an event loop ends: with nothing left open. What is still there when its loop is closed is told of later, where
the garbage collector comes across it: in a test that has nothing to do with it."""

from __future__ import annotations

import asyncio

ROUNDS = 3
"""Lines that break may begin something once more, which ends in the next round."""
LATE_S = 5.0
"""So long a task may take to obey; the one that does not is left."""


async def end_all() -> None:
    """The last thing that a loop does: what still goes on is cancelled and every line breaks; also TLS that waits for
    the other side's goodbye, of which no task and no server knows any more."""
    loop = asyncio.get_running_loop()
    for _ in range(ROUNDS):
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=LATE_S)
        for transport in list(getattr(loop, "_transports", {}).values()):
            transport.abort()
        await asyncio.sleep(0)
