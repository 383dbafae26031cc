"""What the bot's unit tests share: a Slack that only remembers, a run as it is kept, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.slackchat import Blocks, Refused, Unsure
from engine.port import Saying
from sandbox.cast import ALICE, BOT
from store.api import Entry, OutboxRow, RunRow
from store.memory import MemoryStore
from workflows.site import ChatDown, Reaction

RUN, CHANNEL = "lab-20261124-1", "C0LAB"
NOON = 1_795_521_600.0


@dataclass
class Clock:
    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Posted:
    channel: str
    thread: str
    text: str
    blocks: Blocks
    key: str
    emoji: list[str] = field(default_factory=list)


class FakeSlack:
    """Keeps what was posted. `troubles`: what the next posts meet; an Unsure with `done` set happened all the same."""

    def __init__(self) -> None:
        self.posts: dict[str, Posted] = {}
        self.whispers: list[tuple[str, str]] = []
        self.edits: list[tuple[str, str]] = []
        self.troubles: list[ChatDown] = []
        self.takes_nothing: dict[str, ChatDown] = {}
        """Channel -> what every post to it meets."""
        self.given: dict[str, tuple[Reaction, ...]] = {}
        self.groups: dict[str, frozenset[str]] = {}
        self.tries = 0
        self.closed: ChatDown | None = None
        """What whoever asks for a direct channel meets."""
        self.found: list[str] = []

    @property
    def bot_user(self) -> str:
        return BOT

    def quiet(self, user: str) -> bool:
        return False

    def texts(self) -> list[str]:
        return [post.text for post in self.posts.values()]

    def post(self, channel: str, thread: str, text: str, blocks: Blocks, run_id: str, key: str) -> str:
        self.tries += 1
        if channel in self.takes_nothing:
            raise self.takes_nothing[channel]
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None and not isinstance(trouble, DoneAllTheSame):
            raise trouble
        ts = f"{len(self.posts) + 1}.0"
        self.posts[ts] = Posted(channel, thread, text, blocks, key)
        if trouble is not None:
            raise trouble
        return ts

    def find(self, channel: str, thread: str, run_id: str, key: str, since: float) -> str:
        self.found.append(key)
        return next((ts for ts, post in self.posts.items() if (post.channel, post.key) == (channel, key)), "")

    def whisper(self, channel: str, thread: str, user: str, text: str) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.whispers.append((user, text))

    def open_direct(self, user: str) -> str:
        if self.closed:
            raise self.closed
        return f"D{user}"

    def react(self, channel: str, ts: str, emoji: str) -> None:
        self.posts[ts].emoji.append(emoji)

    def link(self, channel: str, ts: str) -> str:
        return f"https://slack.example/{channel}/{ts}"

    def update(self, channel: str, ts: str, text: str, blocks: Blocks) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.edits.append((ts, text))

    def reactions(self, channel: str, ts: str) -> tuple[Reaction, ...]:
        if self.troubles:
            raise self.troubles.pop(0)
        return self.given.get(ts, ())

    def members(self, group: str) -> frozenset[str]:
        return self.groups.get(group, frozenset())


class DoneAllTheSame(Unsure):
    """The line broke after Slack had done it."""


def limited(seconds: float) -> Refused:
    return Refused("Slack refused chat.postMessage: too many calls", "ratelimited", seconds)


def begin_run(store: MemoryStore, run_id: str = RUN, at: float = NOON) -> None:
    """A run of three nodes, started by Alice, with its board in the outbox."""
    args = {"cluster": "lab", "nodes": ["pve1", "pve2"], "reboot": "if-needed", "dry_run": False, "by": ALICE}
    store.start_run(RunRow(run_id, "rolling_upgrade", "lab", args, "active", at, ALICE, at))
    say(store, "board", Saying("board", "🔧 Rolling upgrade of *lab*."), run_id=run_id, at=at)


def say(store: MemoryStore, key: str, saying: Saying, run_id: str = RUN, at: float = NOON) -> OutboxRow:
    store.write(run_id, Entry(key, "result", True, at), saying.plain())
    return row(store, key, run_id)


def note(store: MemoryStore, key: str, text: str = "", run_id: str = RUN) -> OutboxRow:
    return say(store, key, Saying("note", text or f"note {key}"), run_id)


def ask(store: MemoryStore, number: int = 1, node: str = "pve1", run_id: str = RUN) -> OutboxRow:
    key = f"{node}.ask.request.said" + (f"#{number}" if number > 1 else "")
    return say(store, key, Saying("approval", f"🙋 *May I take {node}?*", detail={"node": node}), run_id)


def row(store: MemoryStore, key: str, run_id: str = RUN) -> OutboxRow:
    found = store.outbox_row(run_id, key)
    assert found is not None
    return found


def delivered(store: MemoryStore, key: str, ts: str, run_id: str = RUN) -> OutboxRow:
    store.delivered(row(store, key, run_id).id, NOON, CHANNEL, ts)
    return row(store, key, run_id)


def wait(store: MemoryStore, key: str, at: float = NOON) -> None:
    store.write(RUN, Entry(key, "wait", {"since": at, "deadline": at + 1800}, at))


def result(store: MemoryStore, key: str, value: Any, at: float = NOON) -> None:
    store.write(RUN, Entry(key, "result", value, at))


def park(store: MemoryStore, key: str, detail: Mapping[str, Any] | None = None, seen: str = "") -> None:
    parked = {"key": key, "why": "the storage to be fully healed", "who": "the self-heal daemons, by healing"}
    times = {"since": NOON, "deadline": NOON + 3600, "looked_at": NOON}
    store.park(RUN, {**parked, **times, "seen": seen, "detail": dict(detail or {})}, NOON + 60)
