"""A command from its arrival to its answer, also over a crash."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot import inbox as inbox_module
from bot.inbox import FAULT, NOT_SAVED, ON_IT, STOPPED, Inbox
from bot.slackchat import Unsure
from commands.api import Reply
from sandbox.cast import ALICE
from store.api import CommandRow, StoreError
from store.memory import MemoryStore
from tests.unit.bot.deskwork import CHANNEL, NOON, Clock
from tests.waiting import PATIENCE_S


def command(id: str = "T1", text: str = "cluster", at: float = NOON) -> CommandRow:
    return CommandRow(id, text, "/upgrade", ALICE, CHANNEL, "https://slack.example/respond", at)


class Counter:
    """An inbox with somebody who answers, and everything that was told."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(check_plain=True), Clock()
        self.told: list[str] = []
        self.landed = 0
        self.start()

    def start(self) -> None:
        """A process on the rows that there are."""
        self.inbox = Inbox(self.store, self.answer, self.reply, self.clock, self._landed)

    def _landed(self) -> None:
        self.landed += 1

    def answer(self, row: CommandRow) -> Reply:
        return Reply(f"done: {row.text}")

    def reply(self, row: CommandRow, reply: Reply) -> None:
        self.told.append(reply.text)

    def receive(self, row: CommandRow) -> str:
        return asyncio.run(self.inbox.receive(row))

    def states(self) -> dict[str, str]:
        return {
            row.id: row.state for state in ("landed", "saved", "done", "void") for row in self.store.commands(state)
        }


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_command_is_saved_before_it_is_acknowledged_and_worked_on_after(counter: Counter) -> None:
    assert counter.receive(command()) == ""
    assert (counter.states(), counter.told, counter.landed) == ({"T1": "saved"}, [], 1)
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "done"}, ["done: cluster"])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def test_an_answer_that_takes_its_time_is_announced_and_comes_after(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "SOON_S", 0.01)

    async def type_and_wait() -> None:
        assert await counter.inbox.receive(command()) == ""
        await until(lambda: bool(counter.told))

    asyncio.run(type_and_wait())
    counter.inbox.step()
    assert counter.told == [ON_IT, "done: cluster"]


def test_an_answer_that_comes_at_once_is_the_only_one(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "SOON_S", 0.01)

    async def type_twice() -> None:
        await counter.inbox.receive(command("T1", "why"))
        counter.inbox.step()
        assert counter.told == ["done: why"]
        await counter.inbox.receive(command("T1", "why"))  # again: a delivery that Slack repeats
        await counter.inbox.receive(command("T2", "cluster"))  # announced after T1 would be: the same thread does it
        await until(lambda: ON_IT in counter.told)

    asyncio.run(type_twice())
    assert counter.told == ["done: why", ON_IT]


def test_the_same_typing_delivered_twice_is_acknowledged_twice_and_worked_once(counter: Counter) -> None:
    assert [counter.receive(command()), counter.receive(command())] == ["", ""]
    counter.inbox.step()
    counter.receive(command())
    counter.inbox.step()
    assert counter.told == ["done: cluster"]


def test_a_command_that_a_crash_left_saved_is_worked_on_after_the_start(counter: Counter) -> None:
    counter.store.save_command(command())
    counter.inbox.step()
    assert counter.states() == {"T1": "done"}


def test_a_command_from_before_a_long_downtime_is_not_obeyed_but_answered(counter: Counter) -> None:
    counter.store.save_command(command(at=NOON - 3600))
    counter.inbox.step()
    assert counter.states() == {"T1": "void"}
    assert counter.told == [
        "⚠️ I was not running when you typed `/upgrade cluster`, and did nothing. Type it again if it still holds."
    ]


class SlowDisk:
    """Saves nothing before it is `let`; the time is up for each command as soon as the disk hangs with it, or would."""

    def __init__(self, counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
        self._save, self._free = counter.store.save_command, threading.Event()
        self._savers = counter.inbox._savers
        self._asked, self._hanging = 0, list[str]()
        monkeypatch.setattr(counter.store, "save_command", self._slowly)
        monkeypatch.setattr("bot.inbox.asyncio.wait_for", self._out_of_time)

    def let(self) -> None:
        """Everything lands, and what follows from it is done."""
        self._free.set()
        self._savers.shutdown(wait=True)

    def _slowly(self, row: CommandRow) -> bool:
        self._hanging.append(row.id)
        assert self._free.wait(PATIENCE_S)
        return self._save(row)

    async def _out_of_time(self, saving: asyncio.Future[object], _: float) -> object:
        self._asked += 1
        while len(self._hanging) < min(self._asked, self._savers._max_workers):
            await asyncio.sleep(0.001)
        raise TimeoutError


def test_what_cannot_be_saved_in_time_is_refused_and_does_not_count_when_it_lands(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(counter, monkeypatch)
    assert counter.receive(command()) == NOT_SAVED
    disk.let()
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "landed"}, [])


def test_a_refused_command_that_lands_does_not_count_after_a_crash_either(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written about a refusal: a crash right after the row landed would lose it."""
    disk = SlowDisk(counter, monkeypatch)

    def crashed(*_: object) -> bool:
        raise StoreError("the process is no more")

    monkeypatch.setattr(counter.store, "settle_command", crashed)
    assert counter.receive(command()) == NOT_SAVED
    disk.let()
    monkeypatch.undo()
    counter.clock.now += 3
    counter.start()
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "void"}, [STOPPED.format(slash="/upgrade", text="cluster")])


def test_a_command_that_waits_behind_a_hanging_disk_is_not_even_saved_once_it_is_refused(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(counter, monkeypatch)
    assert [counter.receive(command(id)) for id in ("T1", "T2", "T3")] == [NOT_SAVED] * 3
    disk.let()
    assert counter.states() == {"T1": "landed", "T2": "landed"}  # the third had no saver


def test_what_landed_in_time_counts_however_long_the_mark_takes_that_says_so(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, begun, free = counter.store.accept_command, threading.Event(), threading.Event()

    def slowly(command_id: str) -> bool:
        begun.set()
        assert free.wait(PATIENCE_S)
        return accept(command_id)

    async def out_of_time(saving: asyncio.Future[object], _: float) -> object:
        while not begun.is_set():
            await asyncio.sleep(0.001)
        raise TimeoutError

    monkeypatch.setattr(counter.store, "accept_command", slowly)
    monkeypatch.setattr("bot.inbox.asyncio.wait_for", out_of_time)
    assert counter.receive(command()) == ""
    free.set()
    counter.inbox._savers.shutdown(wait=True)
    counter.inbox.step()
    assert counter.states() == {"T1": "done"}


def test_a_command_is_acknowledged_after_the_mark_that_it_counts(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(command_id: str) -> bool:
        raise StoreError("disk full")

    monkeypatch.setattr(counter.store, "accept_command", full)
    assert counter.receive(command()) == NOT_SAVED
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "landed"}, [])


def test_the_same_typing_delivered_again_after_a_crash_kept_it_from_counting_is_worked(counter: Counter) -> None:
    """Slack had no acknowledgement, so it delivers again."""
    counter.store.save_command(replace(command(), state="landed"))
    assert counter.receive(command()) == ""
    counter.inbox.step()
    assert counter.states() == {"T1": "done"}


def test_the_same_typing_delivered_again_after_it_was_called_off_is_refused(counter: Counter) -> None:
    counter.store.save_command(replace(command(), state="void"))
    assert counter.receive(command()) == NOT_SAVED
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "void"}, [])


def test_a_fault_in_one_command_is_told_and_does_not_stop_the_next(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(row: CommandRow) -> Reply:
        return Reply(str(1 // len(row.text)))

    monkeypatch.setattr(counter.inbox, "_answer", answer)
    for row in (command("T1", ""), command("T2", "x")):
        counter.store.save_command(row)
    counter.inbox.step()
    assert counter.told == [FAULT, "1"]
    assert "ZeroDivisionError" in caplog.text


def test_a_store_that_fails_is_not_survived(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(row: CommandRow) -> Reply:
        raise StoreError("disk full")

    monkeypatch.setattr(counter.inbox, "_answer", answer)
    counter.store.save_command(command())
    with pytest.raises(StoreError):
        counter.inbox.step()


def test_what_was_ordered_is_done_even_if_nobody_can_be_told(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(row: CommandRow, reply: Reply) -> None:
        raise Unsure("no answer")

    monkeypatch.setattr(counter.inbox, "_reply", reply)
    counter.store.save_command(command())
    counter.inbox.step()
    assert counter.states() == {"T1": "done"}
    assert "did not reach 'U0ALICE'" in caplog.text
