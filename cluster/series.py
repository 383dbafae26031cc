"""Rounds of heal reads, remembered from one survey to the next: what was read seconds ago need not be read again.

Stable means: so many consecutive rounds in which every peer said healed, at least `gap` apart. A survey adds at least
one round of its own, unless the last one is younger than `gap`, which is as close as two reads may come. What this run
itself does to the storage breaks the series, and so does anything that is not healed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

from cluster.facts import BrickHeal, Read, Reading, VolumeStatus

KEPT_S = 15.0
"""Half of what a gate allows Gluster's evidence to age (DESIGN section 5, invariant 2): so nothing that is kept grows
too old while the rest of a survey is read."""

Answer = Reading[tuple[BrickHeal, ...]]
Round = Mapping[str, Mapping[str, Answer]]
"""Peer -> volume -> its answer."""
Statuses = Mapping[str, Mapping[str, Reading[VolumeStatus]]]
"""Peer -> volume -> its `volume status`."""


@dataclass(slots=True)
class Going:
    """The rounds of one survey, after those before it that still count. Times in seconds since the epoch, UTC."""

    reads: int
    gap: float
    epoch: int
    rounds: list[tuple[float, Round]] = field(default_factory=list)
    status: Statuses = field(default_factory=dict)
    added: int = 0
    healed: bool = True

    def rest(self, now: float) -> float | None:
        """Seconds until the next round may be read; None when no more is wanted."""
        since = now - self.rounds[-1][0] if self.rounds else self.gap
        enough = len(self.rounds) >= self.reads and (self.added or 0.0 <= since < self.gap)
        return None if enough or not self.healed else max(self.gap - since, 0.0)

    def add(self, at: float, answers: Round, healed: bool) -> None:
        """`healed`: every peer said so of every volume. The first round that is not ends the series: asking slows the
        heal down."""
        self.rounds = [*self.rounds, (at, answers)][-self.reads :]
        self.added += 1
        self.healed = healed

    def lapse(self, took: float) -> None:
        """After something that took so many seconds; after many no round counts any more, as between two surveys."""
        if took > KEPT_S:
            self.rounds, self.added = [], 0

    def heals(self, peer: str) -> dict[str, tuple[Answer, ...]]:
        """Volume -> one peer's answers, oldest first."""
        found: dict[str, list[Answer]] = {}
        for _, answers in self.rounds:
            for volume, answer in answers.get(peer, {}).items():
                found.setdefault(volume, []).append(answer)
        return {volume: tuple(given) for volume, given in found.items()}


class Series:
    """What is remembered between surveys of one pool. Safe for several threads: each survey has rounds of its own, and
    what was forgotten while it went on does not come back."""

    def __init__(self, reads: int, gap: float) -> None:
        self._reads, self._gap = reads, gap
        self._lock = Lock()
        self._epoch = 0
        self._rounds: list[tuple[float, Round]] = []
        self._status: Statuses = {}

    def resume(self, now: float) -> Going:
        """What still counts: rounds that followed each other without a long break up to now, and `volume status`."""
        with self._lock:
            young = bool(self._rounds) and 0.0 <= now - self._rounds[-1][0] <= KEPT_S
            status = self._status if young and _oldest(self._status, now) >= now - KEPT_S else {}
            return Going(self._reads, self._gap, self._epoch, list(self._rounds) if young else [], status)

    def keep(self, going: Going, status: Statuses) -> None:
        """For the next survey; nothing if it was not healed, or if something was done to the storage meanwhile."""
        with self._lock:
            if going.epoch == self._epoch:
                self._rounds = going.rounds if going.healed else []
                self._status = status if going.healed else {}

    def forget(self) -> None:
        """Something is or was done to the storage: what was read before proves nothing of now."""
        with self._lock:
            self._epoch += 1
            self._rounds, self._status = [], {}


def _oldest(status: Statuses, now: float) -> float:
    """When the oldest of them was read; before all time if one is missing. Stamps ahead of now are no stamps."""
    stamps = list(_stamps(status))
    return min(stamps) if stamps and max(stamps) <= now else float("-inf")


def _stamps(status: Statuses) -> Iterator[float]:
    for volumes in status.values():
        for answer in volumes.values():
            yield answer.at if isinstance(answer, Read) else float("-inf")
