"""A house with the bot as a real process that may be killed, and what a test wants to know of its evening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sandbox.house import BotProcess, House
from sandbox.people import People
from sandbox.scenario import Cue
from sandbox.slack import BOT, Message
from sandbox.spec import GLUSTER_UPDATE, ClusterSpec, default_spec
from store.api import RunRow, Store
from store.opening import read_store
from tests.waiting import eventually

T = TypeVar("T")

SPEED = 100.0
CUES = (
    Cue("alice", at=0.0, types="/upgrade cluster"),
    Cue("carol", when="asked", each=True, reacts="white_check_mark"),
)


def spec() -> ClusterSpec:
    """As usual, and glusterfs-server is among the packages: upgrading it takes the bricks down."""
    usual = default_spec()
    return replace(usual, packages=(*usual.packages, GLUSTER_UPDATE), settings={"limits": {"watch": "1s"}})


@dataclass
class Evening:
    """The house, its bot, and people who do what they always do."""

    house: House
    bot: BotProcess
    people: People

    def begin(self) -> None:
        """Once somebody listens: Alice types, and Carol will approve whatever she is asked."""
        eventually(lambda: self.house.slack.ask(lambda: bool(self.house.slack.slack.sockets.sockets)))
        self.house.slack.ask(self.people.begin)

    def run(self) -> RunRow:
        (row,) = self.read(lambda store: store.runs())
        return row

    def done(self) -> bool:
        return self.read(lambda store: any(run.state == "done" for run in store.runs()))

    def read(self, question: Callable[[Store], T]) -> T:
        store = read_store(self.house.database)
        try:
            return question(store)
        finally:
            store.close()

    def thread(self) -> str:
        return "\n".join(f"{message.ts} {message.text}" for message in self.house.slack.messages())

    def posts(self) -> list[Message]:
        return [message for message in self.house.slack.messages() if message.user == BOT and message.metadata]
