"""Bringing guests back with the bot's real libraries: proxmoxer over TLS and paramiko against the stand-in, whose every
request is judged by the contract; and beside it `SimRescue` on the same model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cluster.api import Cluster, ClusterError, NotSplit, Refused, TaskRef, Uncertain, Unreachable
from cluster.facts import Backup, Guest
from cluster.live import LiveCluster
from cluster.rescue import Rescue, progress
from sandbox.direct import SimCluster
from sandbox.faults import Fault as ModelFault
from sandbox.faults import Kind
from sandbox.lines import Fault
from sandbox.model import What
from sandbox.spec import GIB, BackupSpec, ClusterSpec, GuestSpec, StorageSpec, default_spec
from tests.edges.facing import Night

VOLID = "backup:backup/vm/101/"


class Pair:
    """One model, reached both ways."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.live: Cluster = LiveCluster(night.settings, night.clock, lambda _: None)
        self.sim = SimCluster(night.model, night.settings, night.clock)

    @property
    def rescue(self) -> Rescue:
        return self.live.rescue

    def direct(self, ask: Callable[[Rescue], Any]) -> Any:
        return self.night.faces.run(lambda: ask(self.sim.rescue))

    def guest(self, number: int) -> Guest:
        return next(guest for guest in self.live.guests() if guest.id == number)

    def stop(self, number: int) -> None:
        self.rescue.stop(self.guest(number))
        self.night.pass_time(5)

    def aside(self, number: int) -> str:
        """Stopped, its disks detached; the newest backup's volume id."""
        self.stop(number)
        guest = self.guest(number)
        config = self.rescue.config(guest)
        self.rescue.detach(guest, [disk.slot for disk in config.disks], config.digest)
        return self.rescue.backups(number)[0].volid

    def fault(self, kind: Kind, **more: Any) -> None:
        self.night.faces.run(lambda: self.night.model.trouble.begin(ModelFault(kind, **more)))


@pytest.fixture
def spec() -> ClusterSpec:
    usual = default_spec()
    dns = GuestSpec(110, "dns", "pve3", kind="lxc", status="stopped")
    backups = (BackupSpec(101), BackupSpec(101, age=3e5, storage="nas", verified=None, notes="before the move"))
    return replace(
        usual,
        guests=(*usual.guests, dns),
        storages=(StorageSpec("nas"),),
        keep_last={"nas": 1},
        backups=(*backups, BackupSpec(102, protected=True), BackupSpec(110)),
    )


@pytest.fixture
def pair(start_night: Callable[[ClusterSpec], Night], spec: ClusterSpec) -> Iterator[Pair]:
    pair = Pair(start_night(spec))
    yield pair
    pair.live.close()  # type: ignore[attr-defined]


def _backups(number: int, rescue: Rescue) -> Any:
    return rescue.backups(number)


def _config(guest: Guest, rescue: Rescue) -> Any:
    return rescue.config(guest)


# ---- reads ---------------------------------------------------------------------------------------------------------


def test_backups_configuration_and_storages_read_the_same_both_ways(pair: Pair) -> None:
    for number in (101, 102, 110):
        guest = pair.guest(number)
        assert pair.rescue.backups(number) == pair.direct(partial(_backups, number))
        assert pair.rescue.config(guest) == pair.direct(partial(_config, guest))
    assert set(pair.rescue.spaces()) == set(pair.direct(lambda r: r.spaces()))
    assert pair.rescue.free_id() == pair.direct(lambda r: r.free_id()) == 100


def test_a_vzdump_file_and_a_backup_servers_snapshot_are_both_found_newest_first(pair: Pair) -> None:
    snapshot, dump = pair.rescue.backups(101)
    assert snapshot.volid.startswith(VOLID)
    assert dump.volid.startswith("nas:backup/vzdump-qemu-101-")
    assert (dump.verified, dump.notes) == (None, "before the move")


def test_a_disk_is_told_with_its_size_and_its_storage(pair: Pair) -> None:
    (disk,) = pair.rescue.config(pair.guest(101)).disks
    assert (disk.slot, disk.volid, disk.size, disk.storage) == (
        "scsi0",
        "vmstore:101/vm-101-disk-0.raw",
        16 * GIB,
        "vmstore",
    )


def test_with_a_node_off_the_others_still_tell(pair: Pair) -> None:
    pair.night.power_cut("pve3")
    pair.night.pass_time(30)
    assert [backup.storage for backup in pair.rescue.backups(101)] == ["backup", "nas"]
    assert {space.node for space in pair.rescue.spaces()} == {"pve1", "pve2"}


def test_a_storage_that_cannot_be_listed_hides_no_other(pair: Pair) -> None:
    pair.night.faces.faults.plan(Fault.GARBAGE, what="storage/nas/content", times=99)
    assert [backup.storage for backup in pair.rescue.backups(101)] == ["backup"]


def test_if_no_storage_can_be_listed_that_is_the_answer(pair: Pair) -> None:
    pair.night.faces.faults.plan(Fault.GARBAGE, what="/content", times=99)
    with pytest.raises(ClusterError, match="not as the Proxmox VE API does"):
        pair.rescue.backups(101)


def test_an_agent_that_does_not_answer_is_no_error(pair: Pair) -> None:
    assert pair.rescue.agent_answers(pair.guest(101))
    pair.stop(101)
    assert not pair.rescue.agent_answers(pair.guest(101))


# ---- a virtual machine ---------------------------------------------------------------------------------------------


def test_a_vm_is_restored_over_and_its_detached_disk_stays(pair: Pair) -> None:
    volid = pair.aside(101)
    task = pair.rescue.restore(101, "qemu", "pve1", volid, "local", over=True)
    pair.night.pass_time(100)
    seen = progress(pair.rescue.log(task))
    assert seen.percent == 30
    assert pair.live.task(task).running
    assert pair.live.find_task("qmrestore", 101, pair.night.clock() - 200) == task
    pair.night.pass_time(200)
    assert (pair.live.task(task).running, pair.live.task(task).error) == (False, "")
    config = pair.rescue.config(pair.guest(101))
    assert [disk.storage for disk in config.disks] == ["local"]
    assert [disk.volid for disk in config.unused] == ["vmstore:101/vm-101-disk-0.raw"]
    pair.live.start(pair.guest(101))
    pair.night.pass_time(10)
    assert pair.rescue.agent_answers(pair.guest(101))


def test_unused_disks_are_deleted_for_good_and_with_a_split_image_goes_its_split_brain(pair: Pair) -> None:
    pair.fault(Kind.SPLIT_BRAIN, guest=101)
    pair.aside(101)
    guest = pair.guest(101)
    with pytest.raises(Refused, match="detected modified configuration"):
        pair.rescue.forget(guest, ["unused0"], "0" * 40)
    config = pair.rescue.config(guest)
    pair.rescue.forget(guest, [disk.slot for disk in config.unused], config.digest)
    assert (pair.rescue.config(guest).unused, pair.rescue.troubles()) == ((), ())


def test_what_is_attached_is_deleted_before_the_first_byte_and_a_failure_leaves_nothing(pair: Pair) -> None:
    pair.stop(101)
    pair.fault(Kind.ARCHIVE_BAD, guest=101)
    task = pair.rescue.restore(101, "qemu", "pve1", pair.rescue.backups(101)[0].volid, "local", over=True)
    assert [e.text for e in pair.night.model.events if e.what is What.DISKS_FREED] == ["vmstore:101/vm-101-disk-0.raw"]
    assert pair.guest(101).lock == "create"
    pair.night.pass_time(300)
    assert "vma extract" in pair.live.task(task).error
    config = pair.rescue.config(pair.guest(101))
    assert (config.disks, config.unused, pair.guest(101).lock) == ((), (), "")


def test_a_running_guest_is_not_restored_over_by_proxmox_ve_either(pair: Pair) -> None:
    task = pair.rescue.restore(101, "qemu", "pve1", pair.rescue.backups(101)[0].volid, "local", over=True)
    pair.night.pass_time(5)
    assert "vm is running" in pair.live.task(task).error
    assert pair.guest(101).running


def test_a_configuration_that_changed_keeps_its_disks(pair: Pair) -> None:
    pair.stop(101)
    guest = pair.guest(101)
    with pytest.raises(Refused, match="detected modified configuration"):
        pair.rescue.detach(guest, ["scsi0"], "0" * 40)
    assert pair.rescue.config(guest).disks


def test_the_disks_of_a_guest_that_runs_are_not_taken_away_though_the_listing_still_says_stopped(pair: Pair) -> None:
    """The listing is some seconds old, and Proxmox VE would unplug them from under a running guest."""
    listed = replace(pair.guest(101), status="stopped")
    config = pair.rescue.config(listed)
    with pytest.raises(Refused, match="guest 101 is running on pve1: its disks are not taken away"):
        pair.rescue.detach(listed, ["scsi0"], config.digest)
    assert pair.rescue.config(listed).disks == config.disks


def test_a_pruned_backup_and_a_full_storage_are_told(pair: Pair) -> None:
    volid = pair.aside(101)
    with pytest.raises(Refused, match="does not exist"):
        pair.rescue.restore(101, "qemu", "pve1", f"{VOLID}2020-01-01T00:00:00Z", "local", over=True)
    pair.fault(Kind.STORAGE_FULL, text="local", amount=3.0)
    task = pair.rescue.restore(101, "qemu", "pve1", volid, "local", over=True)
    pair.night.pass_time(5)
    assert pair.live.task(task).error == "no space left on device"


def test_without_force_an_id_that_is_taken_is_refused(pair: Pair) -> None:
    with pytest.raises(Refused, match="already exists"):
        pair.rescue.restore(102, "qemu", "pve1", pair.rescue.backups(101)[0].volid, "local", over=False)


def test_a_line_that_breaks_after_a_restore_leaves_its_task_to_be_found(pair: Pair) -> None:
    volid, since = pair.aside(101), pair.night.clock() - 5
    pair.night.faces.faults.plan(Fault.DROP_AFTER, what="POST /nodes/pve1/qemu")
    with pytest.raises(Uncertain):
        pair.rescue.restore(101, "qemu", "pve1", volid, "local", over=True)
    found = pair.live.find_task("qmrestore", 101, since)
    assert found is not None
    assert pair.live.task(found).running


# ---- a copy, a container, a backup ---------------------------------------------------------------------------------


def test_a_copy_is_made_unplugged_started_and_deleted(pair: Pair) -> None:
    copy = pair.rescue.free_id()
    pair.rescue.restore(copy, "qemu", "pve2", pair.rescue.backups(101)[0].volid, "vmstore", over=False)
    pair.night.pass_time(300)
    guest = pair.guest(copy)
    networks = pair.rescue.config(guest).networks
    assert networks == ("net0",)
    pair.rescue.unplug(guest, networks)
    assert pair.rescue.config(guest).networks == ()
    pair.rescue.delete(guest)
    pair.night.pass_time(10)
    assert copy not in [guest.id for guest in pair.live.guests()]


def test_a_container_is_restored_under_a_new_id(pair: Pair) -> None:
    task = pair.rescue.restore(100, "lxc", "pve3", pair.rescue.backups(110)[0].volid, "local", over=False)
    pair.night.pass_time(300)
    assert pair.live.task(task).error == ""
    assert (pair.guest(100).kind, pair.guest(110).status) == ("lxc", "stopped")


def test_a_backup_is_made_and_listed(pair: Pair) -> None:
    task = pair.rescue.back_up(pair.guest(103), "backup", "Roundsman, {{guestname}}", protected=False)
    assert pair.guest(103).lock == "backup"
    pair.night.pass_time(300)
    assert pair.live.task(task).error == ""
    (made,) = pair.rescue.backups(103)
    assert made.notes == "Roundsman, {{guestname}}"


def test_a_backup_prunes_nothing_and_a_full_storage_takes_a_protected_one_beside_the_good_one(pair: Pair) -> None:
    assert pair.rescue.keeps("pve1", "nas") == pair.direct(lambda r: r.keeps("pve1", "nas")) == 1
    assert pair.rescue.keeps("pve1", "backup") == 0
    good = on_nas(pair)
    refused = pair.rescue.back_up(pair.guest(101), "nas", "", protected=False)
    pair.night.pass_time(300)
    assert pair.live.task(refused).error == "job errors"
    assert any("max backup limit of 1" in line for line in pair.rescue.log(refused))
    assert on_nas(pair) == good
    pair.rescue.back_up(pair.guest(101), "nas", "", protected=True)
    pair.night.pass_time(300)
    assert [one.protected for one in on_nas(pair)] == [True, False]
    assert on_nas(pair)[1:] == good


def on_nas(pair: Pair) -> list[Backup]:
    return [one for one in pair.rescue.backups(101) if one.storage == "nas"]


def test_a_privilege_that_is_missing_is_named_with_the_line_that_grants_it(pair: Pair) -> None:
    volid = pair.aside(101)
    pair.night.faces.acl.take("VM.Backup")
    with pytest.raises(Refused, match=r"lacks VM\.Backup on /vms/101") as caught:
        pair.rescue.restore(101, "qemu", "pve1", volid, "local", over=True)
    assert "pveum role modify" in caught.value.hint


# ---- over the node helper ------------------------------------------------------------------------------------------


def test_what_gluster_has_not_healed_is_named_the_same_both_ways(pair: Pair) -> None:
    pair.fault(Kind.SPLIT_BRAIN, guest=101)
    found = set(pair.rescue.troubles())
    assert found == set(pair.direct(lambda r: r.troubles()))
    assert {(t.name, t.split) for t in found} >= {("/images/101/vm-101-disk-0.raw", True)}


def test_an_image_of_which_a_piece_alone_is_split_is_found_by_its_path(pair: Pair) -> None:
    pair.fault(Kind.SPLIT_BRAIN, guest=101, text="shard")
    assert {trouble.name[:8] for trouble in pair.rescue.troubles() if trouble.split} == {"/.shard/"}
    split = pair.rescue.split("vmstore", "/images/101/vm-101-disk-0.raw")
    assert split == pair.direct(lambda r: r.split("vmstore", "/images/101/vm-101-disk-0.raw"))
    assert split.entries == (f"/.shard/{split.gfid}.7",)
    with pytest.raises(NotSplit):
        pair.rescue.split("vmstore", "/images/102/vm-102-disk-0.raw")


def test_one_side_of_a_split_image_is_chosen_while_the_guest_is_stopped(pair: Pair) -> None:
    pair.fault(Kind.SPLIT_BRAIN, guest=101)
    split = pair.rescue.split("vmstore", "/images/101/vm-101-disk-0.raw")
    assert split == pair.direct(lambda r: r.split("vmstore", "/images/101/vm-101-disk-0.raw"))
    with pytest.raises(Refused, match="not stopped"):
        pair.rescue.choose(split, split.sides[1].brick)
    pair.stop(101)
    with pytest.raises(Refused, match="has changed since it was approved"):
        pair.rescue.choose(replace(split, entries=split.entries[:1]), split.sides[1].brick)
    pair.rescue.choose(split, split.sides[1].brick)
    assert pair.rescue.troubles() == ()


def test_a_lock_is_taken_off_only_if_it_is_that_one(pair: Pair) -> None:
    pair.fault(Kind.GUEST_LOCKED, guest=101, text="migrate")
    with pytest.raises(Refused, match="not by backup"):
        pair.rescue.unlock(pair.guest(101), "backup")


def test_ha_is_told_what_to_make_of_a_guest(pair: Pair) -> None:
    pair.fault(Kind.HA_ERROR, guest=104)
    pair.rescue.ha_state(pair.guest(104), "disabled", "pve2", uptime(pair, "pve2") + 10)
    assert pair.guest(104).ha == "disabled"
    pair.rescue.ha_state(pair.guest(104), "started", "pve2", uptime(pair, "pve2") + 10)
    pair.night.pass_time(30)
    assert pair.guest(104).running


def test_ha_is_told_nothing_by_an_order_that_is_late(pair: Pair) -> None:
    late = uptime(pair, "pve2") - 1
    with pytest.raises(Refused, match="too late"):
        pair.rescue.ha_state(pair.guest(104), "disabled", "pve2", late)
    assert pair.guest(104).running


def uptime(pair: Pair, node: str) -> float:
    return pair.live.node_status(node).uptime


# ---- the power switch ----------------------------------------------------------------------------------------------


def power(night: Night, *command: str) -> Rescue:
    settings = night.settings
    node = settings.nodes["pve3"].model_copy(update={"power_cycle": command})
    nodes = {**settings.nodes, "pve3": node}
    return LiveCluster(settings.model_copy(update={"nodes": nodes}), night.clock, lambda _: None).rescue


def test_a_dead_node_is_known_by_its_own_silence_and_the_others_word(pair: Pair) -> None:
    assert pair.rescue.answers("pve3") == "ssh"
    pair.night.power_cut("pve3")
    pair.night.pass_time(30)
    assert pair.rescue.answers("pve3") == ""


def test_the_power_command_runs_without_a_shell(pair: Pair, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"import sys; open({str(told)!r}, 'w').write(repr(sys.argv[1:]))"
    power(pair.night, sys.executable, "-c", script, "$(reboot)", "a b").power_cycle("pve3")
    assert told.read_text() == "['$(reboot)', 'a b']"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ((), "the settings name no command"),
        (("/nonexistent/ipmitool",), "cannot be run"),
        ((sys.executable, "-c", "import sys; sys.exit('no route to the BMC')"), "no route to the BMC"),
    ],
)
def test_a_power_command_that_does_not_work_is_told(pair: Pair, command: tuple[str, ...], why: str) -> None:
    with pytest.raises(Refused, match=why):
        power(pair.night, *command).power_cycle("pve3")


def test_nobody_answers_nobody_knows(pair: Pair) -> None:
    for node in ("pve1", "pve2", "pve3"):
        pair.night.power_cut(node)
    pair.night.pass_time(30)
    with pytest.raises(Unreachable):
        pair.rescue.answers("pve3")
    with pytest.raises(Unreachable):
        pair.rescue.spaces()
    with pytest.raises(Unreachable):
        pair.live.task(TaskRef("UPID:pve1:00001001:00000000:6B49D200:qmrestore:101:roundsman@pve!bot:"))
