"""The bot's side of the node helper: orders as they go out, answers as they are understood, and bad ones in words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.api import Refused, Uncertain, Unreachable
from cluster.facts import Package
from cluster.helper import Helper, Votes
from cluster.ssh import Done
from cluster.words import Words
from tests.unit.cluster.fakes import FakeSsh, settings, xml

STATUS: dict[str, Any] = {
    "checksum": "c" * 64,
    "node": "pve1",
    "boot_id": "b",
    "uptime": 12.5,
    "clock": 1700000000.5,
    "kernel": "6.8.12-4-pve",
    "boot_kernel": "6.8.12-9-pve",
    "services": {"corosync": "active"},
    "corosync_version": 7,
    "votes": {"nodes": {"pve1": 1, "pve2": 1}, "expected": 3, "total": 3, "quorum": 2, "qdevice": 1},
    "dpkg_broken": "",
    "apt_busy": "apt-get (pid 7)",
    "gluster_mounts": ["/mnt/pve/vmstore"],
}
PLAN: dict[str, Any] = {
    "checksum": "d" * 64,
    "upgrades": [{"name": "pve-manager", "old": "8.3.0", "new": "8.3.5"}],
    "removes": ["old-lib"],
    "new_kernel": "6.8.12-9-pve",
    "restarts_gluster": True,
    "trouble": "",
    "hint": "",
    "refreshed_s_ago": 60.0,
}
INSTALL = "run `roundsman install-helper attic --node pve1 --admin-key FILE`"


def says(answer: Any, rc: int = 0) -> Done:
    return Done(rc, json.dumps(answer).encode() + b"\n", b"")


@pytest.fixture
def pve1() -> FakeSsh:
    return FakeSsh("pve1")


@pytest.fixture
def helper(pve1: FakeSsh) -> Helper:
    return Helper(pve1, settings())


# ---- answers -------------------------------------------------------------------------------------------------------


def test_a_status_is_read_whole(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = says(STATUS)
    status = helper.status()
    assert (status.node, status.boot_id, status.uptime, status.clock) == ("pve1", "b", 12.5, 1700000000.5)
    assert (status.kernel, status.boot_kernel, status.corosync_version) == ("6.8.12-4-pve", "6.8.12-9-pve", 7)
    assert (status.apt_busy, status.dpkg_broken, status.gluster_mounts) == (
        "apt-get (pid 7)",
        "",
        ("/mnt/pve/vmstore",),
    )


def test_votes_come_with_the_status(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = says(STATUS)
    assert helper.votes() == Votes({"pve1": 1, "pve2": 1}, expected=3, quorum=2, qdevice=1)


def test_no_votes_are_not_taken_for_zero_votes(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = says({**STATUS, "votes": None})
    with pytest.raises(Refused, match="pve1: corosync tells no votes"):
        helper.votes()


def test_what_keeps_the_bot_from_all_nodes_alike_is_said_once(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = Unreachable("the private key cannot be used")
    with ThreadPoolExecutor(1) as workers, pytest.raises(Unreachable, match=r"^the private key cannot be used$"):
        Words(dict.fromkeys(["pve1", "pve2", "pve3"], helper), lambda: 0.0, workers).votes(["pve1", "pve2", "pve3"])


@pytest.mark.parametrize("field", ["boot_id", "uptime", "boot_kernel", "dpkg_broken"])
def test_a_status_that_lacks_a_field_is_another_version_s(pve1: FakeSsh, helper: Helper, field: str) -> None:
    pve1.answers["status"] = says({name: value for name, value in STATUS.items() if name != field})
    with pytest.raises(Refused, match="pve1: the node helper answers in another version's words") as refused:
        helper.status()
    assert (field in str(refused.value), refused.value.hint) == (True, INSTALL)


def test_a_node_that_answers_for_another_one_is_never_taken_for_it(pve1: FakeSsh, helper: Helper) -> None:
    """Two addresses that were swapped in the settings, with their host keys: the wrong node would be rebooted."""
    pve1.answers["status"] = says({**STATUS, "node": "pve2"})
    for asked in (helper.status, helper.votes):
        with pytest.raises(Refused, match="pve1: who answers at its address calls itself pve2") as refused:
            asked()
        assert refused.value.hint == "nodes.pve1.address in the settings leads to another machine"


def test_a_fresh_plan_is_read_without_touching_the_network(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["plan"] = says(PLAN)
    plan = helper.packages()
    assert (plan.checksum, plan.upgrades) == ("d" * 64, (Package("pve-manager", "8.3.0", "8.3.5"),))
    assert (plan.removes, plan.new_kernel, plan.restarts_gluster) == (("old-lib",), "6.8.12-9-pve", True)
    assert pve1.asked == ["plan"]


@pytest.mark.parametrize("age", [None, 7 * 3600.0, -86400.0])
def test_old_package_lists_are_renewed_first(pve1: FakeSsh, helper: Helper, age: float | None) -> None:
    pve1.answers = {
        "plan": says({**PLAN, "refreshed_s_ago": age}),
        "plan refresh": says({**PLAN, "checksum": "e" * 64}),
    }
    assert helper.packages().checksum == "e" * 64


def test_apt_s_trouble_is_a_refusal_with_its_hint(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["plan"] = says(
        {**PLAN, "trouble": "dpkg was interrupted on this node", "hint": "`dpkg --configure -a`"}
    )
    with pytest.raises(Refused, match="pve1: dpkg was interrupted on this node") as refused:
        helper.packages()
    assert refused.value.hint == "`dpkg --configure -a`"


def test_a_unit_s_trouble_comes_with_its_hint(pve1: FakeSsh, helper: Helper) -> None:
    unit = {
        "began": True,
        "exit": 100,
        "tail": "E: Sub-process",
        "trouble": "dpkg could not install x",
        "hint": "do that",
    }
    pve1.answers["unit night"] = says(unit)
    state = helper.unit("night")
    assert (state.began, state.exit, state.tail) == (True, 100, "E: Sub-process")
    assert (state.trouble, state.hint) == ("dpkg could not install x", "do that")


# ---- orders --------------------------------------------------------------------------------------------------------


def test_orders_go_out_in_the_helper_s_words(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers = dict.fromkeys(
        [
            "maintenance on 5010.25",
            "maintenance off 5010.25 pve1",
            f"upgrade night.pve1.upgrade {'d' * 64} 5010.25",
            "reboot 1111 5010.00",
        ],
        says({}),
    )
    helper.maintenance_on(5010.25)
    helper.maintenance_off("pve1", 5010.25)
    helper.upgrade("night.pve1.upgrade", "d" * 64, 5010.25)
    helper.reboot("1111", 5010.0)
    assert pve1.asked == list(pve1.answers)


def test_a_gluster_read_may_take_as_long_as_the_settings_say(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["gluster pool-list"] = xml("pool_list.xml")
    assert helper.gluster("pool-list") == xml("pool_list.xml")
    assert pve1.limits == [(130.0, 16 * 1024 * 1024)]


# ---- refusals and damage -------------------------------------------------------------------------------------------


def test_the_node_s_own_refusal_is_told_with_its_hint(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["reboot 1111 5.00"] = says({"refused": "the order came 3.2 s too late", "hint": "again"}, rc=3)
    with pytest.raises(Refused, match=r"pve1: the order came 3\.2 s too late") as refused:
        helper.reboot("1111", 5.0)
    assert refused.value.hint == "again"


def test_a_refusal_to_a_gluster_read_is_told_and_not_parsed_as_xml(pve1: FakeSsh, helper: Helper) -> None:
    slow = "`gluster --mode=script volume heal vmstore info --xml` gave no answer within 125 s"
    pve1.answers["gluster heal-info vmstore"] = says({"refused": slow, "hint": ""}, rc=3)
    with pytest.raises(Refused, match="gave no answer within 125 s"):
        helper.gluster("heal-info", "vmstore")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Done(1, b"", b"sudo: a password is required\n"), "sudo does not let this login run the node helper"),
        (Done(1, b"", b"roundsman is not in the sudoers file.\n"), "sudo does not let this login run the node helper"),
        (
            Done(1, b"", b"sudo: /usr/local/sbin/roundsman-helper: command not found\n"),
            "the node helper is not installed",
        ),
        (Done(127, b"", b"bash: line 1: sudo: command not found\n"), "the node helper is not installed"),
        (Done(127, b"", b"sh: 1: sudo: not found\n"), "the node helper is not installed"),
    ],
)
@pytest.mark.parametrize("order", ["status", "gluster pool-list"])
def test_a_helper_that_cannot_run_comes_with_the_command_that_installs_it(
    pve1: FakeSsh, helper: Helper, answer: Done, why: str, order: str
) -> None:
    pve1.answers[order] = answer
    with pytest.raises(Refused) as refused:
        helper.status() if order == "status" else helper.gluster("pool-list")
    assert (str(refused.value), refused.value.hint) == (f"pve1: {why}", INSTALL)


def test_a_login_without_a_shell_comes_with_the_line_that_gives_it_one(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = Done(1, b"This account is currently not available.\n", b"")
    with pytest.raises(Refused, match="pve1: the login roundsman has no shell") as refused:
        helper.status()
    assert refused.value.hint == "`usermod --shell /bin/sh roundsman` there"


@pytest.mark.parametrize(
    "answer",
    [
        Done(0, b'{"rebooti', b""),
        Done(0, b"", b""),
        Done(0, b"[1, 2]", b""),
        Done(1, b"", b"Traceback (most recent call last):\nOSError: No space left on device\n"),
        Done(1, b"", b"Traceback (most recent call last):\nFileNotFoundError: No such file or directory: '/run/x'\n"),
        Done(1, b"{}", b""),
    ],
)
def test_an_act_that_ended_in_no_known_way_may_have_been_done(pve1: FakeSsh, helper: Helper, answer: Done) -> None:
    pve1.answers["reboot 1111 5.00"] = answer
    with pytest.raises(Uncertain, match=r"pve1: the node helper did not answer `reboot 1111 5\.00` as it should"):
        helper.reboot("1111", 5.0)


def test_an_act_of_which_the_node_knows_no_end_may_have_been_done(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["reboot 1111 5.00"] = Done(4, b'{"unclear": "`systemctl reboot` gave no answer within 30 s"}', b"")
    with pytest.raises(Uncertain, match=r"^pve1: `systemctl reboot` gave no answer within 30 s$"):
        helper.reboot("1111", 5.0)


def test_an_order_that_an_older_helper_does_not_know_comes_with_what_renews_it(pve1: FakeSsh, helper: Helper) -> None:
    said = b'{"refused": "roundsman-helper does not understand \'ha-state vm:101 disabled 5.00\'", "hint": "..."}'
    pve1.answers["ha-state vm:101 disabled 5.00"] = Done(3, said, b"")
    with pytest.raises(Refused, match="does not understand") as caught:
        helper.ha_state("vm:101", "disabled", 5.0)
    assert caught.value.hint == "run `roundsman install-helper attic --node pve1 --admin-key FILE`"


def test_what_the_line_raises_comes_through(pve1: FakeSsh, helper: Helper) -> None:
    pve1.answers["status"] = Unreachable("pve1 does not answer over SSH")
    with pytest.raises(Unreachable):
        helper.status()
