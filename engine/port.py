"""The port between a workflow and whatever keeps it alive over hours, crashes and new versions.

A workflow is a plain, linear function of (run, args). Waiting *is leaving the function*: every wake replays it over the
journal up to the next wait. So all that decides the way must come out of a `step` or an `until`, never out of a read
made beside them (39 % of simulated nights broke on such reads, `docs/decisions/0001-own-journal.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Protocol, TypeVar

from base.record import record

T = TypeVar("T")

Plain = Any
"""What a journal can hold: JSON, nothing else. (A recursive type would be invariant in every list and say less.)"""


@record
class Look:
    """What a probe is told each time it looks. Times in seconds since the epoch, UTC."""

    now: float
    since: float
    deadline: float
    last: Mapping[str, Plain] | None = None
    """The `detail` of the look before, if it is still known. For drawing a curve, never for deciding."""


@record
class Waiting:
    """A probe's answer when the wait goes on: what it saw, as half a sentence ("14 entries pending on pve2")."""

    seen: str
    detail: Mapping[str, Plain] = field(default_factory=dict)


@record
class Saying:
    """A message for the outbox, neutral to the chat: delivered after the commit, in order within its thread.

    `kind` tells the deliverer what it is: "note" (in the thread), "progress" (in the thread; kept up to date while the
    wait of key `about` lasts), "approval" (in the thread, with emoji to click), "board" (top level, the run's own
    message), "page" (top level, mentions `mention`), "direct" (a message of its own to `to` alone), "private" (only
    `to` sees it, and only until the next reload).
    """

    kind: str
    text: str
    mention: tuple[str, ...] = ()
    to: str = ""
    about: str = ""
    detail: Mapping[str, Plain] = field(default_factory=dict)

    def plain(self) -> dict[str, Plain]:
        """As the outbox keeps it."""
        return {
            "kind": self.kind,
            "text": self.text,
            "mention": list(self.mention),
            "to": self.to,
            "about": self.about,
            "detail": dict(self.detail),
        }

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Saying:
        """Back from the outbox."""
        return cls(**{**message, "mention": tuple(message["mention"])})


@record
class Again:
    """Returned by a workflow: go on as if new, with these arguments and an empty journal."""

    args: Mapping[str, Plain]


class DuplicateKey(Exception):
    """The same key was used twice in one pass: a fault in the workflow, never in the night."""


class Run(Protocol):
    """What a workflow may do with time and durability. Every key is unique in its run (`pve2.reboot`)."""

    @property
    def id(self) -> str: ...

    def step(self, key: str, fn: Callable[[], T]) -> T:
        """Do one short act and remember its (plain) result. At least once: `fn` must be harmless when repeated."""
        ...

    def acted(self, key: str) -> bool:
        """True inside a step whose intent was written by an earlier pass: it may have acted already, ask the world."""
        ...

    def until(
        self,
        key: str,
        probe: Callable[[Look], T | Waiting],
        timeout: float,
        *,
        why: str,
        who: str,
    ) -> T | None:
        """Leave until `probe` answers something else than Waiting; None means: not in time.

        Woken by a poke or at the pace (elapsed/20 within 5..60 s by default). A probe that raises has seen nothing. It
        is asked once more after the deadline (`timeout` seconds after the first pass, journaled). Only the final value
        is journaled; what each look saw overwrites the run's parked row, which `/upgrade why` prints.
        """
        ...

    def say(self, key: str, fn: Callable[[], Saying | None]) -> None:
        """Put a message into the outbox in the transaction of its journal entry, worded at that very moment."""
        ...

    def part(self, key: str, fn: Callable[[], T]) -> T:
        """A stretch made of other calls; once through, later replays pass it in one look. Leaves nothing in objects."""
        ...


Workflow = Callable[[Run, Mapping[str, Plain]], "Plain | Again"]
