"""The live adapters as one, against a model cluster on real ports: what they read is what is there, what they order
happens, and a node that is down is neither asked nor believed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cluster.api import Cluster, Refused, TaskState, Uncertain, Unreachable
from cluster.facts import Guest, Read, Topic, Unread
from cluster.guest_settings import GuestGroup
from cluster.live import LiveCluster
from sandbox.lines import Fault
from tests.edges.facing import START, Night

ALL = frozenset(Topic)


@pytest.fixture
def live(night: Night) -> Iterator[LiveCluster]:
    groups = (GuestGroup(name="routers", guests=(101, 102)),)
    opened = LiveCluster(night.settings.model_copy(update={"groups": groups}), night.clock, night.clock.sleep)
    yield opened
    opened.close()


def guest(live: Cluster, wanted: int) -> Guest:
    return next(guest for guest in live.guests() if guest.id == wanted)


# ---- reads ---------------------------------------------------------------------------------------------------------


def test_a_survey_reads_what_is_there(night: Night, live: LiveCluster) -> None:
    found = live.survey(ALL, "pve2")
    now, model = night.clock(), night.model
    assert isinstance(found.membership, Read)
    assert found.membership.value == model.membership(now)
    assert isinstance(found.guests, Read)
    assert found.guests.value == model.listing(now)
    assert isinstance(found.ha, Read)
    assert found.ha.value == model.ha(now)
    assert isinstance(found.capacity, Read)
    assert found.capacity.value == model.capacity(now)
    assert isinstance(found.storages, Read)
    assert found.storages.value == tuple(row for node in model.names for row in model.storages(now, node))
    assert isinstance(found.tasks, Read)
    assert found.tasks.value == ()
    assert isinstance(found.packages, Read)
    assert found.packages.value == model.plan(now, "pve2")
    assert isinstance(found.moves, Read)
    assert found.moves.value == model.moves(now, "pve2")


def test_a_survey_reads_every_node_s_helper(night: Night, live: LiveCluster) -> None:
    nodes = live.survey(frozenset({Topic.NODES}), None).nodes
    assert [(name, reading.value) for name, reading in nodes.items() if isinstance(reading, Read)] == [
        (name, night.model.status(START, name)) for name in ("pve1", "pve2", "pve3")
    ]


def test_a_survey_reads_the_backups_of_the_guest_groups(night: Night, live: LiveCluster) -> None:
    backups = live.survey(frozenset({Topic.BACKUPS}), None).backups
    assert isinstance(backups, Read)
    assert [(backup.guest, backup.storage, backup.verified) for backup in backups.value] == [
        (101, "backup", True),
        (102, "backup", True),
    ]


def test_gluster_is_read_from_every_peer_three_times(live: LiveCluster) -> None:
    gluster = live.survey(frozenset({Topic.GLUSTER}), None).gluster
    assert isinstance(gluster, Read)
    assert [(view.node, len(view.heal["vmstore"])) for view in gluster.value.views] == [
        ("pve1", 3),
        ("pve2", 3),
        ("pve3", 3),
    ]


def test_only_what_is_asked_is_read(live: LiveCluster) -> None:
    found = live.survey(frozenset({Topic.HA}), "pve1")
    assert isinstance(found.ha, Read)
    assert (found.guests, found.nodes) == (Unread("not asked for", 0.0), {})


def test_without_a_node_nobody_is_asked_for_packages_and_moves(live: LiveCluster) -> None:
    found = live.survey(frozenset({Topic.PACKAGES, Topic.MOVES}), None)
    assert (found.packages, found.moves) == (Unread("not asked for", 0.0), Unread("not asked for", 0.0))


# ---- a node is down --------------------------------------------------------------------------------------------------


def test_the_others_still_tell_of_a_cluster_with_a_dead_node(night: Night, live: LiveCluster) -> None:
    night.power_cut("pve1")
    night.pass_time(30)
    found = live.survey(ALL - {Topic.MOVES, Topic.PACKAGES}, "pve1")
    assert isinstance(found.membership, Read)
    assert [member.online for member in found.membership.value.members] == [False, True, True]
    assert isinstance(found.nodes["pve1"], Unread)
    assert isinstance(found.nodes["pve2"], Read)
    assert isinstance(found.storages, Unread)
    assert "pve1 does not answer (so says pve2: No route to host)" in found.storages.why


def test_the_heal_is_asked_of_another_node(night: Night, live: LiveCluster) -> None:
    night.power_cut("pve1")
    night.pass_time(30)
    progress = live.heal_progress(avoid="pve1")
    assert (progress.asked, progress.down, progress.healed) == ("pve2", ("pve1:/srv/vmstore/brick",), False)


def test_the_end_of_a_dead_node_s_maintenance_mode_is_asked_of_another_one(night: Night, live: LiveCluster) -> None:
    live.maintenance("pve1", True, live.node_status("pve1").uptime + 10)
    night.pass_time(30)
    assert "pve1" in night.model.ha(night.clock()).maintenance
    night.power_cut("pve1")
    live.maintenance("pve1", False)
    night.pass_time(30)
    assert "pve1" not in night.model.ha(night.clock()).maintenance


def test_maintenance_mode_is_asked_for_only_of_the_node_itself_and_in_time(night: Night, live: LiveCluster) -> None:
    with pytest.raises(Refused, match="too late"):
        live.maintenance("pve1", True, live.node_status("pve1").uptime - 1)
    night.power_cut("pve1")
    with pytest.raises(Unreachable, match="pve1 over direct does not answer over SSH"):
        live.maintenance("pve1", True, 10.0)


def test_a_dead_node_s_own_word_cannot_be_had(night: Night, live: LiveCluster) -> None:
    night.power_cut("pve2")
    with pytest.raises(Unreachable, match="pve2 over direct does not answer over SSH"):
        live.node_status("pve2")


# ---- acts on guests --------------------------------------------------------------------------------------------------


def test_a_guest_migrates_and_its_task_is_found_again(night: Night, live: LiveCluster) -> None:
    ref = live.migrate(guest(live, 101), "pve3")
    assert live.task(ref) == TaskState(running=True)
    assert live.find_task("qmigrate", 101, night.clock()) == ref
    assert live.find_task("qmigrate", 102, night.clock()) is None
    assert live.find_task("qmshutdown", 101, night.clock()) is None
    night.pass_time(60)
    assert (live.task(ref), guest(live, 101).node) == (TaskState(running=False), "pve3")


def test_an_older_task_is_not_taken_for_the_one_just_started(night: Night, live: LiveCluster) -> None:
    live.migrate(guest(live, 101), "pve3")
    night.pass_time(60)
    assert live.find_task("qmigrate", 101, night.clock()) is None


def test_a_running_task_is_in_the_survey(live: LiveCluster) -> None:
    ref = live.migrate(guest(live, 101), "pve3")
    tasks = live.survey(frozenset({Topic.TASKS}), None).tasks
    assert isinstance(tasks, Read)
    assert [(task.upid, task.node, task.kind, task.guest) for task in tasks.value] == [
        (ref.upid, "pve1", "qmigrate", "101")
    ]


def test_a_guest_shuts_down_and_starts_again(night: Night, live: LiveCluster) -> None:
    live.shutdown(guest(live, 101), 60)
    night.pass_time(60)
    assert guest(live, 101).status == "stopped"
    live.start(guest(live, 101))
    night.pass_time(60)
    assert guest(live, 101).running


def test_onboot_is_read_and_set(live: LiveCluster) -> None:
    router = guest(live, 101)
    assert live.onboot(router)
    live.set_onboot(router, False)
    assert not live.onboot(router)


def test_a_missing_privilege_is_a_sentence_with_the_line_that_grants_it(night: Night, live: LiveCluster) -> None:
    night.faces.acl.take("VM.Migrate")
    with pytest.raises(Refused, match=r"lacks VM\.Migrate on /vms/101") as refused:
        live.migrate(guest(live, 101), "pve2")
    assert "pveum acl modify /vms" in refused.value.hint


def test_a_migration_whose_answer_is_lost_is_uncertain_and_then_found(night: Night, live: LiveCluster) -> None:
    night.faces.faults.plan(Fault.DROP_AFTER, node="pve1", what="POST")
    with pytest.raises(Uncertain):
        live.migrate(guest(live, 101), "pve3")
    assert live.find_task("qmigrate", 101, night.clock()) is not None


# ---- acts on nodes ---------------------------------------------------------------------------------------------------


def test_an_upgrade_runs_as_a_unit_and_is_followed(night: Night, live: LiveCluster) -> None:
    packages = live.survey(frozenset({Topic.PACKAGES}), "pve2").packages
    assert isinstance(packages, Read)
    live.upgrade("pve2", "night.pve2.upgrade", packages.value.checksum, live.node_status("pve2").uptime + 10)
    assert (live.unit("pve2", "night.pve2.upgrade").began, live.unit("pve2", "night.pve2.upgrade").exit) == (True, None)
    night.pass_time(300)
    assert live.unit("pve2", "night.pve2.upgrade").exit == 0
    assert not live.unit("pve2", "another").began


def test_an_upgrade_that_was_not_approved_is_refused_by_the_node(live: LiveCluster) -> None:
    with pytest.raises(Refused, match="pve2: "):
        live.upgrade("pve2", "night.pve2.upgrade", "0" * 64, live.node_status("pve2").uptime + 10)


def test_a_reboot_compares_the_boot_id(night: Night, live: LiveCluster) -> None:
    before = live.node_status("pve2")
    with pytest.raises(Refused, match="pve2: "):
        live.reboot("pve2", "00000000-0000-0000-0000-000000000000", before.uptime + 10)
    live.reboot("pve2", before.boot_id, before.uptime + 10)
    night.pass_time(300)
    assert live.node_status("pve2").boot_id != before.boot_id


@pytest.mark.timing
def test_the_node_that_reboots_is_not_the_entry_any_more(night: Night, live: LiveCluster) -> None:
    before = live.node_status("pve1")
    live.reboot("pve1", before.boot_id, before.uptime + 10)
    night.faces.faults.plan(Fault.HANG, node="pve1", what="GET")
    began = time.monotonic()
    assert len(live.guests()) == 4
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.MISSING, "the node helper is not installed"),
        (Fault.CUT, "did not answer `status` as it should"),
        (Fault.GARBAGE, "did not answer `status` as it should"),
        (Fault.FLOOD, "printed more than 4194304 bytes"),
        (Fault.DROP_AFTER, "the line broke after `status` on pve2 was sent"),
    ],
)
def test_a_helper_that_answers_badly_is_a_sentence(night: Night, live: LiveCluster, fault: Fault, error: str) -> None:
    night.faces.faults.plan(fault, node="pve2", what="status", times=2)  # on both paths
    found = live.survey(frozenset({Topic.NODES}), None).nodes["pve2"]
    assert isinstance(found, Unread)
    assert error in found.why


def test_a_node_that_is_not_in_the_settings_is_refused(live: LiveCluster) -> None:
    with pytest.raises(Refused, match="there is no node pve9 in the settings of lab"):
        live.node_status("pve9")


def test_the_live_cluster_is_a_cluster(live: LiveCluster) -> None:
    cluster: Cluster = live
    assert cluster.settings.name == "lab"
