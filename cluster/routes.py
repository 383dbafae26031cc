"""Which way is taken to which node, and when a better one is gone back to. Pure but for one lock; times in seconds of
the monotonic clock.

A way is passed over when it failed and a later one worked at the same time: so a node that is down, to which every way
fails, does not change the order, nor does one that comes up between two tries. It is first again when it has worked for
a while, without a failure in between.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from base.record import record


class Face(StrEnum):
    """What of a node is talked to. A way may carry one of them and not the other."""

    SSH = "SSH"
    API = "API"


@record
class Standing:
    """How a way stands at one face of one node. `good_since`: of one that is passed over, since when it works."""

    passed_over: bool = False
    good_since: float | None = None


NEVER_FAILED = Standing()


def worked(standing: Standing, now: float, back_after: float) -> Standing:
    if not standing.passed_over:
        return standing
    since = now if standing.good_since is None else standing.good_since
    return NEVER_FAILED if now - since >= back_after else replace(standing, good_since=since)


def failed(standing: Standing, another_worked: bool) -> Standing:
    """A failure alone changes only how long it has been good."""
    return Standing(passed_over=standing.passed_over or another_worked)


def in_order(ways: Sequence[str], standings: Mapping[str, Standing], cut: frozenset[str] = frozenset()) -> list[str]:
    """As the settings have them, those that are passed over last; one that is cut not at all."""
    there = [way for way in ways if way not in cut]
    return sorted(there, key=lambda way: standings.get(way, NEVER_FAILED).passed_over)


class Routes:
    """Safe for threads. `now` in every call: the monotonic clock."""

    def __init__(self, ways: Sequence[str], back_after: float) -> None:
        self._ways, self._back_after = tuple(ways), back_after
        self._standings: dict[tuple[str, Face], dict[str, Standing]] = {}
        self._used: dict[tuple[str, Face], str] = {}
        self._down: set[tuple[str, Face]] = set()
        """Where every way failed when last tried: of the first that works nobody knows what the others would do now."""
        self._cut: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def order(self, node: str, face: Face) -> list[str]:
        with self._lock:
            return in_order(self._ways, self._standings.get((node, face), {}), self._cut)

    def told(self, node: str, face: Face, good: Iterable[str], bad: Iterable[str], now: float) -> None:
        """Ways that were tried one after the other, and whether they worked; where none did, all of them."""
        good, bad = list(good), list(bad)
        with self._lock:
            place = node, face
            was_down = place in self._down
            standings = self._standings.setdefault(place, {})
            for way in good:
                standings[way] = worked(standings.get(way, NEVER_FAILED), now, self._back_after)
            for way in bad:
                standings[way] = failed(standings.get(way, NEVER_FAILED), bool(good) and not was_down)
            if good:
                self._down.discard(place)
            elif bad:
                self._down.add(place)

    def used(self, node: str, face: Face, way: str, instead_of: Iterable[str], now: float) -> None:
        """A call was answered over this way, after others had failed."""
        self.told(node, face, [way], instead_of, now)
        with self._lock:
            self._used[node, face] = way

    def detours(self) -> dict[str, str]:
        """Node -> the way over which it was last talked to, where that is not the first of all."""
        with self._lock:
            used = sorted(self._used.items()) if self._used else ()
            return {node: way for (node, _), way in used if way != self._ways[0]}

    def cut(self, ways: Iterable[str]) -> None:
        """Leave these alone from now on (a drill); none: all are there again, and what was a detour for its sake is
        none any more."""
        with self._lock:
            self._cut = frozenset(ways)
            if not self._cut:
                self._used.clear()
