"""Maintenance mode and the guarded reboot: above all what the node refuses by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.helper.orders import BRICK, LATE, NEVER, SOON, reboot, upgrade

# ---- maintenance -----------------------------------------------------------------------------------------------------


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


# ---- reboot ----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("left", ["", "operating-version=100000\n"], ids=["empty", "cut off"])
def test_a_peer_that_does_not_know_its_own_uuid_does_not_know_its_bricks(pve2: Any, left: str) -> None:
    """As a power cut leaves a file that was just written."""
    pve2.file("/var/lib/glusterd/glusterd.info", left)
    assert reboot(pve2) == (
        3,
        {
            "refused": "/var/lib/glusterd/glusterd.info names no UUID, so which bricks are here is not known",
            "hint": "`gluster pool list` on another node tells it",
        },
    )
    assert pve2.did("systemctl reboot") == []


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
