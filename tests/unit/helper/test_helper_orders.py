"""What the node helper may be asked, and the machine under it: all else is refused, and nothing hangs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.helper.orders import reboot

# ---- what may be asked -----------------------------------------------------------------------------------------------


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


# ---- the real machine under it ---------------------------------------------------------------------------------------


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
