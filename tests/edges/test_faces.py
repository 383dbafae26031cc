"""The faces, driven with the real libraries: proxmoxer over TLS and paramiko over TCP, no wire pretended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from proxmoxer import ResourceException

from cluster.api import Refused, Uncertain, Unreachable
from cluster.ssh import SshNode
from sandbox.lines import Act, Fault, Moment
from sandbox.model import Model
from sandbox.nodes import Faces
from sandbox.spec import ClusterSpec, GuestSpec, default_spec
from tests.edges.facing import HELPER, Night
from tests.waiting import PATIENCE_S


def refused(call: Callable[[], object]) -> ResourceException:
    with pytest.raises(ResourceException) as caught:
        call()
    return caught.value


# ---- who may, and what is understood -----------------------------------------------------------------------------


def test_a_request_that_breaks_the_contract_is_400_and_names_the_parameter(night: Night) -> None:
    error = refused(lambda: night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=True))
    assert error.status_code == 400
    assert error.errors == {"online": "type check ('boolean') failed - got 'True'"}
    assert night.model.guest(night.clock(), 101).node == "pve1"


def test_what_pve_does_not_have_is_501(night: Night) -> None:
    assert refused(lambda: night.api("pve1").nodes("pve1").scan.glusterfs.get()).status_code == 501


def test_a_wrong_token_is_401(night: Night) -> None:
    assert refused(lambda: night.api("pve1", token="guessed").version.get()).status_code == 401


def test_a_missing_privilege_is_named_with_its_path(night: Night) -> None:
    night.faces.acl.take("VM.Migrate")
    error = refused(lambda: night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1))
    assert (error.status_code, error.content) == (403, "Permission check failed (/vms/101, VM.Migrate)")
    assert "VM.Migrate" not in night.api("pve1").access.permissions.get()["/vms"]


def test_the_bot_may_not_reboot_over_the_api(night: Night) -> None:
    error = refused(lambda: night.api("pve1").nodes("pve2").status.post(command="reboot"))
    assert error.content == "Permission check failed (/nodes/pve2, Sys.PowerMgmt)"


def test_a_client_that_trusts_another_authority_gets_no_further_than_tls(night: Night) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{night.settings.nodes['pve1'].api_port}/api2/json/version", timeout=5)


# ---- what the API says, true or not ------------------------------------------------------------------------------


def test_every_read_answers_in_the_shape_of_the_contract(night: Night) -> None:
    night.faces.acl.give("/nodes", "Sys.Modify")  # of these reads the bot needs none that asks for it
    api = night.api("pve1")
    upid = api.nodes("pve1").apt.update.post()
    for path in READS:
        api(path.format(upid=upid)).get()


READS = (
    "version",
    "access/permissions",
    "cluster/status",
    "cluster/resources",
    "cluster/tasks",
    "cluster/options",
    "cluster/config/qdevice",
    "cluster/backup-info/not-backed-up",
    "cluster/ha/status/current",
    "cluster/ha/status/manager_status",
    "cluster/ha/resources",
    "cluster/ha/rules",
    "nodes",
    "nodes/pve2/status",
    "nodes/pve2/apt/update",
    "nodes/pve2/apt/versions",
    "nodes/pve2/storage",
    "nodes/pve2/storage/backup/content",
    "storage",
    "nodes/pve1/tasks",
    "nodes/pve1/tasks/{upid}/status",
    "nodes/pve1/tasks/{upid}/log",
    "nodes/pve1/qemu/101/status/current",
    "nodes/pve1/qemu/101/config",
    "nodes/pve1/qemu/101/migrate",
)


def seen_backups(night: Night, **params: Any) -> list[int]:
    rows = night.api("pve1").nodes("pve2").storage("backup").content.get(content="backup", **params)
    return [row["vmid"] for row in rows]


def test_a_guest_s_backups_are_listed_by_its_number(night: Night) -> None:
    assert (seen_backups(night), seen_backups(night, vmid=102)) == ([101, 102], [102])


@pytest.mark.parametrize("privilege", ["Datastore.AllocateSpace", "VM.Backup"])
def test_a_token_that_lacks_either_privilege_sees_no_backup_and_hears_no_error(night: Night, privilege: str) -> None:
    night.faces.acl.take(privilege)
    assert (seen_backups(night), seen_backups(night, vmid=102)) == ([], [])


def where_is(night: Night, guest: int, ask: str = "pve1") -> dict[str, Any]:
    rows = night.api(ask).cluster.resources.get(type="vm")
    return next(row for row in rows if row["vmid"] == guest)


def test_a_migrated_guest_is_listed_on_its_new_node(night: Night) -> None:
    upid = night.api("pve2").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1)
    assert where_is(night, 101)["lock"] == "migrate"
    night.pass_time(60)
    assert night.api("pve2").nodes("pve1").tasks(upid).status.get()["exitstatus"] == "OK"
    assert where_is(night, 101)["node"] == "pve2"


def test_a_task_of_a_token_names_its_user_and_the_token_apart(night: Night) -> None:
    upid = night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1)
    row = night.api("pve1").nodes("pve1").tasks.get(source="active")[0]
    assert (row["upid"], row["user"], row["tokenid"]) == (upid, "roundsman@pve", "bot")


def test_the_task_of_a_guest_under_ha_says_ok_before_anything_moved(night: Night) -> None:
    upid = night.api("pve1").nodes("pve3").qemu(104).migrate.post(target="pve2", online=1)
    night.pass_time(3)
    assert night.api("pve1").nodes("pve3").tasks(upid).status.get()["exitstatus"] == "OK"
    assert (where_is(night, 104)["node"], where_is(night, 104)["hastate"]) == ("pve3", "migrate")
    night.pass_time(120)
    assert (where_is(night, 104)["node"], where_is(night, 104)["hastate"]) == ("pve2", "started")


def test_migrateall_says_ok_with_a_guest_left(start_night: Callable[[ClusterSpec], Night]) -> None:
    stuck = GuestSpec(105, "with a card", "pve1", stays="local resource hostpci0")
    night = start_night(ClusterSpec.from_dict({"guests": [{"id": 101, "name": "a", "node": "pve1"}, _row(stuck)]}))
    upid = night.api("pve2").nodes("pve1").migrateall.post(target="pve2", **{"max-workers": 2})
    night.pass_time(120)
    task = night.api("pve2").nodes("pve1").tasks(upid)
    assert (task.status.get()["exitstatus"], task.log.get()[1]["t"]) == ("OK", "All jobs finished")
    assert (where_is(night, 101)["node"], where_is(night, 105)["node"]) == ("pve2", "pve1")


def _row(guest: GuestSpec) -> dict[str, Any]:
    return {"id": guest.id, "name": guest.name, "node": guest.node, "stays": guest.stays}


def test_onboot_is_there_or_not_at_all(night: Night) -> None:
    config = night.api("pve1").nodes("pve1").qemu(101).config
    assert config.get()["onboot"] == 1
    config.put(onboot=0)
    assert "onboot" not in config.get()


def test_a_guest_elsewhere_is_not_found_under_this_node(night: Night) -> None:
    error = refused(lambda: night.api("pve1").nodes("pve2").qemu(101).config.get())
    assert (error.status_code, "does not exist" in error.content) == (500, True)


def test_a_dead_node_is_595_from_the_others_and_refuses_by_itself(night: Night) -> None:
    night.power_cut("pve2")
    error = refused(lambda: night.api("pve1").nodes("pve2").qemu(102).config.get())
    assert (error.status_code, error.content) == (595, "No route to host")
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        night.api("pve2").version.get()


def test_a_node_that_hangs_is_596_from_the_others(night: Night) -> None:
    night.faces.faults.plan(Fault.HANG, node="pve2", what="qemu/102")
    error = refused(lambda: night.api("pve1").nodes("pve2").qemu(102).config.get())
    assert (error.status_code, error.content) == (596, "Connection timed out")


def test_a_dead_node_stays_in_the_lists_for_a_while(night: Night) -> None:
    night.power_cut("pve2")
    night.pass_time(2)
    assert where_is(night, 102)["status"] == "running"
    assert online(night) == {"pve1": 1, "pve2": 1, "pve3": 1}
    night.pass_time(20)
    assert online(night) == {"pve1": 1, "pve2": 0, "pve3": 1}


def online(night: Night) -> dict[str, int]:
    return {row["name"]: row["online"] for row in night.api("pve1").cluster.status.get() if row["type"] == "node"}


def test_online_is_not_back(night: Night) -> None:
    boot_id = night.helper("pve2", "status")["boot_id"]
    night.helper("pve2", "reboot", boot_id, str(night.helper("pve2", "status")["uptime"] + 10))
    timings = night.model.spec.timings
    night.pass_time(timings.going_down + timings.boot + 1)
    assert online(night)["pve2"] == 1
    assert refused(lambda: night.api("pve1").nodes("pve2").status.get()).content == "Connection refused"
    night.pass_time(timings.api_lag)
    assert night.api("pve1").nodes("pve2").status.get()["uptime"] < 60


# ---- ssh ---------------------------------------------------------------------------------------------------------


def test_the_helper_tells_boot_kernel_and_votes(night: Night) -> None:
    status = night.helper("pve1", "status")
    assert (status["node"], status["kernel"]) == ("pve1", "6.8.12-4-pve")
    assert status["votes"] == {
        "nodes": {"pve1": 1, "pve2": 1, "pve3": 1},
        "expected": 3,
        "total": 3,
        "quorum": 2,
        "qdevice": 0,
    }


def test_nothing_but_the_helper_runs(night: Night) -> None:
    assert night.ssh("pve1", "sudo", "-n", "reboot").err == b"sudo: a password is required\n"
    assert night.ssh("pve1", "reboot").rc == 127
    assert night.model.node("pve1").lit


def test_an_order_that_the_real_helper_does_not_know_is_refused(night: Night) -> None:
    done = night.ssh("pve1", *HELPER, "reboot", "now")
    assert (done.rc, json.loads(done.out)["refused"]) == (3, "roundsman-helper does not understand 'reboot now'")


def test_a_reboot_that_was_approved_for_another_boot_is_refused(night: Night) -> None:
    uptime = night.helper("pve2", "status")["uptime"]
    done = night.ssh("pve2", *HELPER, "reboot", "0" * 8 + "-0000" * 3 + "-" + "0" * 12, str(uptime + 10))
    assert done.rc == 3
    assert "not 00000000" in json.loads(done.out)["refused"]


def test_maintenance_mode_shows_up_later(night: Night) -> None:
    not_after = str(night.helper("pve3", "status")["uptime"] + 10)
    assert night.helper("pve3", "maintenance", "on", not_after) == {"node": "pve3", "requested": "on"}
    assert night.api("pve1").cluster.ha.status.manager_status.get()["manager_status"]["node_request"]["pve3"] == {}
    night.pass_time(30)
    status = night.api("pve1").cluster.ha.status.manager_status.get()
    assert status["manager_status"]["node_request"]["pve3"] == {"maintenance": 1}
    assert status["lrm_status"]["pve3"]["mode"] == "maintenance"


def test_maintenance_mode_that_is_asked_for_too_late_is_refused(night: Night) -> None:
    done = night.ssh("pve3", *HELPER, "maintenance", "on", str(night.helper("pve3", "status")["uptime"] - 1))
    assert (done.rc, "too late" in json.loads(done.out)["refused"]) == (3, True)


def test_a_key_that_is_not_the_bots_does_not_get_in(night: Night, tmp_path: Path) -> None:
    stranger = Faces(Model(default_spec()), night.clock, _made(tmp_path / "stranger"))
    login = night.settings.ssh.model_copy(update={"key_file": stranger.section()["ssh"]["key_file"]})
    with pytest.raises(Refused, match="does not let roundsman in"):
        SshNode("pve1", night.settings.nodes["pve1"], login).run(HELPER, 5)
    stranger.stop()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_another_host_key_is_noticed(night: Night) -> None:
    known = night.settings.nodes["pve1"]
    night.faces.change_host_key("pve1")
    with pytest.raises(Refused, match="installed anew, or something else is in its place"):
        SshNode("pve1", known, night.settings.ssh).run((*HELPER, "status"), 5)


def test_a_dead_node_refuses_ssh(night: Night) -> None:
    night.power_cut("pve2")
    with pytest.raises(Unreachable):
        night.ssh("pve2", *HELPER, "status")


@pytest.mark.slow
@pytest.mark.timing
def test_a_flood_and_a_silence_end_in_time(night: Night) -> None:
    night.faces.faults.plan(Fault.FLOOD, node="pve1", what="status")
    night.faces.faults.plan(Fault.HANG, node="pve2", what="status")
    began = time.monotonic()
    with pytest.raises(Uncertain, match="more than"):
        night.ssh("pve1", *HELPER, "status", timeout=PATIENCE_S)
    assert time.monotonic() - began < 8
    with pytest.raises(Uncertain, match="did not end within 3 s"):
        night.ssh("pve2", *HELPER, "status", timeout=3)


# ---- lines that break at the worst moment ------------------------------------------------------------------------


def test_a_line_that_breaks_before_the_act_leaves_nothing_behind(night: Night) -> None:
    night.faces.faults.plan(Fault.DROP_BEFORE, what="migrate")
    with pytest.raises(requests.exceptions.ConnectionError):
        night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1)
    assert "lock" not in where_is(night, 101)


def test_a_line_that_breaks_after_the_act_leaves_its_effect(night: Night) -> None:
    night.faces.faults.plan(Fault.DROP_AFTER, what="migrate")
    with pytest.raises(requests.exceptions.ConnectionError):
        night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1)
    assert where_is(night, 101)["lock"] == "migrate"


def test_acts_are_announced_on_receipt_and_after_their_effect(night: Night) -> None:
    seen: list[tuple[Act, bool]] = []
    night.faces.on_act(lambda act: seen.append((act, night.model.guests.get(101).lock == "migrate")))
    night.api("pve1").nodes("pve1").qemu(101).migrate.post(target="pve2", online=1)
    assert seen == [
        (Act("101", "migrate", Moment.RECEIVED), False),
        (Act("101", "migrate", Moment.DONE), True),
    ]
