"""What the node helper tells of its node, and of Gluster."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.helper.orders import LISTED

# ---- status ----------------------------------------------------------------------------------------------------------


def test_status_tells_which_boot_and_how_long_it_has_run(pve2: Any, helper: Any) -> None:
    status = pve2.order("status")[1]
    assert (status["node"], status["boot_id"], status["uptime"], status["kernel"]) == (
        "pve2",
        pve2.BOOT,
        5000.0,
        "6.8.12-4-pve",
    )
    assert status["checksum"] == hashlib.sha256(Path(helper.__file__).read_bytes()).hexdigest()


def test_slow_programs_do_not_eat_the_time_that_an_order_has(pve2: Any) -> None:
    def slow() -> str:
        pve2.at_uptime(5008.0)
        return ""

    pve2.programs["dpkg --audit"] = slow
    assert pve2.order("status")[1]["uptime"] == 5008.0


def test_the_newest_kernel_boots_next_counted_not_spelled(pve2: Any) -> None:
    pve2.file("/boot/vmlinuz-6.8.12-10-pve", "")
    pve2.file("/boot/vmlinuz-6.8.12-9-pve", "")
    assert pve2.order("status")[1]["boot_kernel"] == "6.8.12-10-pve"


@pytest.mark.parametrize(
    ("more", "boots"),
    [
        ("", "6.8.12-10-pve"),
        ("\nPinned kernel:\n6.8.12-9-pve\n", "6.8.12-9-pve"),
        ("\nPinned kernel:\n6.8.12-9-pve\n\nKernel pinned on next-boot:\n6.5.13-1-pve\n", "6.5.13-1-pve"),
    ],
)
def test_proxmox_boot_tool_knows_what_boots_and_a_pin_wins(pve2: Any, more: str, boots: str) -> None:
    pve2.programs["proxmox-boot-tool kernel list"] = LISTED + more
    assert pve2.order("status")[1]["boot_kernel"] == boots


def test_services_are_told_one_by_one(pve2: Any) -> None:
    pve2.programs["systemctl is-active corosync"] = (3, "active\n" * 7 + "inactive\n", "")
    services = pve2.order("status")[1]["services"]
    assert (services["corosync"], services["glusterd"]) == ("active", "inactive")


def test_services_that_systemd_does_not_tell_are_unknown(pve2: Any) -> None:
    pve2.programs["systemctl is-active corosync"] = (1, "", "Failed to connect to bus")
    assert set(pve2.order("status")[1]["services"].values()) == {"unknown"}


CONF = """nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 2
    ring0_addr: 10.0.0.1
  }
  node {
    name: pve2
    nodeid: 2
    ring0_addr: 10.0.0.2
  }
}
totem {
  config_version: 7
}
"""
QUORUM = """Votequorum information
----------------------
Expected votes:   4
Highest expected: 4
Total votes:      4
Quorum:           3
Flags:            Quorate Qdevice

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
0x00000001          2    A,V,NMW 10.0.0.1
0x00000002          1    A,V,NMW 10.0.0.2 (local)
0x00000000          1            Qdevice
"""


def test_votes_are_those_of_the_configuration_and_of_the_moment(pve2: Any) -> None:
    pve2.file("/etc/corosync/corosync.conf", CONF)
    pve2.programs["pvecm status"] = QUORUM
    status = pve2.order("status")[1]
    assert status["corosync_version"] == 7
    assert status["votes"] == {"nodes": {"pve1": 2, "pve2": 1}, "expected": 4, "total": 4, "quorum": 3, "qdevice": 1}


def test_without_pvecm_corosync_itself_is_asked(pve2: Any) -> None:
    pve2.programs["corosync-quorumtool -siH"] = QUORUM
    assert pve2.order("status")[1]["votes"]["qdevice"] == 1


def test_a_device_that_is_gone_has_no_vote(pve2: Any) -> None:
    """As corosync 3.1.7 printed it 25 seconds after its corosync-qnetd was ended."""
    gone = QUORUM.replace("Total votes:      4", "Total votes:      3").replace("A,V", "A,NV")
    gone = gone.replace(
        "0x00000000          1            Qdevice", "0x00000000          0            Qdevice (votes 1)"
    )
    pve2.programs["pvecm status"] = gone
    votes = pve2.order("status")[1]["votes"]
    assert (votes["expected"], votes["total"], votes["qdevice"]) == (4, 3, 0)


def test_without_corosync_there_are_no_votes_rather_than_zero(pve2: Any) -> None:
    assert pve2.order("status")[1]["votes"] is None


def test_gluster_mounts_are_told(pve2: Any) -> None:
    pve2.file("/proc/mounts", "/dev/sda1 / ext4 rw 0 0\nlocalhost:/vmstore /mnt/pve/vmstore fuse.glusterfs rw 0 0\n")
    assert pve2.order("status")[1]["gluster_mounts"] == ["/mnt/pve/vmstore"]


AUDIT = """The following packages are in a mess due to serious problems during
installation.  They must be reinstalled for them (and any packages
that depend on them) to function properly:
 pve-manager          Proxmox Virtual Environment Management Tools
 qemu-server          Qemu Server Tools
"""


def test_half_installed_packages_are_named(pve2: Any) -> None:
    pve2.programs["dpkg --audit"] = AUDIT
    assert pve2.order("status")[1]["dpkg_broken"] == "half installed: pve-manager, qemu-server"


def test_an_interrupted_dpkg_is_told(pve2: Any) -> None:
    pve2.file("/var/lib/dpkg/updates/0003", "")
    assert pve2.order("status")[1]["dpkg_broken"] == "dpkg was interrupted"


def test_who_holds_the_lock_of_the_packages_is_told(pve2: Any, lock_holder: int) -> None:
    assert pve2.order("status")[1]["apt_busy"] == f"unattended-upgr (pid {lock_holder})"


def test_when_nobody_holds_it_nobody_is_told(pve2: Any) -> None:
    assert pve2.order("status")[1]["apt_busy"] == ""


# ---- gluster ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "command"),
    [
        ("pool-list", "pool list"),
        ("volume-info", "volume info"),
        ("heal-summary vmstore", "volume heal vmstore info summary"),
        ("heal-info vmstore", "volume heal vmstore info"),
        ("volume-status vmstore", "volume status vmstore"),
    ],
)
def test_a_read_becomes_gluster_s_own_command(pve2: Any, order: str, command: str) -> None:
    pve2.programs["gluster"] = "<cliOutput/>"
    pve2.order(f"gluster {order}")
    assert pve2.ran == [f"gluster --mode=script {command} --xml"]


def test_gluster_s_output_and_exit_code_are_passed_through(pve2: Any) -> None:
    said = pve2.recorded("summary_quorum_lost.xml")
    pve2.programs["gluster --mode=script volume heal"] = (251, said, "")
    pve2.programs.pop("gluster --mode=script volume heal vmstore info summary")
    assert pve2.order("gluster heal-summary vmstore") == (251, said)


LISTING = """Brick pve1:/srv/brick
/images/101/vm-101-disk-0.qcow2
<gfid:1f3870be-274f-4c49-b3e3-1a0c6717f3bd> - Is in split-brain
/images/101/vm-101-disk-0.qcow2
/.shard/0b7d7b0e-7f0e-4f0e-9f0e-0b7d7b0e7f0e.12
/images/201/subvol-201-disk-1.raw - Possibly undergoing heal
Status: Connected
Number of entries: 5

Brick pve2:/srv/brick
Status: Connected
Number of entries: 0
"""


def test_images_are_told_of_each_brick_and_once(pve2: Any) -> None:
    pve2.programs["gluster --mode=script volume heal vmstore info"] = LISTING
    assert pve2.order("images vmstore")[1] == {
        "images": {"pve1:/srv/brick": ["vm-101-disk-0.qcow2", "subvol-201-disk-1.raw"]},
        "entries": 10,
        "whole": True,
    }


def test_a_listing_of_fifty_thousand_entries_is_left_when_enough_was_read(pve2: Any) -> None:
    many = "".join(f"/snippets/{n}\n" for n in range(50_000))
    listing = f"Brick pve1:/b\n{many}/images/101/vm-101-disk-0\n"
    pve2.programs["gluster --mode=script volume heal vmstore info"] = listing
    assert pve2.order("images vmstore")[1] == {"images": {}, "entries": 20_000, "whole": False}


def test_so_many_images_are_enough_for_everybody(pve2: Any) -> None:
    images = "".join(f"/images/{n}/vm-{n}-disk-0\n" for n in range(100, 400))
    pve2.programs["gluster --mode=script volume heal vmstore info"] = f"Brick pve1:/b\n{images}"
    told = pve2.order("images vmstore")[1]
    assert (len(told["images"]["pve1:/b"]), told["whole"]) == (100, False)


@pytest.mark.slow
def test_a_program_that_prints_for_ever_ends_with_its_reader_or_its_time(helper: Any) -> None:
    machine = helper.Machine()
    reader = machine.lines("sh", "-c", "echo $$; while :; do echo more; done", limit=30.0)
    pid = int(next(reader))
    reader.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    began = time.monotonic()
    assert list(machine.lines("sh", "-c", "echo one; sleep 30", limit=3.0)) == ["one"]
    assert time.monotonic() - began < 10.0


def test_a_program_that_is_not_there_is_refused_in_a_sentence(helper: Any) -> None:
    with pytest.raises(helper.Refused, match="no-such-program: command not found"):
        list(helper.Machine().lines("no-such-program", limit=60.0))
