"""Whole nights under luck: the real workflow over the real journal code, with a virtual clock. The bot dies around its
writes and acts, lines break, people change their minds; after every step nothing may have happened that never must.

A night that fails is named by its seed: `night_of(SEED, transcript=True).text` tells it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journal import Diverged
from sandbox.faults import Fault, Kind
from sandbox.lines import Act, Moment
from sandbox.luck import GOOD, Crash, LuckyNight, how_it_ended, night_of, scenario_of
from sandbox.model import What
from tests.simulation.planted import PLANTED, Plant

QUICK, BATCH = 60, 15
FEW_SECONDS = 150  # nights in which a planted fault is to be found
SLOW = [pytest.param(first, marks=pytest.mark.slow) for first in range(QUICK, 3000, 10 * BATCH)]


# ---- luck ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, QUICK, BATCH))
def test_whatever_the_luck_nothing_happens_that_never_must(first: int) -> None:
    assert _troubled(first, BATCH) == {}


@pytest.mark.parametrize("first", SLOW)
@pytest.mark.timeout(300)
def test_nor_in_many_more_nights(first: int) -> None:
    assert _troubled(first, 10 * BATCH) == {}


def _troubled(first: int, nights: int) -> dict[int, list[str]]:
    """Seed -> what was wrong with its night. Each must end, or hold and say so."""
    return {seed: trouble for seed in range(first, first + nights) if (trouble := _trouble(night_of(seed)))}


def _trouble(night: LuckyNight) -> list[str]:
    return [*night.wrong, *filter(None, [how_it_ended(night)])]


def test_the_luck_is_bad_enough() -> None:
    """Most nights meet a crash and some trouble, and still some of them reach their end."""
    nights = [night_of(seed) for seed in range(10)]
    assert sum(night.crashes for night in nights) >= 20
    assert any(night.pages for night in nights)
    assert any(_finished(night) for night in nights)


def test_the_same_seed_is_the_same_night() -> None:
    once, again = (night_of(7, transcript=True).text for _ in range(2))
    assert once == again


@dataclass
class ForgetfulNight(LuckyNight):
    """The bot remembers no wait from one pass to the next: each is a replay, as after a restart."""

    def _pass(self, run_id: str) -> None:
        self._waits.clear()
        super()._pass(run_id)


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(n, marks=pytest.mark.slow) for n in range(12, 300))])
def test_a_bot_that_remembers_what_it_waits_for_lives_the_same_night(seed: int) -> None:
    """Time, luck and all: which draws were made shows in every later one."""
    kept, forgotten = (kind(scenario_of(seed), transcript=True).live() for kind in (LuckyNight, ForgetfulNight))
    assert _all_of(kept) == _all_of(forgotten)


def _all_of(night: LuckyNight) -> tuple[object, ...]:
    store, runs = night.store, night.store.runs()
    written = [(run, store.entries(run.id), store.outbox(run.id), store.orders(run.id)) for run in runs]
    return night.text, written, store.audits(limit=10**6), night.model.events, night.sent, night.luck.getstate()


# ---- nights without any trouble ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in range(16, 160, 8))])
def test_a_good_night_asks_three_times_wakes_nobody_and_ends(first: int) -> None:
    for seed in range(first, first + 8):
        night = night_of(seed, GOOD)
        assert (seed, night.pages, _asks(night), _finished(night), night.wrong) == (seed, [], 3, True, [])


def _asks(night: LuckyNight) -> int:
    return sum(posted.kind == "approval" for posted in night.chat.posted.values())


def _finished(night: LuckyNight) -> bool:
    return [run.result["state"] for run in night.store.runs() if run.result] == ["done"]


# ---- a bot that dies where we say ----------------------------------------------------------------------------------


@dataclass
class KilledNight(LuckyNight):
    """The bot dies at the points of these numbers: before or after a write, before or after an act's effect."""

    kill_at: frozenset[int] = frozenset()
    points: int = 0

    def _at_write(self) -> None:
        self._point()

    def _on_act(self, act: Act) -> None:
        self._point()

    def _point(self) -> None:
        if self._in_pass:
            self.points += 1
            if self.points in self.kill_at:
                raise Crash


def killed_night(seed: int, kill_at: frozenset[int] = frozenset()) -> KilledNight:
    """A good night, but for the kills."""
    return KilledNight(scenario_of(seed, GOOD), odds=GOOD, kill_at=kill_at)


POINTS = 2000
"""More than a good night has."""


@pytest.mark.parametrize("first", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 60))])
def test_a_kill_at_any_point_of_a_good_night_changes_nothing(first: int) -> None:
    """Every 59th point here; --full takes all."""
    for point in range(first, POINTS, 59):
        night = killed_night(3, frozenset({point})).live()
        assert (point, _trouble(night), night.pages, _finished(night)) == (point, [], [], True)
        if not night.crashes:
            break
    assert night.points < POINTS


@dataclass
class DiesBesideASilentNode(LuckyNight):
    """The bot dies right after dist-upgrade began on a node, which then answers nobody for four minutes."""

    def _on_act(self, act: Act) -> None:
        if act.verb == "upgrade" and act.moment is Moment.DONE and not self.crashes:
            raise Crash

    def _dies(self, pause: float) -> None:
        super()._dies(5.0)


def test_after_a_crash_a_silent_node_is_waited_for_and_not_upgraded_twice() -> None:
    silent = Fault(Kind.SSH_DOWN, node="pve3", after="upgrade pve3", lasts=240.0)
    night = DiesBesideASilentNode(replace(scenario_of(3, GOOD), faults=(silent,)), odds=GOOD).live()
    upgrades = [event.node for event in night.model.events if event.what is What.UPGRADE]
    assert (_trouble(night), night.crashes, _finished(night), upgrades) == ([], 1, True, ["pve3", "pve2", "pve1"])


@dataclass
class DiesAtTheReboot(LuckyNight):
    """The bot dies right after a node began to go down, and is back while it is dark."""

    def _on_act(self, act: Act) -> None:
        if act.verb == "reboot" and act.moment is Moment.DONE:
            raise Crash

    def _dies(self, pause: float) -> None:
        super()._dies(60.0)


def test_after_a_crash_at_the_reboot_a_dark_node_is_taken_for_one_that_boots() -> None:
    """Nobody can say whether the order was obeyed; the proof decides, and wakes nobody."""
    night = DiesAtTheReboot(scenario_of(3, GOOD), odds=GOOD).live()
    assert (_trouble(night), night.crashes, night.pages, _finished(night)) == ([], 3, [], True)


# ---- faults planted into the code ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("plant", "caught_by"), PLANTED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_fault_is_found(plant: Plant, caught_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert any(caught_by in wrong for seed in range(FEW_SECONDS) for wrong in _wrong(seed))


def _wrong(seed: int) -> list[str]:
    try:
        return night_of(seed).wrong
    except Diverged as diverged:
        return [str(diverged)]


# ---- people who do anything at any time ----------------------------------------------------------------------------

WHO = st.sampled_from(["alice", "bob", "carol", "mallory"])
ORDERS = st.sampled_from(["pause", "resume", "retry", "skip pve2", "skip pve3", "abort", "cluster", "status", "why"])
MARKS = st.sampled_from(["white_check_mark", "x"])
DEEDS = st.one_of(
    st.tuples(st.just("type"), WHO, ORDERS),
    st.tuples(st.just("react"), WHO, MARKS),
    st.tuples(st.just("take back"), WHO, MARKS),
)
AFTER_S = st.integers(0, 4 * 3600).map(float)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(0, 999), st.lists(st.tuples(AFTER_S, DEEDS), max_size=8), st.frozensets(st.integers(1, 900), max_size=4)
)
def test_people_may_do_anything_at_any_time(
    seed: int, deeds: list[tuple[float, tuple[str, str, str]]], kills: frozenset[int]
) -> None:
    night = killed_night(seed, kills)
    for after, deed in deeds:
        night.clock.at(night.clock.now + after, partial(_do, night, *deed))
    assert _trouble(night.live()) == []


def _do(night: LuckyNight, deed: str, who: str, what: str) -> None:
    if deed == "type":
        night.type(who, f"/upgrade {what}")
    elif requests := [posted.ts for posted in night.chat.posted.values() if posted.kind == "approval"]:
        night.react(who, requests[-1], what, given=deed == "react")
