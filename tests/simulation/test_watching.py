"""Ten thousand nights in which something dies: the real ladder over the real journal code, rotas and policies from a
seed, people who sleep and forget, services that fail, a bot that dies around its writes and its rings. After every step
somebody must know, or be paged; a wait has its deadline; nothing that fires is without an outage.

A night that fails is named by its seed: `LuckyWatch(SEED).live()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.port import Look, Waiting
from sandbox import nightwatch
from sandbox.watchluck import WatchStore, watch_of
from store.api import AlertRow
from store.memory import MemoryStore
from workflows import outage, ringing

QUICK, ALL, BATCH = 250, 10_250, 250
SLOW = [pytest.param(first, marks=pytest.mark.slow) for first in range(QUICK, ALL, 4 * BATCH)]
FEW = 400
"""Nights in which a planted fault is to be found."""


def troubled(seeds: range) -> dict[int, list[str]]:
    """Seed -> what was wrong with its night."""
    return {seed: lived.wrong[:3] for seed in seeds if (lived := watch_of(seed)).wrong}


@pytest.mark.parametrize("first", range(0, QUICK, BATCH))
def test_whatever_the_luck_somebody_knows_or_is_paged(first: int) -> None:
    assert troubled(range(first, first + BATCH)) == {}


@pytest.mark.parametrize("first", SLOW)
@pytest.mark.timeout(300)
def test_nor_does_anybody_sleep_through_many_more_nights(first: int) -> None:
    assert troubled(range(first, first + 4 * BATCH)) == {}


def test_nights_are_full_of_crashes_and_rings() -> None:
    lived = [watch_of(seed) for seed in range(50)]
    assert sum(night.crashes for night in lived) > 100
    assert sum(night.rings for night in lived) > 200


# ---- planted faults: each must be found ------------------------------------------------------------------------------


def first_word(seeds: range) -> str:
    return next((lived.wrong[0] for seed in seeds if (lived := watch_of(seed)).wrong), "nothing was found")


def test_an_acknowledgement_that_never_goes_stale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def asleep(o: ringing.Outage, held: Any) -> Any:
        return o.run.until(o.key("asleep"), lambda at: Waiting(""), 86400.0, why="", who="")

    monkeypatch.setattr(outage, "_lapsed", asleep)
    assert "nobody has it any more for" in first_word(range(FEW))


def test_a_word_that_is_waited_for_after_it_went_stale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It did so while the bot was down; a quarter of its life was waited for once more."""
    look = outage._held_still

    def patient(o: ringing.Outage, held: Any, at: Look) -> Any:
        found = look(o, held, at)
        lapsed = isinstance(found, dict) and found["mode"] == outage.LAPSED
        return Waiting("") if lapsed and at.now < at.deadline else found

    monkeypatch.setattr(outage, "_held_still", patient)
    assert "nobody has it any more for" in first_word(range(FEW))


def test_a_ladder_that_is_climbed_only_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait_for_ever(o: ringing.Outage, least: float, seen: int) -> Any:
        return o.run.until(o.key("rest"), lambda at: Waiting(""), 86400.0, why="", who="") or o.turn.next(
            o.args, "ring"
        )

    monkeypatch.setattr(outage, "_rest", wait_for_ever)
    assert "nobody has it, and nobody was paged" in first_word(range(FEW))


def test_rings_that_are_decided_long_before_they_are_sent_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has acknowledged while the bot was down must not be rung when it comes back."""
    look, sent = ringing.Outage.mode, ringing.Rung._sent

    def decided_before(rung: ringing.Rung, *args: Any) -> Any:
        monkeypatch.setattr(ringing.Outage, "mode", lambda *_: "ring")
        try:
            return sent(rung, *args)
        finally:
            monkeypatch.setattr(ringing.Outage, "mode", look)

    monkeypatch.setattr(ringing.Rung, "_sent", decided_before)
    assert "although somebody had it" in first_word(range(FEW))


def test_an_alert_that_comes_while_its_outage_is_closed_would_be_lost_and_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nightwatch, "adopt", lambda *_: [])
    assert "fires without an outage" in first_word(range(FEW))


def test_an_alert_that_a_crash_takes_out_of_one_outage_and_puts_into_none_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As adopting did it in two transactions."""
    alert = MemoryStore.alert

    def one_after_the_other(store: MemoryStore, rows: Any, start: Any = None, instead: Sequence[AlertRow] = ()) -> Any:
        if instead:
            store.clear(instead[0].cluster, [row.fingerprint for row in instead], rows[0].at)
        return alert(store, rows, start)

    monkeypatch.setattr(WatchStore, "alert", one_after_the_other)
    assert "is dead, and nobody knows any more" in first_word(range(FEW))
