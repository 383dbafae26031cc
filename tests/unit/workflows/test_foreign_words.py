"""What machines say calls nobody in Slack, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.api import TaskState
from sandbox.direct import SimCluster
from sandbox.night import Night
from sandbox.scenario import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"
CALL = "<!channel>"


def said(scenario: str) -> str:
    """The messages of all runs of a night."""
    night = Night(load(SCENARIOS / scenario), transcript=False).live()
    return "".join(str(row.message) for run in night.store.runs() for row in night.store.outbox(run.id))


def test_the_end_of_a_task_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    task = SimCluster.task

    def hostile(*asked: object) -> TaskState:
        state = task(*asked)  # type: ignore[arg-type]
        return TaskState(state.running, state.error and f"{state.error} {CALL}")

    monkeypatch.setattr(SimCluster, "task", hostile)
    told = said("guest-does-not-move")
    assert "aborted &lt;!channel&gt;" in told
    assert CALL not in told
