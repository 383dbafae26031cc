"""Who is on call, worked out from a rota's layers, its calendar and its overrides. Pure: time is an argument.

How a plan comes about, in this order:
1. Each layer takes turns. A hand-off at a wall-clock time is the first instant at which the clock of the rota's zone
   shows it or later (oncall/wall.py); a turn in hours lasts as many hours as really pass.
2. Of each turn only what lies within the layer's window remains.
3. Where several layers, or the calendar, say somebody, the highest priority counts; of equal ones the calendar, then
   the layer that stands first in the file.
4. Overrides, in the order in which they were written: the last one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from math import inf
from typing import TypeVar
from zoneinfo import ZoneInfo

from oncall.settings import WEEK, Layer, Rota
from oncall.wall import instant, minutes, shown, time_of_day, wall
from store.api import ShiftOverrideRow

HOUR, DAY_MINUTES = 3600, 1440
MARGIN_S = 8 * 86400.0
"""No window is open for longer without pause: what lies further away needs no look, however long a turn is."""
CALENDAR = "calendar"


@dataclass(frozen=True, slots=True)
class Shift:
    """One person on call from `start` until before `end` (epoch seconds). `by` says what put them there:
    "layer:NAME", "calendar", or "override:SLACK_ID" of whoever ordered it. `beside`: added to whom the plan names."""

    rota: str
    person: str
    start: float
    end: float
    by: str
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody is on call from `start` until before `end` (epoch seconds)."""

    rota: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of a calendar: this person, from `start` until before `end` (epoch seconds)."""

    person: str
    start: float
    end: float


def planned(
    rota: Rota, start: float, end: float, events: Sequence[Event] = (), overrides: Sequence[ShiftOverrideRow] = ()
) -> list[Shift]:
    """All shifts that touch [start, end), with their true starts and ends, by start. Shifts that are not `beside`
    never overlap, and nobody is on call twice at a time.

    `overrides`: of this rota, in the order in which they were written.
    """
    return Plan(rota, events, overrides).shifts(start, end)


class Plan:
    """The same for many questions. Raises ValueError and ZoneInfoNotFoundError for a rota that breaks its rules."""

    def __init__(self, rota: Rota, events: Sequence[Event] = (), overrides: Sequence[ShiftOverrideRow] = ()) -> None:
        self._name = rota.name
        zone = ZoneInfo(rota.zone)
        self._layers = [_Turns(layer, place, zone) for place, layer in enumerate(rota.layers, 1)]
        priority = rota.calendar.priority if rota.calendar else 0
        self._events = [
            _Claim(e.start, e.end, e.person, CALENDAR, (priority, 1, e.start, -e.end))
            for e in events
            if e.start < e.end
        ]
        self._orders = [
            _Order(row.start, row.end, place, row) for place, row in enumerate(overrides) if row.start < row.end
        ]

    def shifts(self, start: float, end: float) -> list[Shift]:
        """Whatever touches the range may begin before it and end after it, and there be cut short by what does not
        touch it. So the range is widened to all of that, planned, and narrowed again."""
        touching: list[_Claim | _Order] = [*self._claims(start, end), *_touching(self._orders, start, end)]
        first = min((claim.start for claim in touching), default=start)
        last = max((claim.end for claim in touching), default=end)
        found = _sweep(self._name, list(self._claims(first, last)), list(_touching(self._orders, first, last)))
        return [shift for shift in found if shift.start < end and shift.end > start]

    def _claims(self, start: float, end: float) -> Iterator[_Claim]:
        for layer in self._layers:
            yield from layer.claims(start, end)
        yield from _touching(self._events, start, end)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A layer or the calendar says somebody. The highest `rank` counts."""

    start: float
    end: float
    person: str
    by: str
    rank: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Order:
    """An override; the highest `place` was written last."""

    start: float
    end: float
    place: int
    row: ShiftOverrideRow


_T = TypeVar("_T", _Claim, _Order)


def _touching(rows: Iterable[_T], start: float, end: float) -> Iterator[_T]:
    return (row for row in rows if row.start < end and row.end > start)


# ---- a layer's turns ---------------------------------------------------------------------------------------------


class _Turns:
    """The turns of one layer; `place` counts from 1."""

    def __init__(self, layer: Layer, place: int, zone: ZoneInfo) -> None:
        self._layer, self._zone = layer, zone
        self._by = f"layer:{layer.name or place}"
        self._rank = (float(layer.priority), 0.0, float(-place))
        self._first = wall(layer.start)
        self._start = instant(zone, self._first)
        self._end = instant(zone, wall(layer.end)) if layer.end else inf
        self._open = _Window(layer, zone)
        self._offsets = _handoff_days(layer, self._first)

    def claims(self, start: float, end: float) -> Iterator[_Claim]:
        for person, begin, over in self._turns(max(start, self._start), min(end, self._end)):
            near = max(begin, start - MARGIN_S), min(over, end + MARGIN_S)
            for opens, closes in self._open.between(*near):
                a, b = max(begin, opens), min(over, closes)
                if a < b and a < end and b > start:
                    yield _Claim(a, b, person, self._by, self._rank)

    def _turns(self, start: float, end: float) -> Iterator[tuple[str, float, float]]:
        """Those that touch [start, end)."""
        if start >= end:
            return
        people = self._layer.people
        number = self._number_before(start)
        begin = self._begin(number)
        while begin < end:
            over = self._begin(number + 1)
            if over > start and begin < over:
                yield people[number % len(people)], begin, min(over, self._end)
            number, begin = number + 1, over

    def _number_before(self, at: float) -> int:
        """A turn that begins before this, and not long before."""
        if self._layer.turn == "hours":
            return max(int((at - self._start) // (self._layer.hours * HOUR)), 0)
        weeks = (shown(self._zone, at) - self._first).days // 7
        return max(weeks - 1, 0) * len(self._offsets)

    def _begin(self, number: int) -> float:
        if number == 0:
            return self._start
        if self._layer.turn == "hours":
            return self._start + number * self._layer.hours * HOUR
        weeks, place = divmod(number, len(self._offsets))
        return instant(self._zone, self._first + timedelta(days=7 * weeks + self._offsets[place]))


def _handoff_days(layer: Layer, first: datetime) -> tuple[int, ...]:
    """Days after the first hand-off, within a week, on which there is one. A daily turn passes over days on which the
    layer is closed: else in seven people's rota of five days everybody would keep their own weekday for ever."""
    if layer.turn == "weekly":
        return (0,)
    return tuple(day for day in range(7) if WEEK[(first.weekday() + day) % 7] in layer.days)


class _Window:
    """When a layer is open: on its days, within its hours. A window over midnight belongs to the day it opens on."""

    def __init__(self, layer: Layer, zone: ZoneInfo) -> None:
        self._zone = zone
        self._days = {WEEK.index(day) for day in layer.days}
        hours = layer.window
        self._from, self._to = (minutes(hours.start), minutes(hours.end)) if hours else (0, DAY_MINUTES)
        if self._to <= self._from:
            self._to += DAY_MINUTES
        self._always = len(self._days) == 7 and (self._from, self._to) == (0, DAY_MINUTES)

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        """Those that touch [start, end). Days that follow each other around the clock are one."""
        if self._always:
            return [(-inf, inf)]
        found: list[tuple[float, float]] = []
        for opens, closes in self._each(start, end):
            if found and opens <= found[-1][1]:
                found[-1] = (found[-1][0], closes)
            else:
                found.append((opens, closes))
        return [(opens, closes) for opens, closes in found if opens < end and closes > start]

    def _each(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        day, last = _day(self._zone, start) - timedelta(days=2), _day(self._zone, end) + timedelta(days=1)
        while day <= last:
            if day.weekday() in self._days:
                opens = time_of_day(self._zone, day, self._from)
                closes = time_of_day(self._zone, day, self._to)
                if opens < closes:  # a window inside an hour that the clocks leap over does not open
                    yield opens, closes
            day += timedelta(days=1)


def _day(zone: ZoneInfo, at: float) -> date:
    return shown(zone, at).date()


# ---- who counts where several are named --------------------------------------------------------------------------


@dataclass(slots=True)
class _Scene:
    """What is in force between two instants at which anything changes."""

    claims: set[_Claim] = field(default_factory=set)
    orders: dict[int, ShiftOverrideRow] = field(default_factory=dict)

    def step(self, change: _Claim | _Order, at: float) -> None:
        """It begins at this instant, or ends."""
        if isinstance(change, _Claim):
            (self.claims.add if change.start == at else self.claims.discard)(change)
        elif change.start == at:
            self.orders[change.place] = change.row
        else:
            del self.orders[change.place]


@dataclass(frozen=True, slots=True)
class _Named:
    """Somebody who is on call, and why: as long as the `cause` is the same, it is the same shift."""

    person: str
    by: str
    cause: _Claim | int
    beside: bool = False


def _sweep(rota: str, claims: Sequence[_Claim], orders: Sequence[_Order]) -> list[Shift]:
    """From one instant at which anything changes to the next."""
    changes: dict[float, list[_Claim | _Order]] = {}
    sources: list[_Claim | _Order] = [*claims, *orders]
    for change in sources:
        changes.setdefault(change.start, []).append(change)
        changes.setdefault(change.end, []).append(change)
    scene, going, found = _Scene(), dict[_Named, float](), list[Shift]()
    for at in sorted(changes):
        for change in changes[at]:
            scene.step(change, at)
        named = _who(scene)
        for who in [who for who in going if who not in named]:
            found.append(Shift(rota, who.person, going.pop(who), at, who.by, who.beside))
        going |= {who: at for who in named if who not in going}
    return sorted(found, key=lambda shift: (shift.start, shift.beside))


def _who(scene: _Scene) -> list[_Named]:
    """Everybody who is on call in this scene, the one whom the plan names first."""
    plan: list[_Named] = []
    if scene.claims:
        best = max(scene.claims, key=lambda claim: (claim.rank, claim.person))
        plan = [_Named(best.person, best.by, best)]
    now = plan
    for place in sorted(scene.orders):
        now = _overridden(now, plan, place, scene.orders[place])
    return now


def _overridden(now: list[_Named], plan: list[_Named], place: int, row: ShiftOverrideRow) -> list[_Named]:
    """Who is on call after one more override. `plan`: who would be without any."""
    new = _Named(row.person, f"override:{row.by}", place, row.kind == "add")
    if row.kind == "add":
        return now if _find(now, row.person) else [*now, new]
    gone = _find(now, row.instead)
    if row.instead and gone is None:
        return now
    if not row.person:
        return _back_to_plan(now, plan, row.instead)
    if gone is None:
        return [new, *(who for who in now if who.beside and who.person != row.person)]
    here = _find(now, row.person)
    stays = here if here and gone.beside else replace(new, beside=gone.beside)
    rest = [who for who in now if who not in (gone, here)]
    return sorted([stays, *rest], key=lambda who: who.beside)


def _back_to_plan(now: list[_Named], plan: list[_Named], instead: str) -> list[_Named]:
    """`instead`: only this person steps back; "": all overrides before this one are void."""
    kept = [who for who in now if instead and who.beside and who.person != instead and not _find(plan, who.person)]
    main = [who for who in now if instead and not who.beside and who.person != instead] or plan
    return [*main, *(who for who in kept if not _find(main, who.person))]


def _find(now: Iterable[_Named], person: str) -> _Named | None:
    return next((who for who in now if who.person == person), None)
