"""A command from its arrival to its answer, also over a crash."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from bot import inbox as inbox_module
from bot.inbox import FAULT, NOT_SAVED, ON_IT, Inbox
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
        return {row.id: row.state for state in ("saved", "done", "void") for row in self.store.commands(state)}


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


def test_what_cannot_be_saved_in_time_is_refused_and_void_when_it_lands(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "SAVE_S", 0.01)
    disk, landed, save = threading.Event(), threading.Event(), counter.store.save_command
    settle = counter.store.settle_command

    def slowly(row: CommandRow) -> bool:
        disk.wait(PATIENCE_S)
        return save(row)

    def settled(command_id: str, state: str) -> None:
        settle(command_id, state)
        landed.set()

    monkeypatch.setattr(counter.store, "save_command", slowly)
    monkeypatch.setattr(counter.store, "settle_command", settled)
    assert counter.receive(command()) == NOT_SAVED
    disk.set()
    assert landed.wait(PATIENCE_S)
    counter.inbox.step()
    assert (counter.states(), counter.told) == ({"T1": "void"}, [])


def test_a_refused_command_that_a_worker_meets_before_it_is_void_is_not_worked(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(row: CommandRow) -> bool:
        raise StoreError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(counter.store, "save_command", full)
        assert counter.receive(command()) == NOT_SAVED
    counter.store.save_command(command())
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
