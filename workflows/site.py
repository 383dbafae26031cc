"""What a workflow works with: the machines, the chat, what is kept, and the time. Given from outside, so that a whole
night can run in milliseconds in a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cluster.api import Cluster
from store.api import Store
from workflows.settings import ManagedCluster


class ChatDown(Exception):
    """Slack did not answer, or said no; the sentence says what it said. Unknown is not good."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """One emoji under a message: normalised name (no skin tone, aliases folded), and everybody who gave it."""

    name: str
    users: tuple[str, ...]


class Chat(Protocol):
    """What a workflow asks of Slack directly. Everything it says goes through the outbox instead."""

    @property
    def bot_user(self) -> str: ...

    def reactions(self, channel: str, ts: str) -> tuple[Reaction, ...]:
        """All reactions under one message, now (reactions.get with full=true). Raises ChatDown."""
        ...

    def members(self, group: str) -> frozenset[str]:
        """Users of a user group (S...). Raises ChatDown."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster's surroundings. `clock` gives seconds since the epoch, UTC."""

    managed: ManagedCluster
    cluster: Cluster
    chat: Chat
    store: Store
    clock: Callable[[], float]
    helper_checksum: str
