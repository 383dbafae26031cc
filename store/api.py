"""What is kept, and the one interface to it, with two implementations: SQL (SQLite; PostgreSQL later) and memory.

All times are seconds since the epoch, UTC, and always given by the caller. `Plain` values are JSON. Every method is one
transaction. Any failure raises StoreError: the process then ends with a clear last word, it never goes on in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import inf
from typing import Any, Protocol

from base.record import record

Plain = Any  # JSON; the engine's port has the exact type, this layer may not import it


class StoreError(Exception):
    """The database could not be read or written (disk full, read-only, locked for too long)."""


class KeyTaken(StoreError):
    """An entry or message of this key stands there already, and it is never rewritten. Nothing was written."""


class SecondProcess(Exception):
    """Another process already holds this database; the sentence says which file and which pid."""


@record
class RunRow:
    """One run. `state`: "active" until finished, then "done". `parked` is what its present wait says of itself."""

    id: str
    workflow: str
    cluster: str
    args: Mapping[str, Plain]
    state: str
    created_at: float
    created_by: str
    wake_at: float
    poked: bool = False
    parked: Mapping[str, Plain] | None = None  # key, why, who, seen, detail, since, deadline, looked_at
    result: Plain = None
    finished_at: float | None = None


@record
class Entry:
    """One journal entry. kind: "intent" (about to act), "wait" (since and deadline), "result" (done), "fault" (the
    workflow's own body broke here, and a page said so)."""

    key: str
    kind: str
    value: Plain
    at: float


@record
class OutboxRow:
    """One message to deliver once. (run_id, key) is unique. `message` is engine.port.Saying as a plain dict.

    `channel` and `ts` are set when it was delivered; `tried_at` before each try, so that a try which a crash cut off is
    looked up by its metadata (`run_id` and `key`) before it is repeated. `rendered` is the hash of what is shown now,
    for messages that are kept up to date.
    """

    id: int
    run_id: str
    key: str
    message: Mapping[str, Plain]
    created_at: float
    next_at: float = 0.0
    tried_at: float | None = None
    tries: int = 0
    delivered_at: float | None = None
    channel: str = ""
    ts: str = ""
    error: str = ""
    rendered: str = ""


@record
class OrderRow:
    """What a person ordered: verb "pause", "resume", "abort", "skip", "retry", "override"; of an outage "ack",
    "snooze", "resolve". Never deleted.

    `about`: the node of a skip, the hold key that a retry answers, "GATE NODE" of an override.
    `source` makes it idempotent (Slack may deliver twice): a second row with the same source is not written.
    """

    id: int
    run_id: str
    verb: str
    about: str
    reason: str
    by: str
    at: float
    source: str


@record
class VoteRow:
    """A reaction on an approval request, as first seen. `mark`: "approve" or "reject"; `given` False: taken back."""

    run_id: str
    key: str
    user: str
    mark: str
    given: bool
    at: float


@record
class CommandRow:
    """A slash command as received. state: "landed" (its sender may be told yet that it is refused: it does not count),
    "saved" (it counts, and is to be worked), "done", "void" (called off)."""

    id: str
    text: str
    slash: str
    user: str
    channel: str
    response_url: str
    at: float
    state: str = "saved"


@record
class AuditRow:
    """One line of what happened, who did it and on which evidence; append-only."""

    at: float
    run_id: str
    cluster: str
    who: str
    what: str
    detail: Mapping[str, Plain] = field(default_factory=dict)


@record
class AlertRow:
    """Something that is wrong, as a probe, a webhook, a watch or a person said. One row per outage and fingerprint.

    `outage`: id of the run that wakes people for it. `source`: "probe", "webhook", "watch" or "person". `subject`: what
    it is about ("guest 101", "pve2"). `began_at`: first sign of it; `at`: last word of it; `count`: words so far.
    `cleared_at`: None while it fires.
    """

    outage: str
    cluster: str
    fingerprint: str
    source: str
    subject: str
    summary: str
    severity: str
    began_at: float
    at: float
    count: int = 1
    cleared_at: float | None = None
    detail: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def firing(self) -> bool:
        return self.cleared_at is None


@record
class PageRow:
    """One try to wake one person in one way. (run_id, key) is unique; written as "sending" before the service is asked,
    so that a try which a crash cut off can be looked up.

    `state`: "posted" (by way of the outbox), "sending", "sent" (it may ring), "failed", "acknowledged", "cancelled",
    "expired". `receipt`: what the service calls it.
    """

    run_id: str
    key: str
    person: str
    how: str
    state: str
    at: float
    changed_at: float
    receipt: str = ""
    error: str = ""


@record
class ShiftOverrideRow:
    """A change of a rota for a while; of several, the one written last wins. `person` "": back to the plan.

    `kind`: "replace" (instead of whoever the plan names; `instead` narrows that to one person) or "add" (beside them).
    """

    id: int
    rota: str
    kind: str
    person: str
    instead: str
    start: float
    end: float
    by: str
    at: float
    source: str


@record
class Kept:
    """A last known fact: a calendar's last good copy, a path's last success, a proven pager, a restore drill."""

    name: str
    value: Plain
    at: float


class Store(Protocol):
    """See the module's docstring. Lists come in the order in which their rows were written."""

    # runs ------------------------------------------------------------------------------------------------------
    def start_run(self, row: RunRow, audit: AuditRow | None = None) -> bool:
        """Insert, and its audit line with it; False if a run of that id exists already (so starting twice is harmless,
        and audited once)."""
        ...

    def run(self, run_id: str) -> RunRow | None: ...

    def runs(self, *, cluster: str = "", state: str = "", workflow: str = "", limit: int = 100) -> list[RunRow]:
        """Newest first. "" chooses any."""
        ...

    def due(self, now: float, longest: float = inf) -> list[str]:
        """Ids of active runs that are poked or whose wake_at has come, oldest wake_at first. `longest`: seconds; no
        wait rests for more, so a wake_at further ahead means that the clock was put back since, and is due too."""
        ...

    def next_wake(self) -> float | None:
        """When the next active run is due, 0.0 if one is poked; None if there is none."""
        ...

    def poke(self, run_id: str) -> None:
        """Make an active run due at once. Survives a pass that is going on: see park()."""
        ...

    def unpoke(self, run_id: str) -> None:
        """Taken at the start of a pass, before anything is read: later pokes make the run due again."""
        ...

    def park(self, run_id: str, parked: Mapping[str, Plain], wake_at: float) -> None:
        """End of a pass. A poke that came since unpoke() stays, so the run is due at once."""
        ...

    def finish(self, run_id: str, result: Plain, at: float) -> None: ...

    def again(self, run_id: str, args: Mapping[str, Plain], at: float) -> None:
        """Journal emptied, arguments set, due at once, in one transaction. Outbox, orders, votes and audit stay."""
        ...

    # journal ---------------------------------------------------------------------------------------------------
    def entries(self, run_id: str) -> list[Entry]: ...

    def write(self, run_id: str, entry: Entry, say: Mapping[str, Plain] | None = None) -> None:
        """Add a journal entry and, in the same transaction, its outbox message (key = entry.key). An entry of the same
        key and kind, or a message of that key, is an error (KeyTaken): neither is ever rewritten."""
        ...

    # outbox ----------------------------------------------------------------------------------------------------
    def put_out(self, run_id: str, key: str, message: Mapping[str, Plain], at: float) -> bool:
        """A message outside of any journal (answers to people). False if that key exists already."""
        ...

    def undelivered(self, now: float, longest: float = inf) -> list[OutboxRow]:
        """Not delivered and next_at has come (or lies more than `longest` seconds ahead: see due()), oldest first."""
        ...

    def outbox(self, run_id: str) -> list[OutboxRow]: ...

    def outbox_row(self, run_id: str, key: str) -> OutboxRow | None: ...

    def posted(self, channel: str, ts: str) -> OutboxRow | None:
        """The message that stands at this place in Slack, if it is ours."""
        ...

    def trying(self, row_id: int, at: float) -> None: ...

    def delivered(self, row_id: int, at: float, channel: str, ts: str) -> None: ...

    def not_delivered(self, row_id: int, error: str, next_at: float) -> None: ...

    def rendered(self, row_id: int, digest: str) -> None: ...

    # people ----------------------------------------------------------------------------------------------------
    def order(self, row: OrderRow, audit: AuditRow | None = None) -> bool:
        """Write an order (its id is given by the store) and its audit line, and poke its run; False, and nothing
        written, if its source was seen before."""
        ...

    def orders(self, run_id: str) -> list[OrderRow]: ...

    def vote(self, row: VoteRow) -> bool:
        """Write a vote and poke its run; False (and nothing written) if it changes nothing: the user's last vote with
        this mark has the same `given` already."""
        ...

    def votes(self, run_id: str, key: str) -> list[VoteRow]: ...

    def save_command(self, row: CommandRow) -> bool:
        """False if the id was saved before (Slack delivered twice)."""
        ...

    def accept_command(self, command_id: str) -> bool:
        """What has landed counts from now on; False for one that is void, or not there."""
        ...

    def settle_command(self, command_id: str, state: str) -> None: ...

    def commands(self, state: str) -> list[CommandRow]: ...

    def first_sight(self, event_id: str, at: float) -> bool:
        """True the first time this event id is seen; remembered for at least an hour."""
        ...

    # outages ---------------------------------------------------------------------------------------------------
    def alert(
        self, rows: Sequence[AlertRow], start: RunRow | None = None, instead: Sequence[AlertRow] = ()
    ) -> list[bool]:
        """Take in what is wrong, and start the outage's run with it if it is not there yet, in one transaction.
        `instead`: rows of other outages whose place these take; they fire no more from then on (`at` of the first).

        True for a row that is new or fires again: its run is poked. What fires already gets its last word, `at` and
        one more `count`; its `began_at` stays."""
        ...

    def clear(self, cluster: str, fingerprints: Sequence[str], at: float) -> list[str]:
        """These do not fire any more; the outages that lost one, which are poked."""
        ...

    def alerts(self, outage: str) -> list[AlertRow]: ...

    def firing(self, cluster: str = "", fingerprints: Sequence[str] = ()) -> list[AlertRow]:
        """ "" and () choose any. In a flood few are meant: only those are read (of very many, part by part)."""
        ...

    def page(self, row: PageRow) -> None:
        """Write, or change, the page of this run and key. Pokes its run when the state changes."""
        ...

    def pages(self, run_id: str, *, state: str = "") -> list[PageRow]:
        """`state`: only those in it; "" = all."""
        ...

    def page_row(self, run_id: str, key: str) -> PageRow | None: ...

    def page_of(self, receipt: str) -> PageRow | None:
        """The page that a service calls by this receipt."""
        ...

    def override_shift(self, rows: Sequence[ShiftOverrideRow], audit: AuditRow | None = None) -> bool:
        """Write overrides (their ids are given by the store); False, and nothing written, if a source was seen
        before. All of them must have a source of their own."""
        ...

    def shift_overrides(self, since: float) -> list[ShiftOverrideRow]:
        """Those that end later than that."""
        ...

    # last known facts ------------------------------------------------------------------------------------------
    def keep(self, name: str, value: Plain, at: float) -> None:
        """Remember this under that name, instead of what was there."""
        ...

    def kept(self, name: str) -> Kept | None: ...

    def kept_all(self, prefix: str) -> list[Kept]:
        """All whose names begin so, by name."""
        ...

    # audit, housekeeping ---------------------------------------------------------------------------------------
    def audit(self, row: AuditRow) -> None: ...

    def audits(
        self, *, run_id: str = "", cluster: str = "", since: float = 0.0, until: float = inf, limit: int = 200
    ) -> Sequence[AuditRow]:
        """Newest first; of those whose time lies between these two (epoch seconds, both included)."""
        ...

    def tidy(self, before: float) -> int:
        """Drop event ids and settled commands older than `before`; the number of rows dropped."""
        ...

    def retire(self, before: float, spare: int, most: int, *, only: str = "", but: str = "") -> int:
        """Empty runs that ended before that: their journal, votes, orders, pages, alerts that fire no more, messages
        that were delivered. Their own rows stay. `spare`: so many newest of each cluster and workflow are kept whole.
        `only`, `but`: a workflow. The number of runs emptied, `most` at once, the longest ended first."""
        ...

    def forget_audits(self, before: float, most: int) -> int:
        """Of the oldest `most` audit lines those from before that; their number."""
        ...

    def close(self) -> None: ...
