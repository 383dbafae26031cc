"""The threads that advance runs. Each test waits for an event, never for time to pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import event

from engine.journal import Rules
from engine.port import Look, Plain, Run, Waiting, Workflow
from engine.runner import WORKERS, Runner
from store.api import OrderRow, RunRow, Store, StoreError
from store.opening import open_store

PATIENCE = 60.0  # seconds until a test that hangs says so
NOW = 1_000_000.0


@dataclass
class Bot:
    """A runner, with what the process would have said and done at its end."""

    store: Store
    workflows: dict[str, Workflow] = field(default_factory=dict)
    last_words: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    ended: Event = field(default_factory=Event)
    now: float = NOW

    def __post_init__(self) -> None:
        self.runner = Runner(
            self.store,
            self.workflows,
            lambda: self.now,
            lambda error: self.last_words.append(str(error)),
            rules=Rules(),
            ladders=("ladder",),
            exit_process=self.exit,
        )

    def exit(self, code: int) -> None:
        self.exits.append(code)
        self.ended.set()

    def begin(self, **workflows: Workflow) -> None:
        self.workflows.update(workflows)
        self.runner.begin()

    def start(self, run_id: str, workflow: str) -> None:
        assert self.runner.start(RunRow(run_id, workflow, "lab", {}, "active", NOW, "alice", NOW))


@pytest.fixture
def bot(store: Store) -> Iterator[Bot]:
    bot = Bot(store)
    yield bot
    assert bot.runner.stop(PATIENCE)


def test_a_run_that_is_started_is_advanced_at_once(bot: Bot) -> None:
    walked = Event()

    def walk(run: Run, args: Mapping[str, Plain]) -> None:
        walked.set()

    bot.begin(walk=walk)
    bot.start("up-lab-1", "walk")
    assert walked.wait(PATIENCE)


def test_runs_left_by_the_process_before_go_on(bot: Bot) -> None:
    walked = Event()
    bot.start("up-lab-1", "walk")
    bot.begin(walk=lambda run, args: walked.set())
    assert walked.wait(PATIENCE)


def test_a_run_that_is_started_twice_is_one(bot: Bot) -> None:
    bot.start("up-lab-1", "walk")
    assert not bot.runner.start(RunRow("up-lab-1", "walk", "lab", {}, "active", NOW, "bob", NOW))


def test_a_poke_makes_a_waiting_run_look_again(bot: Bot) -> None:
    waits, saw = Event(), Event()

    def hold(run: Run, args: Mapping[str, Plain]) -> None:
        def probe(look: Look) -> str | Waiting:
            if bot.store.orders("up-lab-1"):
                saw.set()
                return "resumed"
            waits.set()
            return Waiting("paused")

        run.until("hold", probe, 3600, why="", who="")

    bot.begin(hold=hold)
    bot.start("up-lab-1", "hold")
    assert waits.wait(PATIENCE)
    bot.store.order(OrderRow(0, "up-lab-1", "resume", "", "", "bob", NOW, "trigger-1"))
    bot.runner.poke("up-lab-1")
    assert saw.wait(PATIENCE)


def test_a_waiting_run_looks_again_when_its_time_has_come(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runner.LOOK_S", 0.01)
    waits, late = Event(), Event()

    def probe(look: Look) -> Waiting:
        (waits if look.now == NOW else late).set()
        return Waiting("healing")

    bot.begin(heal=lambda run, args: run.until("heal", probe, 3600, why="", who=""))
    bot.start("up-lab-1", "heal")
    assert waits.wait(PATIENCE)
    bot.now = NOW + 5
    assert late.wait(PATIENCE)


@pytest.mark.parametrize("hours", [-10, 10])
def test_a_clock_that_jumps_keeps_no_run_from_being_looked_at(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr("engine.runner.LOOK_S", 0.01)
    waits, looked = Event(), Event()

    def probe(look: Look) -> Waiting:
        (waits if look.now == NOW else looked).set()
        return Waiting("healing")

    bot.begin(heal=lambda run, args: run.until("heal", probe, 72 * 3600, why="", who=""))
    bot.start("up-lab-1", "heal")
    assert waits.wait(PATIENCE)
    bot.now = NOW + hours * 3600
    assert looked.wait(PATIENCE)


def test_a_slow_probe_of_one_run_does_not_hold_up_another(bot: Bot) -> None:
    began, release, walked = Event(), Event(), Event()

    def slow(run: Run, args: Mapping[str, Plain]) -> None:
        began.set()
        assert release.wait(PATIENCE)

    bot.begin(slow=slow, walk=lambda run, args: walked.set())
    bot.start("up-slow-1", "slow")
    assert began.wait(PATIENCE)
    bot.start("up-lab-1", "walk")
    assert walked.wait(PATIENCE)
    release.set()


def test_a_ladder_waits_for_no_run_however_many_of_them_hang(bot: Bot) -> None:
    """Twelve clusters are cut off: each of their runs waits in the time limits of a network that does not answer."""
    hang, woken, release = Barrier(WORKERS + 1), Event(), Event()

    def slow(run: Run, args: Mapping[str, Plain]) -> None:
        if run.id in first:
            hang.wait(PATIENCE)
        assert release.wait(PATIENCE)

    first = {f"up-lab-{number}" for number in range(WORKERS)}
    bot.begin(slow=slow, ladder=lambda run, args: woken.set())
    for run_id in sorted(first):
        bot.start(run_id, "slow")
    hang.wait(PATIENCE)
    for number in range(WORKERS, WORKERS + 4):
        bot.start(f"up-lab-{number}", "slow")
    bot.start("outage-lab-1", "ladder")
    came = woken.wait(PATIENCE / 4)
    release.set()
    assert came


def test_ladders_begin_before_all_others_while_slack_is_silent(bot: Bot) -> None:
    woken, walked = Event(), Event()
    bot.workflows.update(ladder=lambda run, args: woken.set(), walk=lambda run, args: walked.set())
    bot.start("up-lab-1", "walk")
    bot.start("outage-lab-1", "ladder")
    bot.runner.begin(ladders_only=True)
    assert woken.wait(PATIENCE)
    assert not walked.wait(0.1)
    bot.runner.begin()
    assert walked.wait(PATIENCE)


def test_ladders_of_many_clusters_do_not_wait_for_each_other(bot: Bot) -> None:
    """The paging service that does not answer is the same for all of them."""
    all_at_once = Barrier(3 * WORKERS + 1)

    def ladder(run: Run, args: Mapping[str, Plain]) -> None:
        all_at_once.wait(PATIENCE)

    bot.begin(ladder=ladder)
    for number in range(3 * WORKERS):
        bot.start(f"outage-lab-{number}", "ladder")
    all_at_once.wait(PATIENCE)


def test_a_run_poked_during_its_pass_is_advanced_again_after_it_and_never_beside_it(bot: Bot) -> None:
    began, release, again = Event(), Event(), Event()
    inside: list[int] = []
    crowd: list[int] = []

    def probe(look: Look) -> str | Waiting:
        inside.append(1)
        crowd.append(len(inside))
        if len(crowd) == 1:
            began.set()
            assert release.wait(PATIENCE)
        inside.pop()
        if len(crowd) > 1:
            again.set()
        return Waiting("healing")

    bot.begin(heal=lambda run, args: run.until("heal", probe, 3600, why="", who=""))
    bot.start("up-lab-1", "heal")
    assert began.wait(PATIENCE)
    for _ in range(5):
        bot.runner.poke("up-lab-1")
    release.set()
    assert again.wait(PATIENCE)
    assert set(crowd) == {1}


def test_a_run_whose_workflow_this_version_does_not_know_pages_and_stays(bot: Bot) -> None:
    walked = Event()
    bot.begin(walk=lambda run, args: walked.set())
    bot.start("dr-lab-1", "drill")
    bot.start("up-lab-1", "walk")
    assert walked.wait(PATIENCE)
    assert bot.runner.stop(PATIENCE)
    row = bot.store.run("dr-lab-1")
    assert row is not None
    assert row.state == "active"
    (page,) = bot.store.outbox("dr-lab-1")
    assert "knows no workflow 'drill'" in page.message["text"]


def test_nothing_is_advanced_after_stop(bot: Bot) -> None:
    bot.begin(walk=lambda run, args: pytest.fail("advanced after stop"))
    assert bot.runner.stop(PATIENCE)
    bot.start("up-lab-1", "walk")
    assert bot.exits == []


def test_stop_says_when_a_pass_does_not_end(bot: Bot) -> None:
    began, release = Event(), Event()

    def slow(run: Run, args: Mapping[str, Plain]) -> None:
        began.set()
        assert release.wait(PATIENCE)

    bot.begin(slow=slow)
    bot.start("up-lab-1", "slow")
    assert began.wait(PATIENCE)
    assert not bot.runner.stop(patience=0.01)
    release.set()


def test_a_store_error_ends_the_process_with_a_last_word(bot: Bot) -> None:
    def full(run: Run, args: Mapping[str, Plain]) -> None:
        raise StoreError("cannot write night.db: database or disk is full")

    bot.begin(full=full)
    bot.start("up-lab-1", "full")
    assert bot.ended.wait(PATIENCE)
    assert bot.last_words == ["cannot write night.db: database or disk is full"]
    assert bot.exits == [1]


def test_a_store_that_cannot_say_what_is_due_ends_the_process_too(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(now: float, longest: float) -> list[str]:
        raise StoreError("cannot read night.db: disk I/O error")

    monkeypatch.setattr(bot.store, "due", unreadable)
    bot.begin()
    assert bot.ended.wait(PATIENCE)
    assert (bot.last_words, bot.exits) == (["cannot read night.db: disk I/O error"], [1])


def test_the_process_ends_even_if_its_last_word_cannot_be_said(store: Store) -> None:
    exits: list[int] = []
    ended = Event()

    def no_line(error: BaseException) -> None:
        raise OSError("Slack is down too")

    def leave(code: int) -> None:
        exits.append(code)
        ended.set()
        raise SystemExit  # as a thread ends quietly; the real one ends the process here

    def full(run: Run, args: Mapping[str, Plain]) -> None:
        raise StoreError("disk full")

    runner = Runner(store, {"full": full}, lambda: NOW, no_line, exit_process=leave)
    runner.begin()
    runner.start(RunRow("up-lab-1", "full", "lab", {}, "active", NOW, "alice", NOW))
    assert ended.wait(PATIENCE)
    assert exits == [1]
    assert runner.stop(PATIENCE)


def test_a_full_disk_ends_the_process_and_what_was_written_before_stays(tmp_path: Path) -> None:
    store = open_store(tmp_path / "night.db")
    bot = Bot(store)

    @event.listens_for(store.engine, "checkout")
    def no_more_room(raw: Any, *_: object) -> None:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count={pages}")

    bot.begin(walk=lambda run, args: run.step("pve1.log", lambda: "x" * 500_000))
    bot.start("up-lab-1", "walk")
    assert bot.ended.wait(PATIENCE)
    bot.runner.stop(PATIENCE)
    (word,) = bot.last_words
    assert word == (
        f"cannot write {tmp_path / 'night.db'}: database or disk is full; free some space on its disk, then start again"
    )
    assert [entry.kind for entry in store.entries("up-lab-1")] == ["intent"]
    store.close()
