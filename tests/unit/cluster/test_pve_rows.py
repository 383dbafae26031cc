"""Rows of the PVE API as facts: what is passed over, what is refused, and what must not be believed."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import pve
from cluster.api import Refused, TaskRef, TaskState, Uncertain
from cluster.facts import Guest, Member, Move
from cluster.guest_settings import GuestGroup
from cluster.helper import Votes
from cluster.proxmox import TooOld
from cluster.pve import Pve
from cluster.settings import BackupSettings
from tests.unit.cluster.fakes import NODES, settings

VOTES = Votes({"pve1": 1, "pve2": 2}, expected=3, quorum=2, qdevice=0)
ROUTER = Guest(101, "router-a", "qemu", "pve1", "running", 2**31)
BOX = Guest(201, "box", "lxc", "pve1", "running", 2**30)


class FakeApi:
    """Stands for Proxmox. `answers`: "GET path?params" -> what it says."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = dict(answers)
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, path: str, avoid: str = "", **params: Any) -> Any:
        self.asked.append((path, params))
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return [row for row in answer if row["vmid"] == params["vmid"]] if "vmid" in params else answer

    def send(self, method: str, path: str, avoid: str = "", **params: Any) -> Any:
        self.sent.append((method, path, params))
        return self.answers.get("sent", f"UPID:pve1:0001:0002:0003:x:101:{settings().api.token_id}:")


def told_by(answers: dict[str, Any], **written: Any) -> tuple[FakeApi, Pve]:
    api = FakeApi()
    api.answers = answers
    return api, Pve(api, settings(**written), map)  # type: ignore[arg-type]


# ---- membership ----------------------------------------------------------------------------------------------------

CLUSTER = {"type": "cluster", "name": "attic", "quorate": 1, "version": 7, "nodes": 2}


def node_row(name: str, online: int = 1) -> dict[str, Any]:
    return {"type": "node", "name": name, "online": online}


def test_membership_joins_the_api_s_word_with_corosync_s_votes() -> None:
    found = pve.membership([CLUSTER, node_row("pve1"), node_row("pve2", online=0)], VOTES)
    assert found.members == (Member("pve1", True, 1), Member("pve2", False, 2))
    assert (found.cluster, found.quorate, found.quorum, found.config_version) == ("attic", True, 2, 7)


@pytest.mark.parametrize("word", [0, "0", "", None])
def test_every_way_in_which_perl_says_no_is_not_quorate(word: Any) -> None:
    assert not pve.membership([{**CLUSTER, "quorate": word}], VOTES).quorate


def test_a_node_without_a_cluster_is_refused() -> None:
    with pytest.raises(Refused, match="belongs to no Proxmox VE cluster"):
        pve.membership([node_row("pve1")], VOTES)


def test_a_member_without_votes_is_an_error_not_zero_votes() -> None:
    _, asked = told_by({"cluster/status": [CLUSTER, node_row("pve9")]})
    with pytest.raises(Refused, match="answered /cluster/status in a shape that is not understood"):
        asked.membership(VOTES, "")


# ---- guests --------------------------------------------------------------------------------------------------------


def guest_row(**more: Any) -> dict[str, Any]:
    return {"type": "qemu", "vmid": 101, "name": "a", "node": "pve1", "status": "running", "maxmem": 2**31, **more}


def test_a_new_type_of_resource_does_not_stop_the_night() -> None:
    rows = [guest_row(), {"type": "pool", "pool": "p"}, {"type": "hologram"}, {}]
    assert [guest.id for guest in pve.guests(rows)] == [101]


def test_a_guest_s_ha_state_lock_and_template_are_read() -> None:
    (found,) = pve.guests([guest_row(type="lxc", hastate="started", lock="backup", template=1)])
    assert (found.kind, found.ha, found.lock, found.template) == ("lxc", "started", "backup", True)


def test_a_guest_of_a_silent_node_needs_no_memory_unless_it_runs() -> None:
    silent = {name: value for name, value in guest_row(status="unknown").items() if name != "maxmem"}
    assert pve.guests([silent])[0].memory == 0
    _, asked = told_by({"cluster/resources": [{**silent, "status": "running"}]})
    with pytest.raises(Refused, match="not understood"):
        asked.guests("")


def test_a_node_that_is_off_has_no_capacity() -> None:
    rows = [{"node": "pve1", "status": "online", "maxmem": 64}, {"node": "pve2", "status": "offline"}]
    _, asked = told_by({"cluster/resources": rows})
    assert [row.node for row in asked.capacity("")] == ["pve1"]


# ---- HA ------------------------------------------------------------------------------------------------------------


def manager(**status: Any) -> dict[str, Any]:
    return {
        "manager_status": {"master_node": "pve1", "node_status": {"pve1": "online", "pve2": "online"}, **status},
        "lrm_status": {"pve1": {"mode": "active"}, "pve2": {"mode": "active"}},
    }


def test_a_quiet_ha_is_armed_and_has_nobody_in_maintenance() -> None:
    found = pve.ha(manager(), [{"type": "quorum"}])
    assert (found.manager, found.maintenance, found.armed) == ("pve1", frozenset(), True)
    assert found.modes == {"pve1": "active", "pve2": "active"}


@pytest.mark.parametrize(
    "status",
    [{"node_status": {"pve2": "maintenance"}}, {"node_request": {"pve2": {"maintenance": 1}}}],
)
def test_maintenance_mode_counts_from_the_request_on(status: dict[str, Any]) -> None:
    assert pve.ha(manager(**status), []).maintenance == {"pve2"}


def test_maintenance_mode_counts_while_the_local_manager_still_has_it() -> None:
    row = {**manager(), "lrm_status": {"pve2": {"mode": "maintenance"}}}
    assert pve.ha(row, []).maintenance == {"pve2"}


@pytest.mark.parametrize(("state", "armed"), [("armed", True), ("disarming", False), ("disarmed", False)])
def test_a_disarmed_ha_is_not_armed(state: str, armed: bool) -> None:
    assert pve.ha(manager(), [{"type": "fencing", "armed-state": state}]).armed is armed


# ---- tasks ---------------------------------------------------------------------------------------------------------


def task_row(upid: str = "UPID:a", **more: Any) -> dict[str, Any]:
    return {"upid": upid, "node": "pve1", "type": "vzdump", "id": "", "user": "root@pam", "starttime": 7, **more}


def test_a_task_that_ended_is_not_running() -> None:
    rows: dict[str, Any] = {f"nodes/{node}/tasks": [] for node in NODES}
    rows["nodes/pve1/tasks"] = [task_row("UPID:runs"), task_row("UPID:ended", endtime=9, status="OK")]
    _, asked = told_by(rows)
    assert [task.upid for task in asked.tasks("")] == ["UPID:runs"]


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"status": "running"}, TaskState(True)),
        ({"status": "stopped", "exitstatus": "OK"}, TaskState(False)),
        ({"status": "stopped", "exitstatus": "WARNINGS: 2"}, TaskState(False)),
        ({"status": "stopped", "exitstatus": "migration aborted"}, TaskState(False, "migration aborted")),
        ({"status": "stopped", "exitstatus": "unexpected status"}, TaskState(False, "unexpected status")),
        ({"status": "stopped"}, TaskState(False, "it left no exit status")),
    ],
)
def test_a_task_ends_well_only_with_ok_or_warnings(row: dict[str, Any], state: TaskState) -> None:
    assert pve.task_state(row) == state


def ours(upid_time: str, **more: Any) -> dict[str, Any]:
    upid = f"UPID:pve1:0001:0002:{upid_time}:qmigrate:101:roundsman@pve!bot:"
    return task_row(upid, type="qmigrate", id="101", user="roundsman@pve", **more)


def test_the_newest_task_of_our_own_is_found() -> None:
    rows = [
        ours("A", starttime=100),
        ours("B", starttime=200),
        ours("C", starttime=300) | {"type": "qmstart"},
        ours("D", starttime=300) | {"id": "102"},
        task_row("UPID:pve1:1:2:E:qmigrate:101:root@pam:", type="qmigrate", id="101", starttime=400),
    ]
    _, asked = told_by({"cluster/tasks": rows})
    assert asked.find_task("qmigrate", 101, since=90, avoid="") == TaskRef(rows[1]["upid"])


def test_a_node_s_clock_may_be_a_little_behind() -> None:
    _, asked = told_by({"cluster/tasks": [ours("A", starttime=97)]})
    assert asked.find_task("qmigrate", 101, since=100, avoid="") is not None
    assert asked.find_task("qmigrate", 101, since=110, avoid="") is None


# ---- backups -------------------------------------------------------------------------------------------------------


def backup_row(vmid: int, ctime: int, **more: Any) -> dict[str, Any]:
    return {"volid": f"b:{vmid}/{ctime}", "vmid": vmid, "ctime": ctime, "size": 10, **more}


def test_backups_of_critical_guests_are_read_once_from_each_storage() -> None:
    shared = {"storage": "pbs", "active": 1, "shared": 1}
    answers: dict[str, Any] = {f"nodes/{node}/storage": [shared] for node in NODES}
    answers["nodes/pve2/storage"] = [shared, {"storage": "local", "active": 1, "shared": 0}]
    answers["nodes/pve1/storage/pbs/content"] = [
        backup_row(101, 100),
        backup_row(101, 300, verification={"state": "ok"}),
        backup_row(999, 500),
    ]
    answers["nodes/pve2/storage/local/content"] = [backup_row(102, 200, verification={"state": "failed"}, protected=1)]
    group = GuestGroup(name="routers", guests=(101,))
    _, asked = told_by(answers, groups=(group,), backups=BackupSettings(critical=(102,)))
    assert [(found.guest, found.made_at, found.verified) for found in asked.backups("")] == [
        (101, 300.0, True),
        (101, 100.0, None),
        (102, 200.0, False),
    ]


def test_backups_are_asked_for_by_guest_and_of_no_other_guest() -> None:
    answers: dict[str, Any] = {f"nodes/{node}/storage": [] for node in NODES}
    answers["nodes/pve1/storage"] = [{"storage": "pbs", "active": 1, "shared": 1}]
    answers["nodes/pve1/storage/pbs/content"] = []
    group = GuestGroup(name="routers", guests=(101, 102))
    api, asked = told_by(answers, groups=(group,), backups=BackupSettings(critical=(102, 103)))
    assert asked.backups("") == ()
    asks = [params for path, params in api.asked if path.endswith("/content")]
    assert asks == [{"content": "backup", "vmid": guest} for guest in (101, 102, 103)]


def test_where_no_guest_must_have_a_backup_nothing_is_asked() -> None:
    api, asked = told_by({})
    assert (asked.backups(""), api.asked) == ((), [])


def test_a_storage_that_is_off_on_one_node_is_read_on_another() -> None:
    answers: dict[str, Any] = {
        f"nodes/{node}/storage": [{"storage": "nfs", "active": 1, "shared": 1}] for node in NODES
    }
    answers["nodes/pve1/storage"] = [{"storage": "nfs", "active": 0, "shared": 1}]
    answers["nodes/pve2/storage/nfs/content"] = [backup_row(102, 200)]
    _, asked = told_by(answers, backups=BackupSettings(critical=(102,)))
    assert [found.guest for found in asked.backups("")] == [102]


def test_only_the_newest_backups_are_kept() -> None:
    many = [pve.backup("pbs", backup_row(101, n)) for n in range(50)]
    assert [found.made_at for found in pve.newest(many, at_most=2)] == [49.0, 48.0]


# ---- moves ---------------------------------------------------------------------------------------------------------


def test_where_a_vm_may_go_and_why_not_elsewhere() -> None:
    answer = {
        "running": 1,
        "allowed_nodes": ["pve2", "elsewhere"],
        "not_allowed_nodes": {
            "pve3": {
                "unavailable_storages": ["local-zfs", "nvme"],
                "blocking-ha-resources": [{"sid": "vm:102", "cause": "resource-affinity"}],
            }
        },
        "local_disks": [{"volid": "local-lvm:vm-101-disk-0", "cdrom": 0}],
        "local_resources": [],
    }
    assert pve.move(ROUTER, answer, ["pve2", "pve3"]) == Move(
        guest=101,
        allowed=("pve2",),
        why_not={
            "pve3": "unavailable storages: local-zfs, nvme; blocking ha resources: vm:102 resource-affinity",
        },
        local_disks=("local-lvm:vm-101-disk-0",),
    )


DEVICE = {"allowed_nodes": ["pve2", "pve3"], "local_resources": ["hostpci0"]}
CD = {"allowed_nodes": ["pve2", "pve3"], "local_disks": [{"volid": "local:iso/x.iso", "cdrom": 1}]}
MAPPED = {**DEVICE, "mapped-resources": ["hostpci0"], "mapped-resource-info": {"hostpci0": {"name": "gpu"}}}
USES_DEVICE, HAS_CD = "uses local devices: hostpci0", "has a CD-ROM on local storage; eject it"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (DEVICE, USES_DEVICE),
        (MAPPED, USES_DEVICE),
        ({"mapped-resources": ["hostpci0"]}, USES_DEVICE),
        (CD, HAS_CD),
        ({**CD, **DEVICE}, f"{USES_DEVICE}; {HAS_CD}"),
    ],
)
def test_a_running_vm_that_is_bound_to_its_node_may_go_nowhere_whatever_pve_allows(
    answer: dict[str, Any], why: str
) -> None:
    found = pve.move(ROUTER, answer, ["pve2", "pve3"])
    assert (found.allowed, found.why_not) == ((), {"pve2": why, "pve3": why})


def test_what_binds_a_vm_comes_before_pve_s_own_reason() -> None:
    answer = {**DEVICE, "allowed_nodes": ["pve2"], "not_allowed_nodes": {"pve3": {"unavailable_storages": ["nvme"]}}}
    assert pve.move(ROUTER, answer, ["pve2", "pve3"]).why_not == {
        "pve2": USES_DEVICE,
        "pve3": f"{USES_DEVICE}; unavailable storages: nvme",
    }


def test_a_mapped_device_that_pve_calls_fit_for_live_migration_binds_nothing() -> None:
    answer = {**MAPPED, "mapped-resource-info": {"hostpci0": {"name": "gpu", "live-migration": 1}}}
    assert pve.move(ROUTER, answer, ["pve2", "pve3"]).allowed == ("pve2", "pve3")


def test_a_stopped_vm_is_not_bound_by_what_only_a_running_one_holds() -> None:
    stopped = Guest(101, "router-a", "qemu", "pve1", "stopped", 0)
    found = pve.move(stopped, {**DEVICE, **CD}, ["pve2", "pve3"])
    assert (found.allowed, found.local_devices) == (("pve2", "pve3"), ("hostpci0", "CD local:iso/x.iso"))


def test_a_cloud_init_drive_is_a_disk_that_moves_along() -> None:
    disk = {"volid": "local-lvm:vm-101-cloudinit", "cdrom": 1}
    found = pve.move(ROUTER, {"allowed_nodes": ["pve2"], "local_disks": [disk]}, ["pve2", "pve3"])
    assert (found.allowed, found.local_disks) == (("pve2",), ("local-lvm:vm-101-cloudinit",))


def test_a_container_spells_the_same_with_dashes() -> None:
    answer = {"running": 1, "allowed-nodes": ["pve3"], "not-allowed-nodes": {"pve2": {"unavailable-storages": ["x"]}}}
    found = pve.move(BOX, answer, ["pve2", "pve3"])
    assert (found.allowed, found.why_not) == (("pve3",), {"pve2": "unavailable storages: x"})


def test_where_no_allowed_nodes_are_listed_those_are_meant_that_are_not_forbidden() -> None:
    found = pve.move(ROUTER, {"not_allowed_nodes": {"pve2": {"unavailable_storages": ["x"]}}}, ["pve2", "pve3"])
    assert found.allowed == ("pve3",)


def test_before_pve_nine_nobody_can_be_asked_about_a_container() -> None:
    _, asked = told_by({"nodes/pve1/lxc/201/migrate": TooOld("too old")})
    assert asked.move_options(BOX, "").allowed == ("pve2", "pve3")


# ---- acts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disks", "params"),
    [
        ([], {"target": "pve2", "online": True}),
        ([{"volid": "local:1"}], {"target": "pve2", "online": True, "with-local-disks": True}),
    ],
)
def test_a_running_vm_moves_live_and_takes_its_local_disks(disks: list[Any], params: dict[str, Any]) -> None:
    api, asked = told_by({"nodes/pve1/qemu/101/migrate": {"local_disks": disks}})
    asked.migrate(ROUTER, "pve2", "")
    assert api.sent == [("post", "nodes/pve1/qemu/101/migrate", params)]


def test_a_running_container_is_restarted_on_its_new_node() -> None:
    api, asked = told_by({})
    asked.migrate(BOX, "pve2", "")
    assert api.sent == [("post", "nodes/pve1/lxc/201/migrate", {"target": "pve2", "restart": True, "timeout": 180})]


def test_a_stopped_guest_just_moves() -> None:
    api, asked = told_by({})
    asked.migrate(Guest(101, "a", "qemu", "pve1", "stopped", 0), "pve2", "")
    assert api.sent == [("post", "nodes/pve1/qemu/101/migrate", {"target": "pve2"})]


def test_a_task_without_a_name_may_have_started() -> None:
    _, asked = told_by({"sent": None})
    with pytest.raises(Uncertain, match="without naming a task"):
        asked.start(ROUTER, "")


@pytest.mark.parametrize(
    ("config", "on"), [({"onboot": 1}, True), ({"onboot": "1"}, True), ({"onboot": 0}, False), ({}, False)]
)
def test_onboot_is_off_unless_it_is_there(config: dict[str, Any], on: bool) -> None:
    _, asked = told_by({"nodes/pve1/qemu/101/config": config})
    assert asked.onboot(ROUTER, "") is on
