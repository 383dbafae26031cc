"""What dist-upgrade would do, what could be restored, and where guests' images lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Backup, PackagePlan, StorageRow
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    DAY,
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    backup,
    healthy,
    storage,
    verdict,
    with_,
    with_node,
    with_own,
)

# ---- packages ------------------------------------------------------------------------------------------------------


def removing(*names: str) -> World:
    return with_(healthy(), packages=PackagePlan("plan", (), names))


@pytest.mark.parametrize("name", ["proxmox-ve", "pve-qemu-kvm", "glusterfs-server:amd64"])
def test_a_plan_that_removes_a_vital_package_blocks(name: str) -> None:
    reason = f"dist-upgrade on pve2 would remove {name}"
    assert_blocked(verdict("packages", removing("libold1", name)), reason, "`apt-get -s dist-upgrade` on pve2")


def test_a_plan_that_removes_something_else_says_so() -> None:
    assert_passed(verdict("packages", removing("libold1", "libold2")), "dist-upgrade removes libold1, libold2")
    assert_passed(verdict("packages", healthy()))


def test_packages_that_this_run_has_installed_are_no_longer_judged() -> None:
    assert_passed(verdict("packages", with_own(removing("proxmox-ve"), packages_installed=True)))


def test_a_broken_dpkg_blocks() -> None:
    world = with_node(healthy(), "pve2", dpkg_broken="half installed: pve-manager")
    reason = "dpkg on pve2 is broken: half installed: pve-manager"
    assert_blocked(verdict("dpkg", world, GatePhase.REBOOT), reason, "`dpkg --configure -a`")


def test_a_busy_apt_blocks() -> None:
    world = with_node(healthy(), "pve2", apt_busy="unattended-upgr (pid 4242)")
    assert_blocked(verdict("dpkg", world, GatePhase.UPGRADE), "unattended-upgr (pid 4242) is at work on pve2")


def test_a_busy_apt_on_another_node_does_not_block() -> None:
    assert_passed(verdict("dpkg", with_node(healthy(), "pve3", apt_busy="apt-get (pid 1)")))


# ---- backups -------------------------------------------------------------------------------------------------------


def with_backups(*rows: Backup, **settings: Any) -> World:
    return with_(healthy(**settings), backups=rows)


def no_backup(why: str, guest: int = 102) -> str:
    return f"1 of 2 guests have no fresh backup outside of Gluster; guest {guest}: {why}"


def test_fresh_backups_of_every_member_of_a_group_open() -> None:
    assert_passed(verdict("backups", healthy()))


def test_a_guest_without_a_backup_blocks_with_the_command_that_makes_one() -> None:
    world = with_backups(backup(101))
    hint = "`/backup now 102` makes one"
    assert_blocked(verdict("backups", world), no_backup("none that would restore"), hint)


def test_a_critical_guest_needs_one_too() -> None:
    world = with_backups(backup(101), backup(102), backups={"critical": [103]})
    reason = "1 of 3 guests have no fresh backup outside of Gluster; guest 103: none that would restore"
    assert_blocked(verdict("backups", world), reason)


def test_an_old_backup_blocks_with_its_age() -> None:
    world = with_backups(backup(101), backup(102, age=3 * DAY))
    assert_blocked(verdict("backups", world), no_backup("the newest is 3 d old, limit 2 d"))


def test_a_backup_that_a_wrong_clock_stamped_is_not_fresh_for_years_to_come() -> None:
    wrong = backup(102, age=-400 * DAY)
    assert_blocked(
        verdict("backups", with_backups(backup(101), wrong)), no_backup("the only one is stamped 400 d ahead of now")
    )
    old = with_backups(backup(101), wrong, backup(102, age=3 * DAY))
    assert_blocked(verdict("backups", old), no_backup("the newest is 3 d old, limit 2 d"))
    assert_passed(verdict("backups", with_backups(backup(101), wrong, backup(102))))
    clocks_differ = with_backups(backup(101), backup(102, age=3 * DAY), backup(102, age=-600.0))
    assert_passed(verdict("backups", clocks_differ))


@pytest.mark.parametrize(("wanted", "lacks"), [("verified", {"verified": None}), ("protected", {"protected": False})])
def test_where_the_settings_want_it_only_verified_or_protected_backups_count(
    wanted: str, lacks: dict[str, Any]
) -> None:
    good = replace(backup(101), protected=True), replace(backup(102), protected=True)
    assert_passed(verdict("backups", with_backups(*good, backups={wanted: True})))
    less = with_backups(good[0], replace(good[1], **lacks), backups={wanted: True})
    assert_blocked(verdict("backups", less), no_backup("none that would restore"))
    assert_passed(verdict("backups", with_backups(good[0], replace(good[1], **lacks))))


def test_the_evidence_tells_verification_and_protection() -> None:
    rows = replace(backup(101), volid="pbs:a", protected=True), replace(backup(102), volid="pbs:b", verified=None)
    found = verdict("backups", with_backups(*rows))
    assert_passed(found)
    assert found.evidence == {
        "101": {"volid": "pbs:a", "verified": True, "protected": True},
        "102": {"volid": "pbs:b", "verified": None, "protected": False},
    }


@pytest.mark.parametrize("useless", [{"size": 0}, {"verified": False}, {"storage": "vmstore"}, {"storage": "inside"}])
def test_a_backup_that_would_restore_nothing_does_not_count(useless: dict[str, Any]) -> None:
    """Empty, failed its verification, on the volume by its mount, on the volume by the settings."""
    world = with_backups(backup(101), replace(backup(102), **useless), backups={"on_gluster": ["inside"]})
    assert_blocked(verdict("backups", world), no_backup("none that would restore"))


def test_a_backup_that_nobody_verifies_counts() -> None:
    assert_passed(verdict("backups", with_backups(backup(101), replace(backup(102), verified=None))))


def test_an_older_good_backup_counts_behind_a_newer_bad_one() -> None:
    rows = (backup(101), backup(102, age=DAY), replace(backup(102), verified=False))
    assert_passed(verdict("backups", with_backups(*rows)))


# ---- storages ------------------------------------------------------------------------------------------------------


def with_storage(*others: StorageRow, **changes: Any) -> World:
    """`changes`: of vmstore on pve3."""
    rows = (storage("pve1"), storage("pve2"), replace(storage("pve3"), **changes), *others)
    return with_(healthy(), storages=rows)


def test_active_storages_on_every_node_open() -> None:
    assert_passed(verdict("storages", healthy()))


def test_a_storage_that_is_not_active_on_one_node_blocks() -> None:
    world = with_storage(active=False)
    assert_blocked(verdict("storages", world, GatePhase.HEALED), "vmstore is not active on pve3", "`pvesm status`")


def test_a_disabled_storage_may_be_inactive() -> None:
    tape = StorageRow("pve1", "tape", "dir", enabled=False, active=False, shared=False)
    assert_passed(verdict("storages", with_storage(tape)))


def test_a_directory_on_gluster_that_is_not_marked_as_shared_blocks() -> None:
    reason = "vmstore lies on Gluster, but is not marked as shared"
    assert_blocked(verdict("storages", with_storage(shared=False)), reason)


def test_an_active_storage_below_a_mount_that_is_missing_is_an_empty_directory() -> None:
    world = with_node(healthy(), "pve3", gluster_mounts=())
    reason = "vmstore on pve3 is an empty directory: no Gluster is mounted at /mnt/pve/vmstore"
    assert_blocked(verdict("storages", world), reason, "findmnt")


def test_what_proxmox_mounts_by_itself_is_mounted_when_it_is_active() -> None:
    own = tuple(replace(storage(node), storage="native", kind="glusterfs", path="") for node in NODES)
    assert_passed(verdict("storages", with_storage(*own)))


def test_a_directory_beside_the_mount_is_not_on_gluster() -> None:
    beside = tuple(replace(storage(n), storage="b", path="/mnt/pve/vmstore2", shared=False) for n in NODES)
    assert_passed(verdict("storages", with_storage(*beside)))


def test_a_storage_of_a_node_that_we_took_down_does_not_block() -> None:
    world = with_own(with_storage(active=False), down=frozenset({"pve3"}))
    assert_passed(verdict("storages", world, now=NOW))
