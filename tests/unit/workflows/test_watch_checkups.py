"""How often the watch takes Gluster's lock: its looks are many, its checkups few."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cluster.facts import Topic
from sandbox.direct import SimCluster
from sandbox.night import Night
from sandbox.scenario import load
from workflows.watch import CHECKUP_EVERY_S

SCENARIO = Path("tests/scenarios/good-night")


def test_in_four_quiet_hours_the_lock_is_taken_every_quarter_of_an_hour_and_the_rest_is_looked_at_all_the_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[float, bool]] = []
    night = Night(load(SCENARIO))
    survey = SimCluster.survey

    def counted(cluster: SimCluster, topics: frozenset[Topic], node: str | None) -> Any:
        if Topic.GLUSTER in topics:
            asked.append((night.clock.now, Topic.PROCESSES in topics))
        return survey(cluster, topics, node)

    monkeypatch.setattr(SimCluster, "survey", counted)
    night.live()
    began = next(entry.at for entry in night.store.entries(night.store.runs()[0].id) if entry.key == "watch.began")
    watched = [(at, locks) for at, locks in asked if at > began]
    checkups = [at for at, locks in watched if locks]
    hours = (watched[-1][0] - began) / 3600
    assert hours > 3.9
    assert len(checkups) <= hours * 3600 / CHECKUP_EVERY_S + 1
    assert max(later - one for one, later in pairwise(checkups)) < CHECKUP_EVERY_S + 120
    assert len(watched) > 10 * len(checkups)
