"""Ways to wake a person: one file each, about fifty lines, found by looking into this folder. What they share is here.

A pager only sends, looks up and cancels; who is woken next and when is decided elsewhere (oncall/escalation.py). All
verbs block for seconds at most and raise PagerError. Success of `send` is no acknowledgement: an answered phone may be
a voicemail, a delivered push lies on a sleeping telephone.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from typing import Protocol

from oncall.settings import PagerSettings, Person


class PagerError(Exception):
    """str() is a sentence without secrets. `permanent`: trying again the same way is of no use (a wrong number, a
    refused token), so the next rung comes at once."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Page:
    """What is sent to one person. `run_id` and `key` are unique to this try; `title` is one short sentence (it may be
    spoken), `text` says more, `link` is the outage's thread, "" if Slack has none. `at`: seconds since the epoch."""

    run_id: str
    key: str
    name: str
    person: Person
    title: str
    text: str
    link: str
    at: float


class State(StrEnum):
    WAITING = "waiting"  # on its way, ringing, or delivered and not answered
    ACKNOWLEDGED = "acknowledged"  # a person pressed a key or tapped
    FAILED = "failed"  # it will never reach anybody
    EXPIRED = "expired"  # the service has stopped ringing


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the service says of a page. `why`: in a sentence, for failures; `at`: of an acknowledgement, epoch seconds,
    0.0 if the service does not tell."""

    state: State
    why: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of `roundsman check`; `remedy`: what to do, "" if nothing is missing."""

    ok: bool
    subject: str
    text: str
    remedy: str = ""


class Pager(Protocol):
    @property
    def how(self) -> str:
        """As rungs call it: "pushover", "voice", "apprise"."""
        ...

    @property
    def acknowledges(self) -> bool:
        """Whether an acknowledgement can come back this way."""
        ...

    @property
    def warning(self) -> str:
        """What whoever starts the bot should know about this way, as a sentence; "" if there is nothing."""
        ...

    def reaches(self, person: Person) -> str:
        """ "" if this person can be paged this way, else what is missing ("no phone number in the settings")."""
        ...

    def send(self, page: Page) -> str:
        """The service's receipt, "" if it gives none. Raises PagerError."""
        ...

    def find(self, page: Page) -> str | None:
        """The receipt of a page whose sending was cut off; "" if the service surely never got it; None if it cannot be
        asked (it is then sent again: rather twice than never). Raises PagerError."""
        ...

    def state(self, receipt: str) -> Delivery:
        """Raises PagerError."""
        ...

    def cancel(self, receipt: str) -> None:
        """Stop ringing: somebody acknowledged, or it is over. Raises PagerError."""
        ...

    def check(self, people: Mapping[str, Person]) -> Iterator[Checked]:
        """Whether the service would take a page, for each person whom it can reach. Rings nobody, never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pager is made from. `public_url`: where the world reaches this bot, or ""; `clock`: in seconds."""

    settings: PagerSettings
    public_url: str
    clock: Callable[[], float]


def all_pagers(settings: PagerSettings, public_url: str, clock: Callable[[], float]) -> dict[str, Pager]:
    """Every way that is configured, by its name. A file here has `make`, which gives None without its settings."""
    around = Surroundings(settings, public_url, clock)
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    made: list[Pager | None] = [import_module(f"{__name__}.{name}").make(around) for name in modules]
    return {pager.how: pager for pager in made if pager is not None}
