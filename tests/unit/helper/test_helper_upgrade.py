"""The plan of an upgrade, the upgrade as a unit of its own, and what is told of that."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.helper.orders import LATE, LISTED, NEVER, checksum_of, upgrade

# ---- the plan --------------------------------------------------------------------------------------------------------


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


# ---- upgrade ---------------------------------------------------------------------------------------------------------


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


# ---- unit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["upgrade", "unit"])
def test_a_folder_that_is_a_login_s_home_is_neither_read_nor_written(
    pve2: Any, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Links in it would show that login any file of root's as a log, or have it overwritten as a lock."""
    pve2.file("/etc/shadow", "root's own")
    folder = pve2.file("/var/lib/roundsman/a.log", "").parent
    (folder / "a.log").unlink()
    (folder / "a.log").symlink_to(pve2.root / "etc/shadow")
    (folder / "lock").symlink_to(pve2.root / "etc/shadow")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    answer = upgrade(pve2) if order == "upgrade" else pve2.order("unit a")
    assert (answer[0], answer[1].get("refused")) == (3, "/var/lib/roundsman is not root's own")
    assert (pve2.root / "etc/shadow").read_text() == "root's own"


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
