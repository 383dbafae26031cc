"""Quorum, members, maintenance mode, HA, corosync.conf, services and the helper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.facts import Ha, Unread
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    CHECKSUM,
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    healthy,
    membership,
    status,
    verdict,
    with_,
    with_guest,
    with_node,
    with_own,
)

NO_SPARE = "no spare vote while pve2 is down: 2 left, 2 needed"


def ha(*maintenance: str, armed: bool = True) -> Ha:
    return Ha("pve1", frozenset(maintenance), dict.fromkeys(NODES, "active"), armed)


# ---- quorum ------------------------------------------------------------------------------------------------------


def test_three_nodes_bear_the_loss_of_one_without_a_spare_vote() -> None:
    assert_passed(verdict("cluster-quorum", healthy()), NO_SPARE)


def test_five_nodes_bear_the_loss_of_one_with_a_spare_vote() -> None:
    five = [*NODES, "pve4", "pve5"]
    assert_passed(verdict("cluster-quorum", with_(healthy(), membership=membership(quorum=3, nodes=five))))


def test_two_nodes_without_a_qdevice_are_refused_with_the_remedy() -> None:
    world = with_(healthy(), membership=membership(nodes=["pve1", "pve2"]))
    reason = "with pve2 down 1 of 2 votes are left, and quorum needs 2"
    assert_blocked(verdict("cluster-quorum", world), reason, "`pvecm qdevice setup ADDRESS`")


def test_a_qdevice_that_gives_no_vote_is_not_told_to_be_set_up_but_to_be_looked_at() -> None:
    """Its server is off: `pvecm status` goes on listing it, with no vote."""
    world = with_(healthy(), membership=membership(quorum=2, qdevice=0, nodes=["pve1", "pve2"]))
    reason = "with pve2 down 1 of 2 votes are left, and quorum needs 2"
    assert_blocked(verdict("cluster-quorum", world), reason, "if there is one, `corosync-qdevice-tool -s` says why")


@pytest.mark.parametrize("quorum", [1, 2])
def test_expected_votes_set_to_one_do_not_make_two_nodes_safe(quorum: int) -> None:
    """`pvecm expected 1`, or corosync's two_node mode: then each half of a split takes itself for the cluster."""
    world = with_(healthy(), membership=membership(quorum=quorum, nodes=["pve1", "pve2"]))
    assert_blocked(
        verdict("cluster-quorum", world), "with pve2 down 1 of 2 votes are left, and quorum needs 2", "qdevice"
    )


@pytest.mark.parametrize("quorum", [1, 2])
def test_two_nodes_with_a_qdevice_bear_the_loss_of_one(quorum: int) -> None:
    world = with_(healthy(), membership=membership(quorum, qdevice=1, nodes=["pve1", "pve2"]))
    assert_passed(verdict("cluster-quorum", world), NO_SPARE)


def test_a_node_with_most_of_the_votes_cannot_go() -> None:
    whole = membership(quorum=3)
    heavy = tuple(replace(m, votes=3) if m.node == "pve2" else m for m in whole.members)
    world = with_(healthy(), membership=replace(whole, members=heavy))
    reason = "with pve2 down 2 of 5 votes are left, and quorum needs 3"
    assert_blocked(verdict("cluster-quorum", world), reason, "`pvecm status`")


def test_a_second_node_that_is_offline_would_take_the_quorum_along() -> None:
    world = with_(healthy(), membership=membership(offline=["pve3"]))
    reason = "with pve2 down 1 of 3 votes are left, and quorum needs 2"
    assert_blocked(verdict("cluster-quorum", world), reason, "bring pve3 back first")


@pytest.mark.parametrize("phase", [GatePhase.PREFLIGHT, GatePhase.HEALED, GatePhase.WATCH])
def test_a_cluster_without_quorum_blocks_at_any_time(phase: GatePhase) -> None:
    world = with_(healthy(), membership=replace(membership(), quorate=False))
    assert_blocked(verdict("cluster-quorum", world, phase), "lab has no quorum now", "pvecm status")


def test_once_a_node_is_back_nobody_counts_as_if_it_were_to_go() -> None:
    two = with_(healthy(), membership=membership(nodes=["pve1", "pve2"]))
    assert_passed(verdict("cluster-quorum", two, GatePhase.HEALED))


def test_a_node_that_is_no_member_is_not_taken() -> None:
    assert_blocked(verdict("cluster-quorum", healthy(), node="pve9"), "pve9 is no member of lab")


# ---- members, maintenance, HA --------------------------------------------------------------------------------------


def test_an_offline_node_blocks() -> None:
    world = with_(healthy(), membership=membership(offline=["pve3"]))
    assert_blocked(verdict("nodes-online", world), "1 of 3 nodes not online: pve3", "on pve3")


def test_a_node_that_we_took_down_ourselves_does_not_block() -> None:
    world = with_own(with_(healthy(), membership=membership(offline=["pve2"])), down=frozenset({"pve2"}))
    assert_passed(verdict("nodes-online", world))


def test_a_node_of_the_settings_that_is_no_member_blocks() -> None:
    world = with_(healthy(), membership=membership(nodes=["pve1", "pve2"]))
    assert_blocked(verdict("nodes-online", world), "1 of 3 nodes not online: pve3")


def test_a_member_that_the_settings_do_not_name_blocks() -> None:
    world = with_(healthy(), membership=membership(nodes=[*NODES, "pve4"]))
    assert_blocked(verdict("nodes-online", world), "in the cluster, but not in the settings: pve4", "`nodes`")


def test_another_node_in_maintenance_mode_blocks() -> None:
    reason = "pve1 is in maintenance mode, and not because of this run"
    hint = "if nobody works on it: `ha-manager crm-command node-maintenance disable pve1`"
    assert_blocked(verdict("maintenance", with_(healthy(), ha=ha("pve1"))), reason, hint)


@pytest.mark.parametrize("mode", ["shutdown", "reboot", "restart"])
@pytest.mark.parametrize("phase", [GatePhase.PREFLIGHT, GatePhase.REBOOT])
def test_another_node_that_somebody_is_rebooting_just_now_blocks_though_it_is_online_still(
    mode: str, phase: GatePhase
) -> None:
    """It stops its guests, for minutes perhaps: all the while corosync and Gluster see it as they always did."""
    world = with_(healthy(), ha=replace(ha(), modes={"pve1": "active", "pve2": "active", "pve3": mode}))
    assert_passed(verdict("nodes-online", world, phase))
    reason = "the HA manager's daemon of pve3 is about to stop: somebody may be rebooting it"
    assert_blocked(verdict("maintenance", world, phase), reason, "`systemctl list-jobs` on pve3")


def test_the_daemon_of_the_node_itself_may_be_restarted_by_its_upgrade_and_once_back_nobody_is_taken() -> None:
    world = with_(healthy(), ha=replace(ha(), modes={"pve2": "restart", "pve3": "active"}))
    assert_passed(verdict("maintenance", world, GatePhase.UPGRADE))
    assert_passed(verdict("maintenance", world, GatePhase.HEALED, node="pve1"))


def test_the_maintenance_mode_that_this_run_set_does_not_block() -> None:
    world = with_own(with_(healthy(), ha=ha("pve2")), maintenance=frozenset({"pve2"}))
    assert_passed(verdict("maintenance", world, GatePhase.REBOOT))


def test_the_node_itself_in_somebody_elses_maintenance_mode_blocks() -> None:
    world = with_(healthy(), ha=ha("pve2", "pve3"))
    assert_blocked(verdict("maintenance", world), "pve2, pve3 are in maintenance mode, and not because of this run")


@pytest.mark.parametrize(
    ("state", "hint"),
    [("error", "`ha-manager set vm:103 --state disabled`"), ("ignored", "`ha-manager set vm:103 --state started`")],
)
def test_a_guest_that_ha_leaves_alone_blocks_before_anybody_waits_for_it(state: str, hint: str) -> None:
    world = with_guest(healthy(), 103, ha=state)
    assert_blocked(verdict("ha", world), f"db (103) is in HA state {state}: HA would not move it away from pve2", hint)


def test_a_guest_that_ha_leaves_alone_blocks_no_other_node_and_none_when_it_is_off() -> None:
    assert_passed(verdict("ha", with_guest(healthy(), 103, ha="error"), node="pve1"))
    assert_passed(verdict("ha", with_guest(healthy(), 103, ha="error", status="stopped")))


def test_disarmed_ha_ignores_maintenance_mode_and_blocks() -> None:
    world = with_(healthy(), ha=ha(armed=False))
    assert_blocked(verdict("ha", world), "HA is disarmed, and then ignores maintenance mode", "arm-ha")
    assert_passed(verdict("ha", healthy()))


# ---- corosync.conf, services, helper -------------------------------------------------------------------------------


def test_an_older_corosync_conf_on_one_node_blocks() -> None:
    world = with_node(healthy(), "pve3", corosync_version=6)
    reason = "corosync.conf is version 7 in the cluster, but pve3 has 6"
    assert_blocked(verdict("corosync-config", world), reason, "pve-cluster")
    assert_passed(verdict("corosync-config", healthy()))


@pytest.mark.parametrize(("unit", "state"), [("pveproxy", "failed"), ("glusterd", "inactive"), ("corosync", "unknown")])
def test_a_service_that_does_not_run_blocks(unit: str, state: str) -> None:
    world = with_node(healthy(), "pve2", services={**status("pve2").services, unit: state})
    assert_blocked(
        verdict("services", world, GatePhase.HEALED), f"{unit} is {state} on pve2", f"status {unit}` on pve2"
    )


def test_a_service_that_was_not_told_of_is_not_running() -> None:
    told = {unit: state for unit, state in status("pve2").services.items() if unit != "pvestatd"}
    assert_blocked(verdict("services", with_node(healthy(), "pve2", services=told)), "pvestatd is unknown on pve2")


def test_glusterd_need_not_run_where_there_is_no_gluster() -> None:
    world = healthy(gluster={"enabled": False})
    world = with_node(world, "pve2", services={**status("pve2").services, "glusterd": "inactive"})
    assert_passed(verdict("services", world))


def test_an_altered_helper_on_any_node_blocks() -> None:
    world = with_node(healthy(), "pve3", checksum="bad0" * 16)
    reason = f"the helper is not the one of this version ({CHECKSUM[:12]}) on pve3 (bad0bad0bad0)"
    assert_blocked(verdict("helper", world), reason, "`roundsman install-helper lab --admin-key FILE`")
    assert_passed(verdict("helper", healthy()))


def test_a_node_whose_helper_is_missing_is_unknown() -> None:
    gone = Unread("no helper on pve3: sudo: /usr/local/sbin/roundsman-helper: command not found", NOW)
    reason = f"status of pve3 not read: {gone.why}"
    for gate in ("helper", "corosync-config", "services"):
        assert_unknown(verdict(gate, with_node(healthy(), "pve3", gone)), reason)


def test_a_node_that_was_never_asked_is_unknown() -> None:
    world = healthy()
    fewer = {node: reading for node, reading in world.machines.nodes.items() if node != "pve3"}
    world = replace(world, machines=replace(world.machines, nodes=fewer))
    assert_unknown(verdict("helper", world), "status of pve3 not read: it was not asked")


def test_a_node_that_we_took_down_need_not_answer() -> None:
    world = with_own(with_node(healthy(), "pve2", Unread("no route", NOW)), down=frozenset({"pve2"}))
    for gate in ("helper", "corosync-config", "services"):
        assert_passed(verdict(gate, world))


def test_a_bot_that_does_not_know_its_own_helper_is_unknown() -> None:
    world: World = replace(healthy(), helper_checksum="")
    assert_unknown(verdict("helper", world), "nobody said what the helper's file must hash to")
