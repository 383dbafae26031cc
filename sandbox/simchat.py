"""Slack as a simulated night needs it: messages with reactions, and times when it cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.cast import BOT
from workflows.site import ChatDown, Reaction


@dataclass(slots=True)
class Posted:
    """A message as it stands in the channel. `marks`: emoji -> users, in the order in which they came."""

    ts: str
    kind: str
    node: str
    marks: dict[str, list[str]] = field(default_factory=dict)


class SimChat:
    """Satisfies workflows.site.Chat. While `down` the bot reaches nothing and hears nothing; people still can react."""

    def __init__(self, groups: dict[str, frozenset[str]] | None = None) -> None:
        self.posted: dict[str, Posted] = {}
        self.groups = groups or {}
        self.down = False
        self.disturbed: set[str] = set()  # whose Do Not Disturb is on
        self._count = 0

    @property
    def bot_user(self) -> str:
        return BOT

    def post(self, now: float, kind: str, node: str) -> str:
        self._count += 1
        ts = f"{int(now)}.{self._count:06d}"
        self.posted[ts] = Posted(ts, kind, node)
        return ts

    def react(self, ts: str, user: str, emoji: str) -> None:
        users = self.posted[ts].marks.setdefault(emoji, [])
        if user not in users:
            users.append(user)

    def unreact(self, ts: str, user: str, emoji: str) -> None:
        users = self.posted[ts].marks.get(emoji, [])
        if user in users:
            users.remove(user)

    def reactions(self, channel: str, ts: str) -> tuple[Reaction, ...]:
        self._reach()
        return tuple(Reaction(name, tuple(users)) for name, users in self.posted[ts].marks.items())

    def quiet(self, user: str) -> bool:
        self._reach()
        return user in self.disturbed

    def members(self, group: str) -> frozenset[str]:
        self._reach()
        return self.groups.get(group, frozenset())

    def _reach(self) -> None:
        if self.down:
            raise ChatDown("Slack does not answer")
