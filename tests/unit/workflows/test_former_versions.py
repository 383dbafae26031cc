"""Whole nights as former versions wrote them into their journals: this version understands every entry, and takes such
a run over at any of them.

`journals/VERSION/SCENARIO.json` is never written anew, for such runs may be waiting somewhere. A new version that
writes other entries gets a folder of its own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.journal import Rules
from sandbox.night import Night
from sandbox.scenario import load
from store.api import Entry, RunRow
from workflows.phases import UPGRADE

KEPT = sorted((Path(__file__).parent / "journals").glob("*/*.json"))
SCENARIOS = Path("tests/scenarios")
PARTS = ("run.gates", "pve1", "pve2", "pve3")
"""Their results stand for all that is inside of them, and would be all that is looked at."""
DAY = 86_400.0


def taken_over(file: Path, entries: list[list[Any]]) -> Night:
    """A night in which nothing is left to do, for a run with these entries. Where they end it goes on by itself."""
    kept = json.loads(file.read_text())
    told = replace(load(SCENARIOS / file.stem), faults=(), cues=(), oncall=None, start=entries[-1][3], lasts=2 * DAY)
    night = Night(told, rules=Rules())
    began = entries[0][3]
    night.store.start_run(
        RunRow(kept["id"], kept.get("workflow", UPGRADE), "lab", kept["args"], "active", began, kept["by"], began)
    )
    for entry in entries:
        night.store.write(kept["id"], Entry(*entry))
    return night.live()


@pytest.mark.parametrize("file", KEPT, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_run_of_a_former_version_is_replayed_to_its_end_and_nothing_is_done_again(file: Path) -> None:
    kept = json.loads(file.read_text())
    night = taken_over(file, [entry for entry in kept["entries"] if entry[0] not in PARTS])
    run = night.store.run(kept["id"])
    assert run is not None
    assert (run.result, night.sent, night.pages) == (kept["result"], [], [])


@pytest.mark.parametrize("file", KEPT, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_run_of_a_former_version_meets_no_fault_wherever_it_is_taken_over(file: Path) -> None:
    """The cluster knows nothing of what that run did, so it may hold anywhere; but it is never at a loss."""
    entries = json.loads(file.read_text())["entries"]
    for end in range(10, len(entries), len(entries) // 4):
        night = taken_over(file, entries[:end])
        (run,) = night.store.runs()
        assert [entry.key for entry in night.store.entries(run.id) if entry.kind == "fault"] == []
