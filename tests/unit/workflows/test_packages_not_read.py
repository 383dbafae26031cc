"""apt refuses to tell what a node needs, and words it a little differently each time it is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Refused
from cluster.facts import Machines, NodeStatus, PackagePlan, Read, Topic, Unread
from cluster.world import OwnChanges
from engine.port import Waiting
from sandbox.direct import SimCluster
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario, load
from sandbox.spec import default_spec, managed_settings
from workflows.node import _need

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


# ---- what else could not be read -----------------------------------------------------------------------------------


def look_at(machines: Machines) -> Any:
    """The first look at what pve3 needs."""
    settings = managed_settings(default_spec())
    cluster = SimpleNamespace(survey=lambda topics, node: machines)
    site = SimpleNamespace(cluster=cluster, managed=settings)
    return _need(SimpleNamespace(node="pve3", site=site, own=OwnChanges()), False, [])  # type: ignore[arg-type]


def test_only_what_apt_itself_refuses_is_told_as_its_trouble() -> None:
    apt = Unread("pve3: the package system is locked", 0.0)
    plan = Read(PackagePlan("plan", (), ()), 0.0)
    status = Read(NodeStatus("pve3", "", "b", 1.0, "6.8", "6.8", {}, 7), 0.0)
    silent = Unread("HTTP 595", 0.0)
    assert look_at(Machines(nodes={"pve3": status}, packages=apt)) == {"trouble": "pve3: the package system is locked"}
    assert look_at(Machines(nodes={"pve3": silent}, packages=apt)) == Waiting("HTTP 595")
    assert look_at(Machines(nodes={"pve3": status}, packages=plan, guests=silent)) == Waiting("HTTP 595")


def test_where_nobody_says_which_guests_can_move_no_approval_is_asked() -> None:
    """All of them would seem to move; and were asked for again, in the night, once that could be read."""
    plan = Read(PackagePlan("plan", (), ()), 0.0)
    status = Read(NodeStatus("pve3", "", "b", 1.0, "6.8", "6.8", {}, 7), 0.0)
    seen = Machines(nodes={"pve3": status}, packages=plan, guests=Read((), 0.0), moves=Unread("HTTP 596", 0.0))
    assert look_at(seen) == Waiting("HTTP 596")
    assert "need" in look_at(replace(seen, moves=Read((), 0.0)))


def test_a_guest_whose_configuration_cannot_be_read_holds_no_drained_node_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts with the node is told, and nothing else hangs on it; after a quarter of an hour it paged."""

    def onboot(*_: Any) -> bool:
        raise Refused("unable to parse value of 'boot'")

    monkeypatch.setattr(SimCluster, "onboot", onboot)
    cues = (ALICE_STARTS, Cue("carol", when="asked", after=120.0, reacts="white_check_mark"))
    night = Night(replace(load(Path("tests/scenarios/off-but-starts-at-boot")), cues=cues)).live()
    assert "I cannot see which guests that are off start with the node" in night.text
    assert "pve3 is done" in night.text
    assert night.pages == []
