"""A night lived faster: everything in proportion, but for what the bot counts in real seconds."""

from __future__ import annotations

from dataclasses import replace

from base.settings import seconds
from sandbox.faults import faults_from
from sandbox.scenario import START, Cue, Scenario
from sandbox.spec import default_spec
from sandbox.speed import LEAST_FOR_MACHINES_S, at_speed, least_look, limits, sooner

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC


def night() -> Scenario:
    spec = replace(default_spec(), settings={"windows": [{"start": "23:00", "end": "06:00"}]})
    faults = ({"kind": "heal-slow", "after": "reboot pve2", "delay": 20, "lasts": "10m", "amount": 0.1},)
    cues = (Cue("alice", at=0.0, types="/upgrade cluster"), Cue("carol", when="asked", after=120.0, reacts="x"))
    return Scenario("a night", "", spec, faults, cues, start=START)


def test_who_plays_by_hand_waits_a_minute_for_what_comes_hours_later() -> None:
    dies = {"kind": "guest-stops", "guest": 101, "after": "maintenance-off pve1", "delay": 540}
    back = {"kind": "guest-starts", "guest": 101, "after": "maintenance-off pve1", "delay": 630}
    soon = {"kind": "heal-slow", "after": "reboot pve2", "delay": 20}
    late = sooner(replace(night(), faults=(dies, back, soon)), 60.0)
    assert [fault.delay for fault in faults_from(late.faults)] == [60.0, 150.0, 20.0]
    assert faults_from(sooner(night(), 60.0).faults) == faults_from(night().faults)


def test_what_machines_faults_and_people_take_is_shorter_and_ratios_stay() -> None:
    fast = at_speed(night(), 10.0, NOON)
    slow = night().spec.timings
    assert fast.spec.timings.boot == slow.boot / 10
    assert fast.spec.timings.heal_factor == slow.heal_factor
    assert fast.spec.timings.entries_s == slow.entries_s * 10
    (fault,) = faults_from(fast.faults)
    assert (fault.delay, fault.lasts, fault.amount) == (2.0, 60.0, 0.1)
    assert [(cue.at, cue.after) for cue in fast.cues] == [(0.0, 0.0), (None, 12.0)]


def test_a_window_opens_when_it_would_in_the_fast_night_rounded_up_to_a_minute() -> None:
    (window,) = at_speed(night(), 10.0, NOON).spec.settings["windows"]
    assert window == {"start": "12:06", "end": "12:49"}  # 22:00 + 1 h, + 8 h


def test_no_limit_gets_shorter_than_what_the_bot_knows_of_machines() -> None:
    fast = limits({"limits": {"watch": "10m"}}, 60.0)
    assert fast["reboot"] == f"{LEAST_FOR_MACHINES_S:.3f}s"
    assert fast["heal"] == "720.000s"
    assert (fast["approval_wait"], fast["approval_valid"]) == ("60.000s", f"{LEAST_FOR_MACHINES_S:.3f}s")
    assert fast["watch"] == "10.000s"


def test_a_hold_pages_no_more_often_in_a_fast_night_than_in_a_slow_one() -> None:
    """Such a night ends in a hold, and has some minutes for machines behind it."""
    held = replace(night(), spec=replace(night().spec, settings={}), lasts=20 * 3600.0)
    for speed in (20.0, 60.0, 600.0):
        fast = at_speed(held, speed, NOON)
        began = 12 * 3600.0 / speed
        assert began + seconds(limits({}, speed)["hold"]) > fast.lasts


def test_the_bot_looks_once_a_second_at_leisure_and_more_often_at_a_fast_night() -> None:
    assert [least_look(speed) for speed in (1.0, 20.0, 40.0, 1000.0)] == [1.0, 1.0, 0.5, 0.1]
