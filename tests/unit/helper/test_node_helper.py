"""The node helper on a pretended node: what it tells, what it does, and above all what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

LATE, SOON, NEVER = "4999.9", "5010.0", "9000.0"
BRICK = "/mnt/data/vmstore/brick"


def checksum_of(pve2: Any) -> str:
    return str(pve2.order("plan")[1]["checksum"])


def reboot(pve2: Any, boot_id: str = "", not_after: str = SOON) -> tuple[int, Any]:
    answer: tuple[int, Any] = pve2.order(f"reboot {boot_id or pve2.BOOT} {not_after}")
    return answer


def upgrade(pve2: Any, unit: str = "night.pve2.upgrade", plan: str = "", not_after: str = SOON) -> tuple[int, Any]:
    answer: tuple[int, Any] = pve2.order(f"upgrade {unit} {plan or checksum_of(pve2)} {not_after}")
    return answer


# ---- what may be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        "",
        "sh",
        "status now",
        "gluster volume-start vmstore",
        "gluster heal-info",
        "gluster heal-info vm;reboot",
        "gluster heal-info ../etc",
        "maintenance maybe",
        "maintenance on",
        "maintenance on pve2",
        "maintenance off 5010.00 pve2;reboot",
        "maintenance off",
        "maintenance off pve2",
        "maintenance on -h",
        "plan refresh now",
        "upgrade ../../etc/passwd " + "0" * 64 + " 1",
        "upgrade night 0000 1",
        "unit $(reboot)",
        "reboot now 1",
        "reboot 11111111-2222-3333-4444-555555555555 soon",
        "reboot 11111111-2222-3333-4444-555555555555 -1",
        "reboot 11111111-2222-3333-4444-555555555555 inf",
    ],
)
def test_whatever_is_not_a_fixed_verb_is_refused_and_runs_nothing(pve2: Any, order: str) -> None:
    code, answer = pve2.order(order)
    assert (code, pve2.ran) == (3, [])
    assert answer["refused"].startswith("roundsman-helper does not understand")


@pytest.mark.parametrize(
    "wanted",
    ["status", "roundsman-helper status", "sudo -n /usr/local/sbin/roundsman-helper status", "'status'"],
)
def test_a_forced_command_takes_its_order_from_what_the_client_wanted(pve2: Any, wanted: str) -> None:
    assert pve2.order("", forced=wanted)[0] == 0


@pytest.mark.parametrize("wanted", ["bash -i", "status; reboot", "status && id", "'unbalanced", "roundsman-helper"])
def test_a_forced_command_runs_no_shell(pve2: Any, wanted: str) -> None:
    assert (pve2.order("", forced=wanted)[0], pve2.ran) == (3, [])


# ---- status --------------------------------------------------------------------------------------------------------


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


LISTED = """Manually selected kernels:
None.

Automatically selected kernels:
6.8.12-9-pve
6.8.12-10-pve
"""


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
    pve2.programs["corosync-quorumtool -s"] = QUORUM
    assert pve2.order("status")[1]["votes"]["quorum"] == 3


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


HOLD = """import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock_holder(pve2: Any) -> Iterator[int]:
    """A real process that holds the frontend lock as apt does."""
    lock = pve2.root / "var/lib/dpkg/lock-frontend"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pve2.file(f"/proc/{process.pid}/comm", "unattended-upgr\n")
        yield process.pid
        process.kill()


def test_who_holds_the_lock_of_the_packages_is_told(pve2: Any, lock_holder: int) -> None:
    assert pve2.order("status")[1]["apt_busy"] == f"unattended-upgr (pid {lock_holder})"


def test_when_nobody_holds_it_nobody_is_told(pve2: Any) -> None:
    assert pve2.order("status")[1]["apt_busy"] == ""


# ---- gluster -------------------------------------------------------------------------------------------------------


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


# ---- the plan ------------------------------------------------------------------------------------------------------


def test_the_plan_lists_what_comes_and_the_kernel_it_brings(pve2: Any) -> None:
    plan = pve2.order("plan")[1]
    assert plan["upgrades"] == [
        {"name": "libssl3", "old": "3.0.15-1", "new": "3.0.16-1"},
        {"name": "proxmox-kernel-6.8.12-9-pve-signed", "old": "", "new": "6.8.12-9"},
        {"name": "pve-manager", "old": "8.3.0", "new": "8.3.5"},
    ]
    assert (plan["removes"], plan["new_kernel"], plan["restarts_gluster"]) == ([], "6.8.12-9-pve", False)
    assert (plan["trouble"], plan["hint"], plan["refreshed_s_ago"]) == ("", "", None)


def test_the_checksum_does_not_depend_on_apt_s_order_but_on_every_version(pve2: Any) -> None:
    before = checksum_of(pve2)
    lines = pve2.programs["apt-get -s"].splitlines()
    pve2.programs["apt-get -s"] = "\n".join(reversed(lines))
    assert checksum_of(pve2) == before
    pve2.programs["apt-get -s"] = "\n".join(lines).replace("(3.0.16-1 ", "(3.0.17-1 ")
    assert checksum_of(pve2) != before


def test_a_removal_changes_the_checksum(pve2: Any) -> None:
    before = checksum_of(pve2)
    pve2.programs["apt-get -s"] += "Remv proxmox-ve [8.3.0]\n"
    plan = pve2.order("plan")[1]
    assert (plan["removes"], plan["checksum"] == before) == (["proxmox-ve"], False)


def test_nothing_to_do_is_an_empty_plan(pve2: Any) -> None:
    pve2.programs["apt-get -s"] = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
    plan = pve2.order("plan")[1]
    assert (plan["upgrades"], plan["removes"], plan["new_kernel"], plan["trouble"]) == ([], [], "", "")


def test_glusterfs_server_restarts_the_bricks(pve2: Any) -> None:
    pve2.programs["apt-get -s"] = "Inst glusterfs-server [10.3-4] (10.3-5 Debian:12/stable [amd64])\n"
    assert pve2.order("plan")[1]["restarts_gluster"]


def test_a_pinned_kernel_keeps_the_new_one_from_booting(pve2: Any) -> None:
    pve2.programs["proxmox-boot-tool kernel list"] = LISTED + "\nPinned kernel:\n6.8.12-4-pve\n"
    assert pve2.order("plan")[1]["new_kernel"] == ""


def test_an_older_kernel_that_comes_along_does_not_boot(pve2: Any) -> None:
    pve2.file("/boot/vmlinuz-6.11.0-1-pve", "")
    assert pve2.order("plan")[1]["new_kernel"] == ""


def test_a_plan_alone_touches_no_network(pve2: Any) -> None:
    pve2.order("plan")
    assert [line.split()[1] for line in pve2.did("apt-get")] == ["-s"]


def test_a_refreshed_plan_says_how_old_its_lists_are(pve2: Any) -> None:
    pve2.programs["apt-get -q"] = "Hit:1 http://mirror.example bookworm InRelease\n"
    assert 0 <= pve2.order("plan refresh")[1]["refreshed_s_ago"] < 60
    stamp = pve2.root / "var/lib/roundsman/refreshed"
    os.utime(stamp, (time.time() - 7200, time.time() - 7200))
    assert 7200 <= pve2.order("plan")[1]["refreshed_s_ago"] < 7260


UNAUTHORIZED = """E: Failed to fetch https://enterprise.example/pve/InRelease  401  Unauthorized [IP: 1.2.3.4 443]
E: The repository 'https://enterprise.example/pve bookworm InRelease' is not signed.
"""


@pytest.mark.parametrize(
    ("said", "trouble", "hint"),
    [
        (
            "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4242 (unattended-upgr)\n",
            "the package system is locked by process 4242 (unattended-upgr)",
            "wait until it ends; `ps -p 4242` on the node shows it",
        ),
        (
            "E: Could not get lock /var/lib/dpkg/lock - open (11: Resource temporarily unavailable)\n",
            "the package system is locked by another process (/var/lib/dpkg/lock)",
            "wait until it ends",
        ),
        (
            UNAUTHORIZED,
            "the repository https://enterprise.example/pve/InRelease answers 401 (Unauthorized): "
            "this node has no subscription for it",
            "enable the pve-no-subscription repository, or add a key with `pvesubscription set KEY`",
        ),
        (
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n",
            "dpkg was interrupted on this node",
            "`dpkg --configure -a` on the node",
        ),
        (
            "E: Failed to fetch http://mirror.example/InRelease  Could not connect, connection timed out\n",
            "could not fetch http://mirror.example/InRelease: Could not connect, connection timed out",
            "check the node's network and its repositories",
        ),
        (
            "The following packages have unmet dependencies:\n pve-manager : Depends: libpve (>= 8)\n",
            "packages on this node have unmet dependencies",
            "`apt-get -f install` on the node shows which",
        ),
        (
            "E: You don't have enough free space in /var/cache/apt/archives/.\n",
            "there is no space left on the node's disk",
            "`df -h` and `apt-get clean` on the node",
        ),
        ("E: something new\nE: and more of it\n", "apt failed: and more of it", ""),
        ("", "apt failed: no words", ""),
    ],
)
def test_apt_s_trouble_is_told_in_a_sentence_with_a_hint(pve2: Any, said: str, trouble: str, hint: str) -> None:
    pve2.programs["apt-get -q"] = (100, "", said)
    plan = pve2.order("plan refresh")[1]
    assert (plan["trouble"], plan["hint"], plan["refreshed_s_ago"]) == (trouble, hint, None)


def test_a_simulation_that_fails_has_no_checksum_that_could_be_approved(pve2: Any) -> None:
    pve2.programs["apt-get -s"] = (100, "", "E: dpkg was interrupted, you must manually run ...\n")
    plan = pve2.order("plan")[1]
    assert (plan["checksum"], plan["trouble"]) == ("", "dpkg was interrupted on this node")


# ---- maintenance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "command"),
    [
        (f"maintenance on {SOON}", "node-maintenance enable pve2"),
        (f"maintenance off {SOON}", "node-maintenance disable pve2"),
        (f"maintenance off {SOON} pve3", "node-maintenance disable pve3"),
    ],
)
def test_maintenance_mode_is_asked_of_ha_manager(pve2: Any, order: str, command: str) -> None:
    assert pve2.order(order)[0] == 0
    assert pve2.did("ha-manager") == [f"ha-manager crm-command {command}"]


def test_a_node_that_ha_manager_does_not_know_is_refused_in_its_words(pve2: Any) -> None:
    pve2.programs["ha-manager"] = (255, "", "no such cluster node 'pve9'\n")
    code, answer = pve2.order(f"maintenance off {SOON} pve9")
    assert (code, answer["refused"]) == (
        3,
        "ha-manager would not disable maintenance mode of pve9: no such cluster node 'pve9'",
    )


@pytest.mark.parametrize("word", ["on", "off"])
def test_maintenance_mode_that_is_asked_for_too_late_is_refused(pve2: Any, word: str) -> None:
    code, answer = pve2.order(f"maintenance {word} {LATE}")
    assert (code, answer["refused"], pve2.did("ha-manager")) == (3, "the order came 0.1 s too late", [])
    assert "made for another boot" in pve2.order(f"maintenance {word} {NEVER}")[1]["refused"]


# ---- upgrade -------------------------------------------------------------------------------------------------------


def test_an_approved_upgrade_runs_as_a_unit_of_its_own(pve2: Any) -> None:
    assert upgrade(pve2) == (0, {"began": True, "already": False})
    (started,) = pve2.did("systemd-run")
    assert started.startswith("systemd-run --unit=roundsman-night.pve2.upgrade --collect ")
    assert "--setenv=DEBIAN_FRONTEND=noninteractive" in started
    assert "--setenv=NEEDRESTART_MODE=l" in started
    assert "--force-confdef" in started
    assert "--force-confold" in started
    assert started.endswith(
        "roundsman/night.pve2.upgrade.log " + str(pve2.root / "var/lib/roundsman/night.pve2.upgrade.exit")
    )


def test_the_same_unit_again_is_harmless_however_late(pve2: Any) -> None:
    pve2.file("/var/lib/roundsman/night.pve2.upgrade.log", "Setting up libssl3 ...\n")
    assert upgrade(pve2, plan="0" * 64, not_after=LATE) == (0, {"began": True, "already": True})
    assert pve2.did("systemd-run") == []


def test_a_late_upgrade_is_refused(pve2: Any) -> None:
    code, answer = upgrade(pve2, not_after=LATE)
    assert (code, answer["refused"], pve2.did("systemd-run")) == (3, "the order came 0.1 s too late", [])


def test_an_upgrade_meant_for_another_boot_is_refused(pve2: Any) -> None:
    code, answer = upgrade(pve2, not_after=NEVER)
    assert (code, answer["refused"]) == (
        3,
        "the order expires 4000 s from now, so it was made for another boot of this node",
    )


def test_an_upgrade_of_other_packages_than_approved_is_refused(pve2: Any) -> None:
    approved = checksum_of(pve2)
    pve2.programs["apt-get -s"] += "Inst qemu-server [8.3.3] (8.3.8 Proxmox:8/stable [amd64])\n"
    code, answer = upgrade(pve2, plan=approved)
    assert (code, answer["refused"]) == (3, "what dist-upgrade would do has changed since it was approved")
    assert pve2.did("systemd-run") == []


def test_an_upgrade_on_unhealed_volumes_is_refused(pve2: Any) -> None:
    pve2.programs["gluster --mode=script volume heal vmstore info summary"] = pve2.recorded("summary_node_off.xml")
    code, answer = upgrade(pve2)
    assert (code, pve2.did("systemd-run")) == (3, [])
    assert answer["refused"].startswith("volume vmstore is not fully healed")


def test_an_upgrade_while_somebody_else_installs_is_refused(pve2: Any, lock_holder: int) -> None:
    code, answer = upgrade(pve2)
    assert (code, answer["refused"]) == (
        3,
        f"the package system is at work: its lock is held by unattended-upgr (pid {lock_holder})",
    )


def test_an_upgrade_that_systemd_does_not_start_is_refused(pve2: Any) -> None:
    pve2.programs["systemd-run"] = (1, "", "Failed to start transient service unit\n")
    assert upgrade(pve2)[1]["refused"] == "systemd would not start the upgrade: Failed to start transient service unit"


def test_the_unit_s_script_leaves_log_and_exit_code_on_disk(pve2: Any, helper: Any, tmp_path: Path) -> None:
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text('#!/bin/sh\necho "$@"\necho oops >&2\nexit 100\n')
    apt.chmod(0o755)
    log, code = tmp_path / "x.log", tmp_path / "x.exit"
    environment = {"PATH": f"{apt.parent}:{os.environ['PATH']}"}
    argv = ["/bin/sh", "-c", helper.UPGRADE, "roundsman", str(log), str(code)]
    subprocess.run(argv, env=environment, check=True)
    assert code.read_text() == "100\n"
    assert log.read_text().splitlines()[-1] == "oops"
    assert log.read_text().split()[-2] == "dist-upgrade"


# ---- unit ----------------------------------------------------------------------------------------------------------


def test_a_unit_that_never_began(pve2: Any) -> None:
    unit = pve2.order("unit night")[1]
    assert (unit["began"], unit["exit"], unit["tail"]) == (False, None, "")


def test_a_unit_that_runs(pve2: Any) -> None:
    pve2.programs["systemctl is-active roundsman-night.service"] = "active\n"
    pve2.file("/var/lib/roundsman/night.log", "Get:1 http://mirror.example\n")
    unit = pve2.order("unit night")[1]
    assert (unit["began"], unit["exit"], unit["tail"], unit["trouble"]) == (
        True,
        None,
        "Get:1 http://mirror.example",
        "",
    )


def test_a_unit_that_was_started_this_instant_has_begun_before_its_log_is_there(pve2: Any) -> None:
    pve2.programs["systemctl is-active roundsman-night.service"] = "activating\n"
    assert pve2.order("unit night")[1]["began"]


def test_a_unit_that_ended_well(pve2: Any) -> None:
    pve2.file("/var/lib/roundsman/night.log", "".join(f"line {n}\n" for n in range(100)))
    pve2.file("/var/lib/roundsman/night.exit", "0\n")
    unit = pve2.order("unit night")[1]
    assert (unit["exit"], unit["trouble"]) == (0, "")
    assert unit["tail"].splitlines()[0] == "line 80"


def test_a_unit_that_failed_tells_dpkg_s_trouble(pve2: Any) -> None:
    pve2.file(
        "/var/lib/roundsman/night.log", "dpkg: error processing package pve-manager (--configure):\nE: Sub-process\n"
    )
    pve2.file("/var/lib/roundsman/night.exit", "100\n")
    unit = pve2.order("unit night")[1]
    assert (unit["exit"], unit["trouble"]) == (100, "dpkg could not install pve-manager")


def test_a_unit_that_the_power_cut_off_is_not_taken_for_running(pve2: Any) -> None:
    pve2.file("/var/lib/roundsman/night.log", "Unpacking pve-manager ...\n")
    unit = pve2.order("unit night")[1]
    assert (unit["began"], unit["exit"], unit["trouble"]) == (True, 255, "dist-upgrade was cut off before its end")


@pytest.mark.parametrize("word", ["inactive", "failed", "unknown"])
def test_only_systemd_s_own_word_makes_a_unit_without_an_exit_code_one_that_was_cut_off(pve2: Any, word: str) -> None:
    pve2.programs["systemctl is-active roundsman-night.service"] = (3, f"{word}\n", "")
    pve2.file("/var/lib/roundsman/night.log", "Unpacking pve-manager ...\n")
    assert pve2.order("unit night")[1]["exit"] == 255


@pytest.mark.parametrize(
    "said",
    [
        (1, "", "Failed to connect to bus: Connection refused"),
        (1, "", ""),
        (3, "deactivating\n", ""),
        (127, "", "systemctl: command not found"),
    ],
)
def test_a_systemd_that_is_being_upgraded_does_not_cut_the_upgrade_off(pve2: Any, said: tuple[int, str, str]) -> None:
    pve2.programs["systemctl is-active roundsman-night.service"] = said
    pve2.file("/var/lib/roundsman/night.log", "Setting up systemd ...\n")
    unit = pve2.order("unit night")[1]
    assert (unit["began"], unit["exit"], unit["trouble"]) == (True, None, "")


def test_a_unit_is_not_cut_off_while_somebody_holds_the_lock_of_the_packages(pve2: Any, lock_holder: int) -> None:
    pve2.file("/var/lib/roundsman/night.log", "Unpacking pve-manager ...\n")
    assert pve2.order("unit night")[1]["exit"] is None


def test_an_exit_code_that_is_left_counts_whatever_systemd_says(pve2: Any) -> None:
    pve2.programs["systemctl is-active roundsman-night.service"] = (1, "", "Failed to connect to bus")
    pve2.file("/var/lib/roundsman/night.exit", "0\n")
    assert pve2.order("unit night")[1]["exit"] == 0


# ---- reboot --------------------------------------------------------------------------------------------------------


def test_the_approved_boot_of_a_healed_node_is_ended(pve2: Any) -> None:
    assert reboot(pve2) == (0, {"rebooting": True})
    assert pve2.ran[-1] == "systemctl reboot"


def test_another_boot_than_the_approved_one_is_left_alone(pve2: Any) -> None:
    code, answer = reboot(pve2, boot_id="99999999-2222-3333-4444-555555555555")
    assert (code, pve2.ran) == (3, [])
    assert answer["refused"] == (
        f"this node has booted again since: boot id {pve2.BOOT}, approved was 99999999-2222-3333-4444-555555555555"
    )


def test_a_late_reboot_is_refused(pve2: Any) -> None:
    assert reboot(pve2, not_after=LATE)[1] == {
        "refused": "the order came 0.1 s too late",
        "hint": "a retry gives it again",
    }
    assert pve2.ran == []


@pytest.mark.parametrize("act", [reboot, upgrade])
def test_an_act_that_becomes_late_while_the_heal_is_asked_is_refused(pve2: Any, act: Callable[[Any], Any]) -> None:
    def slow() -> str:
        pve2.at_uptime(5010.5)
        return str(pve2.recorded("summary_healthy.xml"))

    pve2.programs["gluster --mode=script volume heal vmstore info summary"] = slow
    assert act(pve2)[1]["refused"] == "the order came 0.5 s too late"
    assert pve2.did("systemctl reboot") == pve2.did("systemd-run") == []


def test_a_reboot_in_the_middle_of_an_installation_is_refused(pve2: Any, lock_holder: int) -> None:
    assert f"(pid {lock_holder})" in reboot(pve2)[1]["refused"]
    assert pve2.did("systemctl reboot") == []


def test_two_orders_at_the_same_time_are_one_too_many(pve2: Any, helper: Any) -> None:
    with helper.alone(pve2.machine()):
        assert reboot(pve2)[1] == {
            "refused": "another order is being carried out on this node",
            "hint": "a retry gives it again",
        }
    assert reboot(pve2)[0] == 0


def test_a_node_that_never_was_a_peer_has_nothing_to_heal(pve2: Any) -> None:
    (pve2.root / "var/lib/glusterd/glusterd.info").unlink()
    assert reboot(pve2)[0] == 0
    assert pve2.did("gluster") == []


def test_a_volume_without_a_brick_here_is_not_asked_about(pve2: Any) -> None:
    pve2.file("/var/lib/glusterd/glusterd.info", "UUID=99999999-e6c2-4ba0-900d-a255b2a329b2\n")
    assert reboot(pve2)[0] == 0
    assert pve2.did("gluster --mode=script volume heal") == []


HEALTHY = "<totalNumberOfEntries>0</totalNumberOfEntries>"


def changed(pve2: Any, old: str, new: str) -> str:
    whole: str = pve2.recorded("summary_healthy.xml")
    assert old in whole
    return whole.replace(old, new, 1)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda n: n.recorded("summary_node_off.xml"), f"pve3:{BRICK} is not connected"),
        (lambda n: n.recorded("summary_split_brain.xml"), "is not listed"),
        (lambda n: n.recorded("summary_quorum_lost.xml"), "gluster refused heal-summary: vmstore: Not able to fetch"),
        (lambda n: n.recorded("status_locked.xml"), "Another transaction is in progress"),
        (lambda n: changed(n, f"<name>pve3:{BRICK}</name>", "<name>pve9:/x</name>"), f"pve3:{BRICK} is not listed"),
        (lambda n: changed(n, HEALTHY, ""), f"pve1:{BRICK} has an unknown number of entries"),
        (lambda n: changed(n, HEALTHY, HEALTHY.replace("0", "-")), f"pve1:{BRICK} has - entries"),
        (lambda n: changed(n, HEALTHY, HEALTHY.replace("0", "7")), f"pve1:{BRICK} has 7 entries to heal"),
        (lambda n: changed(n, "Healing>0<", "Healing>1<"), f"pve1:{BRICK} has 0 entries"),
        (lambda n: changed(n, "SplitBrain>0<", "SplitBrain>1<"), f"pve1:{BRICK} has 0 entries"),
        (lambda n: changed(n, "<opRet>0<", "<opRet>-1<"), "gluster refused heal-summary"),
        (lambda n: n.recorded("summary_healthy.xml")[:700], "gluster gave no XML"),
        (lambda n: (1, n.recorded("glusterd_down.txt"), ""), "gluster gave no XML: Connection failed."),
        (lambda n: (0, "", ""), "gluster gave no XML: no words"),
        (lambda n: (1, n.recorded("summary_healthy.xml"), ""), "gluster refused heal-summary: exit code 1"),
    ],
)
def test_whatever_is_not_a_healed_volume_stops_the_reboot(pve2: Any, answer: Any, why: str) -> None:
    pve2.programs["gluster --mode=script volume heal vmstore info summary"] = answer(pve2)
    code, said = reboot(pve2)
    assert (code, pve2.did("systemctl reboot")) == (3, [])
    assert why in said["refused"]


def test_a_glusterd_that_does_not_answer_stops_the_reboot(pve2: Any) -> None:
    pve2.programs["gluster --mode=script volume info"] = (1, pve2.recorded("glusterd_down.txt"), "")
    assert "gluster gave no XML: Connection failed." in reboot(pve2)[1]["refused"]
    assert pve2.did("systemctl reboot") == []


def test_a_reboot_that_systemd_will_not_do_is_said(pve2: Any) -> None:
    pve2.programs["systemctl reboot"] = (1, "", "Failed to reboot: Access denied\n")
    assert reboot(pve2)[1]["refused"] == "systemd would not reboot: Failed to reboot: Access denied"


# ---- the real machine under it -------------------------------------------------------------------------------------


@pytest.mark.timing
def test_a_program_that_hangs_is_killed_with_its_children(helper: Any) -> None:
    """A child that lived on would keep the pipe open, and the helper waiting for it."""
    began = time.monotonic()
    with pytest.raises(helper.Refused, match=r"gave no answer within 0\.3 s"):
        helper.Machine().run("sh", "-c", "sleep 30 & sleep 30", limit=0.3)
    assert time.monotonic() - began < 20


@pytest.mark.timing
def test_a_child_that_left_the_group_of_a_program_that_hangs_does_not_hold_the_helper(helper: Any) -> None:
    began = time.monotonic()
    with pytest.raises(helper.Refused, match="gave no answer"):
        helper.Machine().run("sh", "-c", "setsid sleep 30 & sleep 30", limit=0.3)
    assert time.monotonic() - began < 20


def test_an_act_that_gave_no_answer_may_have_been_done(
    pve2: Any, helper: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """ "Refused" would say that nothing happened: but the node may be on its way down."""

    def hangs() -> str:
        raise helper.Refused("`systemctl reboot` gave no answer within 30 s")

    pve2.programs["systemctl reboot"] = hangs
    with pytest.raises(helper.Unclear, match="gave no answer within 30 s; it may have been done"):
        reboot(pve2)
    words = ["reboot", pve2.BOOT, "5010.00"]
    assert helper.main(words, "", pve2.machine()) == 4
    said = b'{"unclear": "`systemctl reboot` gave no answer within 30 s; it may have been done"}\n'
    assert capfdbinary.readouterr().out == said


def test_a_read_that_gave_no_answer_is_refused(pve2: Any, helper: Any) -> None:
    def hangs() -> str:
        raise helper.Refused("`gluster` gave no answer within 60 s")

    pve2.programs["gluster --mode=script volume info"] = hangs
    assert reboot(pve2)[1]["refused"] == "`gluster` gave no answer within 60 s"


def test_a_program_that_is_not_there_is_told_like_by_a_shell(helper: Any) -> None:
    assert helper.Machine().run("no-such-program") == (127, "", "no-such-program: command not found")


def test_bytes_that_are_no_text_pass_through_unharmed(helper: Any, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    done = helper.Machine().run("printf", r"<file>\377</file>")
    assert helper.show(done) == 0
    assert capfdbinary.readouterr().out == b"<file>\xff</file>"


def test_bytes_that_are_no_text_break_no_answer(
    pve2: Any, helper: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Half a character in JSON is read as one that no database takes."""
    pve2.programs["ha-manager set"] = (255, "", b"no such \xff resource".decode(errors="surrogateescape"))
    assert helper.main(["ha-state", "vm:101", "started", "5010.00"], "", pve2.machine()) == 3
    refused = json.loads(capfdbinary.readouterr().out)["refused"]
    assert refused.endswith("no such \N{REPLACEMENT CHARACTER} resource")
    refused.encode()


def test_of_a_long_log_only_the_end_is_read(helper: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100 + b"end\n")
    machine = helper.Machine(str(tmp_path))
    assert (machine.tail("/log", 4), machine.tail("/log", 1000)[-4:], machine.tail("/none", 4)) == (
        "end\n",
        "end\n",
        "",
    )


def test_run_as_a_program_it_refuses_in_json_with_exit_code_three(helper: Any) -> None:
    environment = {"SSH_ORIGINAL_COMMAND": "sudo -n /usr/local/sbin/roundsman-helper frob"}
    done = subprocess.run([sys.executable, "-I", helper.__file__], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (3, b"")
    assert done.stdout.startswith(b'{"refused": "roundsman-helper does not understand \'frob\'"')
