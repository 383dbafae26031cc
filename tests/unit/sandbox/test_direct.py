"""The direct face: its errors, the guards of the node helper, and lines that break at the wrong moment."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from cluster.api import Cluster, Refused, TaskRef, Uncertain, Unreachable
from cluster.facts import NOT_ASKED, Guest, Read, Topic, Unread
from sandbox.faults import Fault, How, Kind
from sandbox.lines import Act, Moment
from sandbox.model import What
from sandbox.spec import ClusterSpec
from tests.unit.sandbox.evening import EVENING, Evening, with_one_path

SAME_BOOT = "the boot that was approved"


# ---- what it is ----------------------------------------------------------------------------------------------------
def test_it_is_a_cluster_as_the_bot_knows_it(evening: Evening) -> None:
    cluster: Cluster = evening.cluster
    assert list(cluster.settings.nodes) == ["pve1", "pve2", "pve3"]


def test_only_what_is_asked_is_read(evening: Evening) -> None:
    machines = evening.cluster.survey(frozenset({Topic.MEMBERSHIP}), None)
    assert isinstance(machines.membership, Read)
    assert (machines.guests, machines.gluster, machines.nodes) == (NOT_ASKED, NOT_ASKED, {})


def test_packages_and_moves_belong_to_a_node(evening: Evening) -> None:
    topics = frozenset({Topic.PACKAGES, Topic.MOVES})
    assert evening.cluster.survey(topics, None).packages == NOT_ASKED
    machines = evening.cluster.survey(topics, "pve3")
    assert isinstance(machines.moves, Read)
    assert [move.guest for move in machines.moves.value] == [103, 104]


def test_a_survey_never_raises_it_says_what_was_not_read(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2"})
    machines = evening.cluster.survey(frozenset(Topic), "pve2")
    assert [type(reading) for reading in machines.nodes.values()] == [Read, Unread, Read]
    assert isinstance(machines.packages, Unread)
    assert isinstance(machines.membership, Read)


def test_a_kept_answer_is_dated_anew_and_dropped_when_something_changes(evening: Evening) -> None:
    def guests() -> Read[tuple[Guest, ...]]:
        reading = evening.cluster.survey(frozenset({Topic.GUESTS}), None).guests
        assert isinstance(reading, Read)
        return reading

    first = guests()
    evening.later(60)
    second = guests()
    assert (second.value is first.value, second.at - first.at) == (True, 60)
    evening.cluster.migrate(evening.guest(101), "pve2")
    assert [guest.lock for guest in guests().value] == ["migrate", "", "", ""]


def test_people_may_act_between_two_heal_reads(evening: Evening) -> None:
    seen: list[float] = []
    evening.clock.at(evening.clock.now + 7, lambda: seen.append(evening.clock.now))
    began = evening.clock.now
    evening.cluster.survey(frozenset({Topic.GLUSTER}), None)
    assert (seen, evening.clock.now - began) == ([began + 7], 10)


# ---- errors --------------------------------------------------------------------------------------------------------
def test_no_is_refused_and_silence_is_unreachable(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60})
    with pytest.raises(Refused, match="target is local node"):
        evening.cluster.migrate(evening.guest(101), "pve1")
    evening.later(61)
    with pytest.raises(Unreachable, match="pve2: ssh does not answer"):
        evening.cluster.node_status("pve2")
    with pytest.raises(Unreachable, match="No route to host"):
        evening.cluster.shutdown(evening.guest(102), 60)


def test_a_task_of_a_node_that_is_down_cannot_be_asked(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve1", "at": 60})
    task = evening.cluster.migrate(evening.guest(101), "pve2")
    evening.later(61)
    with pytest.raises(Unreachable):
        evening.cluster.task(task)
    with pytest.raises(Unreachable):
        evening.cluster.find_task("qmigrate", 101, 0.0)


def test_a_task_that_never_was_is_refused(evening: Evening) -> None:
    with pytest.raises(Refused, match="no such task"):
        evening.cluster.task(TaskRef("UPID:pve1:0:0:0:qmigrate:101:x:"))


def test_our_newest_task_is_found_again(evening: Evening) -> None:
    began = evening.clock.now
    task = evening.cluster.migrate(evening.guest(101), "pve2")
    assert evening.cluster.find_task("qmigrate", 101, began) == task
    assert evening.cluster.find_task("qmigrate", 101, began + 1) is None
    assert evening.cluster.find_task("qmigrate", 102, began) is None


def test_the_end_of_maintenance_mode_is_told_to_another_node_when_this_one_is_off(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 30})
    evening.cluster.maintenance("pve2", on=True)
    evening.later(29)
    assert evening.model.ha(evening.clock.now).maintenance == frozenset({"pve2"})
    evening.later(31)
    evening.cluster.maintenance("pve2", on=False)
    evening.later(30)
    assert evening.model.ha(evening.clock.now).maintenance == frozenset()


def test_maintenance_mode_is_asked_for_only_of_the_node_itself(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2"})
    with pytest.raises(Unreachable, match="pve2: ssh does not answer"):
        evening.cluster.maintenance("pve2", on=True)


def test_the_node_refuses_maintenance_mode_that_is_asked_for_too_late(spec: ClusterSpec) -> None:
    evening = Evening(spec)
    with pytest.raises(Refused, match="too late by 5 s"):
        evening.cluster.maintenance("pve2", True, evening.cluster.node_status("pve2").uptime - 5)


# ---- the helper's own guards ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("boot_id", "in_time", "fault", "why"),
    [
        ("another boot", True, None, "this is boot"),
        (SAME_BOOT, False, None, "too late by 5 s"),
        (SAME_BOOT, True, {"kind": "brick-wiped", "node": "pve3"}, "vmstore is not healed"),
        (SAME_BOOT, True, {"kind": "glusterd-down", "node": "pve2"}, "heal state unknown"),
    ],
)
def test_the_node_refuses_a_reboot(
    spec: ClusterSpec, boot_id: str, in_time: bool, fault: dict[str, str] | None, why: str
) -> None:
    evening = Evening(spec, *([fault] if fault else []))
    status = evening.cluster.node_status("pve2")
    meant = status.boot_id if boot_id == SAME_BOOT else boot_id
    with pytest.raises(Refused, match=f"pve2: refused: .*{why}"):
        evening.cluster.reboot("pve2", meant, status.uptime + (10 if in_time else -5))
    assert (evening.happened(What.REBOOT), len(evening.happened(What.REFUSED))) == ([], 1)


def test_the_node_takes_no_second_reboot_while_it_goes_down(evening: Evening) -> None:
    evening.reboot("pve2")
    with pytest.raises(Refused, match="a shutdown of this node is under way"):
        evening.reboot("pve2")


def test_the_node_refuses_an_upgrade_that_is_not_the_approved_one(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "new-packages", "node": "pve2", "text": "curl", "at": 60})
    approved = evening.model.plan(evening.clock.now, "pve2").checksum
    evening.later(61)
    with pytest.raises(Refused, match="the package plan is not the approved one"):
        evening.cluster.upgrade("pve2", "run.upgrade", approved, evening.cluster.node_status("pve2").uptime + 10)


def test_starting_the_same_unit_again_is_harmless(evening: Evening) -> None:
    evening.upgrade("pve2")
    evening.upgrade("pve2")
    assert len(evening.happened(What.UPGRADE)) == 1


def test_a_unit_that_never_began_differs_from_one_that_runs_and_one_that_ended(evening: Evening) -> None:
    assert not evening.cluster.unit("pve2", "run.upgrade").began
    evening.upgrade("pve2")
    running = evening.cluster.unit("pve2", "run.upgrade")
    assert (running.began, running.exit) == (True, None)
    evening.later(181)
    assert evening.cluster.unit("pve2", "run.upgrade").exit == 0
    assert evening.model.plan(evening.clock.now, "pve2").empty


def test_without_guards_the_node_obeys_and_the_second_copy_goes(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "brick-wiped", "node": "pve3"}, guard=False)
    evening.cluster.reboot("pve2", "another boot", 0.0)
    (event,) = evening.happened(What.REBOOT)
    assert event.detail["asked"] != event.detail["boot_id"]
    assert event.detail["unhealed_since"] is not None


# ---- the line ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("how", "error", "reboots"),
    [("unreachable", Unreachable, 0), ("lost", Uncertain, 0), ("broken", Uncertain, 1), ("late", Uncertain, 1)],
)
def test_a_line_that_fails_at_the_reboot(spec: ClusterSpec, how: str, error: type[Exception], reboots: int) -> None:
    line = {"kind": "line", "text": "reboot", "node": "pve2", "how": how, "amount": 5}
    evening = Evening(with_one_path(spec), line)
    with pytest.raises(error):
        evening.reboot("pve2")
    evening.later(600)
    assert len(evening.happened(What.REBOOT)) == reboots
    evening.reboot("pve1")
    assert len(evening.happened(What.REBOOT, "pve1")) == 1, "only that one call"


@pytest.mark.parametrize(
    ("how", "unclear", "reboots"),
    [("unreachable", False, 1), ("lost", False, 1), ("broken", True, 1), ("late", False, 1)],
)
def test_with_a_second_path_the_reboot_is_ordered_again_and_happens_once(
    spec: ClusterSpec, how: str, unclear: bool, reboots: int
) -> None:
    """The node says that a shutdown is under way where the first order arrived: what became of it is looked up."""
    evening = Evening(spec, {"kind": "line", "text": "reboot", "node": "pve2", "how": how, "amount": 5})
    with pytest.raises(Uncertain) if unclear else nullcontext():
        evening.reboot("pve2")
    evening.later(600)
    assert len(evening.happened(What.REBOOT)) == reboots


def test_a_migration_whose_line_broke_is_not_ordered_again_over_the_other_path(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "line", "text": "migrate", "guest": 103, "how": "broken"})
    with pytest.raises(Uncertain):
        evening.cluster.migrate(evening.guest(103), "pve1")
    evening.later(600)
    assert len(evening.happened(What.GUEST_MOVED, 103)) == 1


def test_a_call_that_meets_a_dead_path_costs_its_silence_and_the_next_one_does_not(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "path-cut", "text": "direct"})
    evening.cluster.guests()
    assert evening.clock.now == EVENING + 10.0
    evening.cluster.guests()
    assert evening.clock.now == EVENING + 10.0
    assert evening.cluster.detours() == {"pve1": "lte", "pve2": "lte", "pve3": "lte"}


def test_the_path_through_the_routers_dies_with_the_last_of_them(spec: ClusterSpec) -> None:
    first = {"kind": "guest-stops", "guest": 101}
    assert Evening(spec, first).cluster.detours() == {}
    evening = Evening(spec, first, {"kind": "guest-stops", "guest": 102})
    evening.cluster.guests()
    assert set(evening.cluster.detours().values()) == {"lte"}


def test_with_every_path_dead_nothing_is_read_and_nothing_is_done(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "path-cut", "text": "direct"}, {"kind": "path-cut", "text": "lte"})
    found = evening.cluster.survey(frozenset(Topic), None)
    assert isinstance(found.membership, Unread)
    assert isinstance(found.paths, Read)
    assert not any(test.alive for test in found.paths.value.tests)
    with pytest.raises(Unreachable, match="No path to lab lives: direct, lte say nothing"):
        evening.cluster.maintenance("pve2", on=True)
    assert evening.happened(What.MAINTENANCE_ON) == []


def test_a_command_that_arrives_minutes_late_is_refused_by_the_node(spec: ClusterSpec) -> None:
    evening = Evening(
        with_one_path(spec), {"kind": "line", "text": "reboot", "node": "pve2", "how": "late", "amount": 180}
    )
    with pytest.raises(Uncertain):
        evening.reboot("pve2")
    evening.later(600)
    assert evening.happened(What.REBOOT) == []
    assert [e.text for e in evening.happened(What.REFUSED)] == ["too late by 170 s"]


def test_without_its_guards_the_node_obeys_a_late_command(spec: ClusterSpec) -> None:
    late = {"kind": "line", "text": "reboot", "node": "pve2", "how": "late", "amount": 900}
    evening = Evening(with_one_path(spec), late, guard=False)
    with pytest.raises(Uncertain):
        evening.reboot("pve2")
    evening.reboot("pve2")
    evening.later(1800)
    assert [e.detail["asked"] == e.detail["boot_id"] for e in evening.happened(What.REBOOT)] == [True, False]


def test_the_third_call_of_a_verb_can_be_the_one_that_fails(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "line", "text": "set_onboot", "guest": 103, "times": 3, "how": "lost"})
    for on in (False, True):
        evening.cluster.set_onboot(evening.guest(103), on)
    with pytest.raises(Uncertain):
        evening.cluster.set_onboot(evening.guest(103), False)
    assert evening.cluster.onboot(evening.guest(103))


def test_somebody_may_be_told_of_every_act_before_and_after_it(spec: ClusterSpec) -> None:
    told: list[tuple[Act, int]] = []

    def tell(act: Act) -> None:
        told.append((act, len(evening.happened(What.REBOOT))))

    evening: Evening = Evening(spec, on_act=tell)
    evening.reboot("pve2")
    assert told == [(Act("pve2", "reboot", Moment.RECEIVED), 0), (Act("pve2", "reboot", Moment.DONE), 1)]


def test_luck_may_decide_about_the_line_instead_of_a_plan(spec: ClusterSpec) -> None:
    broken = Fault(Kind.LINE, how=How.BROKEN)
    evening = Evening(spec, line=lambda verb, about: broken if (verb, about) == ("start", "103") else None)
    evening.cluster.set_onboot(evening.guest(103), False)
    with pytest.raises(Uncertain):
        evening.cluster.start(evening.guest(103))
