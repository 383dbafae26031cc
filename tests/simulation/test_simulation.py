"""Whole nights from seeds: the real workflow and the real journal under faults, people and crashes, judged after every
step by the model's truth (sandbox/invariants.py). And what such a simulation is worth: it finds planted faults.

A failing seed lives again with `night_of(SEED)`; `LuckyNight(scenario_of(SEED), transcript=True)` tells it line by line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from engine.journal import Rules
from sandbox.luck import GOOD, LuckyNight, how_it_ended, night_of
from sandbox.model import What
from tests.simulation.planted import PLANTED, Plant

NIGHTS = 15
"""In one test: so that a failure names few seeds."""
QUICK, SLOW = range(0, 10), range(10, 150)
FOUND_WITHIN = 60
"""So many nights, some seconds: a planted fault must be found by then."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A night of faults fills the log; what matters is what became of it."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def judged(seed: int) -> list[str]:
    night = night_of(seed)
    return [f"seed {seed}: {wrong}" for wrong in (*night.wrong, how_it_ended(night)) if wrong]


@pytest.mark.parametrize("batch", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_nothing_that_must_never_happen_happens_in_random_nights_and_each_ends_or_holds_and_says_so(batch: int) -> None:
    seeds = range(batch * NIGHTS, (batch + 1) * NIGHTS)
    assert [wrong for seed in seeds for wrong in judged(seed)] == []


@pytest.mark.parametrize("batch", [*range(2), *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 10))])
def test_a_night_without_faults_ends_with_three_questions_and_no_page(batch: int) -> None:
    for seed in range(batch * NIGHTS, (batch + 1) * NIGHTS):
        night = night_of(seed, GOOD)
        assert (night.pages, night.wrong, outcomes(night)) == ([], [], ["done"]), f"seed {seed}"
        assert questions(night) == 3, f"seed {seed}"


def test_a_night_without_faults_is_as_quiet_at_the_real_pace() -> None:
    night = night_of(1, GOOD, rules=Rules(strict=True))
    assert (night.pages, night.wrong, outcomes(night), questions(night)) == ([], [], ["done"], 3)


def test_the_same_seed_is_the_same_night() -> None:
    once, again = night_of(7), night_of(7)
    assert [str(event) for event in once.model.events] == [str(event) for event in again.model.events]


def test_luck_reaches_the_moments_that_matter() -> None:
    """Else the nights above would say nothing: crashes, reboots, aborts, holds, late commands, withdrawals."""
    nights = [night_of(seed) for seed in range(60)]
    events = [event for night in nights for event in night.model.events]
    assert sum(night.crashes for night in nights) > 60
    assert sum(event.what is What.REBOOT for event in events) > 60
    assert any(event.what is What.REFUSED and "too late" in event.text for event in events)
    assert any(not mark.given for night in nights for mark in night.marked)
    ends = {end for night in nights for end in outcomes(night)}
    assert {"done", "aborted"} <= ends


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(_found(seed) for seed in range(FOUND_WITHIN)), f"nobody noticed: {plant.__doc__ or plant.__name__}"


def _found(seed: int) -> bool:
    try:
        return bool(night_of(seed).wrong)
    except AssertionError:
        raise
    except Exception as fault:  # noqa: BLE001  the strict journal finds some by raising
        return type(fault).__name__ in ("Diverged", "DuplicateKey")


def outcomes(night: LuckyNight) -> list[str]:
    return [run.result["state"] if run.result else run.state for run in night.store.runs()]


def questions(night: LuckyNight) -> int:
    return sum(row.message["kind"] == "approval" for run in night.store.runs() for row in night.store.outbox(run.id))
