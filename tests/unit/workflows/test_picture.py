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


def left_after(**results: object) -> tuple[str, ...]:
    """Key of pve3, its dots as underscores -> its result."""
    on = Entry(key_of("pve3", Phase.MAINTENANCE), "result", ["did", {}], 1.0)
    rest = [Entry(f"pve3.{key.replace('_', '.')}", "result", value, 2.0) for key, value in results.items()]
    return picture(RUN, [on, *rest], []).left


def test_a_node_is_in_maintenance_mode_until_its_end_was_seen_and_not_only_ordered() -> None:
    """What HA makes of an order may take hours: a run that held for it said that nothing was changed any more."""
    assert left_after(release=["did", {}]) == ("pve3 is in maintenance mode",)
    assert left_after(release=["did", {}], release_reached_wait=["saw", True]) == ()
    assert left_after(putback=["did", {}], putback_reached_wait=["saw", True]) == ()


def test_a_node_that_somebody_else_took_out_of_maintenance_mode_is_not_left_in_it() -> None:
    assert left_after(putback_asked_wait=["saw", {"maintenance": False}]) == ()
    assert left_after(putback_asked_wait=["saw", {"maintenance": True}]) == ("pve3 is in maintenance mode",)


def test_an_order_whose_answer_was_lost_may_have_been_obeyed() -> None:
    """The gates may shut before it is given again, and stay shut for hours."""
    lost = Entry(key_of("pve3", Phase.MAINTENANCE), "result", ["unclear", "the line broke"], 1.0)
    assert picture(RUN, [lost], []).left == ("pve3 may be in maintenance mode",)
    gone = Entry("pve3.putback.asked.wait", "result", ["saw", {"maintenance": False}], 2.0)
    assert picture(RUN, [lost, gone], []).left == ()
