"""What holds for every gate: found by itself, closed to what was not read, overridden only where it may be."""

from __future__ import annotations

import json
import logging
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cluster.gates
from cluster.facts import PeerView, Read, Reading, Topic, Unread
from cluster.gates import all_gates, ask, judge, table, topics
from cluster.world import Blocked, Gate, GatePhase, Opinion, Passed, Unknown, Verdict, World
from tests.unit.gates.build import (
    NOW,
    assert_passed,
    assert_unknown,
    at,
    gluster_of,
    healthy,
    verdict,
    volume,
    with_,
    with_gluster,
    with_guest,
    with_heal,
    with_node,
    with_view,
)

NEVER = {
    "approval",
    "ceph",
    "cluster-quorum",
    "corosync-config",
    "drained",
    "gluster-peers",
    "gluster-processes",
    "guest-groups",
    "heal",
    "helper",
    "last-member",
    "split-brain",
    "volume-survives",
}
MOMENTS = {
    "PAMURHWC": {"ceph", "cluster-quorum", "gluster-peers", "heal", "nodes-online", "split-brain"},
    "PAMURHC": {"gluster-processes"},
    "PAMURH": {"ceph-health", "corosync-config", "maintenance", "replication", "storages", "tasks"},
    "PAMUR": {"ceph-pools", "dpkg", "gluster-tasks", "helper", "locks", "paths", "volume-survives", "window"},
    "PAMU": {"packages"},
    "PAMHWC": {"services"},
    "PAM": {"ha", "ha-affinity", "last-member", "members-apart", "memory", "movable"},
    "PA": {"backups", "on-call"},
    "MUR": {"approval"},
    "URHWC": {"guest-groups"},
    "UR": {"drained"},
}
"""Preflight, Ask, Maintenance, Upgrade, Reboot, Healed, Watch, Checkup: when each gate is asked. One that is no longer
asked at a moment opens it without a word, so it is said here a second time."""
NAMES = [gate.name for gate in all_gates()]


def judged(world: World, phase: GatePhase, overrides: Mapping[str, str] | None = None) -> tuple[Opinion, ...]:
    return judge(world, "pve2", phase, NOW, overrides or {})


def gate(name: str) -> Gate:
    return next(gate for gate in all_gates() if gate.name == name)


# ---- all gates -----------------------------------------------------------------------------------------------------


def test_every_file_of_the_folder_is_a_gate_named_like_it() -> None:
    files = {m.name for m in pkgutil.iter_modules(cluster.gates.__path__) if not m.name.startswith("_")}
    assert {name.replace("-", "_") for name in NAMES} == files


def test_quorum_heal_split_brain_last_member_approval_and_helper_can_be_overridden_by_nobody() -> None:
    assert {gate.name for gate in all_gates() if not gate.overridable} == NEVER


def test_every_gate_is_asked_at_its_moments() -> None:
    found: dict[str, set[str]] = {}
    for gate in all_gates():
        letters = "".join(letter for letter, phase in zip("PAMURHWC", GatePhase, strict=True) if phase in gate.phases)
        found.setdefault(letters, set()).add(gate.name)
    assert found == MOMENTS


def test_membership_gluster_and_guest_groups_are_at_most_30_seconds_old() -> None:
    for name in ("cluster-quorum", "nodes-online", "last-member", "guest-groups", "drained", "approval"):
        assert gate(name).max_age == 30.0
    assert {gate.max_age for gate in all_gates() if gate.reads == {Topic.GLUSTER}} == {30.0}


def test_what_takes_gluster_s_lock_is_asked_one_at_a_time_and_may_be_five_minutes_old() -> None:
    assert {gate.name for gate in all_gates() if Topic.PROCESSES in gate.reads} == {
        "gluster-processes",
        "gluster-tasks",
    }
    assert {gate.max_age for gate in all_gates() if Topic.PROCESSES in gate.reads} == {300.0}


@pytest.mark.parametrize("phase", GatePhase)
def test_a_healthy_cluster_opens_every_gate_at_every_moment(phase: GatePhase) -> None:
    assert [opinion for opinion in judged(at(phase), phase) if not opinion.open] == []


@pytest.mark.parametrize("phase", GatePhase)
def test_a_survey_reads_what_the_gates_of_its_moment_read(phase: GatePhase) -> None:
    wanted = frozenset(topic for gate in all_gates() if phase in gate.phases for topic in gate.reads)
    assert topics(phase) == wanted


def test_the_watch_afterwards_asks_for_little() -> None:
    little = {Topic.MEMBERSHIP, Topic.GUESTS, Topic.GLUSTER, Topic.NODES, Topic.SERVING, Topic.CEPH}
    assert topics(GatePhase.WATCH) == little


def test_what_takes_glusters_lock_is_asked_only_in_a_checkup() -> None:
    assert topics(GatePhase.CHECKUP) - topics(GatePhase.WATCH) == {Topic.PROCESSES}


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_looks_at_nothing_that_it_does_not_declare(name: str) -> None:
    asked = gate(name)
    for phase in asked.phases:
        world = at(phase)
        for topic in frozenset(Topic) - asked.reads:
            gone: dict[str, Any] = {"nodes": {}} if topic is Topic.NODES else {topic: Unread("not asked for", 0.0)}
            world = replace(world, machines=replace(world.machines, **gone))
        assert isinstance(ask(asked, world, "pve2", phase, NOW), Passed)


@pytest.mark.parametrize("phase", GatePhase)
def test_evidence_is_plain_json(phase: GatePhase) -> None:
    bent = with_heal(with_guest(healthy(windows=[{"days": ["mon"]}]), 101, status="stopped"), "pve1", pending=1)
    for world in (healthy(), bent):
        for opinion in judged(world, phase):
            plain = json.loads(json.dumps(opinion.verdict.evidence))
            assert plain == opinion.verdict.evidence


def test_the_table_for_the_documentation_has_a_row_for_every_gate() -> None:
    lines = table().splitlines()
    assert lines[0] == "| gate | what it asks | when | evidence | override |"
    assert len(lines) == 2 + len(NAMES)
    assert (
        "| `split-brain` | Is no file in split brain on any brick, by every peer's word? "
        "| preflight, ask, maintenance, upgrade, reboot, healed, watch, checkup | at most 30 s old | never |" in lines
    )


# ---- old, unread, broken -------------------------------------------------------------------------------------------


def test_old_evidence_is_unknown() -> None:
    reason = "membership: evidence is 47 s old, limit 30 s"
    assert_unknown(verdict("cluster-quorum", healthy(), now=NOW + 47), reason)
    assert_passed(
        verdict("cluster-quorum", healthy(), now=NOW + 30), "no spare vote while pve2 is down: 2 left, 2 needed"
    )


def test_what_is_young_enough_for_one_gate_is_too_old_for_another_one_of_the_same_moment() -> None:
    members = healthy().machines.membership
    assert isinstance(members, Read)
    found = judged(with_(healthy(), at=NOW - 31, membership=members.value), GatePhase.PREFLIGHT)
    shut = {opinion.gate for opinion in found if isinstance(opinion.verdict, Unknown)}
    assert {"cluster-quorum", "nodes-online"} <= shut
    assert not {"memory", "movable"} & shut


def test_evidence_from_the_future_has_no_age_for_the_clock_jumped() -> None:
    reason = "membership: evidence is stamped 3600 s ahead of now; the clock jumped"
    assert_unknown(verdict("cluster-quorum", healthy(), now=NOW - 3600), reason)


def test_a_topic_that_was_not_read_is_unknown_with_its_reason() -> None:
    world = with_(healthy(), tasks=Unread("pve1: HTTP 595, connection refused", NOW))
    assert_unknown(verdict("tasks", world), "tasks not read: pve1: HTTP 595, connection refused")


def test_a_gate_that_breaks_is_unknown_and_leaves_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
        raise KeyError("pve4")

    with caplog.at_level(logging.ERROR):
        found = ask(replace(gate("window"), check=breaks), healthy(), "pve2", GatePhase.REBOOT, NOW)
    assert_unknown(found, "the gate itself broke (KeyError)", "its log has the trace")
    assert "gate 'window': asked -> unknown (it broke before reboot of pve2)" in caplog.text


# ---- overrides -----------------------------------------------------------------------------------------------------

CAROL = "<@U0CAROL>: the tape library is being moved"


def opinion(world: World, name: str, overrides: Mapping[str, str]) -> Opinion:
    return next(found for found in judged(world, GatePhase.REBOOT, overrides) if found.gate == name)


def test_an_override_opens_a_gate_that_may_be_overridden_and_keeps_its_verdict() -> None:
    shut = with_guest(healthy(), 103, lock="backup")
    assert not opinion(shut, "locks", {}).open
    found = opinion(shut, "locks", {"locks": CAROL})
    assert (found.open, found.overridden_by, type(found.verdict)) == (True, CAROL, Blocked)


def test_an_override_opens_an_unknown_gate_too() -> None:
    silent = with_(healthy(), tasks=Unread("no answer", NOW))
    found = opinion(silent, "tasks", {"tasks": CAROL})
    assert (found.open, type(found.verdict)) == (True, Unknown)


@pytest.mark.parametrize("name", sorted(NEVER))
def test_an_override_of_a_gate_that_may_not_be_overridden_opens_nothing(name: str) -> None:
    phase = sorted(gate(name).phases)[0]
    old = judge(healthy(), "pve2", phase, NOW + 1000, {name: CAROL})
    found = next(opinion for opinion in old if opinion.gate == name)
    assert (found.open, found.overridden_by) == (False, "")


def test_an_override_of_a_gate_that_is_open_anyway_is_not_shown() -> None:
    assert opinion(healthy(), "locks", {"locks": CAROL}).overridden_by == ""


def test_an_override_opens_no_other_gate() -> None:
    shut = with_guest(healthy(), 103, lock="backup")
    assert not opinion(shut, "locks", {"tasks": CAROL}).open


# ---- whatever is not known, blocks ---------------------------------------------------------------------------------

Change = Callable[[Any], Reading[Any]]


@dataclass(frozen=True)
class Place:
    """One reading somewhere in a world: what it is called, whose topic it is (None: the approval), how to change it."""

    name: str
    topic: Topic | None
    bend: Callable[[World, Change], World]

    def asked(self, phase: GatePhase) -> bool:
        if self.topic is None:
            return phase in gate("approval").phases
        return self.topic in topics(phase)


TWO_VOLUMES = with_gluster(volume(), volume(name="backup"))


def places() -> Iterator[Place]:
    yield Place("approval", None, lambda world, change: replace(world, approval=change(world.approval)))
    for topic in frozenset(Topic) - {Topic.NODES}:
        yield Place(topic.value, topic, partial(_topic, topic.value))
    for node in TWO_VOLUMES.settings.nodes:
        yield Place(f"node {node}", Topic.NODES, partial(_node, node))
    for view in gluster_of(TWO_VOLUMES).views:
        yield Place(f"pool by {view.node}", Topic.GLUSTER, partial(_of_view, view, "pool"))
        yield Place(f"volumes by {view.node}", Topic.GLUSTER, partial(_of_view, view, "volumes"))
        for name, reads in view.heal.items():
            yield Place(f"status of {name} by {view.node}", Topic.PROCESSES, partial(_status, view, name))
            for read in range(len(reads)):
                last = "last" if read == len(reads) - 1 else "earlier"
                yield Place(f"{last} heal of {name} by {view.node}", Topic.GLUSTER, partial(_heal, view, name, read))


def _topic(topic: str, world: World, change: Change) -> World:
    changed: dict[str, Any] = {topic: change(getattr(world.machines, topic))}
    return replace(world, machines=replace(world.machines, **changed))


def _node(node: str, world: World, change: Change) -> World:
    return with_node(world, node, change(world.machines.nodes[node]))


def _of_view(view: PeerView, name: str, world: World, change: Change) -> World:
    return with_view(world, view.node, **{name: change(getattr(view, name))})


def _status(view: PeerView, name: str, world: World, change: Change) -> World:
    return with_view(world, view.node, status={**view.status, name: change(view.status[name])})


def _heal(view: PeerView, name: str, read: int, world: World, change: Change) -> World:
    reads = list(view.heal[name])
    reads[read] = change(reads[read])
    return with_view(world, view.node, heal={**view.heal, name: tuple(reads)})


PLACES = sorted(places(), key=lambda place: place.name)


@given(place=st.sampled_from(PLACES), phase=st.sampled_from(GatePhase), why=st.text(min_size=1, max_size=30))
def test_whatever_was_not_read_some_gate_that_reads_it_is_unknown(place: Place, phase: GatePhase, why: str) -> None:
    world = place.bend(TWO_VOLUMES, lambda _: Unread(why, NOW))
    if not place.asked(phase):
        return
    shut = [opinion for opinion in judged(world, phase) if not opinion.open]
    assert [opinion for opinion in shut if isinstance(opinion.verdict, Unknown) and _reads(opinion.gate, place)]


def _reads(name: str, place: Place) -> bool:
    return name == "approval" if place.topic is None else place.topic in gate(name).reads


@given(place=st.sampled_from(PLACES), phase=st.sampled_from(GatePhase), age=st.floats(901, 1e6))
def test_whatever_was_read_long_ago_some_gate_that_reads_it_is_unknown(
    place: Place, phase: GatePhase, age: float
) -> None:
    def old(reading: Read[Any]) -> Reading[Any]:
        return replace(reading, at=NOW - age)

    if not place.asked(phase) or place.name.startswith("earlier heal"):  # earlier heal reads show that it is stable
        return
    shut = [opinion for opinion in judged(place.bend(TWO_VOLUMES, old), phase) if not opinion.open]
    assert [opinion for opinion in shut if isinstance(opinion.verdict, Unknown) and _reads(opinion.gate, place)]


COUNTERS = ["pending", "split_brain", "possibly_healing", "total"]


@given(
    node=st.sampled_from(["pve1", "pve2", "pve3"]),
    by=st.sampled_from(["pve1", "pve2", "pve3"]),
    read=st.integers(0, 2),
    counter=st.sampled_from(COUNTERS),
    count=st.none() | st.integers(1, 10**6),
    phase=st.sampled_from(GatePhase),
)
def test_any_counter_of_any_brick_in_any_read_of_any_peer_that_is_not_zero_shuts_the_heal_gate(
    node: str, by: str, read: int, counter: str, count: int | None, phase: GatePhase
) -> None:
    world = with_heal(healthy(), node, by=[by], reads=[read], **{counter: count})
    assert isinstance(verdict("heal", world, phase), Blocked)


@given(node=st.sampled_from(["pve1", "pve2", "pve3"]), by=st.sampled_from(["pve1", "pve2", "pve3"]), said=st.text())
def test_any_other_word_than_connected_shuts_the_heal_gate(node: str, by: str, said: str) -> None:
    world = with_heal(healthy(), node, by=[by], status=said)
    assert isinstance(verdict("heal", world), Passed if said == "Connected" else Blocked)
