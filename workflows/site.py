"""What a workflow works with: the machines, the chat, what is kept, and the time. Given from outside, so that a whole
night can run in milliseconds in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cluster.api import Cluster
from oncall.duty import Duty
from oncall.pagers import Pager
from oncall.settings import OnCallSettings
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

    def quiet(self, user: str) -> bool:
        """Whether Do Not Disturb is on for this user now (dnd.info). Raises ChatDown."""
        ...

    def members(self, group: str) -> frozenset[str]:
        """Users of a user group (S...). Raises ChatDown."""
        ...


T = TypeVar("T")


class Together(Protocol):
    """Does them all, and gives their answers in the same order."""

    def __call__(self, works: Sequence[Callable[[], T]]) -> list[T]: ...


def one_by_one(works: Sequence[Callable[[], T]]) -> list[T]:
    """As a simulated night needs it, in which nothing takes time."""
    return [work() for work in works]


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is woken, and with what. `duty` gives whose turn it is, as it is known now. `pagers`: by the way that rungs
    name; mention and direct message go by Slack. `together`: how several paging services are asked; a live bot does it
    side by side, for one that is dead takes seconds to say nothing."""

    settings: OnCallSettings
    duty: Callable[[], Duty]
    pagers: Mapping[str, Pager]
    together: Together = one_by_one

    def on_call(self, rota: str, at: float) -> tuple[str, ...]:
        """Names; empty if nobody is, or if there is no such rota (any more)."""
        duty = self.duty()
        return tuple(shift.person for shift in duty.all_on_call(rota, at)) if rota in duty.rotas else ()

    def name_of(self, user: str) -> str:
        """How the settings call this Slack user; "" for strangers."""
        return next((name for name, person in self.settings.people.items() if person.slack == user), "")


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster's surroundings. `clock` gives seconds since the epoch, UTC."""

    managed: ManagedCluster
    cluster: Cluster
    chat: Chat
    store: Store
    clock: Callable[[], float]
    helper_checksum: str
    watchers: Watchers | None = None
    """None: the settings have no section `oncall`; then a page mentions all operators."""
