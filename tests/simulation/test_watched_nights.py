"""Random nights of the main job with somebody on call, under the real probes and the real ladder: whatever the luck, a
guest group that falls is heard of, what fires and nobody has is rung again, and what is well again wakes nobody.

A night that fails is named by its seed: `watched_night_of(SEED, transcript=True).text` tells it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.detector import Doing
from sandbox.faults import Fault, Kind
from sandbox.luck import GOOD
from sandbox.luckwatched import WatchedLuck, watched_night_of, watched_scenario
from workflows import night_watch

QUICK, BATCH, ALL = 4, 20, 124
SLOW = [pytest.param(first, marks=pytest.mark.slow) for first in range(QUICK, ALL, BATCH)]
FEW = 40
"""Nights in which a planted fault is to be found."""


def troubled(seeds: range) -> dict[int, list[str]]:
    """Seed -> what was wrong with its night."""
    return {seed: lived.wrong[:3] for seed in seeds if (lived := watched_night_of(seed)).wrong}


@pytest.fixture(scope="module")
def few() -> list[WatchedLuck]:
    return [watched_night_of(seed) for seed in range(QUICK)]


def test_whatever_the_luck_nobody_sleeps_through_it_and_no_alarm_outlives_its_trouble(few: list[WatchedLuck]) -> None:
    assert {night.scenario.seed: night.wrong[:3] for night in few if night.wrong} == {}


@pytest.mark.slow
def test_these_nights_are_bad_enough(few: list[WatchedLuck]) -> None:
    """Some of them ring, the bot dies in some, and the run gets through some: its watch may outlast the night."""
    assert any(night.rings for night in few)
    assert any(night.crashes for night in few)
    runs = [run for night in few for run in night.store.runs()]
    watching = [run for run in runs if str((run.parked or {}).get("key", "")).startswith("watch.")]
    assert watching or any((run.result or {}).get("state") == "done" for run in runs)


@pytest.mark.parametrize("first", SLOW)
@pytest.mark.timeout(300)
def test_nor_in_many_more_nights(first: int) -> None:
    assert troubled(range(first, first + BATCH)) == {}


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))])
def test_a_good_night_rings_nobody_though_every_node_reboots_under_the_eyes_of_the_probes(seed: int) -> None:
    night = watched_night_of(seed, GOOD)
    assert (night.rings, night.wrong) == ([], [])


# ---- planted faults: each must be found ------------------------------------------------------------------------------


def first_word(seeds: range) -> str:
    return next((lived.wrong[0] for seed in seeds if (lived := watched_night_of(seed)).wrong), "nothing was found")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_alarm_that_nobody_takes_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night_watch, "clear_alerts", lambda *_: None)
    assert "still fires" in first_word(range(FEW))


def both_routers_stop() -> WatchedLuck:
    """A quiet night in which nobody upgrades anything."""
    dead = tuple(Fault(Kind.GUEST_STOPS, guest=guest, at=3600.0) for guest in (101, 102))
    quiet = replace(watched_scenario(0, GOOD), faults=dead)
    return WatchedLuck(quiet, odds=GOOD, opening=(300.0, "/upgrade status")).live()


def test_two_routers_that_stop_ring_whoever_is_on_call() -> None:
    night = both_routers_stop()
    assert (bool(night.rings), night.wrong) == (True, [])


def test_a_night_watch_that_tells_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night_watch, "raise_alerts", lambda *_: "")
    assert "routers is down since 1772492400, and nothing fires" in both_routers_stop().wrong[0]


def test_a_night_watch_that_knows_nothing_of_our_own_work_rings_in_a_good_night(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(night_watch, "own_work", lambda *_: Doing())
    assert watched_night_of(0, GOOD).rings != []
