"""What ages fast is young when a survey ends, however long the rest of it takes to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.facts import Gluster, Machines, PeerView, Read, Topic, VolumeStatus
from cluster.live import LiveCluster
from tests.unit.cluster.fakes import Clock, settings

ASKED = frozenset({Topic.MEMBERSHIP, Topic.GUESTS, Topic.GLUSTER, Topic.PROCESSES, Topic.PACKAGES})
QUICK = {Topic.MEMBERSHIP, Topic.GUESTS}


class AtOnce:
    """What is submitted begins now, all at the same time; the clock goes on when somebody waits for an answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def submit(self, ask: Callable[..., Any], *args: Any) -> Any:
        began = self._clock.now
        answer, ended = ask(*args), self._clock.now
        self._clock.now = began

        def result() -> Any:
            self._clock.now = max(self._clock.now, ended)
            return answer

        return SimpleNamespace(result=result)


class Reads:
    """In place of what asks the machines: `takes`: topic -> seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.takes = clock, dict[Topic, float]()
        self.asked: list[tuple[float, Topic]] = []

    def __call__(self, topic: Topic, node: str, words: Any, asked: frozenset[Topic]) -> Any:
        began = self.clock.now
        self.asked.append((began, topic))
        self.clock.now += self.takes.get(topic, 0.0)
        if topic is not Topic.GLUSTER:
            return Read((), began)
        status = {"vmstore": Read(VolumeStatus("vmstore", ()), began)} if Topic.PROCESSES in asked else {}
        seen = Read[Any]((), self.clock.now)
        return Read(Gluster((PeerView("pve1", "uuid", seen, seen, {}, status),), 3, 5.0), self.clock.now)

    def passes(self) -> list[set[Topic]]:
        """What was asked for together, one after the other."""
        moments = sorted({at for at, _ in self.asked})
        return [{topic for when, topic in self.asked if when == at} for at in moments]


@pytest.fixture
def reads(clock: Clock) -> Reads:
    return Reads(clock)


@pytest.fixture
def live(clock: Clock, reads: Reads, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveCluster]:
    cluster = LiveCluster(settings(), clock, clock.pause)
    monkeypatch.setattr(cluster, "_reading", reads)
    monkeypatch.setattr(cluster, "_topics", AtOnce(clock))
    yield cluster
    monkeypatch.undo()
    cluster.close()


def ages(found: Machines, now: float) -> tuple[float, float, float, float]:
    """Of membership, guests, the pool, and `volume status`, in seconds."""
    return now - found.membership.at, now - found.guests.at, now - found.gluster.at, now - found.processes.at


def test_what_is_read_in_no_time_is_read_once(live: LiveCluster, reads: Reads) -> None:
    live.survey(ASKED, "pve2")
    assert reads.passes() == [ASKED - {Topic.PROCESSES}]


def test_a_slow_volume_status_has_everything_else_read_after_it(live: LiveCluster, reads: Reads, clock: Clock) -> None:
    reads.takes = {Topic.GLUSTER: 40.0}
    found = live.survey(ASKED, "pve2")
    assert reads.passes() == [ASKED - {Topic.PROCESSES}, QUICK]
    assert ages(found, clock.now) == (0.0, 0.0, 0.0, 40.0)


def test_a_slow_apt_has_gluster_read_after_it_and_then_what_that_kept_waiting(
    live: LiveCluster, reads: Reads, clock: Clock
) -> None:
    reads.takes = {Topic.PACKAGES: 200.0, Topic.GLUSTER: 40.0}
    found = live.survey(ASKED, "pve2")
    assert reads.passes() == [ASKED - {Topic.PROCESSES}, QUICK | {Topic.GLUSTER}, QUICK]
    assert ages(found, clock.now) == (0.0, 0.0, 0.0, 40.0)


def test_gluster_that_is_read_again_is_read_with_its_processes(live: LiveCluster, reads: Reads, clock: Clock) -> None:
    reads.takes = {Topic.PACKAGES: 200.0}
    found = live.survey(ASKED, "pve2")
    assert isinstance(found.gluster, Read)
    assert list(found.gluster.value.views[0].status) == ["vmstore"]
    assert ages(found, clock.now) == (0.0, 0.0, 0.0, 0.0)


def test_where_everything_is_slow_the_survey_ends_all_the_same(live: LiveCluster, reads: Reads, clock: Clock) -> None:
    """Its stamps say how old what it read is; the gates judge that."""
    reads.takes = {Topic.MEMBERSHIP: 31.0, Topic.GUESTS: 1.0, Topic.GLUSTER: 60.0}
    found = live.survey(ASKED, "pve2")
    assert len(reads.passes()) == 3
    assert ages(found, clock.now)[0] > 30.0
