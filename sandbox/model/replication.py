"""One replica set and what its bricks owe each other: who missed what, who heals whom, and when a copy is lost.

The rules are those measured in gluster.md §1: whoever is up takes the writes and remembers who missed them; a brick
that is back is healed only by a copy that misses nothing itself; if no such copy is up, every write fails; and if there
is no such copy at all, the images are split for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

CLIMB = 1.3
"""A count that climbs goes up to so many times what it was."""


@dataclass(slots=True)
class BrickState:
    name: str
    node: str
    arbiter: bool
    up: bool = True


@dataclass(slots=True)
class Debt:
    """What a brick missed. `blamers`: the bricks that list it. `work`: seconds of heal at full speed, of which `done`
    are behind; `entries`: the count at the start of the heal. `wiped`: starts at 1 and climbs."""

    blamers: set[str] = field(default_factory=set)
    away_since: float | None = None
    healing_since: float | None = None
    work: float = 0.0
    done: float = 0.0
    entries: float = 0.0
    wiped: bool = False
    turn: int = 0

    def left(self, now: float, speed: float) -> float:
        """The part of the heal that is still to do, 0..1."""
        running = (now - self.healing_since) * speed if self.healing_since is not None else 0.0
        return max(0.0, 1.0 - (self.done + running) / self.work) if self.work else 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast debts grow and shrink; see Timings."""

    base: float
    factor: float
    climb: float
    entries_s: float

    def count(self, debt: Debt, images: int, now: float, speed: float) -> int:
        """Entries that its blamers list now: at least 1 until the very end."""
        if debt.away_since is not None:
            left = debt.entries * debt.left(now, 0.0)
            return max(1, math.ceil(left + images + (now - debt.away_since) * self.entries_s))
        done = 1.0 - debt.left(now, speed)
        climb = 0.3 if debt.wiped else self.climb
        low, top = (1.0 / max(debt.entries, 1.0), 1.0) if debt.wiped else (1.0, CLIMB if climb else 1.0)
        part = low + (top - low) * done / climb if done < climb else top * (1 - done) / (1 - climb)
        return max(1, math.ceil(debt.entries * part))


class ReplicaSet:
    """`speed()`: 1.0, or less when heals are slow. `writers()`: the guests that write to images here. `later(seconds,
    act)` puts something on the model's agenda. `split`: the guests whose images are in split-brain."""

    def __init__(
        self,
        bricks: list[BrickState],
        pace: Pace,
        *,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        speed: Callable[[], float],
        writers: Callable[[], list[int]],
    ) -> None:
        self.bricks = {brick.name: brick for brick in bricks}
        self.pace, self.now, self.later, self.speed, self.writers = pace, now, later, speed, writers
        self.debts: dict[str, Debt] = {}
        self.split: set[int] = set()
        self._pace_now = 1.0

    # what can be seen -------------------------------------------------------------------------------------------
    def pending(self, brick: str) -> int:
        """Entries that this brick lists, those in split-brain left out."""
        if not self.debts:
            return 0
        counts = [self._count(debt) for debt in self.debts.values() if brick in debt.blamers]
        return max(counts, default=0)

    def healing(self, brick: str) -> bool:
        return any(brick in debt.blamers and debt.healing_since is not None for debt in self.debts.values())

    @property
    def whole(self) -> bool:
        return not self.debts and not self.split and all(brick.up for brick in self.bricks.values())

    @property
    def writable(self) -> bool:
        """Client quorum, and a copy that misses nothing; two copies go on with whichever is up."""
        up = [brick for brick in self.bricks.values() if brick.up]
        if len(self.bricks) <= 2:
            return bool(up)
        return 2 * len(up) > len(self.bricks) and any(self._good(brick) for brick in up)

    # what happens -----------------------------------------------------------------------------------------------
    def down(self, name: str) -> None:
        self._settle()
        self.bricks[name].up = False
        debt = self.debts.setdefault(name, Debt())
        debt.away_since = self.now()
        self._blame()
        self._reconsider()

    def up(self, name: str) -> None:
        self._settle()
        self.bricks[name].up = True
        debt = self.debts.get(name)
        if debt and debt.away_since is not None:
            self._back(name, debt)
        self._reconsider()

    def wipe(self, name: str, entries: float, work: float) -> None:
        """An empty brick in place of a full one: everybody else lists it, at first with a single entry."""
        self._settle()
        blamers = set(self.bricks) - {name}
        self.debts[name] = Debt(blamers, entries=entries, work=work, wiped=True)
        self._reconsider()

    def tear(self, images: list[int]) -> None:
        """The copies of these images blame each other, however that came about; nothing heals that by itself."""
        self.split |= set(images or [0])

    def reconsider(self) -> None:
        """Something outside changed: the speed of heals, or a self-heal daemon."""
        self._settle()
        self._reconsider()

    # how --------------------------------------------------------------------------------------------------------
    def _good(self, brick: BrickState) -> bool:
        debt = self.debts.get(brick.name)
        return not brick.arbiter and (debt is None or not debt.blamers)

    def _count(self, debt: Debt) -> int:
        return self.pace.count(debt, len(self.writers()), self.now(), self._pace_now)

    def _blame(self) -> None:
        """While writes go on, those that are up remember who is not."""
        if not self.writable or not self.writers():
            return
        up = {brick.name for brick in self.bricks.values() if brick.up}
        for debt in self.debts.values():
            if debt.away_since is not None:
                debt.blamers |= up

    def _back(self, name: str, debt: Debt) -> None:
        away = self.now() - (debt.away_since or self.now())
        debt.away_since = None
        if not debt.blamers:
            del self.debts[name]
            return
        left = debt.left(self.now(), 0.0)
        debt.entries = debt.entries * left + len(self.writers()) + away * self.pace.entries_s
        debt.work, debt.done = debt.work * left + self.pace.base + self.pace.factor * away, 0.0

    def _settle(self) -> None:
        """Book what was healed until now, at the speed it was healed with."""
        for debt in self.debts.values():
            if debt.healing_since is not None:
                debt.done += (self.now() - debt.healing_since) * self._pace_now
                debt.healing_since = None

    def _reconsider(self) -> None:
        self._pace_now = self.speed()
        self._blame()
        if self._torn():
            self.debts = {name: debt for name, debt in self.debts.items() if debt.away_since is not None}
            self.tear(self.writers())
        for name, debt in self.debts.items():
            debt.turn += 1
            if self._pace_now > 0 and self._has_healer(name, debt):
                self._heal(name, debt)

    def _heal(self, name: str, debt: Debt) -> None:
        debt.healing_since = self.now()
        turn = debt.turn
        rest = max(0.0, debt.work - debt.done) / self._pace_now
        self.later(rest, lambda: self._healed(name, debt, turn))

    def _healed(self, name: str, debt: Debt, turn: int) -> None:
        if self.debts.get(name) is debt and debt.turn == turn:
            self._settle()
            del self.debts[name]
            self._reconsider()

    def _has_healer(self, name: str, debt: Debt) -> bool:
        sources = (self.bricks[blamer] for blamer in debt.blamers)
        return self.bricks[name].up and any(source.up and self._good(source) for source in sources)

    def _torn(self) -> bool:
        """No copy is left that misses nothing, and two that are up blame each other."""
        copies = [brick for brick in self.bricks.values() if not brick.arbiter]
        if self.split or any(self._good(brick) for brick in copies):
            return False
        up = [brick.name for brick in copies if brick.up]
        return any(b in self.debts[a].blamers and a in self.debts[b].blamers for a in up for b in up if a < b)
