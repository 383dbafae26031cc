"""What the gates have seen is young when the node is told to act, however long the node takes to answer before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from sandbox.direct import SimCluster
from sandbox.invariants import violations
from sandbox.lines import Act, Moment
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario
from sandbox.spec import default_spec
from tests.unit.sandbox.evening import with_one_path

CUES = (
    Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3"),
    Cue("carol", when="asked", after=120.0, each=True, reacts="white_check_mark"),
)
YOUNG_S = 11.0  # ten seconds, and the one that a path may take


@pytest.mark.parametrize("phase", ["maintenance", "upgrade", "reboot"])
def test_a_node_that_answers_late_has_its_gates_asked_again(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(Scenario("late", "", default_spec(), (), CUES, lasts=3600.0))
    real, late = SimCluster.node_status, list[float]()

    def slow_once(cluster: SimCluster, node: str) -> Any:
        run = night.store.runs()[0].id
        if not late and any(entry.key == f"pve3.{phase}" for entry in night.store.entries(run)):
            late.append(night.clock.now)
            night.clock.sleep(25.0)
        return real(cluster, node)

    monkeypatch.setattr(SimCluster, "node_status", slow_once)
    night.live()
    (ordered,) = [sent.at for sent in night.sent if sent.verb == phase and sent.args[1] is not False]
    judged = max(row.at for row in night.store.audits() if row.what == f"gates {phase} pve3" and row.at <= ordered)
    assert late
    assert ordered - judged < YOUNG_S


@pytest.mark.parametrize("phase", ["maintenance", "upgrade", "reboot"])
@pytest.mark.parametrize("order", ["pause", "abort", "skip pve3"])
def test_an_order_that_comes_while_the_gates_are_read_is_obeyed_before_the_act(
    phase: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(Scenario("ordered", "", default_spec(), (), CUES, lasts=3600.0))
    real, typed = SimCluster.survey, list[str]()

    def survey(cluster: SimCluster, topics: Any, node: str | None) -> Any:
        run = night.store.runs()[0].id
        if not typed and any(entry.key == f"pve3.{phase}" for entry in night.store.entries(run)):
            typed.append(order)
            night.type("bob", f"/upgrade {order}")
        return real(cluster, topics, node)

    monkeypatch.setattr(SimCluster, "survey", survey)
    night.live()
    assert typed
    assert [sent for sent in night.sent if sent.verb == phase and sent.args[1] is not False] == []


def test_a_node_that_boots_between_the_gates_and_the_deed_is_not_struck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own helper would refuse as well; but what is known to be wrong is not even sent."""
    night = Night(Scenario("foreign", "", default_spec(), (), CUES, lasts=3600.0))
    real = SimCluster.node_status

    def booted_anew(cluster: SimCluster, node: str) -> Any:
        run, status = night.store.runs()[0].id, real(cluster, node)
        begun = any(entry.key == "pve3.reboot" for entry in night.store.entries(run))
        return replace(status, boot_id="another") if begun else status

    monkeypatch.setattr(SimCluster, "node_status", booted_anew)
    night.live()
    assert "pve3 was rebooted by somebody else" in night.text
    assert [sent for sent in night.sent if sent.verb == "reboot"] == []


def test_an_upgrade_that_never_arrived_holds_after_a_minute_and_a_retry_gives_it_again() -> None:
    """The line broke, and over no other path could it be given twice: nobody waits for two hours for it to end."""
    lost = {"kind": "line", "node": "pve3", "text": "upgrade", "how": "lost"}
    retries = Cue("bob", when="paged never began", after=60.0, types="/upgrade retry")
    night = Night(
        Scenario("lost", "", with_one_path(default_spec()), (lost,), (*CUES, retries), lasts=2 * 3600.0)
    ).live()
    first, again = [sent.at for sent in night.sent if sent.verb == "upgrade"]
    assert again - first < 300.0
    assert "pve3 is done" in night.text


@dataclass
class UpgradedByHand(Night):
    """While the bot drains pve3, somebody installs there what was approved."""

    def _on_act(self, act: Act) -> None:
        if act.verb == "maintenance" and act.moment is Moment.DONE:
            node = self.model.machines.all["pve3"]
            node.boot_kernel = self.model.packages.plan("pve3").new_kernel or node.boot_kernel
            self.model.packages.pending["pve3"] = ()


def test_what_somebody_installed_by_hand_meanwhile_is_approved_anew_and_not_installed_once_more() -> None:
    night = UpgradedByHand(Scenario("by hand", "", default_spec(), (), CUES, lasts=3 * 3600.0)).live()
    assert night.text.count("May I take pve3?") == 2
    assert "nothing is left to upgrade; somebody did it meanwhile" in night.text
    assert [sent.verb for sent in night.sent if sent.verb in ("upgrade", "reboot")] == ["reboot"]
    assert "pve3 is done" in night.text
    assert violations(night) == []
