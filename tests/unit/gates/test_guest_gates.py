"""Guests of the node: groups, room, ways out, locks, tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.facts import Capacity, Guest, Ha, Move, TaskRow, Unread
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    GIB,
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    drained,
    guests_of,
    healthy,
    membership,
    verdict,
    with_,
    with_guest,
    with_own,
)

TAKING = [GatePhase.UPGRADE, GatePhase.REBOOT]
AFTER = [GatePhase.HEALED, GatePhase.WATCH]
BOTH = ("pve1", "pve3")


def with_moves(world: World, *moves: Move) -> World:
    return with_(world, moves=moves)


def stuck(guest: int, *, why: str = "storage 'local' is not available") -> Move:
    return Move(guest, (), {"pve1": why})


# ---- guest groups, before the drain --------------------------------------------------------------------------------


def test_the_last_router_may_leave_alive_while_the_other_one_is_down() -> None:
    world = with_guest(healthy(), 101, status="stopped")
    assert_passed(verdict("last-member", world))


@pytest.mark.parametrize("order", [1, -1], ids=["asked first", "asked after one that can"])
def test_the_last_router_that_cannot_move_keeps_its_node(order: int) -> None:
    moves = [stuck(102), Move(103, BOTH, {})][::order]
    world = with_moves(with_guest(healthy(), 101, status="stopped"), *moves)
    reason = "routers: 1 must run, 0 of 2 would: router-b (102) would go down with pve2"
    assert_blocked(verdict("last-member", world), reason, "(`qm start 101`)")


def test_a_router_that_cannot_move_may_go_down_while_the_other_one_runs() -> None:
    assert_passed(verdict("last-member", with_moves(healthy(), stuck(102), Move(103, BOTH, {}))))


def test_a_container_moves_by_stopping_so_the_last_one_keeps_its_node() -> None:
    world = with_guest(with_guest(healthy(), 101, status="stopped"), 102, kind="lxc")
    reason = "routers: 1 must run, 0 of 2 would: router-b (102) would go down with pve2"
    assert_blocked(verdict("last-member", world), reason)


def test_a_router_whose_only_way_out_is_a_node_in_maintenance_cannot_move() -> None:
    world = with_moves(with_guest(healthy(), 101, status="stopped"), Move(102, ("pve3",), {}), Move(103, BOTH, {}))
    world = with_(world, ha=Ha("pve1", frozenset({"pve3"}), {}, True))
    reason = "routers: 1 must run, 0 of 2 would: router-b (102) would go down with pve2"
    assert_blocked(verdict("last-member", world), reason)


def test_two_must_run_and_only_one_would() -> None:
    world = healthy(groups=[{"name": "routers", "guests": [101, 102], "keep_running": 2}])
    world = with_moves(world, stuck(102), Move(103, BOTH, {}))
    reason = "routers: 2 must run, 1 of 2 would: router-b (102) would go down with pve2"
    assert_blocked(verdict("last-member", world), reason)


def test_both_routers_on_one_node_may_leave_it_alive() -> None:
    world = with_moves(with_guest(healthy(), 101, node="pve2"), *(Move(id_, BOTH, {}) for id_ in (101, 102, 103)))
    assert_passed(verdict("last-member", world))


def test_no_router_runs_anywhere() -> None:
    world = with_guest(with_guest(healthy(), 101, status="stopped"), 102, status="stopped")
    assert_blocked(verdict("last-member", world), "routers: 1 must run, 0 of 2 would: no other member runs")


# ---- guest groups, drained and afterwards ----------------------------------------------------------------------------


@pytest.mark.parametrize("phase", TAKING)
def test_a_drained_node_is_taken_while_the_other_router_runs_elsewhere(phase: GatePhase) -> None:
    assert_passed(verdict("guest-groups", healthy(), phase))


@pytest.mark.parametrize("phase", TAKING)
def test_the_node_of_the_last_running_router_is_never_taken(phase: GatePhase) -> None:
    world = with_guest(healthy(), 101, status="stopped")
    reason = (
        "routers: 0 of 2 run outside of pve2, 1 must: "
        "router-a (101) is stopped on pve1, router-b (102) is running on pve2"
    )
    assert_blocked(verdict("guest-groups", world, phase), reason, "`qm start 101`")


@pytest.mark.parametrize("phase", TAKING)
def test_a_router_that_runs_only_in_the_listing_of_a_dead_node_does_not_count(phase: GatePhase) -> None:
    """Guests of a node that is off stay "running" in /cluster/resources."""
    world = with_(healthy(), membership=membership(offline=["pve1"]))
    reason = (
        "routers: 0 of 2 run outside of pve2, 1 must: "
        "router-a (101) is running on pve1, router-b (102) is running on pve2"
    )
    assert_blocked(verdict("guest-groups", world, phase), reason)


@pytest.mark.parametrize("ha", ["error", "fence", "recovery"])
def test_a_router_in_trouble_with_ha_does_not_count(ha: str) -> None:
    reason = (
        f"routers: 0 of 2 run outside of pve2, 1 must: router-a (101) is running on pve1, HA says {ha}, "
        "router-b (102) is running on pve2"
    )
    assert_blocked(verdict("guest-groups", with_guest(healthy(), 101, ha=ha), GatePhase.REBOOT), reason)


@pytest.mark.parametrize("phase", AFTER)
def test_afterwards_enough_routers_must_run_wherever_they_are(phase: GatePhase) -> None:
    world = with_guest(healthy(), 101, status="stopped")
    assert_passed(verdict("guest-groups", world, phase))
    world = with_guest(world, 102, status="paused")
    reason = "routers: 0 of 2 run, 1 must: router-a (101) is stopped on pve1, router-b (102) is paused on pve2"
    assert_blocked(verdict("guest-groups", world, phase), reason)


def test_a_member_that_does_not_exist_runs_nowhere() -> None:
    world = healthy(groups=[{"name": "routers", "guests": [102, 777]}])
    reason = "routers: 0 of 2 run outside of pve2, 1 must: router-b (102) is running on pve2, 777 is not in the cluster"
    assert_blocked(verdict("guest-groups", world, GatePhase.REBOOT), reason)


# ---- drained -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", TAKING)
def test_a_node_on_which_only_stopped_guests_are_listed_is_drained(phase: GatePhase) -> None:
    assert_passed(verdict("drained", drained(healthy()), phase))
    world = with_guest(with_guest(healthy(), 102, node="pve3"), 103, status="stopped")
    assert_passed(verdict("drained", world, phase))
    assert_passed(verdict("drained", with_own(world, stopped=frozenset({103})), phase))


@pytest.mark.parametrize("phase", TAKING)
@pytest.mark.parametrize("status", ["running", "paused", "unknown"])
def test_a_guest_that_somebody_started_after_the_drain_keeps_its_node(phase: GatePhase, status: str) -> None:
    world = with_guest(drained(healthy()), 103, node="pve2", status=status)
    found = verdict("drained", world, phase)
    assert_blocked(found, f"pve2 is not drained: db (103) is {status}", "move it away or shut it down")


def test_a_guest_that_we_shut_down_and_that_runs_again_keeps_its_node() -> None:
    world = with_own(with_guest(drained(healthy()), 103, node="pve2"), stopped=frozenset({103}))
    assert_blocked(verdict("drained", world, GatePhase.REBOOT), "pve2 is not drained: db (103) is running")


def test_a_template_runs_nowhere() -> None:
    world = with_guest(drained(healthy()), 103, node="pve2", status="unknown", template=True)
    assert_passed(verdict("drained", world, GatePhase.REBOOT))


def test_nobody_can_say_that_a_node_is_drained_whose_guests_were_not_read() -> None:
    world = with_(healthy(), guests=Unread("HTTP 500", NOW))
    assert_unknown(verdict("drained", world, GatePhase.REBOOT), "guests not read: HTTP 500")


# ---- memory --------------------------------------------------------------------------------------------------------


def with_memory(world: World, **nodes: int) -> World:
    return with_(world, capacity=tuple(Capacity(node, nodes.get(node, 64) * GIB) for node in NODES))


def test_guests_that_fit_the_others_beside_the_reserve_open() -> None:
    """pve1: 12 - 2 (router-a) - 2 (reserve) = 8 GiB for db; pve3: 8 - 4 (web) - 2 = 2 GiB for router-b."""
    assert_passed(verdict("memory", with_memory(healthy(), pve1=12, pve3=8)))


def test_a_guest_that_fits_nowhere_blocks_with_the_numbers() -> None:
    reason = (
        "db (103) with 8.0 GiB finds no place: 5.0 GiB on pve1, 2.0 GiB on pve3 would be left "
        "beside the reserve of 2.0 GiB"
    )
    world = with_memory(healthy(), pve1=11, pve3=8)
    assert_blocked(verdict("memory", world), reason, "memory_reserve_mib")


def test_enough_memory_in_total_is_not_enough_if_no_node_has_it() -> None:
    """6 + 6 GiB are free for 8 + 2 GiB of guests."""
    world = with_memory(healthy(memory_reserve_mib=0), pve1=8, pve3=10)
    reason = "db (103) with 8.0 GiB finds no place: 4.0 GiB on pve1, 6.0 GiB on pve3 would be left"
    assert_blocked(verdict("memory", world), reason)


def test_the_largest_guest_is_placed_first() -> None:
    """In order of their numbers router-b would take the room that only db fits into."""
    assert_passed(verdict("memory", with_memory(healthy(memory_reserve_mib=0), pve1=10, pve3=6)))


def test_a_guest_is_only_placed_where_proxmox_lets_it_go() -> None:
    world = with_moves(with_memory(healthy(), pve3=8), Move(102, BOTH, {}), Move(103, ("pve3",), {}))
    reason = (
        "db (103) with 8.0 GiB finds no place: 58.0 GiB on pve1, 2.0 GiB on pve3 would be left "
        "beside the reserve of 2.0 GiB"
    )
    assert_blocked(verdict("memory", world), reason)


def test_stopped_guests_and_templates_need_no_memory() -> None:
    rows = (
        *guests_of(healthy()),
        Guest(900, "golden", "qemu", "pve2", "running", 999 * GIB, template=True),
        Guest(901, "old", "qemu", "pve2", "stopped", 999 * GIB),
    )
    assert_passed(verdict("memory", with_(healthy(), guests=rows)))


def test_a_guest_that_can_go_nowhere_needs_no_place() -> None:
    world = with_moves(with_memory(healthy(), pve1=6, pve3=8), Move(102, BOTH, {}), stuck(103))
    assert_passed(verdict("memory", world))


def test_an_offline_node_and_one_in_maintenance_take_nobody() -> None:
    world = with_(healthy(), membership=membership(offline=["pve1"]))
    world = with_(world, ha=Ha("pve1", frozenset({"pve3"}), {}, True))
    reason = "db (103) with 8.0 GiB finds no place: no other node takes guests"
    assert_blocked(verdict("memory", world), reason)


def test_a_node_whose_memory_nobody_told_is_unknown() -> None:
    world = with_(healthy(), capacity=(Capacity("pve1", 64 * GIB), Capacity("pve2", 64 * GIB)))
    assert_unknown(verdict("memory", world), "nobody said how much memory pve3 has")


# ---- ways out ------------------------------------------------------------------------------------------------------


def test_a_guest_that_cannot_move_blocks_in_the_words_of_proxmox() -> None:
    world = with_moves(healthy(), Move(102, BOTH, {}), replace(stuck(103), local_devices=("hostpci0",)))
    reason = "1 of 2 guests cannot leave pve2: db (103) (pve1: storage 'local' is not available; local hostpci0)"
    assert_blocked(verdict("movable", world), reason, "`cannot_move: shutdown`")


def test_a_guest_that_stays_down_by_the_settings_is_named() -> None:
    world = with_moves(healthy(cannot_move="shutdown"), Move(102, BOTH, {}), stuck(103))
    note = "stays down for the reboot: db (103) (pve1: storage 'local' is not available)"
    assert_passed(verdict("movable", world), note)


def test_a_container_moves_by_a_restart_and_it_is_said() -> None:
    note = "restarts on another node, for a container cannot move live: db (103)"
    assert_passed(verdict("movable", with_guest(healthy(), 103, kind="lxc")), note)


def test_a_policy_for_a_kind_or_for_a_guest_counts_before_what_proxmox_allows() -> None:
    container = with_guest(healthy(cannot_move={"containers": "shutdown"}), 103, kind="lxc")
    why = "a container, and cannot_move.containers says shutdown"
    assert_passed(verdict("movable", container), f"stays down for the reboot: db (103) ({why})")
    refused = healthy(cannot_move={"guests": {103: "refuse"}})
    reason = "1 of 2 guests cannot leave pve2: db (103) (cannot_move.guests says refuse)"
    assert_blocked(verdict("movable", refused), reason, "or for guest 103 alone")


def test_a_guest_that_is_to_stay_needs_no_place_elsewhere() -> None:
    world = with_memory(healthy(cannot_move={"guests": {103: "shutdown"}}), pve1=6, pve3=8)
    assert_passed(verdict("memory", world))


def test_a_guest_that_proxmox_was_silent_about_is_unknown() -> None:
    world = with_moves(healthy(), Move(102, BOTH, {}))
    assert_unknown(verdict("movable", world), "Proxmox VE did not say whether db (103) can move")
    assert_passed(verdict("memory", world))  # of the others


def test_a_guest_without_any_allowed_node_or_reason_blocks() -> None:
    world = with_moves(healthy(), Move(102, BOTH, {}), Move(103, (), {}))
    assert_blocked(verdict("movable", world), "1 of 2 guests cannot leave pve2: db (103) (no node is allowed)")


def test_stopped_guests_stay_where_they_are() -> None:
    world = with_guest(with_guest(healthy(), 102, status="stopped"), 103, status="stopped")
    assert_passed(verdict("movable", with_moves(world)))


# ---- locks and tasks -----------------------------------------------------------------------------------------------


def test_a_locked_guest_of_the_node_blocks() -> None:
    world = with_guest(healthy(), 103, lock="backup")
    assert_blocked(verdict("locks", world), "1 locked on pve2: db (103): backup", "`qm unlock 103`")
    world = with_guest(healthy(), 103, kind="lxc", lock="snapshot", status="stopped")
    assert_blocked(verdict("locks", world), "1 locked on pve2: db (103): snapshot", "`pct unlock 103`")


def test_a_long_list_is_cut_and_says_so() -> None:
    rows = tuple(Guest(n, f"vm{n}", "qemu", "pve2", "running", GIB, lock="backup") for n in range(201, 208))
    found = verdict("locks", with_(healthy(), guests=rows))
    shown = ", ".join(f"vm{n} ({n}): backup" for n in range(201, 206))
    assert_blocked(found, f"7 locked on pve2: {shown} and 2 more")


def test_a_locked_guest_of_another_node_does_not_block() -> None:
    assert_passed(verdict("locks", with_guest(healthy(), 101, lock="backup")))


def test_a_guest_that_sleeps_on_disk_does_not_block() -> None:
    assert_passed(verdict("locks", with_guest(healthy(), 103, status="stopped", lock="suspended")))


def task(kind: str, node: str = "pve3", guest: str = "104", upid: str = "UPID:pve3:1") -> TaskRow:
    return TaskRow(upid, node, kind, guest, "root@pam", NOW - 300)


@pytest.mark.parametrize("kind", ["vzdump", "qmigrate", "vzmigrate", "hamigrate", "qmrestore"])
def test_a_backup_or_a_migration_anywhere_blocks(kind: str) -> None:
    world = with_(healthy(), tasks=(task(kind),))
    reason = f"running: {kind} of guest 104 on pve3, since 5 min"
    assert_blocked(verdict("tasks", world), reason, "`pvesh delete /nodes/pve3/tasks/UPID:pve3:1`")


def test_a_backup_of_everything_names_no_guest() -> None:
    world = with_(healthy(), tasks=(task("vzdump", guest=""),))
    assert_blocked(verdict("tasks", world), "running: vzdump on pve3, since 5 min")


def test_a_console_blocks_nobody_and_neither_does_our_own_migration() -> None:
    own = with_own(healthy(), tasks=frozenset({"UPID:ours"}))
    assert_passed(verdict("tasks", with_(own, tasks=(task("vncproxy"), task("qmigrate", upid="UPID:ours")))))


def test_a_node_is_back_only_when_it_has_started_its_guests() -> None:
    world = with_(healthy(), tasks=(task("startall", node="pve2", guest=""),))
    assert_blocked(verdict("tasks", world, GatePhase.HEALED), "running: startall on pve2, since 5 min")


def test_once_back_a_backup_does_not_keep_maintenance_mode_on() -> None:
    rows = (task("vzdump"), task("vzdump", node="pve2"), task("startall"))
    assert_passed(verdict("tasks", with_(healthy(), tasks=rows), GatePhase.HEALED))


def test_moves_that_were_not_read_are_unknown_to_all_who_need_them() -> None:
    world = with_(healthy(), moves=Unread("HTTP 500: cluster not ready - no quorum?", NOW))
    for gate in ("movable", "memory", "last-member"):
        assert_unknown(verdict(gate, world), "moves not read: HTTP 500: cluster not ready - no quorum?")
