"""Which guests our own runs move just now: whatever else happens to them is an outage."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.detector import Doing
from store.api import Entry, Plain, RunRow
from workflows.own_work import SETTLES_S, of_run
from workflows.phases import UPGRADE
from workflows.picture import GONE

BEGAN = (("104", "intent", None), ("104.end.wait", "wait", {"since": 1.0, "deadline": 2.0}))
ARRIVED = ("104.end.wait", "result", ["saw", "arrived"])


def doing(*entries: tuple[str, str, Plain], now: float = 5.0, **args: Plain) -> Doing:
    """What a run with these entries, written at 1.0, takes down of pve3."""
    run = RunRow("lab-1", UPGRADE, "lab", {"nodes": ["pve3"], **args}, "active", 0.0, "U0ALICE", 0.0)
    return of_run(run, [Entry(f"pve3.{key}", kind, value, 1.0) for key, kind, value in entries], now)


def moving(*entries: tuple[str, str, Plain]) -> frozenset[int]:
    return doing(*((f"move.{key}", kind, value) for key, kind, value in entries)).guests


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


# ---- a node that reboots, a guest that is shut down ------------------------------------------------------------------

STRUCK = (("reboot", "intent", None), ("reboot", "result", ["did", {"value": "sent"}]))
WAITS = ("rejoin.wait", "wait", {"since": 1.0, "deadline": 2.0})


@pytest.mark.parametrize(
    ("entries", "ours"),
    [
        (STRUCK[:1], True),
        ((STRUCK[0], ("reboot", "result", ["unclear", "the line broke"])), True),
        ((STRUCK[0], ("reboot", "result", ["shut", ["quorum"], "", []])), False),
        ((*STRUCK, WAITS), True),
        ((*STRUCK, WAITS, ("rejoin.wait", "result", ["late", "pveproxy is failed"])), True),
    ],
    ids=["on its way", "perhaps sent", "not sent", "waited for", "not in time"],
)
def test_a_node_is_down_by_our_order_from_the_reboot_until_it_was_seen_back(entries: Any, ours: bool) -> None:
    assert doing(*entries, now=5000.0).nodes == ({"pve3"} if ours else set())


def test_a_node_that_was_seen_back_is_ours_for_some_minutes_more_and_not_while_it_heals() -> None:
    back = (*STRUCK, WAITS, ("rejoin.wait", "result", ["saw", True]))
    assert doing(*back, now=SETTLES_S).nodes == {"pve3"}
    assert doing(*back, now=1.0 + SETTLES_S).nodes == set()


def test_a_dry_run_takes_nothing_down() -> None:
    assert doing(*STRUCK, dry_run=True) == Doing()


DOWN = ("stop.105", "intent", None)


@pytest.mark.parametrize(
    ("entries", "ours"),
    [
        ([("stop.105.onboot", "result", ["did", True])], False),
        ([DOWN], True),
        ([DOWN, ("return.105.running.wait", "result", ["late", "it is stopped"])], True),
        ([DOWN, ("return.105.running.wait", "result", ["saw", "running"])], False),
        ([DOWN, ("stop.105.end.wait", "result", ["saw", GONE])], False),
    ],
    ids=["not yet", "shut down", "not started", "back", "removed"],
)
def test_a_guest_is_down_by_our_order_until_it_was_seen_running_again(entries: Any, ours: bool) -> None:
    assert doing(*entries).guests == ({105} if ours else set())
