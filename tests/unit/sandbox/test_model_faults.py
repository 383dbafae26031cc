"""Every kind of fault shows, and shows only when it was planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cluster.api import ClusterError, Refused, Uncertain, Unreachable
from cluster.facts import PathTest, Read, Topic, Unread
from cluster.guest_settings import GuestGroup, HealthProbe
from sandbox.faults import Kind
from sandbox.model import What
from sandbox.spec import CephSpec, ClusterSpec, ReplicaSpec
from tests.unit.sandbox.evening import Evening

Shows = Callable[[Evening], bool]


def says(error: type[ClusterError], words: str, act: Callable[[], object]) -> bool:
    try:
        act()
    except error as said:
        return words in str(said)
    return False


def survey(evening: Evening, topic: Topic) -> Any:
    found = getattr(evening.cluster.survey(frozenset({topic}), "pve1"), topic.value)
    return found.value if isinstance(found, Read) else found


def status_by_pve1(evening: Evening) -> Any:
    """`volume status` as a survey reads it."""
    gluster = evening.cluster.survey(frozenset({Topic.PROCESSES}), None).gluster
    return gluster.value.views[0].status["vmstore"] if isinstance(gluster, Read) else gluster


def task_error(evening: Evening, act: str, guest: int, *args: object) -> str:
    task = getattr(evening.cluster, act)(evening.guest(guest), *args)
    evening.later(200)
    return evening.cluster.task(task).error


def lied(evening: Evening) -> bool:
    return task_error(evening, "migrate", 101, "pve2") == "" and evening.guest(101).node == "pve1"


def restored(evening: Evening) -> str:
    """How a restore over guest 101 ends: "" if well."""
    rescue = evening.cluster.rescue
    rescue.stop(evening.guest(101))
    evening.later(5)
    task = rescue.restore(101, "qemu", "pve1", rescue.backups(101)[0].volid, "local", over=True)
    evening.later(600)
    return evening.cluster.task(task).error


def started_by_somebody(evening: Evening) -> bool:
    evening.cluster.shutdown(evening.guest(101), 60)
    evening.later(120)
    return evening.guest(101).running


def start_fails(evening: Evening) -> bool:
    task_error(evening, "shutdown", 103, 60)
    return "start failed" in task_error(evening, "start", 103)


def rebooted(evening: Evening) -> bool:
    evening.reboot("pve2")
    evening.later(600)
    return evening.happened(What.BOOTED, "pve2") != []


def old_kernel(evening: Evening) -> bool:
    evening.upgrade("pve2")
    evening.later(300)
    evening.reboot("pve2")
    evening.later(300)
    return evening.cluster.node_status("pve2").kernel == "6.8.12-4-pve"


def upgrade_ends(evening: Evening) -> tuple[int | None, str]:
    evening.upgrade("pve2")
    evening.later(3600)
    unit = evening.cluster.unit("pve2", "run.upgrade")
    return unit.exit, unit.trouble


def maintained(evening: Evening, node: str) -> bool:
    evening.later(30)
    return node in evening.model.ha(evening.clock.now).maintenance


def asked_for_maintenance(evening: Evening) -> bool:
    evening.cluster.maintenance("pve2", on=True)
    return maintained(evening, "pve2")


def plan(evening: Evening, node: str = "pve1") -> Any:
    return evening.model.plan(evening.clock.now, node)


def healed_after_a_reboot(evening: Evening, hours: float = 1.0) -> bool:
    evening.reboot("pve2")
    evening.later(hours * 3600)
    return evening.cluster.heal_progress("").healed


def probe(evening: Evening) -> tuple[bool | None, str]:
    found = next(row for row in survey(evening, Topic.SERVING) if row.guest == 101)
    return found.serves, found.said


def replicated(evening: Evening) -> tuple[int, str]:
    """After the first run of the only job."""
    evening.later(700)
    (job,) = survey(evening, Topic.REPLICATION)
    return job.fail_count, job.error


def ceph_clean_after_a_reboot(evening: Evening) -> bool:
    evening.reboot("pve2")
    evening.later(3600)
    return set(survey(evening, Topic.CEPH).pgs) == {"active+clean"}


def volume_status(evening: Evening) -> Any:
    return evening.model.volume_status(evening.clock.now, "pve1", "vmstore")


def statuses(evening: Evening) -> Mapping[str, Any]:
    return {name: reading.value for name, reading in survey(evening, Topic.NODES).items()}


def tried_over(evening: Evening, path: str) -> list[PathTest]:
    return [test for test in evening.cluster.test_paths().tests if test.path == path]


def alive(evening: Evening, path: str) -> bool:
    return all(test.alive for test in tried_over(evening, path))


def latency(evening: Evening, path: str) -> float:
    return max(test.latency for test in tried_over(evening, path))


STORIES: dict[Kind, tuple[dict[str, Any], Shows]] = {
    Kind.MIGRATE_FAILS: ({"guest": 101}, lambda e: "aborted" in task_error(e, "migrate", 101, "pve2")),
    Kind.MIGRATE_LIES: ({"guest": 101}, lied),
    Kind.CANNOT_MOVE: ({"guest": 101}, lambda e: not e.cluster.move_options(e.guest(101)).allowed),
    Kind.GUEST_LOCKED: (
        {"guest": 101, "text": "snapshot"},
        lambda e: says(Refused, "locked (snapshot)", lambda: e.cluster.migrate(e.guest(101), "pve2")),
    ),
    Kind.SHUTDOWN_HANGS: ({"guest": 103}, lambda e: "got timeout" in task_error(e, "shutdown", 103, 60)),
    Kind.START_FAILS: ({"guest": 103}, start_fails),
    Kind.GUEST_STOPS: ({"guest": 101}, lambda e: e.guest(101).status == "stopped"),
    Kind.BACKUP_RUNNING: ({"guest": 101}, lambda e: [t.kind for t in survey(e, Topic.TASKS)] == ["vzdump"]),
    Kind.BACKUPS_GONE: ({}, lambda e: survey(e, Topic.BACKUPS) == ()),
    Kind.NOT_SERVING: ({"guest": 101, "text": "no ARP"}, lambda e: probe(e) == (False, "no ARP")),
    Kind.PROBE_SILENT: ({"guest": 101}, lambda e: probe(e)[0] is None),
    Kind.REPLICATION_FAILS: ({"guest": 103, "text": "no space left"}, lambda e: replicated(e) == (1, "no space left")),
    Kind.STAYS_DOWN: ({"node": "pve2"}, lambda e: not rebooted(e)),
    Kind.OLD_KERNEL: ({"node": "pve2"}, old_kernel),
    Kind.NEVER_REBOOTS: ({"node": "pve2"}, lambda e: not rebooted(e)),
    Kind.FOREIGN_REBOOT: ({"node": "pve2"}, lambda e: [x.by for x in e.happened(What.REBOOT)] == ["somebody"]),
    Kind.POWER_CUT: ({"node": "pve2"}, lambda e: says(Unreachable, "pve2", lambda: e.cluster.node_status("pve2"))),
    Kind.SSH_DOWN: ({}, lambda e: says(Unreachable, "ssh", lambda: e.cluster.node_status("pve3"))),
    Kind.API_DOWN: ({}, lambda e: isinstance(survey(e, Topic.MEMBERSHIP), Unread)),
    Kind.HELPER_ALTERED: ({"node": "pve2"}, lambda e: statuses(e)["pve2"].checksum != "sandbox-helper"),
    Kind.SERVICE_DOWN: (
        {"node": "pve2", "text": "corosync"},
        lambda e: statuses(e)["pve2"].services["corosync"] == "failed",
    ),
    Kind.COROSYNC_OLD: (
        {"node": "pve2"},
        lambda e: statuses(e)["pve2"].corosync_version < statuses(e)["pve1"].corosync_version,
    ),
    Kind.STORAGE_INACTIVE: (
        {"node": "pve2", "text": "vmstore"},
        lambda e: [(s.node, s.storage) for s in survey(e, Topic.STORAGES) if not s.active] == [("pve2", "vmstore")],
    ),
    Kind.HA_STUCK: (
        {"guest": 104, "text": "error"},
        lambda e: (e.guest(104).ha, e.guest(104).running) == ("error", True),
    ),
    Kind.REFRESH_401: ({"node": "pve1"}, lambda e: isinstance(survey(e, Topic.PACKAGES), Unread)),
    Kind.HA_DISARMED: ({}, lambda e: not survey(e, Topic.HA).armed and not asked_for_maintenance(e)),
    Kind.MAINTENANCE_IGNORED: ({"node": "pve2"}, lambda e: not asked_for_maintenance(e)),
    Kind.FOREIGN_MAINTENANCE: ({"node": "pve2"}, lambda e: maintained(e, "pve2")),
    Kind.APT_LOCKED: ({"node": "pve2"}, lambda e: "apt's lock" in upgrade_ends(e)[1]),
    Kind.APT_401: ({"node": "pve2"}, lambda e: "401" in upgrade_ends(e)[1]),
    Kind.DPKG_BROKEN: ({"node": "pve2"}, lambda e: statuses(e)["pve2"].dpkg_broken != ""),
    Kind.REMOVES_VITAL: ({"node": "pve1", "text": "qemu-server"}, lambda e: plan(e).removes == ("qemu-server",)),
    Kind.NEW_PACKAGES: ({"node": "pve1", "text": "curl"}, lambda e: plan(e).checksum != plan(e, "pve2").checksum),
    Kind.UPGRADE_FAILS: ({"node": "pve2"}, lambda e: upgrade_ends(e)[0] == 100),
    Kind.UPGRADE_HANGS: ({"node": "pve2"}, lambda e: upgrade_ends(e)[0] is None),
    Kind.HEAL_STUCK: ({}, lambda e: not healed_after_a_reboot(e, hours=24)),
    Kind.HEAL_SLOW: ({"amount": 0.01}, lambda e: not healed_after_a_reboot(e)),
    Kind.SPLIT_BRAIN: ({}, lambda e: e.cluster.heal_progress("").split_brain == 1),
    Kind.BRICK_DOWN: ({"node": "pve2"}, lambda e: e.cluster.heal_progress("").down == ("pve2:/srv/vmstore/brick",)),
    Kind.BRICK_WIPED: ({"node": "pve2"}, lambda e: e.pending() == 1),
    Kind.GLUSTERD_DOWN: ({"node": "pve1"}, lambda e: says(ClusterError, "daemon", lambda: heal_on(e, "pve1"))),
    Kind.SHD_DOWN: ({"node": "pve1"}, lambda e: not all(r.online for r in volume_status(e).rows)),
    Kind.PEER_CUT: ({"node": "pve2"}, lambda e: len(volume_status(e).rows) == 4),
    Kind.REBALANCE: ({}, lambda e: volume_status(e).tasks != ()),
    Kind.VOLUME_LOCKED: ({}, lambda e: isinstance(status_by_pve1(e), Unread)),
    Kind.NOT_XML: ({"node": "pve1"}, lambda e: says(ClusterError, "not XML", lambda: heal_on(e, "pve1"))),
    Kind.BACKUP_PRUNED: ({"guest": 101}, lambda e: e.cluster.rescue.backups(101) == ()),
    Kind.ARCHIVE_BAD: ({"guest": 101}, lambda e: "vma extract" in restored(e)),
    Kind.STORAGE_FULL: ({"text": "local", "amount": 3}, lambda e: "no space left" in restored(e)),
    Kind.GUEST_STARTS: ({"guest": 101, "at": 60}, started_by_somebody),
    Kind.HA_ERROR: ({"guest": 104}, lambda e: (e.guest(104).ha, e.guest(104).status) == ("error", "stopped")),
    Kind.CEPH_STUCK: ({}, lambda e: not ceph_clean_after_a_reboot(e)),
    Kind.CEPH_WARNS: ({"text": "POOL_FULL"}, lambda e: list(survey(e, Topic.CEPH).checks) == ["POOL_FULL"]),
    Kind.CEPH_FLAGGED: ({"text": "noscrub"}, lambda e: survey(e, Topic.CEPH).flags == {"noscrub"}),
    Kind.PATH_CUT: ({"text": "direct"}, lambda e: not alive(e, "direct") and alive(e, "lte")),
    Kind.PATH_SLOW: ({"text": "lte", "amount": 3.0}, lambda e: latency(e, "lte") > 3.0),
    Kind.LINE: (
        {"guest": 103, "text": "set_onboot"},
        lambda e: says(Uncertain, "may have happened", lambda: e.cluster.set_onboot(e.guest(103), on=False)),
    ),
}


def heal_on(evening: Evening, node: str) -> None:
    """As `heal_progress` on this very node."""
    answer = survey(evening, Topic.GLUSTER).views[int(node[-1]) - 1].pool
    if isinstance(answer, Unread):
        raise Refused(answer.why)


@pytest.mark.parametrize("kind", list(Kind))
def test_it_shows_when_it_was_planned_and_only_then(kind: Kind, spec: ClusterSpec) -> None:
    fault, shows = STORIES[kind]
    probed = GuestGroup(name="routers", guests=(101, 102), health={101: HealthProbe(ping="192.0.2.101")})
    spec = replace(spec, groups=(probed,), ceph=CephSpec(), replicas=(ReplicaSpec(103, "pve1"),))
    assert shows(Evening(spec, {"kind": kind, **fault}))
    assert not shows(Evening(spec))


def test_a_fault_begins_at_its_time_and_ends_after_it_has_lasted(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "ssh-down", "node": "pve2", "at": "1m", "lasts": "2m"})
    answers = []
    for _ in range(4):
        answers.append(evening.model.ssh_answers(evening.clock.now, "pve2"))
        evening.later(61)
    assert answers == [True, False, False, True]


def test_a_fault_waits_for_what_sets_it_off(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "guest-stops", "guest": 102, "after": "reboot pve1 #2", "delay": 30})
    evening.reboot("pve1")
    evening.later(1200)
    assert evening.guest(102).running
    evening.reboot("pve1")
    evening.later(29)
    assert evening.guest(102).running
    evening.later(2)
    assert not evening.guest(102).running


def test_a_migration_that_fails_once_works_the_second_time(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "migrate-fails", "guest": 101})
    assert task_error(evening, "migrate", 101, "pve2") == "migration aborted"
    assert task_error(evening, "migrate", 101, "pve2") == ""
    assert evening.guest(101).node == "pve2"


def test_a_node_that_stays_down_comes_back_when_that_ends(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "stays-down", "node": "pve2", "lasts": "1h"})
    evening.reboot("pve2")
    evening.later(3700)
    assert evening.happened(What.BOOTED, "pve2") == []
    evening.later(200)
    assert evening.online("pve2")


def test_a_split_brain_stays_until_somebody_mends_it(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "split-brain", "lasts": "2h"})
    assert [e.guest for e in evening.happened(What.IMAGES_LOST)] == [101]
    evening.later(7000)
    assert evening.cluster.heal_progress("").split_brain > 0
    evening.later(300)
    assert evening.cluster.heal_progress("").healed


def test_a_dist_upgrade_dies_with_its_node_and_leaves_dpkg_in_the_middle(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60, "lasts": 60})
    evening.upgrade("pve2")
    evening.later(600)
    unit = evening.cluster.unit("pve2", "run.upgrade")
    assert (unit.began, unit.exit) == (True, 255)
    assert evening.cluster.node_status("pve2").dpkg_broken


def test_the_same_seed_is_the_same_night_and_another_seed_another(spec: ClusterSpec) -> None:
    def events(seed: int) -> list[str]:
        varied = ClusterSpec.from_dict({"timings": {"spread": "0.25s"}})
        evening = Evening(varied, seed=seed)
        healed_after_a_reboot(evening)
        return [str(event) for event in evening.model.events]

    assert events(1) == events(1) != events(2)
