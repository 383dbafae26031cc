"""An act that a crash cut off may have been done, whatever keeps it from being done now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.lines import Act, Moment
from sandbox.luck import GOOD, Crash, LuckyNight
from sandbox.scenario import Scenario
from sandbox.spec import default_spec
from workflows.picture import picture

MINUTE = 60.0
BACKUP = {"kind": "backup-running", "guest": 103, "after": "maintenance-on pve3", "lasts": 4 * 3600.0}
ROUTERS_DIE = [
    {"kind": "guest-stops", "guest": guest, "after": "maintenance-on pve3", "delay": 20 * MINUTE}
    for guest in (101, 102)
]


@dataclass
class CutOff(LuckyNight):
    """The bot dies right after the node has heard that it is to be in maintenance mode. `pauses`: Bob does, before the
    bot is back."""

    pauses: bool = False

    def _on_act(self, act: Act) -> None:
        if act.verb == "maintenance" and act.moment is Moment.DONE and not self.crashes:
            raise Crash

    def _dies(self, pause: float) -> None:
        super()._dies(MINUTE)
        if self.pauses:
            self._soon(MINUTE, lambda: self.type("bob", "/upgrade pause"))

    def _cue(self, kind: str, node: str, text: str, ts: str) -> None:
        """Nobody resumes."""
        if "Paused" not in text:
            super()._cue(kind, node, text, ts)


def lived(*faults: dict[str, Any], pauses: bool) -> CutOff:
    told = Scenario("cut off", "", default_spec(), faults, (), lasts=3600.0)
    return CutOff(told, odds=GOOD, opening=(0.0, "/upgrade cluster nodes=pve3"), pauses=pauses, transcript=True).live()


@pytest.mark.parametrize(("faults", "pauses"), [((BACKUP,), False), ((), True)], ids=["gates", "a pause"])
def test_a_node_that_was_taken_right_before_the_bot_died_may_be_in_maintenance_mode(
    faults: tuple[dict[str, Any], ...], pauses: bool
) -> None:
    """The gates shut before anybody had seen it, or a person stopped the run: the status said that nothing is left."""
    night = lived(*faults, pauses=pauses)
    (run,) = night.store.runs()
    assert picture(run, night.store.entries(run.id)).left == ("pve3 may be in maintenance mode",)
    assert night.wrong == []


def test_guest_groups_are_looked_after_while_a_node_may_be_in_maintenance_mode() -> None:
    assert "meanwhile too few of a guest group serve" in lived(*ROUTERS_DIE, pauses=True).text
