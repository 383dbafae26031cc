"""The real process with real telephones, killed with SIGKILL before, in the middle of and between two rungs: nothing is
lost, and at most one way rings twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from sandbox.cast import ALICE, BOB
from sandbox.house import BotProcess, House, house
from sandbox.phones import Habit, PhonesInThread
from sandbox.phones.company import Paged
from sandbox.scenario import Scenario
from sandbox.slack import CHANNEL
from sandbox.spec import default_spec
from sandbox.speed import at_speed
from store.api import OrderRow, Store
from store.opening import read_store
from tests.waiting import PATIENCE_S, eventually
from workflows.alerts import OUTAGE

T = TypeVar("T")

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SPEED = 5.0
"""A minute to acknowledge a rung: longer than a bot takes to be back."""
REST_S = 0.2


class Watch:
    """A house with somebody on call, and what was rung in it."""

    def __init__(self, around: House, bot: BotProcess, phones: PhonesInThread) -> None:
        self.house, self.bot, self.phones = around, bot, phones
        self.rang: list[Paged] = []
        self.struck: list[str] = []
        phones.phones.listeners.append(self._paged)

    def _paged(self, paged: Paged) -> None:
        """In the company's own thread, which answers the bot's request only when this returns: the phone rings, and
        nobody will ever hear that it does."""
        self.rang.append(paged)
        if "in the middle" not in self.struck:
            self.kill("in the middle")

    def kill(self, when: str) -> None:
        self.struck.append(when)
        self.bot.kill()

    def connected(self) -> None:
        sockets = self.house.slack.slack.sockets
        eventually(lambda: self.house.slack.ask(lambda: bool(sockets.sockets)))

    def rings(self, person: str) -> Counter[str]:
        return Counter(paged.how for paged in self.rang if paged.person == person)

    def said(self, text: str) -> int:
        return sum(text in message.text for message in self.house.slack.messages() if message.channel == CHANNEL)

    def mentions(self, user: str) -> int:
        """Messages that page this person."""
        return sum(message.text.startswith(f"<@{user}>") for message in self.house.slack.messages())

    def states(self, person: str) -> dict[str, str]:
        """Way that rings -> what came of it; {} while there is no outage yet."""
        pages = self._of_outage(lambda store, run: store.pages(run))
        return {page.how: page.state for page in pages if page.person == person and page.how != "mention"}

    def orders(self) -> list[OrderRow]:
        return self._of_outage(lambda store, run: store.orders(run))

    def _of_outage(self, question: Callable[[Store, str], Iterable[T]]) -> list[T]:
        store = read_store(self.house.database)
        try:
            return [row for run in store.runs(workflow=OUTAGE) for row in question(store, run.id)]
        finally:
            store.close()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    night = at_speed(Scenario("chaos", "", default_spec(), (), (), oncall={}), SPEED, time.time())
    with ExitStack() as stack:
        around = stack.enter_context(house(night, SPEED, tmp_path))
        assert around.phones is not None
        bot = stack.enter_context(around.bot(rest=REST_S))
        yield Watch(around, bot, around.phones)
    print((tmp_path / "bot.log").read_text()[-6000:])


def test_three_kills_around_two_rungs_lose_no_page_and_double_one_ring_at_most(watch: Watch) -> None:
    watch.phones.will("bob", Habit(answers=2.0, presses="1", after=3.0))
    watch.connected()
    watch.house.slack.type(ALICE, CHANNEL, "/outage declare the phones are dead")
    watch.kill("before")  # acknowledged to Alice, so it is saved; not a word of it was worked yet, or all of it
    eventually(lambda: watch.states("alice") == {"pushover": "sent", "voice": "sent"})
    watch.kill("between")
    eventually(lambda: bool(watch.rings("bob")), 3 * PATIENCE_S)
    eventually(lambda: any(order.by == BOB for order in watch.orders()))

    assert watch.struck == ["before", "in the middle", "between"]
    assert set(watch.rings("alice")) == {"pushover", "voice"}
    assert watch.rings("alice").total() <= 3
    assert watch.rings("bob") == Counter(voice=1)
    (order,) = watch.orders()
    assert (order.verb, order.reason) == ("ack", "voice")
    eventually(lambda: not {"sending", "sent"} & set(watch.states("alice").values()))
    assert watch.states("alice")["pushover"] == "cancelled"  # the call ends by itself when nobody answers
    assert watch.states("bob") == {"voice": "acknowledged"}
    eventually(lambda: watch.said("has it; nothing rings") == 1)
    assert [watch.mentions(user) for user in (ALICE, BOB)] == [1, 1]
