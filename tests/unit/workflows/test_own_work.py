"""Which guests our own runs move just now: whatever else happens to them is an outage."""

from __future__ import annotations

import pytest

from store.api import Entry, Plain, RunRow
from workflows.own_work import of_run
from workflows.phases import UPGRADE

BEGAN = (("104", "intent", None), ("104.end.wait", "wait", {"since": 1.0, "deadline": 2.0}))
ARRIVED = ("104.end.wait", "result", ["saw", "arrived"])


def moving(*entries: tuple[str, str, Plain]) -> frozenset[int]:
    run = RunRow("lab-1", UPGRADE, "lab", {"nodes": ["pve3"]}, "active", 0.0, "U0ALICE", 0.0)
    keyed = [Entry(f"pve3.move.{key}", kind, value, 1.0) for key, kind, value in entries]
    return of_run(run, keyed, 5.0).guests


def test_a_guest_moves_from_the_order_until_it_was_seen_elsewhere() -> None:
    assert moving(BEGAN[0]) == moving(*BEGAN) == {104}
    assert moving(*BEGAN, ARRIVED) == frozenset()


@pytest.mark.parametrize(
    "later",
    [
        ("104.left.said", "result", None),
        ("104.off.said", "result", None),
        ("104.hold.said#1", "result", None),
        ("104.hold.answer#1", "result", "retry"),
        ("104.hold.clear#1", "result", None),
    ],
)
def test_what_is_said_after_a_move_has_ended_makes_it_no_move_again(later: tuple[str, str, Plain]) -> None:
    """A guest that a person took elsewhere after a hold was ours for the rest of the run: its death woke nobody."""
    assert moving(*BEGAN, ARRIVED, later) == frozenset()


def test_one_that_is_moved_again_after_a_hold_is_ours_again() -> None:
    assert moving(*BEGAN, ARRIVED, ("104.hold.answer#1", "result", "retry"), ("104#2", "intent", None)) == {104}
    assert moving(*BEGAN, ARRIVED, ("104.began#2", "result", ["did", 9.0])) == {104}
