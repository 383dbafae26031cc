"""Two clocks: one that only a test moves, and one that runs along with the wall, faster."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class VirtualClock:
    """Time of a simulated night, in seconds since the epoch. It stands still until somebody moves it.

    What is to happen meanwhile (a reaction, a delivery) is put on its list with `at` and done when time passes it, in
    order of time; so a read that takes seconds can be overtaken by a person, as in life. `asleep(seconds)` is told
    before somebody sleeps.
    """

    def __init__(self, start: float = 0.0, asleep: Callable[[float], None] = lambda _: None) -> None:
        self._now, self._asleep = start, asleep
        self._list: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def __call__(self) -> float:
        return self._now

    @property
    def now(self) -> float:
        return self._now

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do `act` when time reaches `when` (at once with the next move, if that has passed)."""
        heapq.heappush(self._list, (when, next(self._count), act))

    def next_at(self) -> float | None:
        """When the next thing on the list is due."""
        return self._list[0][0] if self._list else None

    def advance_to(self, when: float) -> None:
        """Move on to `when`, doing what is due on the way. Time never goes back: an earlier `when` moves nothing."""
        while self._list and self._list[0][0] <= when:
            due, _, act = heapq.heappop(self._list)
            self._now = max(self._now, due)
            act()
        self._now = max(self._now, when)

    def sleep(self, seconds: float) -> None:
        self._asleep(seconds)
        self.advance_to(self._now + seconds)


class ModelClock:
    """Model time beside the wall clock: `speed` model seconds pass in each second, from `start` on."""

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        self.speed = speed
        self._born = time.monotonic()
        self._start = time.time() if start is None else start

    def __call__(self) -> float:
        return self._start + (time.monotonic() - self._born) * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait for so much model time on the wall."""
        time.sleep(self.wall(seconds))

    def wall(self, model_seconds: float) -> float:
        """How long so many model seconds last on the wall."""
        return model_seconds / self.speed
