"""The maintenance window: days, midnight, and nights with a changing clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cluster.world import Verdict
from tests.unit.gates.build import assert_blocked, assert_passed, healthy, verdict

BERLIN = "Europe/Berlin"
NIGHT = {"days": ["fri", "sat"], "start": "22:00", "end": "06:00", "zone": BERLIN}


def when(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).timestamp()


def at(now: float, *windows: Mapping[str, object]) -> Verdict:
    return verdict("window", healthy(windows=windows), now=now)


def test_without_a_window_any_time_will_do() -> None:
    assert_passed(at(when("2026-01-07T12:00")))


@pytest.mark.parametrize(
    "inside",
    [
        "2026-01-09T22:00",  # Friday, it opens
        "2026-01-10T05:59",  # Saturday morning belongs to Friday's night
        "2026-01-11T05:59",  # Sunday morning belongs to Saturday's
    ],
)
def test_a_night_belongs_to_the_day_it_began_on(inside: str) -> None:
    assert_passed(at(when(inside), NIGHT))


@pytest.mark.parametrize(
    ("outside", "opens"),
    [
        ("2026-01-09T21:59", "Fri 22:00 Europe/Berlin, in 60 s"),
        ("2026-01-09T05:00", "Fri 22:00 Europe/Berlin, in 17 h"),  # Friday morning belongs to Thursday's night
        ("2026-01-08T23:00", "Fri 22:00 Europe/Berlin, in 23 h"),
        ("2026-01-10T06:00", "Sat 22:00 Europe/Berlin, in 16 h"),
        ("2026-01-11T06:00", "Fri 22:00 Europe/Berlin, in 6 d"),
    ],
)
def test_outside_it_is_said_when_it_opens(outside: str, opens: str) -> None:
    assert_blocked(at(when(outside), NIGHT), f"outside of the maintenance windows; the next opens {opens}")


def test_a_window_within_a_day() -> None:
    noon = {"days": ["wed"], "start": "11:30", "end": "13:00", "zone": BERLIN}
    for inside in ("2026-01-07T11:30", "2026-01-07T12:59"):
        assert_passed(at(when(inside), noon))
    for outside, opens in (("2026-01-07T11:29", "60 s"), ("2026-01-07T13:00", "7 d"), ("2026-01-06T12:00", "24 h")):
        reason = f"outside of the maintenance windows; the next opens Wed 11:30 Europe/Berlin, in {opens}"
        assert_blocked(at(when(outside), noon), reason)


def test_a_whole_day_ends_at_24() -> None:
    sunday = {"days": ["sun"], "zone": BERLIN}
    assert_passed(at(when("2026-01-11T23:59"), sunday))
    assert_blocked(
        at(when("2026-01-12T00:00"), sunday),
        "outside of the maintenance windows; the next opens Sun 00:00 Europe/Berlin, in 6 d",
    )


def test_one_open_window_of_several_is_enough() -> None:
    noon = {"days": ["wed"], "start": "12:00", "end": "13:00", "zone": BERLIN}
    assert_passed(at(when("2026-01-07T12:30"), NIGHT, noon))


def test_the_zone_of_the_window_counts_not_utc() -> None:
    """22:30 in Berlin is 21:30 UTC in winter and 20:30 UTC in summer: both are inside."""
    assert_passed(at(when("2026-01-09T22:30"), NIGHT))
    assert_passed(at(when("2026-07-10T22:30"), NIGHT))


def test_the_night_in_which_the_clock_is_put_forward_is_an_hour_shorter() -> None:
    """2026-03-29: from 02:00 to 03:00. The window ends at 06:00 on the wall, seven hours after it began."""
    begin = when("2026-03-28T22:00")
    assert_passed(at(begin + 7 * 3600 - 1, NIGHT))
    assert_blocked(
        at(begin + 7 * 3600, NIGHT),
        "outside of the maintenance windows; the next opens Fri 22:00 Europe/Berlin, in 6 d",
    )


def test_the_night_in_which_the_clock_is_put_back_is_an_hour_longer() -> None:
    """2026-10-25: from 03:00 to 02:00, and 02:30 comes twice."""
    begin = when("2026-10-24T22:00")
    for fold in (0, 1):
        assert_passed(at(when("2026-10-25T02:30", fold), NIGHT))
    assert_passed(at(begin + 9 * 3600 - 1, NIGHT))
    assert_blocked(
        at(begin + 9 * 3600, NIGHT),
        "outside of the maintenance windows; the next opens Fri 22:00 Europe/Berlin, in 6 d",
    )


def test_a_window_without_days_never_opens() -> None:
    assert_blocked(
        at(when("2026-01-07T12:00"), {**NIGHT, "days": []}),
        "outside of the maintenance windows; none of them ever opens",
    )
