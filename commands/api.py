"""What a command is made of: parse -> typed value -> handler -> reply. Parsing never touches the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cluster.facts import Guest
from store.api import Store
from workflows.settings import ManagedCluster
from workflows.site import Chat, Watchers


class Wrong(Exception):
    """What was typed cannot be done; str() says what to type instead. Loses nothing."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as a person typed it. `source` is unique per typing (Slack's trigger id), so that twice is once."""

    slash: str
    text: str
    by: str
    channel: str
    source: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What a handler works with."""

    clusters: Mapping[str, ManagedCluster]
    store: Store
    chat: Chat
    now: float
    link: Callable[[str, str], str]
    """(channel, ts) -> address of that message, "" if unknown."""
    watchers: Watchers | None = None
    guests: Callable[[str], Sequence[Guest] | None] = lambda _: None
    """The guests of that cluster, if it tells them at once: an answer waits for no machine."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to the one who typed; Slack's mrkdwn. `public`: shown to the channel."""

    text: str
    public: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """One file in commands/ defines one (or a few that belong together) as COMMANDS.

    `words`: what follows the slash command ("pause"; "" = none). `usage`: one line; `doc`: one sentence for the help.
    `takes_words`: of one without words of its own: it takes whatever no other command does ("/restore 101"); if not
    also `alone`, at least one. `meant`: other words that people type for it; they are told the right one.
    """

    slash: str
    words: str
    usage: str
    doc: str
    handle: Callable[[Desk, Typed, list[str]], Reply]
    takes_words: bool = False
    alone: bool = True
    meant: tuple[str, ...] = ()
