"""What is to happen later, done when its time has come: by a clock that a test winds, or one that runs."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable

Act = Callable[[float], Awaitable[None]]
"""Gets the time for which it was planned."""


class Agenda:
    def __init__(self) -> None:
        self._list: list[tuple[float, int, Act]] = []
        self._count = itertools.count()

    def at(self, when: float, act: Act) -> None:
        heapq.heappush(self._list, (when, next(self._count), act))

    def next_at(self) -> float | None:
        return self._list[0][0] if self._list else None

    async def settle(self, now: float) -> None:
        """All that is due, in order of time; what they plan meanwhile, too."""
        while self._list and self._list[0][0] <= now:
            due, _, act = heapq.heappop(self._list)
            await act(due)
