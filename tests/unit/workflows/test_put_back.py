"""What must have ended before anything is put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Unreachable
from cluster.facts import Ha, Machines, Member, Membership, Read, TaskRow, Unread
from engine.port import Look, Waiting
from sandbox.direct import SimCluster
from sandbox.invariants import violations
from sandbox.lines import Act, Moment
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario, load
from sandbox.spec import ClusterSpec, default_spec
from workflows import putback
from workflows.putback import STILL_UP_S, _quiet, in_mode

ALONE = Membership("lab", True, (Member("pve3", True, 1),), 1, 0, 4)


def wheel(*tasks: TaskRow, **seen: Any) -> Any:
    """One that puts pve3 back, with these tasks running. `seen`: what else is read otherwise than usually."""
    usual = Machines(
        membership=Read(ALONE, 0.0), ha=Read(Ha("pve1", frozenset(), {}, True), 0.0), tasks=Read(tasks, 0.0)
    )
    machines = replace(usual, **seen)
    cluster = SimpleNamespace(
        node_status=lambda node: SimpleNamespace(apt_busy="", boot_id="b"), survey=lambda topics, node: machines
    )
    return SimpleNamespace(node="pve3", site=SimpleNamespace(cluster=cluster))


@pytest.mark.parametrize("kind", ["qmigrate", "vzmigrate", "qmshutdown", "vzshutdown"])
def test_while_a_guest_is_moved_or_shut_down_nothing_is_put_back(kind: str) -> None:
    """One that is on its way down still runs: started "again" at once, it would be down a minute later."""
    seen = _quiet(wheel(TaskRow("U", "pve3", kind, "110", "roundsman@pve!bot", 0.0)), LOOK, "")
    assert seen == Waiting("1 tasks of guests are running")


@pytest.mark.parametrize("task", [("pve3", "vncproxy"), ("pve1", "vzshutdown")])
def test_other_tasks_and_other_nodes_hold_nothing_up(task: tuple[str, str]) -> None:
    assert _quiet(wheel(TaskRow("U", *task, "110", "root@pam", 0.0)), LOOK, "") is True


@pytest.mark.parametrize("topic", ["tasks", "membership", "ha"])
def test_while_the_cluster_is_not_read_nothing_is_put_back(topic: str) -> None:
    assert _quiet(wheel(**{topic: Unread("no answer", 0.0)}), LOOK, "") == Waiting("the cluster does not answer")


@pytest.mark.parametrize(("away", "seen"), [("pve3", Waiting("pve3 is not a member yet")), ("pve2", True)])
def test_a_node_that_answers_before_it_has_joined_the_cluster_is_waited_for(away: str, seen: Any) -> None:
    members = tuple(Member(node, node != away, 1) for node in ("pve1", "pve2", "pve3"))
    membership = Membership("lab", True, members, 3, 2, 4)
    assert _quiet(wheel(membership=Read(membership, 0.0)), LOOK, "") == seen


LOOK = Look(now=100.0, since=0.0, deadline=1000.0)


# ---- a reboot that was sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "seen"), [(200.0, Waiting("a reboot may still be under way")), (301.0, True)])
def test_a_node_that_answers_from_the_boot_that_was_struck_is_given_time_to_go_down(now: float, seen: Any) -> None:
    assert _quiet(wheel(), Look(now, 0.0, 1000.0), struck="b") == seen
    assert _quiet(wheel(), Look(now, 0.0, 1000.0), struck="another boot") is True


def test_an_abort_right_after_the_reboot_was_sent_puts_nothing_back_onto_a_node_that_may_go_down() -> None:
    """Something on the node delays the reboot. Its guests would be back by then, and die with it."""
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
        Cue("bob", when="said reboot sent", after=20.0, types="/upgrade abort"),
    )
    slow = {"kind": "never-reboots", "node": "pve3", "lasts": 6 * 3600.0}
    night = Night(Scenario("slow", "", default_spec(), (slow,), cues, lasts=2 * 3600.0)).live()
    (struck,) = [sent.at for sent in night.sent if sent.verb == "reboot"]
    (back,) = [sent.at for sent in night.sent if sent.verb == "maintenance" and sent.args[1] is False]
    assert back - struck > STILL_UP_S


# ---- a change whose answer was lost --------------------------------------------------------------------------------


@dataclass
class AbortedAfterTheLostAnswer(Night):
    """Bob aborts while the run rests before it tries again what may have been done."""

    def _on_act(self, act: Act) -> None:
        if act.verb == "set_onboot" and act.moment is Moment.DONE and "aborts" not in self.text:
            self.clock.at(self.clock.now + 5.0, lambda: self.type("bob", "/upgrade abort"))


def test_an_onboot_that_may_have_been_switched_off_is_switched_on_again_by_an_abort() -> None:
    """It was, and only the answer was lost: nobody else would know that the guest does not start with its node now."""
    usual = load(Path("tests/scenarios/guest-that-cannot-move"))
    lost = {"kind": "line", "guest": 105, "text": "set_onboot", "how": "broken"}
    night = AbortedAfterTheLostAnswer(replace(usual, faults=(*usual.faults, lost))).live()
    assert "aborts" in night.text
    assert violations(night) == []


# ---- what an abort leaves ------------------------------------------------------------------------------------------


ABORTED = "The run of *lab* was aborted. "


def aborted(*faults: Mapping[str, Any], **cue: Any) -> str:
    """What is said to be left of a night in which Bob aborts at this moment."""
    cues = (
        Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
        Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
        Cue("bob", types="/upgrade abort", **cue),
    )
    night = Night(Scenario("aborted", "", default_spec(), faults, cues, lasts=4 * 3600.0)).live()
    assert violations(night) == []
    return night.text.partition(ABORTED)[2]


@pytest.mark.parametrize(
    "cue", [{"when": "said db (103) moves to pve2", "after": 3.0}, {"when": "said dist-upgrade of"}]
)
def test_a_guest_that_an_abort_leaves_elsewhere_is_said_to_be_where_it_is(cue: dict[str, Any]) -> None:
    """Of one that was still moving nothing was said at all."""
    assert "• not moved back: db (103) is on pve2\n" in aborted(**cue)


def test_a_guest_that_is_on_its_way_back_is_said_to_be_moving() -> None:
    assert "• not moved back: db (103) is moving from pve2\n" in aborted(when="said db (103) moves to pve3", after=1.0)


def test_a_guest_that_somebody_moved_back_by_hand_is_not_left_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimCluster, "guests", lambda self: [replace(g, node="pve3") for g in listing(self)])
    assert "not moved back" not in aborted(when="said dist-upgrade of")


listing = SimCluster.guests


def test_where_nobody_says_where_guests_are_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any) -> None:
        raise Unreachable("no node answers")

    monkeypatch.setattr(putback, "_elsewhere", silent)
    assert "• not all may be back on pve3, and nobody says where they are: db (103)\n" in aborted(
        when="said dist-upgrade of"
    )


def test_a_guest_that_is_not_listed_where_it_was_moved_to_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(putback, "_elsewhere", lambda *_: {"away": {"103": ["", False]}})
    assert "• not moved back: db (103) is not listed\n" in aborted(when="said dist-upgrade of")


def test_a_guest_that_an_abort_leaves_shut_down_is_said_to_be_so_with_its_node() -> None:
    usual = load(Path("tests/scenarios/guest-that-cannot-move"))
    spec = replace(usual.spec, settings={**usual.spec.settings, "limits": {"heal": "30m"}})
    abort = Cue("bob", when="said now the storage heals", types="/upgrade abort")
    stuck = {"kind": "heal-stuck"}
    night = Night(replace(usual, spec=spec, cues=(*usual.cues, abort), faults=(stuck,), lasts=3 * 3600.0)).live()
    assert "• pbx (105) is shut down on pve3 (onboot is off)\n" in night.text.partition(ABORTED)[2]
    assert violations(night) == []


# ---- two orders in one night ---------------------------------------------------------------------------------------


UPGRADED = (
    Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
    Cue("carol", when="asked", after=120.0, reacts="white_check_mark"),
)


def lived(cues: Sequence[Cue], *faults: Mapping[str, Any], spec: ClusterSpec | None = None) -> Night:
    """A night in which nothing happened that never must."""
    scenario = Scenario("put back", "", spec or default_spec(), faults, (*UPGRADED, *cues), lasts=8 * 3600.0)
    night = Night(scenario).live()
    assert violations(night) == []
    return night


def released(night: Night) -> list[float]:
    """When maintenance mode was ordered off."""
    return [sent.at for sent in night.sent if sent.verb == "maintenance" and sent.args[1] is False]


def test_a_skip_that_is_aborted_remembers_that_the_node_may_still_go_down() -> None:
    cues = (
        Cue("bob", when="said reboot sent", after=20.0, types="/upgrade skip pve3"),
        Cue("bob", when="said reboot sent", after=80.0, types="/upgrade abort"),
    )
    night = lived(cues, {"kind": "never-reboots", "node": "pve3", "lasts": 6 * 3600.0})
    (struck,) = [sent.at for sent in night.sent if sent.verb == "reboot"]
    (back,) = released(night)
    assert back - struck > STILL_UP_S
    assert "pve3: aborted; what was begun ends first" in night.text
    assert ABORTED in night.text


def test_a_guest_of_ha_that_was_shut_down_before_maintenance_mode_is_started_again_by_an_abort() -> None:
    """Nothing but this guest has changed yet, and HA was asked for "stopped": it would never run again."""
    usual = load(Path("tests/scenarios/ha-guest-stays-down"))
    abort = Cue("alice", when="said it is shut down until", after=1.0, types="/upgrade abort")
    night = Night(replace(usual, cues=(*usual.cues, abort))).live()
    assert not [sent for sent in night.sent if sent.verb == "maintenance"]
    assert "running again" in night.text
    assert violations(night) == []


def test_while_what_was_begun_has_not_ended_nothing_is_put_back() -> None:
    """apt-get hangs, and after its limit nobody is asked any more: the node keeps its maintenance mode."""
    night = lived(
        [Cue("bob", when="said dist-upgrade of", after=60.0, types="/upgrade abort")],
        {"kind": "upgrade-hangs", "node": "pve3"},
    )
    assert "pve3 stays in maintenance mode: what was begun has not ended" in night.text
    assert released(night) == []


def test_what_was_set_on_ceph_is_said_to_be_left_where_the_node_does_not_come_back() -> None:
    spec = load(Path("tests/scenarios/ceph-good-night")).spec
    night = lived(
        [Cue("bob", when="said reboot sent", after=60.0, types="/upgrade abort")],
        {"kind": "stays-down", "node": "pve3"},
        spec=spec,
    )
    assert "noout is still set on Ceph" in night.text.partition(ABORTED)[2]
    assert "pve3 stays in maintenance mode: what was begun has not ended" in night.text


def test_a_node_that_came_back_without_its_storage_stays_in_maintenance_mode_after_an_abort() -> None:
    """It was down by our order; from here on it is judged like every other one."""
    night = lived(
        [Cue("bob", when="said reboot sent", after=60.0, types="/upgrade abort")],
        {"kind": "storage-inactive", "node": "pve3", "text": "local", "after": "reboot pve3"},
    )
    assert "pve3 stays in maintenance mode: " in night.text
    assert released(night) == []


def test_a_skip_while_guests_come_back_says_which_one_is_elsewhere() -> None:
    night = lived([Cue("bob", when="said db (103) moves to pve3", after=1.0, types="/upgrade skip pve3")])
    assert "not moved back: db (103) is moving from pve2" in night.text


# ---- maintenance mode is a request, and what the node makes of it --------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "mode", "on", "off"),
    [
        ("pve3", "maintenance", True, Waiting("requested, not left yet")),
        ("", "maintenance", True, Waiting("requested, not left yet")),
        ("pve3", "active", Waiting("requested, not reached yet"), Waiting("requested, not left yet")),
        ("", "active", Waiting("requested, not reached yet"), True),
    ],
)
def test_maintenance_mode_is_reached_by_the_node_and_left_by_node_and_request(
    requested: str, mode: str, on: Any, off: Any
) -> None:
    ha = Ha("pve1", frozenset({requested} - {""}), {"pve3": mode}, True)
    w = wheel(ha=Read(ha, 0.0))
    assert (in_mode(w, True), in_mode(w, False)) == (on, off)
