"""Hand-offs, windows, layers and overrides: one situation each, told as people would."""

from __future__ import annotations

from typing import Any

import pytest

from oncall.rota import Event, Shift, planned
from oncall.settings import Rota
from tests.unit.oncall.people import DAY, duty, layer, override, rota, told, when

LORD_HOWE, SAO_PAULO, BEIRUT = "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut"


def lines(plan: Rota, start: str, end: str, **more: Any) -> list[str]:
    """ "alice Mon 02 09:00 +0100" for each shift that begins in the range, on the rota's own clock."""
    begin, over = when(start, plan.zone), when(end, plan.zone)
    shifts = [shift for shift in planned(plan, begin, over, **more) if begin <= shift.start < over]
    return [f"{shift.person} {told(shift.start, plan.zone)}" for shift in shifts]


# ---- hand-offs in nights in which the clocks change -----------------------------------------------------------------


def test_a_weekly_handoff_stays_at_nine_whatever_the_clocks_do() -> None:
    plan = rota(layer("alice", "bob", start="2026-03-16T09:00"))
    assert lines(plan, "2026-03-16T00:00", "2026-04-07T00:00") == [
        "alice Mon 16 09:00 +0100",
        "bob Mon 23 09:00 +0100",
        "alice Mon 30 09:00 +0200",
        "bob Mon 06 09:00 +0200",
    ]


def test_a_handoff_at_half_past_two_in_the_night_without_half_past_two_comes_when_the_clock_leaps() -> None:
    plan = rota(layer("alice", "bob", start="2026-03-27T02:30", turn="daily"))
    assert lines(plan, "2026-03-28T00:00", "2026-03-31T00:00") == [
        "bob Sat 28 02:30 +0100",
        "alice Sun 29 03:00 +0200",
        "bob Mon 30 02:30 +0200",
    ]


def test_a_handoff_at_half_past_two_in_the_night_with_two_of_them_comes_at_the_first_and_only_once() -> None:
    plan = rota(layer("alice", "bob", start="2026-10-23T02:30", turn="daily"))
    assert lines(plan, "2026-10-24T00:00", "2026-10-27T00:00") == [
        "bob Sat 24 02:30 +0200",
        "alice Sun 25 02:30 +0200",
        "bob Mon 26 02:30 +0100",
    ]


@pytest.mark.parametrize(
    ("zone", "first", "until", "expected"),
    [
        (LORD_HOWE, "2026-10-03T02:15", "2026-10-05", ["alice Sat 03 02:15 +1030", "bob Sun 04 02:30 +1100"]),
        (LORD_HOWE, "2026-04-04T01:45", "2026-04-06", ["alice Sat 04 01:45 +1100", "bob Sun 05 01:45 +1100"]),
        (SAO_PAULO, "2018-11-03T00:00", "2018-11-05", ["alice Sat 03 00:00 -0300", "bob Sun 04 01:00 -0200"]),
        (SAO_PAULO, "2018-02-16T23:30", "2018-02-18", ["alice Fri 16 23:30 -0200", "bob Sat 17 23:30 -0200"]),
        (BEIRUT, "2026-03-28T00:30", "2026-03-30", ["alice Sat 28 00:30 +0200", "bob Sun 29 01:00 +0300"]),
    ],
    ids=["leap of 30 minutes", "back by 30 minutes", "midnight leapt over", "23:30 twice", "half past midnight"],
)
def test_odd_changes_of_the_clocks(zone: str, first: str, until: str, expected: list[str]) -> None:
    plan = rota(layer("alice", "bob", start=first, turn="daily"), zone=zone)
    assert lines(plan, first, f"{until}T00:00") == expected


def test_turns_in_hours_last_as_many_hours_as_really_pass() -> None:
    plan = rota(layer("alice", "bob", start="2026-03-28T18:00", turn="hours", hours=12))
    assert lines(plan, "2026-03-28T18:00", "2026-03-30T00:00") == [
        "alice Sat 28 18:00 +0100",
        "bob Sun 29 07:00 +0200",
        "alice Sun 29 19:00 +0200",
    ]


# ---- windows, days, layers -------------------------------------------------------------------------------------------


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    nights = {"start": "22:00", "end": "06:00"}
    plan = rota(layer("alice", start="2026-03-02T00:00", window=nights, days=["fri"]))
    [night] = planned(plan, when("2026-03-02T00:00"), when("2026-03-09T00:00"))
    assert (told(night.start), told(night.end)) == ("Fri 06 22:00 +0100", "Sat 07 06:00 +0100")


def test_a_window_inside_the_hour_that_is_leapt_over_does_not_open_that_night() -> None:
    plan = rota(layer("alice", start="2026-03-20T00:00", window={"start": "02:10", "end": "02:50"}))
    assert lines(plan, "2026-03-28T00:00", "2026-03-31T00:00") == [
        "alice Sat 28 02:10 +0100",
        "alice Mon 30 02:10 +0200",
    ]


def test_daily_turns_pass_over_the_days_on_which_the_layer_is_closed() -> None:
    """Else with five people on five days of the week everybody would keep the same weekday for ever."""
    weekdays = ["mon", "tue", "wed", "thu", "fri"]
    plan = rota(layer("alice", "bob", "carol", start="2026-03-05T00:00", turn="daily", days=weekdays))
    found = duty(plan)
    days = ["05", "06", "07", "09", "10"]
    people = [found.on_call("primary", when(f"2026-03-{day}T12:00")) for day in days]
    assert [shift and shift.person for shift in people] == ["alice", "bob", None, "carol", "alice"]


def test_days_that_follow_each_other_are_one_shift() -> None:
    plan = rota(layer("alice", start="2026-03-02T00:00", days=["sat", "sun"]))
    [weekend] = planned(plan, when("2026-03-08T12:00"), when("2026-03-08T13:00"))
    assert (told(weekend.start), told(weekend.end)) == ("Sat 07 00:00 +0100", "Mon 09 00:00 +0100")


def test_the_higher_priority_counts_and_the_first_in_the_file_among_equals() -> None:
    nights = {"start": "22:00", "end": "06:00"}
    plan = rota(
        layer("alice", name="week"),
        layer("bob", name="spare"),
        layer("carol", name="nights", window=nights, priority=5),
    )
    day = planned(plan, when("2026-03-04T12:00"), when("2026-03-04T13:00"))
    night = planned(plan, when("2026-03-04T23:00"), when("2026-03-04T23:30"))
    assert [(shift.person, shift.by) for shift in (*day, *night)] == [
        ("alice", "layer:week"),
        ("carol", "layer:nights"),
    ]
    assert told(day[0].start) == "Wed 04 06:00 +0100"


def test_a_layer_counts_from_its_start_to_its_end() -> None:
    found = duty(rota(layer("alice", start="2026-03-02T09:00", end="2026-03-20T17:00")))
    gaps = found.gaps("primary", when("2026-03-01T00:00"), when("2026-03-21T00:00"))
    assert [(told(gap.start), told(gap.end)) for gap in gaps] == [
        ("Sun 01 00:00 +0100", "Mon 02 09:00 +0100"),
        ("Fri 20 17:00 +0100", "Sat 21 00:00 +0100"),
    ]


def test_a_calendar_counts_before_layers_and_the_later_beginning_before_the_earlier() -> None:
    """A week that Alice has, and one evening of it that was given to Bob."""
    plan = rota(layer("carol"), calendar={})
    events = [
        Event("alice", when("2026-03-09T00:00"), when("2026-03-16T00:00")),
        Event("bob", when("2026-03-11T18:00"), when("2026-03-11T23:00")),
    ]
    assert lines(plan, "2026-03-09T00:00", "2026-03-16T09:00", events=events) == [
        "alice Mon 09 00:00 +0100",
        "bob Wed 11 18:00 +0100",
        "alice Wed 11 23:00 +0100",
        "carol Mon 16 00:00 +0100",
    ]


# ---- overrides ------------------------------------------------------------------------------------------------------

WEEKLY = rota(layer("alice", "bob", "carol"))


def people(*overrides: Any, at: str) -> list[str]:
    return [shift.person for shift in duty(WEEKLY, overrides=overrides).all_on_call("primary", when(at))]


def test_an_override_replaces_whomever_the_plan_names_and_says_who_ordered_it() -> None:
    found = duty(WEEKLY, overrides=[override("dave", "2026-03-04T18:00", "2026-03-05T08:00")])
    shift = Shift("primary", "dave", when("2026-03-04T18:00"), when("2026-03-05T08:00"), "override:U0ALICE01")
    assert found.on_call("primary", when("2026-03-04T20:00")) == shift
    assert found.on_call("primary", shift.end) == Shift(
        "primary", "alice", shift.end, when("2026-03-09T09:00"), "layer:1"
    )


def test_of_two_overrides_the_one_written_last_wins() -> None:
    first = override("dave", "2026-03-04T18:00", "2026-03-05T08:00", number=1)
    second = override("carol", "2026-03-04T22:00", "2026-03-04T23:00", number=2)
    assert people(first, second, at="2026-03-04T22:30") == ["carol"]
    assert people(second, first, at="2026-03-04T22:30") == ["dave"]
    assert people(first, second, at="2026-03-04T23:00") == ["dave"]


def test_an_override_fills_a_gap() -> None:
    found = duty(
        rota(layer("alice", days=["mon"])), overrides=[override("bob", "2026-03-03T00:00", "2026-03-04T00:00")]
    )
    assert found.gaps("primary", when("2026-03-03T00:00"), when("2026-03-04T00:00")) == []


def test_somebody_is_added_beside_the_one_whom_the_plan_names() -> None:
    add = override("dave", "2026-03-04T18:00", "2026-03-05T08:00", kind="add")
    assert people(add, at="2026-03-04T20:00") == ["alice", "dave"]


def test_adding_whoever_is_on_call_anyway_adds_nobody_twice() -> None:
    assert people(override("alice", "2026-03-04T18:00", "2026-03-05T08:00", kind="add"), at="2026-03-04T20:00") == [
        "alice"
    ]


def test_whoever_was_added_is_on_call_alone_where_the_plan_names_nobody() -> None:
    add = override("dave", "2026-03-03T00:00", "2026-03-04T00:00", kind="add")
    found = duty(rota(layer("alice", days=["mon"])), overrides=[add])
    shift = found.on_call("primary", when("2026-03-03T12:00"))
    assert shift is not None
    assert shift.person == "dave"


def test_a_swap_changes_only_the_shifts_of_those_two() -> None:
    """Alice's week for Bob's; the ranges reach over Carol's week, which stays hers."""
    swap = [
        override("bob", "2026-03-02T00:00", "2026-03-30T00:00", instead="alice", number=1),
        override("carol", "2026-03-04T00:00", "2026-03-05T00:00", number=2),
    ]
    found = duty(WEEKLY, overrides=swap).shifts("primary", when("2026-03-02T10:00"), when("2026-03-24T00:00"))
    assert [(shift.person, told(shift.start)[:6]) for shift in found] == [
        ("bob", "Mon 02"),
        ("carol", "Wed 04"),
        ("bob", "Thu 05"),
        ("bob", "Mon 09"),
        ("carol", "Mon 16"),
        ("bob", "Mon 23"),
    ]


def test_back_to_the_plan_takes_earlier_overrides_away_and_lets_later_ones_count() -> None:
    take = override("dave", "2026-03-04T00:00", "2026-03-06T00:00", number=1)
    add = override("carol", "2026-03-04T00:00", "2026-03-06T00:00", kind="add", number=2)
    cancel = override("", "2026-03-05T00:00", "2026-03-06T00:00", number=3)
    again = override("bob", "2026-03-05T12:00", "2026-03-06T00:00", number=4)
    assert people(take, add, cancel, again, at="2026-03-04T12:00") == ["dave", "carol"]
    assert people(take, add, cancel, again, at="2026-03-05T06:00") == ["alice"]
    assert people(take, add, cancel, again, at="2026-03-05T13:00") == ["bob"]


def test_one_of_two_who_were_added_steps_back() -> None:
    rows = [
        override("bob", "2026-03-04T00:00", "2026-03-05T00:00", kind="add", number=1),
        override("dave", "2026-03-04T00:00", "2026-03-05T00:00", kind="add", number=2),
        override("", "2026-03-04T00:00", "2026-03-05T00:00", instead="bob", number=3),
    ]
    assert people(*rows, at="2026-03-04T12:00") == ["alice", "dave"]


def test_an_override_of_somebody_who_left_the_settings_counts_for_nothing() -> None:
    """Nobody could be woken by it: the plan counts."""
    assert people(override("erin", "2026-03-04T00:00", "2026-03-05T00:00"), at="2026-03-04T12:00") == ["alice"]


# ---- the questions that everybody asks ------------------------------------------------------------------------------


def test_who_is_next_is_somebody_else() -> None:
    found = duty(WEEKLY, overrides=[override("alice", "2026-03-09T09:00", "2026-03-10T09:00")])
    now = when("2026-03-04T12:00")
    after = found.next_shift("primary", now)
    assert after is not None
    assert (after.person, told(after.start)) == ("bob", "Tue 10 09:00 +0100")
    assert found.until("primary", now) == after.start


def test_a_rota_of_one_person_ends_nowhere_and_has_nobody_next() -> None:
    found = duty(rota(layer("alice", turn="daily")))
    now = when("2026-03-04T12:00")
    assert (found.until("primary", now), found.next_shift("primary", now)) == (None, None)


def test_in_a_gap_whoever_ends_it_is_next() -> None:
    found = duty(rota(layer("alice", days=["mon"])))
    now = when("2026-03-04T12:00")
    after = found.next_shift("primary", now)
    assert found.on_call("primary", now) is None
    assert found.until("primary", now) is None
    assert after is not None
    assert (after.person, told(after.start)) == ("alice", "Mon 09 00:00 +0100")


def test_the_table_is_cut_to_what_was_asked_and_names_the_gaps() -> None:
    found = duty(rota(layer("alice", start="2026-03-02T09:00", end="2026-03-03T09:00")))
    table = found.table("primary", when("2026-03-02T00:00"), when("2026-03-03T00:00"))
    assert [(getattr(row, "person", "nobody"), told(row.start), told(row.end)) for row in table] == [
        ("nobody", "Mon 02 00:00 +0100", "Mon 02 09:00 +0100"),
        ("alice", "Mon 02 09:00 +0100", "Tue 03 00:00 +0100"),
    ]


def test_a_month_ahead_is_read_in_no_time() -> None:
    """Every tick of the watch may ask for it: 5,000 questions take well under a second."""
    found = duty(rota(layer("alice", "bob", turn="hours", hours=1)))
    start = when("2026-03-04T12:00")
    assert all(found.on_call("primary", start + minute * 60) for minute in range(5000))
    assert found.gaps("primary", start, start + 30 * DAY) == []
