"""What a workspace holds: people, channels, messages, reactions. No network, no wall clock but the one it is given.

Refusals are `Refusal`, in Slack's own words, so that the Web API only has to hand them on.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Plain = dict[str, Any]

TEAM = "T0ROUNDS"
APP = "A0ROUNDS"
ALICE, BOB, CAROL, MALLORY = "U0ALICE", "U0BOB", "U0CAROL", "U0MALLORY"
BOT, BOT_ID = "U0ROUNDS", "B0ROUNDS"
SLACKBOT = "USLACKBOT"
CHANNEL = "C0LAB"

MOST_TEXT = 40_000  # characters; what is longer is cut by Slack without a word
MOST_REACTIONS = 23  # different emoji under one message
EMOJI = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")


class Refusal(Exception):
    """Slack says no. `code` is Slack's word, `more` what the answer has beside it."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


@dataclass(frozen=True, slots=True)
class User:
    """`tz_offset` in seconds; `dnd`: start and end of Do Not Disturb in seconds since the epoch, if it is on."""

    id: str
    name: str
    real_name: str
    title: str = ""
    tz: str = "Europe/Berlin"
    tz_offset: int = 3600
    is_bot: bool = False
    is_restricted: bool = False
    deleted: bool = False
    dnd: tuple[int, int] | None = None


@dataclass(slots=True)
class Channel:
    """`is_im`: a direct message; its other member is a person."""

    id: str
    name: str
    members: list[str]
    is_private: bool = False
    is_archived: bool = False
    is_im: bool = False
    topic: str = ""


@dataclass(frozen=True, slots=True)
class UserGroup:
    id: str
    handle: str
    name: str
    users: tuple[str, ...]


@dataclass(slots=True)
class Message:
    """`thread_ts`: the parent's, "" at top level. `only_for`: the one person who sees an ephemeral message."""

    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str = ""
    bot_id: str = ""
    only_for: str = ""
    broadcast: bool = False
    edited: str = ""
    blocks: list[Plain] = field(default_factory=list)
    files: list[Plain] = field(default_factory=list)
    metadata: Plain | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the app may do: its slash commands, the events it subscribed to, its bot scopes."""

    commands: tuple[str, ...] = ("/upgrade",)
    events: tuple[str, ...] = ("reaction_added", "reaction_removed", "app_mention")
    scopes: tuple[str, ...] = (
        "commands",
        "chat:write",
        "reactions:read",
        "reactions:write",
        "channels:read",
        "groups:read",
        "channels:history",
        "groups:history",
        "users:read",
        "usergroups:read",
        "usergroups:write",
        "dnd:read",
        "im:history",
        "im:write",
        "files:write",
        "app_mentions:read",
    )

    @classmethod
    def from_plain(cls, manifest: Mapping[str, Any]) -> Manifest:
        """From an app manifest as Slack takes it (YAML or JSON, loaded)."""
        commands = manifest.get("features", {}).get("slash_commands", ())
        return cls(
            commands=tuple(row["command"] for row in commands),
            events=tuple(manifest.get("settings", {}).get("event_subscriptions", {}).get("bot_events", ())),
            scopes=tuple(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
        )


CAST = (
    User(ALICE, "alice", "Alice", "on call"),
    User(BOB, "bob", "Bob", "backs her up"),
    User(CAROL, "carol", "Carol", "may approve"),
    User(MALLORY, "mallory", "Mallory", "may nothing"),
    User(BOT, "roundsman", "Roundsman", "app", is_bot=True),
    User(SLACKBOT, "slackbot", "Slackbot", is_bot=True),
)
"""Everybody in every test and in the demo."""


@dataclass(frozen=True, slots=True)
class Change:
    """`kind`: posted, changed or deleted."""

    kind: str
    message: Message


class Workspace:
    """One workspace in memory. Not safe for threads: it lives in its server's event loop.

    `clock` gives seconds since the epoch; it makes the time stamps that are Slack's names for messages.
    """

    def __init__(
        self,
        users: Iterable[User] = CAST,
        channels: Iterable[Channel] = (),
        groups: Iterable[UserGroup] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.users = {user.id: user for user in users}
        self.channels = {channel.id: channel for channel in channels or [self._first_channel()]}
        self.groups = {group.id: group for group in groups}
        self.messages: list[Message] = []
        self.clock = clock
        self.listeners: list[Callable[[Change], None]] = []
        self._last_ts = 0

    def _first_channel(self) -> Channel:
        return Channel(CHANNEL, "lab-cluster", list(self.users), topic="Rolling upgrades of the lab cluster")

    # looking up -------------------------------------------------------------------------------------------------

    def user(self, user: str) -> User:
        if user not in self.users:
            raise Refusal("user_not_found")
        return self.users[user]

    def group(self, group: str) -> UserGroup:
        if group not in self.groups:
            raise Refusal("no_such_subteam")
        return self.groups[group]

    def set_members(self, group: str, users: Sequence[str]) -> UserGroup:
        found = replace(self.group(group), users=tuple(self.user(user).id for user in users))
        self.groups[group] = found
        return found

    def channel_for(self, who: str, channel: str) -> Channel:
        """A channel as this user sees it: a private one that they are not in does not exist."""
        found = self.channels.get(channel)
        if found is None or (found.is_private and who not in found.members):
            raise Refusal("channel_not_found")
        return found

    def room(self, who: str, channel: str) -> Channel:
        """A channel that this user may write in."""
        found = self.channel_for(who, channel)
        if who not in found.members and who != SLACKBOT:
            raise Refusal("not_in_channel")
        if found.is_archived:
            raise Refusal("is_archived")
        return found

    def direct(self, user: str) -> Channel:
        """Where the app and this user are alone; made when it is first asked for."""
        if self.user(user).deleted:
            raise Refusal("user_disabled")
        if self.user(user).is_bot:
            raise Refusal("cannot_dm_bot")
        made = Channel(f"D{user.removeprefix('U')}", f"dm-{self.user(user).name}", [BOT, user], True, is_im=True)
        return self.channels.setdefault(made.id, made)

    def message(self, channel: str, ts: str) -> Message:
        """A message that everybody sees."""
        found = next(
            (m for m in reversed(self.messages) if (m.channel, m.ts) == (channel, ts) and not m.only_for), None
        )
        if found is None:
            raise Refusal("message_not_found")
        return found

    def by_ts(self, ts: str) -> Message:
        """A time stamp is unique in the whole workspace here, so people need not name the channel."""
        found = next((m for m in reversed(self.messages) if m.ts == ts and not m.only_for), None)
        if found is None:
            raise Refusal("message_not_found")
        return found

    def top_level(self, channel: str) -> list[Message]:
        """What the channel shows, oldest first."""
        visible = (m for m in self.messages if m.channel == channel and not m.only_for)
        return [m for m in visible if not m.thread_ts or m.broadcast]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """A parent and its replies, oldest first. Asked for a reply, Slack gives that reply alone."""
        first = next((m for m in self.messages if (m.channel, m.ts) == (channel, ts) and not m.only_for), None)
        if first is None:
            raise Refusal("thread_not_found")
        return [first, *self.replies(channel, ts)]

    def replies(self, channel: str, ts: str) -> list[Message]:
        return [m for m in self.messages if m.channel == channel and m.thread_ts == ts and not m.only_for]

    # doing ------------------------------------------------------------------------------------------------------

    def post(self, user: str, channel: str, text: str, thread_ts: str = "", **more: Any) -> Message:
        """A message everybody in the channel sees. `more`: blocks, metadata, files, bot_id, broadcast."""
        self.room(user, channel)
        self._thread_exists(channel, thread_ts)
        return self._add(Message(channel, self._next_ts(), user, text[:MOST_TEXT], thread_ts, **more))

    def whisper(self, user: str, channel: str, only_for: str, text: str, thread_ts: str = "", **more: Any) -> Message:
        """A message that one person sees; nobody can react to it, look it up or change it."""
        self.room(user, channel)
        if only_for not in self.channels[channel].members:
            raise Refusal("user_not_in_channel")
        return self._add(Message(channel, self._next_ts(), user, text, thread_ts, only_for=only_for, **more))

    def answer(self, channel: str, text: str, only_for: str, **more: Any) -> Message:
        """The app's answer to a slash command, which Slack itself posts: to one person, or ("") to the channel."""
        return self._add(Message(channel, self._next_ts(), BOT, text, only_for=only_for, **more))

    def edit(self, user: str, channel: str, ts: str, text: str, blocks: list[Plain], metadata: Plain | None) -> Message:
        """As chat.update: blocks that are not sent again are gone, metadata stays unless `{}` is sent.

        Slack shows "edited" only where a message has no blocks.
        """
        message = self._own(user, channel, ts, "cant_update_message")
        message.text, message.blocks = text, blocks
        message.edited = "" if blocks else self._next_ts()
        if metadata is not None:
            message.metadata = metadata or None
        return self._tell("changed", message)

    def delete(self, user: str, channel: str, ts: str) -> None:
        message = self._own(user, channel, ts, "cant_delete_message")
        self.messages.remove(message)
        self._tell("deleted", message)

    def react(self, user: str, channel: str, ts: str, emoji: str) -> Message:
        self.room(user, channel)
        message = self.message(channel, ts)
        if not EMOJI.fullmatch(emoji):
            raise Refusal("invalid_name")
        users = message.reactions.get(emoji, [])
        if user in users:
            raise Refusal("already_reacted")
        if not users and len(message.reactions) >= MOST_REACTIONS:
            raise Refusal("too_many_emoji")
        message.reactions[emoji] = [*users, user]
        return self._tell("changed", message)

    def unreact(self, user: str, channel: str, ts: str, emoji: str) -> Message:
        message = self.message(channel, ts)
        if user not in message.reactions.get(emoji, ()):
            raise Refusal("no_reaction")
        message.reactions[emoji].remove(user)
        if not message.reactions[emoji]:
            del message.reactions[emoji]
        return self._tell("changed", message)

    # keeping ----------------------------------------------------------------------------------------------------

    def dump(self) -> str:
        """All messages as JSON. People and channels are not in it: they are given at the start."""
        return json.dumps([asdict(message) for message in self.messages], ensure_ascii=False)

    def restore(self, text: str) -> None:
        self.messages = [Message(**row) for row in json.loads(text)]
        self._last_ts = max((_micros(m.ts) for m in self.messages), default=0)

    # ------------------------------------------------------------------------------------------------------------

    def _next_ts(self) -> str:
        self._last_ts = max(round(self.clock() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def _thread_exists(self, channel: str, thread_ts: str) -> None:
        """Slack's documentation: never answer a reply's ts. Slack takes it, and the message is lost in a thread of its
        own; here it is refused, so that a test sees it."""
        if thread_ts and not any(m.ts == thread_ts and not m.thread_ts for m in self.top_level(channel)):
            raise Refusal("cannot_reply_to_message")

    def _own(self, user: str, channel: str, ts: str, refusal: str) -> Message:
        self.channel_for(user, channel)
        message = self.message(channel, ts)
        if message.user != user:
            raise Refusal(refusal)
        return message

    def _add(self, message: Message) -> Message:
        self.messages.append(message)
        return self._tell("posted", message)

    def _tell(self, kind: str, message: Message) -> Message:
        for listener in self.listeners:
            listener(Change(kind, message))
        return message


def _micros(ts: str) -> int:
    return int(ts.replace(".", ""))
