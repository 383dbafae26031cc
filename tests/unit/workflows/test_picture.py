"""What people see of a run is read off its journal."""

from __future__ import annotations

from dataclasses import replace

from store.api import Entry, RunRow
from workflows.phases import UPGRADE, Phase, key_of
from workflows.picture import picture

RUN = RunRow("r1", UPGRADE, "lab", {"nodes": ["pve3"]}, "active", 0.0, "U0ALICE", 0.0)


def state_after(*phases: Phase, run: RunRow = RUN) -> str:
    entries = [Entry(key_of("pve3", phase, "103"), "result", True, 1.0 + n) for n, phase in enumerate(phases)]
    return picture(run, entries, []).nodes[0].state


def test_a_guest_that_moves_back_is_no_drain() -> None:
    assert state_after(Phase.DRAIN, Phase.MOVE) == "draining"
    assert state_after(Phase.DRAIN, Phase.MOVE, Phase.RELEASE) == "rejoining"
    assert state_after(Phase.DRAIN, Phase.MOVE, Phase.RELEASE, Phase.MOVE) == "getting its guests back"


def test_who_waits_for_a_person_says_so() -> None:
    assert state_after(Phase.ASK) == "waiting for approval"


def test_of_a_run_that_was_aborted_no_node_is_said_to_be_still_on_its_way() -> None:
    over = replace(RUN, state="done", result={"state": "aborted"})
    assert state_after(Phase.DRAIN, Phase.PUT_BACK) == "putting back"
    assert state_after(Phase.DRAIN, Phase.PUT_BACK, run=over) == "put back"
    assert state_after(Phase.LOOK, Phase.ASK, run=over) == "not taken"
