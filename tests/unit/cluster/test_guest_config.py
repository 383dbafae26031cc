"""A guest's configuration as Proxmox VE shows it, and how far a task is by its log."""

from __future__ import annotations

import pytest

from cluster.rescue import GuestConfig, guest_config, kept_by, progress, size_of

GIB = 1 << 30
ROUTER = {
    "digest": "d1",
    "scsi0": "vmstore:101/vm-101-disk-0.qcow2,iothread=1,size=16G",
    "efidisk0": "vmstore:101/vm-101-disk-1.raw,efitype=4m,size=528K",
    "ide2": "local:iso/pfsense.iso,media=cdrom,size=1G",
    "scsi1": "local-lvm:vm-101-cloudinit,media=cdrom",
    "scsihw": "virtio-scsi-single",
    "unused0": "vmstore:101/vm-101-disk-9.raw",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
    "net1": "virtio=BC:24:11:00:00:02,bridge=vmbr1",
    "onboot": 1,
    "agent": "enabled=1,type=virtio",
}


def test_disks_are_what_a_restore_would_delete_and_no_cd_is_one() -> None:
    config = guest_config(ROUTER, "qemu")
    assert [(d.slot, d.volid, d.size) for d in config.disks] == [
        ("efidisk0", "vmstore:101/vm-101-disk-1.raw", 528 << 10),
        ("scsi0", "vmstore:101/vm-101-disk-0.qcow2", 16 * GIB),
    ]
    assert [disk.volid for disk in config.unused] == ["vmstore:101/vm-101-disk-9.raw"]
    assert (config.networks, config.onboot, config.agent, config.size) == (
        ("net0", "net1"),
        True,
        True,
        16 * GIB + (528 << 10),
    )


def test_a_containers_mount_points_are_disks_and_a_directory_of_the_node_is_none() -> None:
    row = {"digest": "d", "rootfs": "vmstore:110/vm-110-disk-0.raw,size=8G", "mp0": "/srv/data:1,mp=/data"}
    assert [disk.slot for disk in guest_config(row, "lxc").disks] == ["rootfs"]


def test_a_device_of_the_node_is_no_disk_that_could_be_set_aside() -> None:
    """Its name may have a colon; detached, it is no unused disk, but gone from the configuration."""
    row = {**ROUTER, "scsi5": "/dev/disk/by-path/pci-0000:03:00.0-sas-phy0-lun-0,size=4T"}
    assert "scsi5" not in [disk.slot for disk in guest_config(row, "qemu").disks]


def test_a_guest_with_snapshots_is_known_by_the_last_one() -> None:
    assert guest_config({**ROUTER, "parent": "before-upgrade"}, "qemu").snapshot == "before-upgrade"
    assert guest_config(ROUTER, "qemu").snapshot == ""


def test_what_a_guest_boots_from_is_known_as_it_is_to_be_typed_again() -> None:
    assert guest_config({**ROUTER, "boot": "order=scsi0;net0"}, "qemu").boot == "order=scsi0;net0"
    assert guest_config(ROUTER, "qemu").boot == ""


@pytest.mark.parametrize(("line", "agent"), [("1", True), ("0", False), ("enabled=0,type=isa", False), ("", False)])
def test_an_agent_is_there_only_if_it_is_enabled(line: str, agent: bool) -> None:
    assert guest_config({"digest": "d", "agent": line}, "qemu").agent is agent


def test_a_configuration_without_a_digest_is_none() -> None:
    with pytest.raises(KeyError):
        guest_config({"scsi0": "a:b"}, "qemu")


def test_what_a_failed_restore_leaves_has_nothing_to_lose() -> None:
    assert guest_config({"digest": "d", "memory": "128"}, "qemu") == GuestConfig("d", (), ())


@pytest.mark.parametrize(
    ("text", "size"),
    [("16G", 16 * GIB), ("1.5T", 1536 * GIB), ("528K", 528 << 10), ("4096", 4096), ("big", 0), ("", 0)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        (["progress 1% (read 171835392 bytes, duration 0 sec)", "progress 42% (read 7215185920 bytes)"], 42),
        (["INFO:   7% (1.2 GiB of 16.0 GiB) in 3s", "INFO:  61% (9.8 GiB of 16.0 GiB) in 40s"], 61),
        (["restoring 'vm/101' to 'local'", ""], None),
        ([], None),
    ],
)
def test_how_far_a_task_is(lines: list[str], percent: int | None) -> None:
    assert progress(lines).percent == percent


@pytest.mark.parametrize(
    ("retention", "kept"),
    [("keep-last=1", 1), ("keep-daily=7,keep-last=3,keep-weekly=4", 14), ("keep-all=1", 0), ("", 0)],
)
def test_a_retention_is_counted_as_vzdump_counts_it(retention: str, kept: int) -> None:
    assert kept_by(retention) == kept
