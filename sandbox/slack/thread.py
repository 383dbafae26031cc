"""The local Slack in a thread of its own, for tests and scripts that have no event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from sandbox.loops import InLoop, running
from sandbox.slack.faults import Fault
from sandbox.slack.people import Answer
from sandbox.slack.server import WAIT_S, LocalSlack, Predicate
from sandbox.slack.state import Message

T = TypeVar("T")


class SlackInThread(InLoop):
    """The verbs of `LocalSlack`, blocking, for tests and scripts that have no event loop of their own."""

    def __init__(self, slack: LocalSlack, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.slack = slack

    @property
    def url(self) -> str:
        return self.slack.url

    @property
    def api_url(self) -> str:
        return self.slack.api_url

    def soon(self, act: Callable[[], object]) -> None:
        """In its loop, without waiting for it."""
        self._loop.call_soon_threadsafe(act)

    def type(self, user: str, channel: str, text: str, thread: str = "") -> Answer:
        return self.do(self.slack.type(user, channel, text, thread))

    def react(self, user: str, ts: str, emoji: str) -> None:
        self.ask(lambda: self.slack.react(user, ts, emoji))

    def unreact(self, user: str, ts: str, emoji: str) -> None:
        self.ask(lambda: self.slack.unreact(user, ts, emoji))

    def click(self, user: str, ts: str, action: str) -> None:
        """A button of a message; returns when that was acknowledged, or was lost."""
        self.do(self.slack.people.click(user, ts, action))

    def wait_for(self, predicate: Predicate, within: float = WAIT_S) -> Message:
        return self.do(self.slack.wait_for(predicate, within))

    def plant(self, fault: Fault) -> None:
        self.do(self.slack.plant(fault))

    def messages(self) -> list[Message]:
        return self.ask(lambda: list(self.slack.workspace.messages))


@contextlib.contextmanager
def run_in_thread(slack: LocalSlack | None = None) -> Iterator[SlackInThread]:
    """A started Slack in a thread of its own, ended with the block."""
    found = slack or LocalSlack()
    with running(found, "local-slack") as loop:
        yield SlackInThread(found, loop)
