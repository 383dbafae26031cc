"""The lies of a real Proxmox VE, each as it was measured (docs: facts of PVE, section 1)."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cluster.api import Refused
from cluster.facts import Read, Topic, Unread
from sandbox.model import What
from sandbox.spec import ClusterSpec
from tests.unit.sandbox.evening import EVENING, Evening


def test_migrating_a_guest_under_ha_is_ok_long_before_it_moves(evening: Evening) -> None:
    task = evening.cluster.migrate(evening.guest(104), "pve1")
    evening.later(2)
    assert (evening.cluster.task(task).running, evening.cluster.task(task).error) == (False, "")
    assert (evening.guest(104).node, evening.guest(104).ha) == ("pve3", "migrate")
    evening.later(60)
    assert (evening.guest(104).node, evening.guest(104).ha) == ("pve1", "started")


def test_a_queued_move_to_a_node_in_maintenance_is_dropped_without_a_word(evening: Evening) -> None:
    evening.cluster.maintenance("pve1", on=True)
    task = evening.cluster.migrate(evening.guest(104), "pve1")
    evening.later(120)
    assert evening.cluster.task(task).error == ""
    assert evening.guest(104).node == "pve3"


def test_a_migration_can_be_ok_and_the_guest_still_be_there(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "migrate-lies", "guest": 101})
    task = evening.cluster.migrate(evening.guest(101), "pve2")
    evening.later(60)
    assert (evening.cluster.task(task).error, evening.guest(101).node) == ("", "pve1")


def test_guests_of_a_dead_node_go_on_running_in_the_listing(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve1", "at": 60})
    evening.later(90)
    assert evening.guest(101).status == "running"
    assert not evening.model.guest(evening.clock.now, 101).running


def test_a_node_counts_as_online_for_twelve_seconds_after_the_cut(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60})
    evening.later(71)
    assert evening.online("pve2")
    evening.later(2)
    assert not evening.online("pve2")


def test_a_node_is_online_eight_seconds_before_its_api_answers(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(20 + 150 + 1)
    assert evening.online("pve1")
    tasks = evening.cluster.survey(frozenset({Topic.TASKS}), None).tasks
    assert tasks == Unread("pve1: Connection refused", evening.clock.now)
    evening.later(8)
    assert isinstance(evening.cluster.survey(frozenset({Topic.TASKS}), None).tasks, Read)


def test_a_node_can_take_the_reboot_command_and_go_on_running(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "never-reboots", "node": "pve2"})
    before = evening.cluster.node_status("pve2").boot_id
    evening.reboot("pve2")
    evening.later(600)
    assert evening.online("pve2")
    assert evening.cluster.node_status("pve2").boot_id == before


def test_a_reboot_gives_another_boot_id_a_small_uptime_and_the_new_kernel(evening: Evening) -> None:
    before = evening.cluster.node_status("pve2")
    evening.upgrade("pve2")
    evening.later(200)
    evening.reboot("pve2")
    evening.later(10)
    assert evening.cluster.node_status("pve2").boot_id == before.boot_id, "it is not down yet"
    evening.later(170)
    after = evening.cluster.node_status("pve2")
    assert after.boot_id != before.boot_id
    assert after.uptime < 60
    assert (before.kernel, after.kernel) == ("6.8.12-4-pve", "6.8.12-9-pve")


def test_maintenance_mode_is_seen_and_reached_only_later(evening: Evening) -> None:
    evening.cluster.maintenance("pve3", on=True)
    evening.later(5)
    assert evening.model.ha(evening.clock.now).maintenance == frozenset()
    evening.later(7)
    ha = evening.model.ha(evening.clock.now)
    assert (ha.maintenance, ha.modes["pve3"]) == (frozenset({"pve3"}), "maintenance")
    assert evening.guest(104).node == "pve3", "picked up is not drained"
    evening.later(60)
    assert evening.guest(104).node != "pve3"
    assert evening.guest(103).node == "pve3", "only guests under HA are moved"


def test_maintenance_mode_survives_the_reboot_and_holds_guests_away_until_it_ends(evening: Evening) -> None:
    evening.cluster.maintenance("pve3", on=True)
    evening.later(60)
    evening.reboot("pve3")
    evening.later(600)
    assert evening.guest(104).node != "pve3"
    evening.cluster.maintenance("pve3", on=False)
    evening.later(90)
    assert evening.guest(104).node == "pve3"


def test_nothing_stops_two_nodes_from_being_in_maintenance_mode(evening: Evening) -> None:
    evening.cluster.maintenance("pve1", on=True)
    evening.cluster.maintenance("pve2", on=True)
    evening.later(30)
    assert evening.model.ha(evening.clock.now).maintenance == frozenset({"pve1", "pve2"})


def test_a_reboot_without_drain_freezes_ha_guests_and_stops_the_others(evening: Evening) -> None:
    evening.reboot("pve3")
    evening.later(60)
    truth = evening.model.guests.all
    assert (truth[104].node, truth[104].ha, truth[103].status) == ("pve3", "freeze", "stopped")
    evening.later(180)
    assert evening.happened(What.HEALED) == []
    assert (evening.guest(103).status, evening.guest(104).ha) == ("running", "started"), "started before any heal"


def test_a_guest_without_onboot_stays_off_after_the_reboot(evening: Evening) -> None:
    evening.cluster.set_onboot(evening.guest(103), on=False)
    evening.reboot("pve3")
    evening.later(600)
    assert evening.guest(103).status == "stopped"


def test_a_dead_node_s_ha_guests_start_elsewhere_after_two_minutes(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve3", "at": 1})
    evening.later(110)
    assert evening.model.guests.all[104].node == "pve3"
    evening.later(20)
    assert evening.guest(104).node != "pve3"
    assert evening.guest(104).running
    assert evening.model.guests.all[103].node == "pve3", "nobody recovers what is not under HA"


def test_one_node_off_and_another_lost_ends_with_the_last_one_fenced(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60})
    evening.reboot("pve1")
    evening.later(60 + 12 + 41)
    assert [e.what for e in evening.model.events if e.what in (What.QUORUM_LOST, What.FENCED)] == [What.QUORUM_LOST]
    evening.later(2)
    assert [e.node for e in evening.happened(What.FENCED)] == ["pve3"], "it runs a guest under HA"


def test_without_quorum_reads_answer_and_writes_are_refused(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2"}, {"kind": "power-cut", "node": "pve1"})
    evening.later(15)
    assert not evening.model.membership(evening.clock.now).quorate
    assert evening.guest(103).node == "pve3"
    with pytest.raises(Refused, match="cluster not ready - no quorum"):
        evening.cluster.migrate(evening.guest(103), "pve1")


def test_the_evening_begins_with_nothing_going_on(evening: Evening) -> None:
    everything = evening.cluster.survey(frozenset(Topic), "pve1")
    unread = [each.name for each in fields(everything) if isinstance(getattr(everything, each.name), Unread)]
    assert (unread, evening.model.events) == ([], [])
    assert evening.clock.now == EVENING + 10, "three heal reads, five seconds apart"
