"""An outage written up from what was recorded: a timeline, and a post-mortem draft in Markdown. Pure but for `read`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf

from store.api import AlertRow, AuditRow, OrderRow, OutboxRow, PageRow, RunRow, Store
from workflows.acknowledging import Deed
from workflows.messages import MOMENTS, span
from workflows.messages_outage import plain
from workflows.phases import UPGRADE

BEFORE_S = 24 * 3600.0
"""A run of the cluster that ended so shortly before is named: in 2017 it was the cause."""
MOST_AUDITS = 1000
"""Rows of the audit log that are looked through: while gates are waited for there is one a minute, or more."""
MOST_EVIDENCE = 300
"""Characters of one piece of evidence; the audit log has all of it."""
DEEDS: Mapping[str, str] = {
    Deed.ACK: "acknowledged",
    Deed.SNOOZE: "snoozed it",
    Deed.SIGN: "gave a sign of life",
    Deed.RELEASE: "released it",
    Deed.RESOLVE: "resolved it",
}
POSTED, FAILED = "posted", "failed"
LATE_S = 30.0
"""A message is in Slack within seconds, else Slack was away."""
STATES = {"cancelled": "not answered, then stopped"}
"""What came of a page, where the word of its row says too little."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything that is known of an outage. `runs`: rolling upgrades shortly before; `audits`: what was judged and
    tried in this cluster meanwhile; `last`: the newest judgement of those runs before it, if there is one."""

    run: RunRow
    alerts: Sequence[AlertRow]
    pages: Sequence[PageRow]
    orders: Sequence[OrderRow]
    said: Sequence[OutboxRow]
    runs: Sequence[RunRow]
    audits: Sequence[AuditRow]
    last: AuditRow | None = None

    @property
    def began_at(self) -> float:
        return min((alert.began_at for alert in self.alerts), default=self.run.created_at)

    @property
    def acknowledged_at(self) -> float | None:
        return next((order.at for order in self.orders if order.verb in (Deed.ACK, Deed.SNOOZE)), None)

    @property
    def restored_at(self) -> float | None:
        cleared = [alert.cleared_at for alert in self.alerts]
        return max((at for at in cleared if at is not None), default=None) if None not in cleared else None

    @property
    def paged_at(self) -> float | None:
        """Of the first page that a service took, or that Slack got, which may have been away for hours."""
        rang = [page for page in self.pages if page.state != FAILED]
        times = [self.said_at(page) if page.state == POSTED else page.at for page in rang]
        return min((at for at in times if at is not None), default=None)

    def said_at(self, page: PageRow) -> float | None:
        """When a page that went by Slack stood there; None: it never did, or does not yet. One message mentions all of
        a rung."""
        key = page.key.removesuffix(f"{page.person}.mention") + "mention" if page.how == "mention" else page.key
        row = next((row for row in self.said if row.key == key), None)
        if row is None:  # it is not kept any more
            return page.at
        return row.delivered_at if row.ts else None


def read(store: Store, run: RunRow) -> Recorded:
    alerts = store.alerts(run.id)
    began = min((alert.began_at for alert in alerts), default=run.created_at)
    before = [
        row
        for row in store.runs(cluster=run.cluster, workflow=UPGRADE)
        if row.created_at <= began and (row.finished_at or began) > began - BEFORE_S
    ]
    meanwhile = store.audits(cluster=run.cluster, since=began, until=run.finished_at or inf, limit=MOST_AUDITS)
    audits = [row for row in reversed(meanwhile) if row.run_id != run.id]
    orders = store.orders(run.id)
    pages, said = store.pages(run.id), store.outbox(run.id)
    return Recorded(run, alerts, pages, orders, said, before, audits, _last(store, before, began))


def _last(store: Store, runs: Sequence[RunRow], began: float) -> AuditRow | None:
    rows = [row for run in runs for row in store.audits(run_id=run.id, until=began, limit=MOST_AUDITS)]
    judged = [row for row in rows if _judges(row) and row.at < began]
    return max(judged, key=lambda row: row.at, default=None)


def _judges(audit: AuditRow) -> bool:
    return audit.what.startswith("gates ")


# ---- the timeline --------------------------------------------------------------------------------------------------


Names = Callable[[str], str]
"""Slack's user id, or the name in the settings -> how people are called."""


def timeline(r: Recorded, name: Names) -> list[str]:
    """A line for everything that happened, in order of time, UTC."""
    return [f"{_clock(at)}  {text}" for at, text in sorted(_events(r, name), key=lambda event: event[0])]


def _events(r: Recorded, name: Names) -> Iterator[tuple[float, str]]:
    for row in r.runs:
        end = f", ended {_clock(row.finished_at)}" if row.finished_at else ""
        yield row.created_at, f"run {row.id} by {name(row.created_by)} began{end}"
    for alert in r.alerts:
        yield alert.began_at, f"{plain(alert.subject)}: first sign of trouble"
        if alert.cleared_at is not None:
            yield alert.cleared_at, f"{plain(alert.subject)}: recovered"
    opened_by = [alert for alert in r.alerts if alert.began_at <= r.run.created_at]  # others joined it later
    yield (
        r.run.created_at,
        "outage opened: " + "; ".join(f"{plain(a.subject)}: {plain(a.summary)}" for a in opened_by[:3]),
    )
    for page in r.pages:
        yield page.at, f"{name(page.person)} paged by {page.how}{_came_of(r, page, name)}"
    for order in r.orders:
        yield order.at, f"{name(order.by)} {DEEDS.get(order.verb, order.verb)} ({order.reason})"
    for audit in r.audits:
        if audit.who != "roundsman":
            yield audit.at, f"{name(audit.who)}: {audit.what} ({audit.run_id})"
    if r.run.finished_at is not None:
        yield r.run.finished_at, f"outage over: {(r.run.result or {}).get('state', '')}"


def _came_of(r: Recorded, page: PageRow, name: Names) -> str:
    return "" if page.state == "sent" else f": {_state(r, page, name)}"


def _state(r: Recorded, page: PageRow, name: Names) -> str:
    """What came of a page. Whoever presses a key on the phone ends the call, which is then one that was stopped."""
    same = [other.at for other in r.pages if (other.person, other.how) == (page.person, page.how)]
    answered = any(
        order.verb == Deed.ACK
        and order.reason == page.how
        and name(order.by) == name(page.person)
        # and it was the last one before the answer: an older call was replaced by it
        and page.at == max((at for at in same if at <= order.at), default=None)
        for order in r.orders
    )
    if page.state == POSTED:
        return _in_slack(r.said_at(page), page.at)
    state = "acknowledged" if answered and page.state == "cancelled" else STATES.get(page.state, page.state)
    return state + (f" ({page.error})" if page.error else "")


def _in_slack(at: float | None, written: float) -> str:
    if at is None:
        return "not posted, for Slack was away"
    return f"posted in Slack at {_clock(at)}, which was away" if at - written > LATE_S else "posted in Slack"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


# ---- the post-mortem -------------------------------------------------------------------------------------------------


def markdown(r: Recorded, name: Names) -> str:
    parts = [
        f"# Post-mortem of {r.run.id} (draft)",
        f"Cluster {r.run.cluster}. Written from what was recorded; times are UTC.",
        *_section("What happened", [f"- {plain(a.subject)}: {plain(a.summary)}" for a in r.alerts]),
        *_section("Durations", list(_durations(r))),
        *_section(
            "Before it", [_run_before(r, row) for row in r.runs] or ["- no run of this cluster in the day before"]
        ),
        *_section("Who was paged, when and how", [_paged(r, page, name) for page in r.pages] or ["- nobody"]),
        *_section(
            "What was tried",
            [_tried(audit, name) for audit in _deeds(r.audits)] or ["- nothing that I saw"],
        ),
        *_section("What the gates said", list(_gates(r)) or ["- no gate was asked"]),
        *_section("Timeline", [f"- {line}" for line in timeline(r, name)]),
        *_section(
            "To be written by a person",
            ["- Cause:", "- What went well:", "- What did not:", "- What changes, who, until when:"],
        ),
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", *lines]


def _durations(r: Recorded) -> Iterator[str]:
    """Each from the first sign of trouble."""
    marks: Sequence[tuple[str, float | None]] = (
        ("to detect", r.run.created_at),
        ("to page", r.paged_at),
        ("to acknowledge", r.acknowledged_at),
        ("to restore", r.restored_at),
    )
    for name, at in marks:
        yield f"- {name}: {span(max(at - r.began_at, 0.0)) if at is not None else 'not yet'}"


def _run_before(r: Recorded, row: RunRow) -> str:
    if row.finished_at is None or row.finished_at > r.began_at:
        return f"- run {row.id} was active; it began {span(r.began_at - row.created_at)} before"
    return f"- run {row.id} ended {span(r.began_at - row.finished_at)} before"


def _paged(r: Recorded, page: PageRow, name: Names) -> str:
    return f"- {_clock(page.at)} {name(page.person)} by {page.how}: {_state(r, page, name)}"


def _deeds(audits: Iterable[AuditRow]) -> Iterator[AuditRow]:
    """A step of several acts is judged before each of them, and before each new try: told once, until its run does
    something else or a person steers it."""
    last: dict[str, AuditRow] = {}
    for audit in audits:
        before = last.get(audit.run_id)
        if not _judges(audit) and (before is None or replace(before, at=audit.at) != audit):
            yield audit
        last[audit.run_id] = audit


def _tried(audit: AuditRow, name: Names) -> str:
    """By a person, or by a run in their name."""
    by = f", approved by {', '.join(map(name, audit.detail['by']))}" if audit.detail.get("by") else ""
    return f"- {_clock(audit.at)} {name(audit.who)}: {audit.what} ({audit.run_id}){by}"


def _gates(r: Recorded) -> Iterator[str]:
    """The last judgement before it in short; of those meanwhile every verdict that was not passed. With evidence."""
    if r.last:
        passed = sum(verdict["verdict"] == "passed" for verdict in r.last.detail.values())
        yield f"- {_clock(r.last.at)} the last before it, {_asked(r.last)}: {passed} of {len(r.last.detail)} passed"
        yield from _shut(r.last)
    for audit in filter(_judges, r.audits):
        yield from _shut(audit)


def _asked(audit: AuditRow) -> str:
    """ "gates healed pve1" -> "pve1 before the next node"."""
    _, moment, node = audit.what.split(" ", 2)
    return f"{node} before {MOMENTS.get(moment, moment)}"


def _shut(audit: AuditRow) -> Iterator[str]:
    for gate, verdict in audit.detail.items():
        if verdict["verdict"] != "passed":
            yield f"- {_clock(audit.at)} {_asked(audit)}: {gate} {verdict['verdict']}: {verdict['reason']}"
            yield from (f"  - {key}: {str(value)[:MOST_EVIDENCE]}" for key, value in verdict["evidence"].items())
