"""Ceph, ZFS replication and HA rules as the API tells them: shapes of several releases, silence, and absence.

`ceph_16_2/` holds what a real Ceph 16.2 answered (three monitors and OSDs of Debian 12, `noout` set), put together
as Proxmox VE does: `status`, with `health detail`, `mon dump` and `mgr dump` in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.api import Refused, Unreachable
from cluster.ceph import CephApi, ceph
from cluster.facts import Ceph, CephPool, Guest, HaRule, Move, ReplicationJob
from cluster.gates.ceph import what_is_wrong
from cluster.harules import HaApi, rule
from cluster.proxmox import TooOld
from cluster.replication import ReplicationApi, job
from cluster.ways import NO_REPLICA, narrowed
from tests.unit.cluster.fakes import NODES, settings
from tests.unit.cluster.test_pve_rows import FakeApi

STATUS: dict[str, Any] = {
    "health": {"checks": {"OSD_DOWN": {"severity": "HEALTH_WARN", "summary": {"message": "1 osds down"}}}},
    "quorum_names": ["pve1", "pve3"],
    "monmap": {"mons": [{"name": "pve1"}, {"name": "pve2"}, {"name": "pve3"}]},
    "mgrmap": {"available": True},
    "osdmap": {"num_osds": 6, "num_up_osds": 5, "num_in_osds": 6},
    "pgmap": {"pgs_by_state": [{"state_name": "active+clean", "count": 100}, {"state_name": "peering", "count": 28}]},
}
FLAGS: list[dict[str, Any]] = [{"name": "noout", "value": 1}, {"name": "noscrub", "value": 0}, {"name": "pause"}]
POOLS = [{"pool": 1, "pool_name": "guests", "type": "replicated", "size": 3, "min_size": 2, "pg_num": 128}]
RECORDED = Path(__file__).parents[1] / "ceph_16_2"
NOT_HERE = Refused("the API on pve1 refused get nodes/pve1/ceph/status: binary not installed: /usr/bin/ceph-mon")
SILENT = Unreachable("pve2 does not answer")


def ceph_api(**answers: Any) -> tuple[FakeApi, CephApi]:
    """What each node says of Ceph."""
    api = FakeApi()
    api.answers = {f"nodes/{node}/ceph/status": answers.get(node, NOT_HERE) for node in NODES}
    api.answers |= {f"nodes/{node}/ceph/pool": POOLS for node in NODES}
    api.answers["cluster/ceph/flags"] = FLAGS
    return api, CephApi(api, settings(), map)  # type: ignore[arg-type]


def asked(api: FakeApi) -> list[str]:
    return [path for path, _ in api.asked]


# ---- Ceph ----------------------------------------------------------------------------------------------------------


def test_ceph_status_becomes_facts() -> None:
    assert ceph(STATUS, FLAGS, POOLS) == Ceph(
        checks={"OSD_DOWN": "1 osds down"},
        pgs={"active+clean": 100, "peering": 28},
        osds=6,
        osds_up=5,
        osds_in=6,
        monitors=frozenset({"pve1", "pve2", "pve3"}),
        quorum=frozenset({"pve1", "pve3"}),
        flags=frozenset({"noout"}),
        pools=(CephPool("guests", 3, 2),),
        managed=True,
    )


def recorded(name: str) -> Ceph:
    return ceph(json.loads((RECORDED / f"{name}.json").read_text()), FLAGS, POOLS)


def test_a_real_ceph_through_a_reboot() -> None:
    whole, away = recorded("whole"), recorded("node-away")
    assert not list(what_is_wrong(whole))
    assert whole.checks == {"OSDMAP_FLAGS": "noout flag(s) set"}
    assert list(what_is_wrong(away)) == [
        "17 of 17 placement groups are not active+clean: 1 active+undersized, 16 active+undersized+degraded",
        "2 of 3 OSDs are up, 3 are in",
    ]


def test_a_real_ceph_without_a_manager_still_calls_clean_what_an_osd_lost() -> None:
    """It was taken away and came back empty; only the new manager saw it."""
    before, seen = recorded("no-manager"), recorded("manager-again")
    assert (before.pgs, before.osds_up, before.osds_in) == ({"active+clean": 17}, 3, 3)
    assert list(what_is_wrong(before)) == ["no manager (mgr) is active, so nobody counts placement groups"]
    assert [text.partition(":")[0] for text in what_is_wrong(seen)] == [
        "11 of 17 placement groups are not active+clean"
    ]


def test_the_osd_map_of_older_releases_lies_deeper() -> None:
    old = STATUS | {"osdmap": {"osdmap": STATUS["osdmap"]}}
    assert ceph(old, [], []).osds_up == 5


def test_monitors_without_names_are_missing_all_the_same() -> None:
    found = ceph(STATUS | {"monmap": {"num_mons": 3}}, [], [])
    assert (len(found.monitors), found.monitors >= found.quorum) == (3, True)


def test_a_cluster_in_which_every_node_says_so_has_no_ceph() -> None:
    assert ceph_api()[1].read("") is None
    not_yet = Refused("500: pveceph configuration not initialized")
    assert ceph_api(pve1=not_yet, pve2=not_yet)[1].read("") is None


def test_a_node_that_is_silent_may_have_one_so_nothing_is_known() -> None:
    with pytest.raises(Unreachable, match="pve2 does not answer"):
        ceph_api(pve2=SILENT)[1].read("")


def test_one_node_that_answers_is_enough_and_is_asked_first_the_next_time() -> None:
    api, read = ceph_api(pve2=SILENT, pve3=STATUS)
    found = read.read("")
    assert found is not None
    assert found.osds == 6
    api.asked.clear()
    assert read.read("") == found
    assert asked(api) == ["nodes/pve3/ceph/status", "nodes/pve3/ceph/pool", "cluster/ceph/flags"]


def test_the_node_under_the_knife_is_never_the_one_that_is_asked() -> None:
    api, read = ceph_api(pve1=STATUS, pve2=STATUS)
    read.read("")
    api.asked.clear()
    read.read("pve1")
    assert "nodes/pve1/ceph/status" not in asked(api)


def test_a_ceph_on_the_node_under_the_knife_alone_is_not_none_at_all() -> None:
    """It would be rebooted, and with it every disk that the other nodes' guests have on it."""
    found = ceph_api(pve1=STATUS)[1].read("pve1")
    assert found is not None
    assert found.osds == 6
    with pytest.raises(Unreachable, match="pve2 does not answer"):
        ceph_api(pve2=SILENT)[1].read("pve2")
    assert ceph_api()[1].read("pve1") is None


def test_a_status_that_is_not_understood_is_an_error_in_words() -> None:
    with pytest.raises(Refused, match="in a shape that is not understood"):
        ceph_api(pve1={"health": {}})[1].read("")


def test_a_flag_is_set_and_unset_by_its_name() -> None:
    api, acts = ceph_api()
    acts.set_flag("noout", True, "pve2")
    acts.set_flag("noout", False, "pve2")
    assert api.sent == [
        ("put", "cluster/ceph/flags/noout", {"value": True}),
        ("put", "cluster/ceph/flags/noout", {"value": False}),
    ]


# ---- ZFS replication -------------------------------------------------------------------------------------------------

ROW = {"id": "103-0", "guest": 103, "target": "pve1", "fail_count": 0, "last_sync": 1700, "last_try": 1700}
JOB = ReplicationJob("103-0", 103, "pve2", "pve1", 0, "", 1700.0, 1700.0)


def replication(*rows: dict[str, Any], jobs: int = 1) -> tuple[FakeApi, ReplicationApi]:
    """Rows of pve2."""
    api = FakeApi()
    api.answers = {"cluster/replication": [{}] * jobs} | {f"nodes/{node}/replication": [] for node in NODES}
    api.answers["nodes/pve2/replication"] = list(rows)
    return api, ReplicationApi(api, settings(), map)  # type: ignore[arg-type]


def test_a_job_is_told_by_the_node_of_its_guest() -> None:
    assert replication(ROW)[1].read("") == (JOB,)


def test_a_failed_job_tells_why_in_one_line() -> None:
    found = job(
        ROW | {"fail_count": 2, "error": "command failed:\n  no space left", "pid": 12, "source": "pve3"}, "pve2"
    )
    assert (found.fail_count, found.error, found.running, found.source) == (
        2,
        "command failed: no space left",
        True,
        "pve3",
    )


def test_a_job_that_is_switched_off_is_none_and_one_that_never_ran_says_so() -> None:
    never = {"id": "104-0", "guest": 104, "target": "pve3"}
    (found,) = replication(ROW | {"disable": 1}, never)[1].read("")
    assert (found.id, found.last_sync) == ("104-0", 0.0)


def test_where_there_are_no_jobs_no_node_is_asked() -> None:
    api, read = replication(jobs=0)
    assert (read.read(""), asked(api)) == ((), ["cluster/replication"])


def test_one_silent_node_leaves_all_jobs_unread() -> None:
    api, read = replication(ROW)
    api.answers["nodes/pve3/replication"] = SILENT
    with pytest.raises(Unreachable):
        read.read("")


def test_a_job_is_run_on_the_node_of_its_guest() -> None:
    api, acts = replication()
    acts.run_now(JOB, "")
    assert api.sent == [("post", "nodes/pve2/replication/103-0/schedule_now", {})]


def test_a_replicated_guest_moves_only_to_its_replica() -> None:
    move = Move(103, ("pve1", "pve3"), {})
    assert narrowed(move, (JOB,)) == Move(103, ("pve1",), {"pve3": NO_REPLICA})
    assert narrowed(move, ()) == move
    assert narrowed(Move(104, ("pve3",), {}), (JOB,)) == Move(104, ("pve3",), {})


# ---- HA ------------------------------------------------------------------------------------------------------------

KEEP = {"rule": "keep", "type": "resource-affinity", "affinity": "negative", "resources": "vm:101,ct:102"}
ROUTER = Guest(101, "router-a", "qemu", "pve1", "running", 1, ha="started")


def ha_api(path: str, answer: Any) -> HaApi:
    api = FakeApi()
    api.answers = {path: answer}
    return HaApi(api)  # type: ignore[arg-type]


def test_rules_become_facts() -> None:
    assert rule(KEEP) == HaRule("keep", "resource-affinity", frozenset({"vm:101", "ct:102"}), apart=True)
    together = rule(KEEP | {"affinity": "positive"})
    assert not together.apart
    nodes = rule({"rule": "n", "type": "node-affinity", "resources": "vm:101", "nodes": "pve1:2,pve2", "strict": 1})
    assert (nodes.nodes, nodes.strict) == (frozenset({"pve1", "pve2"}), True)


def test_a_rule_that_is_switched_off_is_none() -> None:
    found = ha_api("cluster/ha/rules", [KEEP, KEEP | {"rule": "off", "disable": 1}]).rules("")
    assert [one.name for one in found] == ["keep"]


def test_before_proxmox_ve_9_there_are_no_rules() -> None:
    assert ha_api("cluster/ha/rules", TooOld("no such method")).rules("") == ()


def test_what_ha_was_asked_for_is_told_for_a_guest_under_it() -> None:
    service = {"type": "service", "sid": "vm:101", "request_state": "started", "state": "error"}
    rows = [{"type": "quorum", "id": "quorum"}, service]
    assert ha_api("cluster/ha/status/current", rows).request(ROUTER, "") == "started"
    assert ha_api("cluster/ha/status/current", rows[:1]).request(ROUTER, "") == ""
