"""apt refuses to tell what a node needs, and words it a little differently each time it is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from cluster.facts import Topic, Unread
from sandbox.direct import SimCluster
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario
from sandbox.spec import default_spec

HOUR = 3600.0
ALICE_STARTS = Cue("alice", at=0.0, types="/upgrade cluster nodes=pve3")


def test_a_trouble_that_counts_its_seconds_is_said_once_and_held_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release file that is "not valid yet" tells for how many seconds: a message a look, and never a hold."""
    night = Night(Scenario("apt", "", default_spec(), (), (ALICE_STARTS,), lasts=HOUR))
    real, looks = SimCluster.survey, count()

    def survey(cluster: SimCluster, topics: frozenset[Topic], node: str | None) -> Any:
        machines = real(cluster, topics, node)
        night.clock.sleep(1.0)
        why = f"pve3: Release file is not valid yet (invalid for another 2d 5h {60 - next(looks) % 60}s)"
        return replace(machines, packages=Unread(why, night.clock.now)) if Topic.MOVES in topics else machines

    monkeypatch.setattr("workflows.rolling_upgrade._preflight", lambda *_: None)
    monkeypatch.setattr(SimCluster, "survey", survey)
    night.live()
    said = [line for line in night.lines if "I cannot read what it needs" in line]
    holds = [line for line in night.lines if "I hold" in line]
    assert (len(said), len(holds)) == (1, 1)
    assert "22:05" in holds[0]
