"""What a restore chooses: which backup, which node, which storage; and why not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Unreachable
from cluster.facts import Backup, Guest
from cluster.rescue import Disk, GuestConfig, Space, Trouble
from sandbox.spec import default_spec, managed_settings
from workflows import messages_backup, messages_drill
from workflows import messages_restore as words
from workflows.restore_look import (
    Case,
    Sick,
    choose_backup,
    choose_node,
    choose_storage,
    find_guest,
    image_in,
    is_dead,
    is_image_of,
    is_sick,
    listed_images,
    nameless,
    sickness,
    volume_of,
)

GIB = 1 << 30
SETTINGS = managed_settings(default_spec())
ROUTER = Guest(101, "router-a", "qemu", "pve1", "io-error", 2 * GIB)
DISK = Disk("scsi0", "vmstore:101/vm-101-disk-0.raw", 16 * GIB, "vmstore:101/vm-101-disk-0.raw,size=16G")
GLUSTER = Space("pve1", "vmstore", "dir", True, True, 600 * GIB, ("images", "rootdir"), "/mnt/pve/vmstore")
LOCAL = Space("pve1", "local", "dir", False, True, 600 * GIB, ("images", "rootdir"), "/var/lib/vz")
NFS = Space("pve1", "nas", "nfs", True, True, 300 * GIB, ("images",), "/mnt/pve/nas")
PBS = Space("pve1", "backup", "pbs", True, True, 600 * GIB, ("backup",))
HEALTHY = Sick(frozenset())
SPLIT = Sick(frozenset({"vmstore"}), (Trouble("vmstore", "pve1:/b", "/images/101/vm-101-disk-0.raw", True),))


def backup(age: float = 6.0, **more: Any) -> Backup:
    found = Backup(101, "backup", -age, 4 * GIB, True, volid=f"backup:backup/vm/101/{age:.0f}")
    return replace(found, **more)


def case(*backups: Backup, spaces: tuple[Space, ...] = (GLUSTER, LOCAL, PBS), sick: Sick = HEALTHY) -> Case:
    return Case(ROUTER, GuestConfig("d", (DISK,), ()), backups, spaces, sick)


def chosen(case: Case, wanted: str = "", size: int = 16 * GIB) -> str:
    space, why = choose_storage(SETTINGS, case, "pve1", wanted, size)
    return space.storage if space else why


# ---- the guest -----------------------------------------------------------------------------------------------------


def test_a_guest_is_found_by_id_or_name_and_never_guessed() -> None:
    twin = replace(ROUTER, id=201)
    assert find_guest([ROUTER], "101") == find_guest([ROUTER], "router-a") == (ROUTER, "")
    assert find_guest([ROUTER], "router") == (None, "there is no guest router in the cluster")
    assert find_guest([ROUTER, twin], "router-a")[1] == (
        'several guests are called "router-a": 101, 201; name the one by its id'
    )


@pytest.mark.parametrize(
    ("status", "dead"), [("io-error", True), ("guest-panicked", True), ("paused", False), ("running", False)]
)
def test_only_what_never_goes_on_by_itself_is_dead(status: str, dead: bool) -> None:
    assert is_dead(replace(ROUTER, status=status)) is dead


# ---- the backup ----------------------------------------------------------------------------------------------------


def test_the_newest_that_can_be_restored_is_taken() -> None:
    empty, bad, good = backup(1, size=0), backup(2, verified=False), backup(3)
    assert choose_backup(case(empty, bad, good), "") == (good, "")


def test_one_that_failed_in_this_run_is_passed_over_unless_it_is_named() -> None:
    first, second = backup(1), backup(2)
    assert choose_backup(case(first, second), "", [first.volid]) == (second, "")
    assert choose_backup(case(first, second), first.volid, [first.volid]) == (first, "")


def test_a_storage_may_be_named_in_place_of_a_backup() -> None:
    here, there = backup(1), backup(2, storage="nas", volid="nas:x")
    assert choose_backup(case(here, there), "nas") == (there, "")


@pytest.mark.parametrize(
    ("backups", "source", "why"),
    [
        ((), "", "there is no backup of guest 101 on any storage that answers"),
        ((backup(1),), "tape", "guest 101 has no backup tape; it may have been pruned"),
        (
            (backup(1, verified=False),),
            "",
            "none of 1 backups can be restored; the newest: its verification failed",
        ),
    ],
)
def test_why_there_is_none(backups: tuple[Backup, ...], source: str, why: str) -> None:
    assert choose_backup(case(*backups), source) == (None, why)


# ---- where to ------------------------------------------------------------------------------------------------------


def test_it_goes_back_to_where_it_was_if_that_is_well() -> None:
    assert chosen(case()) == "vmstore"


def test_never_to_the_sick_volume_unless_it_is_named() -> None:
    assert chosen(case(sick=SPLIT)) == "local"
    assert chosen(case(sick=SPLIT), "vmstore") == "vmstore"


def test_shared_before_local() -> None:
    assert chosen(case(spaces=(GLUSTER, LOCAL, NFS), sick=SPLIT)) == "nas"


@pytest.mark.parametrize(
    ("spaces", "wanted", "why"),
    [
        ((GLUSTER, LOCAL), "attic", "pve1 has no storage attic for disks of guests (known: local, vmstore)"),
        ((PBS,), "backup", "pve1 has no storage backup for disks of guests (known: none)"),
        ((replace(LOCAL, active=False),), "local", "storage local is not active on pve1"),
        ((replace(LOCAL, avail=GIB),), "local", "storage local has 1.0 GiB free on pve1, 16.8 GiB are needed"),
        ((GLUSTER,), "", "no storage of pve1 can take 16.8 GiB: vmstore (its volume is not healed)"),
        ((replace(LOCAL, avail=GIB),), "", "no storage of pve1 can take 16.8 GiB: local (1.0 GiB free)"),
        ((PBS,), "", "no storage of pve1 can take 16.8 GiB: there is none for disks of guests"),
    ],
)
def test_why_no_storage_takes_it(spaces: tuple[Space, ...], wanted: str, why: str) -> None:
    assert chosen(case(spaces=spaces, sick=SPLIT), wanted) == why


def test_unknown_is_sick() -> None:
    unknown = Sick(frozenset({"*"}), (), "nobody answers")
    assert is_sick(SETTINGS, unknown, GLUSTER)
    assert not is_sick(SETTINGS, unknown, LOCAL)


@pytest.mark.parametrize(
    ("space", "volume"),
    [
        (GLUSTER, "vmstore"),
        (replace(GLUSTER, path="/mnt/pve/vmstore/images"), "vmstore"),
        (replace(GLUSTER, path="/mnt/pve/other"), "?"),
        (NFS, ""),
        (LOCAL, ""),
    ],
)
def test_which_volume_a_storage_lies_on(space: Space, volume: str) -> None:
    assert volume_of(SETTINGS, space) == volume


def test_a_node_that_cannot_read_the_backup_or_does_not_answer_is_refused() -> None:
    mine = backup(1, node="pve2", volid="local:x")
    assert choose_node(case(), "", mine) == ("", "pve1 cannot read local:x: it lies on a storage of pve2 alone")
    assert choose_node(case(), "pve3", backup(1)) == ("", "pve3 does not answer")
    assert choose_node(case(), "", backup(1)) == ("pve1", "")


def test_only_images_of_this_very_guest_are_named() -> None:
    others = Trouble("vmstore", "pve1:/b", "/images/1010/vm-1010-disk-0.raw", True)
    sick = replace(SPLIT, troubles=(*SPLIT.troubles, others))
    assert listed_images(case(sick=sick)) == list(SPLIT.troubles)


# ---- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "took", "passed", "told"),
    [
        (12.4 * 86400, 250.0, True, "last restore drill of router-a: 12 days ago, 4 min 10 s"),
        (3700.0, 9.0, True, "last restore drill of router-a: 1 hour ago, 9 s"),
        (30.0, 250.0, False, "last restore drill of router-a: just now, failed"),
    ],
)
def test_the_last_drill(age: float, took: float, passed: bool, told: str) -> None:
    assert messages_drill.last_drill("router-a", age, took, passed) == told


def test_after_a_failed_restore_it_is_said_where_the_old_disks_are() -> None:
    old = {"scsi0": "vmstore:101/vm-101-disk-0.raw"}
    assert words.where_old_disks_are(101, "qemu", old, list(old.values())) == (
        "its old disks were not deleted (scsi0 was vmstore:101/vm-101-disk-0.raw); they are still there as unused disks"
    )
    assert "`qm rescan --vmid 101` lists them" in words.where_old_disks_are(101, "qemu", old, [])
    assert words.where_old_disks_are(101, "qemu", {}, []) == "no old disk of it was touched"


# ---- a volume that is mounted elsewhere than the settings say --------------------------------------------------------

BY_HAND = replace(GLUSTER, path="/srv/gluster/vmstore/images-of-guests")


def test_a_storage_on_a_mount_of_gluster_is_on_gluster_wherever_that_is_mounted() -> None:
    """Since Proxmox VE 9 volumes are mounted by hand, and nobody has to tell the settings where."""
    split = replace(SPLIT, mounts=frozenset({"/srv/gluster/vmstore"}))
    assert volume_of(SETTINGS, BY_HAND, split.mounts) == "vmstore"
    assert is_sick(SETTINGS, split, BY_HAND)
    assert not is_sick(SETTINGS, split, replace(LOCAL, path="/srv/gluster/vmstore2"))
    assert chosen(case(spaces=(BY_HAND, LOCAL), sick=split)) == "local"


def test_a_mount_whose_volume_is_not_known_by_its_name_is_as_sick_as_any() -> None:
    split = replace(SPLIT, mounts=frozenset({"/srv/images"}))
    somewhere = replace(GLUSTER, path="/srv/images")
    assert (volume_of(SETTINGS, somewhere, split.mounts), is_sick(SETTINGS, split, somewhere)) == ("?", True)


def test_a_mount_of_another_name_is_sick_while_any_volume_is_and_the_settings_name_none() -> None:
    """`volumes` of the settings is empty unless somebody wrote it, and a storage may be called as it likes."""
    unnamed = SETTINGS.model_copy(update={"gluster": SETTINGS.gluster.model_copy(update={"volumes": ()})})
    named_otherwise = replace(GLUSTER, storage="images", path="/mnt/pve/images")
    assert is_sick(unnamed, SPLIT, named_otherwise)
    assert not is_sick(unnamed, HEALTHY, named_otherwise)
    assert not is_sick(unnamed, SPLIT, LOCAL)


def test_where_gluster_is_mounted_is_asked_of_the_first_node_that_has_it_mounted() -> None:
    told = {"pve1": Unreachable("pve1 does not answer"), "pve2": (), "pve3": ("/srv/gluster/vmstore",)}

    def status(node: str) -> Any:
        if isinstance(mounts := told[node], Unreachable):
            raise mounts
        return SimpleNamespace(gluster_mounts=mounts)

    rescue = SimpleNamespace(troubles=lambda: ())
    cluster = SimpleNamespace(rescue=rescue, heal_progress=lambda _: SimpleNamespace(down=()), node_status=status)
    site: Any = SimpleNamespace(managed=SETTINGS, cluster=cluster)
    assert sickness(site) == Sick(frozenset(), mounts=frozenset({"/srv/gluster/vmstore"}))


@pytest.mark.parametrize(
    ("space", "volid", "image"),
    [
        (GLUSTER, "vmstore:101/vm-101-disk-0.raw", "/images/101/vm-101-disk-0.raw"),
        (GLUSTER, "vmstore:100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2", "/images/101/vm-101-disk-0.qcow2"),
        (replace(GLUSTER, path="/mnt/pve/vmstore/pve/"), "v:101/x.raw", "/pve/images/101/x.raw"),
        (replace(GLUSTER, path="/data/gfs/a"), "v:101/x.raw", "/a/images/101/x.raw"),
        (replace(GLUSTER, images="guests/disks"), "v:101/x.raw", "/guests/disks/101/x.raw"),
        (replace(GLUSTER, images="."), "v:101/x.raw", "/101/x.raw"),
        (Space("pve1", "gfs", "glusterfs", True, True, 0, ("images",)), "gfs:101/x.qcow2", "/images/101/x.qcow2"),
        (LOCAL, "local-lvm:vm-101-disk-0", ""),
    ],
)
def test_where_an_image_lies_in_its_volume(space: Space, volid: str, image: str) -> None:
    disk = Disk("scsi0", volid, 0, volid)
    assert image_in(SETTINGS, space, disk, frozenset({"/data/gfs", "/data"})) == image


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        ("/images/101/vm-101-disk-0.raw", True),
        ("/pve/disks/101/vm-101-disk-0.raw", True),
        ("/images/1101/vm-101-disk-0.raw", False),
        ("/images/101/vm-101-disk-0.raw.bak", False),
        ("/.shard/5e0c1f4e-0000-4000-8000-000000000000.7", False),
    ],
)
def test_an_image_is_known_by_its_guest_and_name_in_whatever_folder(name: str, mine: bool) -> None:
    assert is_image_of(name, [DISK]) is mine
    assert not is_image_of(name, [Disk("scsi0", "local-lvm:vm-101-disk-0", 0, "")])


def test_a_volume_with_something_split_that_names_no_image_is_named() -> None:
    shard = Trouble("vmstore", "pve1:/b", "/.shard/5e0c1f4e.7", True)
    assert nameless([shard, replace(shard, volume="iso", split=False), *SPLIT.troubles]) == ["vmstore"]
    said = words.examined(SETTINGS, case(sick=Sick(frozenset({"vmstore"}), (shard,))), [])
    assert "`/restore heal 101` finds out whether it is a piece of this guest's" in said


def test_what_a_restore_and_a_backup_cost_is_said_before() -> None:
    assert words.with_snapshots("") == []
    assert words.with_snapshots("before-upgrade") == [
        "⚠️ It has snapshots (the last: before-upgrade). No backup holds them: after a restore it has none any more."
    ]
    asked = messages_backup.ask_backup(["dns (110)"], "nas", 8 * GIB, [], ["dns (110)"])
    assert "• dns (110) stands still for a moment, if its storage makes no snapshots" in asked


def test_a_backup_of_the_container_that_had_this_id_before_is_no_candidate() -> None:
    theirs = backup(1, volid="nas:backup/vzdump-lxc-101-2026_03_01-02_00_00.tar.zst")
    snapshot = backup(2, volid="backup:backup/ct/101/2026-03-01T02:00:00Z")
    own = backup(3, volid="nas:backup/vzdump-qemu-101-2026_02_01-02_00_00.vma.zst")
    assert choose_backup(case(theirs, snapshot, own), "") == (own, "")
    assert choose_backup(case(theirs, snapshot), "") == (
        None,
        "none of 2 backups can be restored; the newest: it is of a container that had this id",
    )
    assert choose_backup(case(theirs), theirs.volid)[0] is None
