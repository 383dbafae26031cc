"""Any rota, over weeks in which the clocks change: as somebody with a watch would have kept it, minute after minute."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncall.duty import Duty
from oncall.rota import Event, Shift, planned
from oncall.settings import WEEK, Rota
from store.api import ShiftOverrideRow
from tests.unit.oncall.people import CAST, DAY, HOUR, MINUTE, duty, layer, rota
from tests.unit.oncall.slow_rota import walk

CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),  # back by 30 minutes
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Sao_Paulo", "2018-11-04"),  # a day that begins at 01:00
    ("America/Sao_Paulo", "2018-02-18"),  # 23:00 to 24:00 twice
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("Antarctica/Troll", "2026-03-29"),  # two hours at once
    ("Pacific/Apia", "2011-12-30"),  # a day that does not exist
    ("Asia/Kathmandu", "2026-03-29"),  # 5:45 ahead, and never changes
]
DAYS_BEFORE, LENGTH = 6, 11
TIMES = ["00:00", "00:30", "01:00", "02:00", "02:30", "03:00", "09:00", "23:30"]
"""Hand-offs and windows meet at the hours in which clocks change."""


@st.composite
def layers(draw: st.DrawFn, monday: datetime) -> dict[str, object]:
    turn = draw(st.sampled_from(["daily", "weekly", "hours"]))
    begin = monday + timedelta(days=draw(st.integers(0, 4)))
    window = draw(st.none() | st.tuples(st.sampled_from(TIMES), st.sampled_from([*TIMES, "24:00"])))
    ends = draw(st.none() | st.integers(1, 12))
    last = begin + timedelta(days=ends or 0)
    return layer(
        *draw(st.lists(st.sampled_from(list(CAST)), min_size=1, max_size=4)),
        start=f"{begin:%Y-%m-%d}T{draw(st.sampled_from(TIMES))}",
        turn=turn,
        hours=draw(st.sampled_from([1, 7, 12, 24, 50])) if turn == "hours" else 0,
        priority=draw(st.integers(0, 2)),
        days=draw(st.lists(st.sampled_from(WEEK), min_size=1, unique=True)) if draw(st.booleans()) else WEEK,
        window={"start": window[0], "end": window[1]} if window and window[0] != window[1] else None,
        end=f"{last:%Y-%m-%d}T{draw(st.sampled_from(TIMES))}" if ends else "",
    )


@st.composite
def rotas(draw: st.DrawFn) -> tuple[Rota, datetime]:
    """A rota, and the UTC minute from which to look at it."""
    zone, day = draw(st.sampled_from(CHANGES))
    first = datetime.fromisoformat(day) - timedelta(days=DAYS_BEFORE)
    found = draw(st.lists(layers(first), min_size=1, max_size=3))
    start = (first - timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return rota(*found, zone=zone), start


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(rotas())
def test_it_is_as_somebody_with_a_watch_would_have_kept_it(drawn: tuple[Rota, datetime]) -> None:
    plan, start = drawn
    slow = list(walk(plan, start, LENGTH * 1440))
    shifts = planned(plan, slow[0][0], slow[-1][0] + MINUTE)
    assert _by_minute(shifts, [at for at, _ in slow]) == [who for _, who in slow]


@settings(max_examples=30, deadline=None)
@given(rotas(), st.lists(st.tuples(st.integers(0, LENGTH * 24), st.integers(1, 100)), min_size=1, max_size=6))
def test_no_matter_which_stretch_is_asked_for(drawn: tuple[Rota, datetime], asked: list[tuple[int, int]]) -> None:
    """Starts and ends are true: they do not depend on what was asked."""
    plan, begin = drawn
    whole = planned(plan, begin.timestamp(), begin.timestamp() + 2 * LENGTH * DAY)
    for hour, length in asked:
        start = begin.timestamp() + hour * HOUR
        end = start + length * HOUR
        assert planned(plan, start, end) == [s for s in whole if s.start < end and s.end > start]


@settings(max_examples=40, deadline=None)
@given(rotas(), st.data())
def test_overrides_and_calendars_leave_nobody_twice_and_nothing_over_each_other(
    drawn: tuple[Rota, datetime], data: st.DataObject
) -> None:
    plan, begin = drawn
    start, end = begin.timestamp(), begin.timestamp() + LENGTH * DAY
    stretch = st.tuples(st.integers(0, LENGTH * 24), st.integers(1, 60))
    who = st.sampled_from(list(CAST))
    rows = [
        ShiftOverrideRow(
            n, "primary", kind, person, instead, start + a * HOUR, start + (a + b) * HOUR, "U1", 0.0, f"{n}"
        )
        for n, (kind, person, instead, (a, b)) in enumerate(
            data.draw(
                st.lists(st.tuples(st.just("replace"), who | st.just(""), who | st.just(""), stretch), max_size=5)
            )
            + data.draw(st.lists(st.tuples(st.just("add"), who, st.just(""), stretch), max_size=3))
        )
    ]
    rows = data.draw(st.permutations(rows))
    events = [
        Event(person, start + a * HOUR, start + (a + b) * HOUR)
        for person, (a, b) in data.draw(st.lists(st.tuples(who, stretch), max_size=3))
    ]
    shifts = planned(plan, start, end, events, rows)
    without = planned(plan, start, end, events)
    assert all(shift.start < shift.end for shift in shifts)
    _no_overlap([shift for shift in shifts if not shift.beside])
    for person in CAST:
        _no_overlap([shift for shift in shifts if shift.person == person])
    for at in (start + minute * MINUTE for minute in range(0, int(LENGTH * 1440), 30)):
        here = {s.person for s in shifts if s.start <= at < s.end}
        plain = next((s.person for s in without if s.start <= at < s.end), None)
        assert here == _overridden(plain, [row for row in rows if row.start <= at < row.end])


def _overridden(plain: str | None, rows: Sequence[ShiftOverrideRow]) -> set[str]:
    """What the rows, each after the other, make of whom the plan names."""
    main, added = plain, list[str]()
    for row in rows:
        here = [main, *added]
        if row.kind == "add":
            added += [row.person] if row.person not in here else []
        elif row.instead and row.instead not in here:
            continue
        elif row.instead and row.person:
            if row.instead == main:
                main = row.person
            elif row.person == main:
                added.remove(row.instead)
            else:
                added[added.index(row.instead)] = row.person
        elif row.instead:
            main = plain if main == row.instead else main
            added = [who for who in added if who != row.instead]
        elif row.person:
            main = row.person
        else:
            main, added = plain, []
        added = [who for n, who in enumerate(added) if who != main and who not in added[:n]]
    return {who for who in (main, *added) if who}


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_layer_around_the_clock_leaves_no_gap(zone: str, day: str) -> None:
    first = datetime.fromisoformat(day) - timedelta(days=DAYS_BEFORE)
    for turn in ({"turn": "daily"}, {"turn": "weekly"}, {"turn": "hours", "hours": 5}):
        start = first.replace(hour=2, minute=30)
        found = duty(rota(layer("alice", "bob", start=f"{start:%Y-%m-%dT%H:%M}", **turn), zone=zone))
        begin = start.replace(tzinfo=ZoneInfo(zone)).timestamp()
        assert found.gaps("primary", begin, begin + 60 * DAY) == []
        _no_overlap(found.shifts("primary", begin, begin + 60 * DAY))


def _no_overlap(shifts: list[Shift]) -> None:
    for one, other in itertools.pairwise(shifts):
        assert one.end <= other.start


def _by_minute(shifts: list[Shift], minutes: list[float]) -> list[str | None]:
    found: list[str | None] = []
    rest = iter([*shifts, None])
    shift = next(rest)
    for at in minutes:
        while shift is not None and shift.end <= at:
            shift = next(rest)
        found.append(shift.person if shift is not None and shift.start <= at else None)
    return found


def test_the_duty_says_the_same_in_pieces() -> None:
    """What it remembers in stretches fits together where they meet."""
    plan = rota(layer("alice", "bob", "carol", turn="hours", hours=50), layer("dave", days=["sat", "sun"], priority=1))
    start = datetime(2026, 3, 3, tzinfo=UTC).timestamp()
    found: Duty = duty(plan)
    assert found.shifts("primary", start, start + 90 * DAY) == planned(plan, start, start + 90 * DAY)
