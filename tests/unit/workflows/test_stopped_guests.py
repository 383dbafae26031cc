"""A guest that the run has shut down, and what keeps it down for longer than people were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Unreachable
from cluster.facts import Guest, Machines, Move, Read, Unread
from cluster.guest_settings import CannotMove
from engine.port import Look, Waiting
from sandbox.invariants import violations
from sandbox.night import Night
from sandbox.scenario import load
from workflows.stopping import _start, _status, _staying_under_ha

USUAL = load(Path("tests/scenarios/guest-that-cannot-move"))
UNDER_HA = load(Path("tests/scenarios/ha-guest-stays-down"))


@pytest.mark.parametrize(
    ("told", "fault", "why"),
    [
        (USUAL, {"kind": "start-fails", "guest": 105}, "in vain for guest 105 to run again"),
        (UNDER_HA, {"kind": "backup-running", "guest": 101, "at": 145}, "in vain for gates to open"),
    ],
    ids=["it does not start", "the gates of maintenance mode shut"],
)
def test_a_guest_that_stays_down_because_of_us_wakes_people(told: Any, fault: dict[str, Any], why: str) -> None:
    """No node was away any more, or none yet: the hold was a note in the thread, and nobody knew until the morning."""
    night = Night(replace(told, faults=(fault,), lasts=5 * 3600.0)).live()
    assert [text for _, text in night.pages if why in text]


@pytest.mark.parametrize(
    ("told", "when"),
    [(USUAL, {"after": "maintenance-on pve3"}), (UNDER_HA, {"at": 125})],
    ids=["it is down", "not yet"],
)
def test_an_approval_that_is_given_anew_names_the_guest_that_stays_down_again(told: Any, when: dict[str, Any]) -> None:
    """It does not run any more, so no listing shows it; approved is its standstill all the same."""
    newer = {"kind": "new-packages", "node": "pve3", "text": "openssl", **when}
    start = replace(told.cues[0], types="/upgrade cluster nodes=pve3")
    night = Night(replace(told, cues=(start, *told.cues[1:]), faults=(newer,), lasts=5 * 3600.0)).live()
    assert night.text.count("guests that do not move and stay *down* meanwhile: pbx (105)") == 2
    assert "pve3 is done after" in night.text
    assert violations(night) == []


# ---- which guests of HA are shut down before maintenance mode ------------------------------------------------------


def test_only_guests_of_ha_that_run_here_and_have_nowhere_to_go_are_shut_down_first() -> None:
    """One that was off already would be started afterwards, one of another node is none of this run's business."""
    stays = Guest(105, "pbx", "qemu", "pve3", "running", 1, ha="started")
    others = (
        replace(stays, id=106, status="stopped", ha="stopped"),
        replace(stays, id=107, node="pve1"),
        replace(stays, id=108, ha=""),
        replace(stays, id=109),
    )
    moves = tuple(Move(guest, () if guest < 109 else ("pve1",), {}) for guest in range(105, 110))
    machines = Machines(guests=Read((stays, *others), 0.0), moves=Read(moves, 0.0))
    assert _staying_under_ha(wheel(machines)) == {"guests": [{"guest": 105, "name": "pbx", "way": "shutdown"}]}


@pytest.mark.parametrize("topic", ["guests", "moves"])
def test_while_it_is_not_read_which_guests_have_nowhere_to_go_maintenance_mode_waits(topic: str) -> None:
    """HA would try to move them, again and again."""
    read: dict[str, Any] = {"guests": Read((), 0.0), "moves": Read((), 0.0), topic: Unread("no answer", 0.0)}
    assert _staying_under_ha(wheel(Machines(**read))) == Waiting("no answer")


# ---- when it is down, and when it is back --------------------------------------------------------------------------

LOOK, LAST = Look(now=100.0, since=50.0, deadline=200.0), Look(now=200.0, since=50.0, deadline=200.0)


@pytest.mark.parametrize(
    ("wanted", "status", "ha", "seen"),
    [
        ("stopped", "stopped", "stopped", "stopped"),
        ("stopped", "stopped", "started", "it is stopped, HA says started"),
        ("stopped", "running", "", "it is running"),
        ("running", "running", "started", "running"),
        ("running", "running", "request_stop", "it is running, HA says request_stop"),
    ],
)
def test_a_guest_is_down_or_back_only_when_ha_means_it_to_be(wanted: str, status: str, ha: str, seen: str) -> None:
    """HA starts within seconds what it means to run: the node would be rebooted under it."""
    pbx = Guest(105, "pbx", "qemu", "pve3", status, 1, ha=ha)
    w = wheel(Machines(), lambda: (pbx,))
    assert _status(w, 105, wanted, LOOK) == (wanted if seen == wanted else Waiting(seen))
    late = _status(w, 105, wanted, LAST)
    assert late == wanted if seen == wanted else late[0] == seen


def test_while_no_node_lists_guests_none_is_down_and_none_was_removed() -> None:
    def silent() -> Any:
        raise Unreachable("no node answers")

    assert _status(wheel(Machines(), silent), 105, "stopped", LOOK) == Waiting("no node answers")
    assert _status(wheel(Machines(), silent), 105, "stopped", LAST) == ["no node answers", ""]
    assert _status(wheel(Machines(), tuple), 105, "stopped", LOOK) == Waiting("it is not listed")


def test_a_guest_that_somebody_started_already_is_not_started_once_more() -> None:
    running = Guest(105, "pbx", "qemu", "pve3", "running", 1)
    assert _start(wheel(Machines()), running) == ""


def wheel(machines: Machines, guests: Callable[[], Any] = tuple) -> Any:
    cluster = SimpleNamespace(survey=lambda topics, node: machines, guests=guests)
    managed = SimpleNamespace(cannot_move=CannotMove(otherwise="shutdown"))
    return SimpleNamespace(node="pve3", site=SimpleNamespace(cluster=cluster, managed=managed))
