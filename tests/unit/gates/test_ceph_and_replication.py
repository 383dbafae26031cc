"""Ceph and ZFS replication, through the same seam as Gluster: what is not known, or not whole, blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Ceph, CephPool, ReplicationJob, Unread
from cluster.gates import all_gates
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    DAY,
    HOUR,
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    healthy,
    verdict,
    with_,
    with_own,
)

POOL = CephPool("guests", 3, 2)
WHOLE = Ceph({}, {"active+clean": 128}, 6, 6, 6, frozenset(NODES), frozenset(NODES), frozenset(), (POOL,), True)
FLAGS = {"OSDMAP_FLAGS": "noout flag(s) set"}


def with_ceph(**changes: Any) -> World:
    return with_(healthy(), ceph=replace(WHOLE, **changes))


# ---- Ceph ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", GatePhase)
def test_a_whole_ceph_opens_and_so_does_none(phase: GatePhase) -> None:
    assert_passed(verdict("ceph", with_ceph(), phase))
    assert_passed(verdict("ceph", healthy(), phase))


@pytest.mark.parametrize(
    "state", ["active+clean+scrubbing", "active+clean+scrubbing+deep", "active+clean+snaptrim_wait"]
)
def test_a_scrub_keeps_nobody_waiting(state: str) -> None:
    assert_passed(verdict("ceph", with_ceph(pgs={"active+clean": 127, state: 1})))


@pytest.mark.parametrize(
    "state",
    ["active+undersized+degraded", "active", "active+scrubbing", "clean", "active+clean+inconsistent", "unknown"],
)
def test_a_placement_group_that_is_not_active_and_clean_blocks(state: str) -> None:
    reason = f"3 of 128 placement groups are not active+clean: 3 {state}"
    assert_blocked(verdict("ceph", with_ceph(pgs={"active+clean": 125, state: 3})), reason, "`ceph status`")


def test_no_placement_groups_where_osds_are_is_no_good_sign() -> None:
    assert_blocked(verdict("ceph", with_ceph(pgs={})), "Ceph lists no placement group at all")


@pytest.mark.parametrize("phase", GatePhase)
def test_placement_groups_that_nobody_counts_block(phase: GatePhase) -> None:
    reason = "no manager (mgr) is active, so nobody counts placement groups"
    assert_blocked(verdict("ceph", with_ceph(managed=False), phase), reason, "`ceph status`")


@pytest.mark.parametrize(("up", "counted"), [(5, 6), (6, 5)])
def test_an_osd_that_is_down_or_out_blocks(up: int, counted: int) -> None:
    reason = f"{up} of 6 OSDs are up, {counted} are in"
    assert_blocked(verdict("ceph", with_ceph(osds_up=up, osds_in=counted)), reason)


def test_a_monitor_out_of_quorum_blocks() -> None:
    reason = "monitors out of quorum: pve3"
    assert_blocked(verdict("ceph", with_ceph(quorum=frozenset({"pve1", "pve2"})), GatePhase.HEALED), reason)


def test_two_monitors_cannot_spare_one() -> None:
    pair = frozenset({"pve1", "pve2"})
    reason = "without the monitor on pve2 1 of 2 are left, and they need 2"
    assert_blocked(verdict("ceph", with_ceph(monitors=pair, quorum=pair)), reason)
    assert_passed(verdict("ceph", with_ceph(monitors=pair, quorum=pair), node="pve3"))
    assert_passed(verdict("ceph", with_ceph(monitors=pair, quorum=pair), GatePhase.HEALED))


def test_a_silent_ceph_is_unknown() -> None:
    silent = with_(healthy(), ceph=Unread("HTTP 500: got timeout", NOW))
    for gate in ("ceph", "ceph-health", "ceph-pools"):
        assert_unknown(verdict(gate, silent), "ceph not read: HTTP 500: got timeout")


# ---- its pools -------------------------------------------------------------------------------------------------------


def test_a_pool_with_a_copy_to_spare_opens() -> None:
    assert_passed(verdict("ceph-pools", with_ceph()))
    assert_passed(verdict("ceph-pools", with_ceph(pools=())))
    assert_passed(verdict("ceph-pools", healthy()))


@pytest.mark.parametrize(("size", "min_size"), [(2, 2), (3, 3), (1, 1), (2, 3)])
def test_a_pool_that_wants_all_of_its_copies_stops_with_the_node(size: int, min_size: int) -> None:
    world = with_ceph(pools=(POOL, CephPool("old", size, min_size)))
    reason = f"while pve2 is off, pool old stops: it keeps {size} copies and wants no fewer than {min_size} (min_size)"
    assert_blocked(verdict("ceph-pools", world), reason, f"`ceph osd pool set old size {min_size + 1}`")


def test_once_the_node_is_back_a_pool_without_a_spare_copy_waits_for_nobody() -> None:
    """The gate asks what a node's absence would do."""
    assert "ceph-pools" not in {gate.name for gate in all_gates() if GatePhase.HEALED in gate.phases}


# ---- its health checks -----------------------------------------------------------------------------------------------


def test_our_own_noout_is_no_reason_to_wait() -> None:
    """With it Ceph is never HEALTH_OK."""
    ours = with_own(with_ceph(checks=FLAGS, flags=frozenset({"noout"})), flags=frozenset({"noout"}))
    assert_passed(verdict("ceph-health", ours, GatePhase.REBOOT))


def test_a_flag_of_somebody_else_blocks() -> None:
    foreign = with_ceph(checks=FLAGS, flags=frozenset({"noout"}))
    reason, hint = "somebody has set noout on Ceph", "`ceph osd unset noout`"
    assert_blocked(verdict("ceph-health", foreign), reason, hint)
    both = with_own(replace_flags(foreign, "noout", "noscrub"), flags=frozenset({"noout"}))
    assert_blocked(verdict("ceph-health", both), "somebody has set noscrub on Ceph", "`ceph osd unset noscrub`")


def replace_flags(world: World, *flags: str) -> World:
    return with_(world, ceph=replace(WHOLE, checks=FLAGS, flags=frozenset(flags)))


def test_any_other_health_check_blocks_in_ceph_s_words() -> None:
    world = with_ceph(checks={"MON_CLOCK_SKEW": "clock skew detected on mon.pve2", **FLAGS})
    reason = "clock skew detected on mon.pve2 (MON_CLOCK_SKEW)"
    assert_blocked(verdict("ceph-health", world), reason, "`ceph health detail`")


# ---- ZFS replication -------------------------------------------------------------------------------------------------

GOOD = ReplicationJob("103-0", 103, "pve2", "pve1", 0, "", NOW - 600, NOW - 600)


def with_jobs(*jobs: ReplicationJob, **settings: Any) -> World:
    return with_(healthy(**settings), replication=jobs)


def test_jobs_that_ran_lately_open_and_so_does_none_at_all() -> None:
    assert_passed(verdict("replication", with_jobs(GOOD)))
    assert_passed(verdict("replication", healthy()))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fail_count": 3, "error": "no space left"}, "(to pve1) failed 3 times: no space left"),
        ({"fail_count": 1}, "(to pve1) failed 1 times: without a word"),
        ({"error": "job was killed"}, "(to pve1): job was killed"),
        ({"last_sync": 0.0}, "(to pve1) has never run"),
        ({"last_sync": NOW - 2 * DAY}, "(to pve1) last ran 2 d ago, limit 26 h"),
        ({"last_sync": NOW + 2 * DAY}, "(to pve1): its last sync is stamped 2 d ahead of now"),
    ],
)
def test_a_job_that_is_not_in_order_blocks(changes: dict[str, Any], why: str) -> None:
    reason = f"1 of 2 replication jobs are not in order: 103-0 {why}"
    world = with_jobs(replace(GOOD, **changes), replace(GOOD, id="104-0", guest=104))
    assert_blocked(verdict("replication", world), reason, "`pvesr schedule-now 103-0`")


def test_how_old_a_sync_may_be_is_a_setting_and_counts_before_the_node_is_taken() -> None:
    old = replace(GOOD, last_sync=NOW - 2 * HOUR)
    reason = "1 of 1 replication jobs are not in order: 103-0 (to pve1) last ran 2 h ago, limit 60 min"
    assert_blocked(verdict("replication", with_jobs(old, replication_max_age="1h")), reason)
    assert_passed(verdict("replication", with_jobs(old, replication_max_age="1h"), GatePhase.HEALED))


def test_jobs_that_nobody_told_are_unknown() -> None:
    world = with_(healthy(), replication=Unread("HTTP 595", NOW))
    assert_unknown(verdict("replication", world), "replication not read: HTTP 595")
