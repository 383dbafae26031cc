"""What is wrong becomes an outage: alerts of probes, webhooks, watches and people, joined so that one outage has one
ladder however many alerts it has.

An alert joins the open outage in which it fires already; else one that is young or about which people are being paged
anyway. What dies hours later, while somebody holds the older outage, or while whoever holds it has put it off, is an
outage of its own and wakes people again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock

from store.api import AlertRow, Plain, RunRow, Store
from workflows import messages_outage as messages
from workflows.acknowledging import PUT_BACK_S, holders
from workflows.settings import ManagedCluster

OUTAGE = "outage"
"""The workflow whose runs are outages."""
FAULT = "fault"
"""Source of alerts about runs that stand still by a fault of the bot. Fingerprint: this, a slash, and the run."""
LEFT = "left"
"""Source of alerts of a cluster that left the settings while they fired. Only a person's word ends them."""
FAULT_SETTLES_S = 60.0
"""The alert is written before the journal knows of the fault."""
JOIN_S = 30 * 60.0
"""So long after an outage began, whatever else goes wrong in its cluster is taken for a part of it."""
MANY = 1_000_000

_one_at_a_time = RLock()  # two that come at once must not make two outages


@dataclass(frozen=True, slots=True)
class Alert:
    """`fingerprint`: the same trouble has the same, within its cluster. `subject`: what it is about ("router-a (101)").
    `severity` is shown, not judged. `began_at`: first sign of it, epoch seconds. `policy`: "" = the cluster's own."""

    fingerprint: str
    source: str
    subject: str
    summary: str
    severity: str
    began_at: float
    detail: Mapping[str, Plain] = field(default_factory=dict)
    policy: str = ""


def raise_alerts(store: Store, managed: ManagedCluster, alerts: Sequence[Alert], now: float) -> str:
    """Take them in; the id of the outage that wakes people for them ("" for no alerts), of several the one of what is
    new. Idempotent."""
    if not alerts:
        return ""
    place = ""
    with _one_at_a_time:
        marks = sorted({alert.fingerprint for alert in alerts})
        firing = {row.fingerprint: row.outage for row in store.firing(managed.name, marks)}
        told: dict[str, list[Alert]] = {}
        for alert in alerts:
            told.setdefault(firing.get(alert.fingerprint, ""), []).append(alert)
        fresh = told.pop("", [])  # said in one breath with what fires already, it still is news
        for place, again in told.items():
            store.alert([_row(place, managed.name, alert, now) for alert in again])
        return _open(store, managed, fresh, now) if fresh else place


def _open(
    store: Store, managed: ManagedCluster, fresh: Sequence[Alert], now: float, instead: Sequence[AlertRow] = ()
) -> str:
    """The outage for what does not fire yet, in one transaction; with `instead`, for what did in outages that ended."""
    place = _place(store, managed, fresh, now)
    start = None if store.run(place) else _run(place, managed, fresh[0], now)
    store.alert([_row(place, managed.name, alert, now) for alert in fresh], start, instead)
    return place


def clear_alerts(store: Store, cluster: str, fingerprints: Sequence[str], now: float) -> None:
    """They do not fire any more."""
    with _one_at_a_time:
        store.clear(cluster, fingerprints, now)


def adopt(store: Store, clusters: Mapping[str, ManagedCluster], now: float) -> list[str]:
    """What still fires although its outage has ended (it came while that was closed) becomes an outage again: nothing
    that fires is ever without one. What fires of a cluster that left the settings is from then on the trouble of the
    first one that they name: nobody looks at it any more, but somebody must know. The new outages' ids."""
    with _one_at_a_time:  # as a whole: what is cleared meanwhile must not be raised again, for nobody would clear it
        rows = store.firing()
        over = {outage for outage in {row.outage for row in rows} if _over(store, outage)}  # a flood's alerts share one
        groups: dict[tuple[str, str], list[AlertRow]] = {}
        for row in rows:
            if row.outage in over:
                heir = row.cluster if row.cluster in clusters else next(iter(clusters))
                groups.setdefault((heir, _policy(store, row)), []).append(row)
        return [
            _open(store, clusters[heir], [_again(row, heir, policy) for row in found], now, found)
            for (heir, policy), found in groups.items()
        ]


def clear_faults(store: Store, now: float) -> None:
    """A run that stood still by a fault of the bot, and has gone on or ended since, is nobody's trouble any more."""
    for row in store.firing():
        settled = row.source == FAULT and not 0 <= now - row.at < FAULT_SETTLES_S
        if settled and not _faulted(store, row.fingerprint.removeprefix(f"{FAULT}/")):
            clear_alerts(store, row.cluster, [row.fingerprint], now)


def _faulted(store: Store, run_id: str) -> bool:
    """The fault is the last thing that its journal knows."""
    run = store.run(run_id)
    last = store.entries(run_id)[-1:] if run is not None and run.state == "active" else []
    return any(entry.kind == "fault" for entry in last)


def _over(store: Store, outage: str) -> bool:
    run = store.run(outage)
    return run is None or run.state != "active"


def _policy(store: Store, row: AlertRow) -> str:
    """By which it woke people before."""
    run = store.run(row.outage)
    return str(run.args["policy"]) if run is not None else ""


def _again(row: AlertRow, heir: str, policy: str) -> Alert:
    mark, source, subject, summary = row.fingerprint, row.source, row.subject, row.summary
    if row.cluster != heir:
        mark, source = f"{row.cluster}/{mark}", LEFT
        subject, summary = messages.left_subject(subject, row.cluster), messages.left_summary(summary, row.cluster)
    return Alert(mark, source, subject, summary, row.severity, row.began_at, row.detail, policy)


def open_outages(store: Store, cluster: str = "") -> list[RunRow]:
    """Newest first."""
    return store.runs(cluster=cluster, state="active", workflow=OUTAGE, limit=MANY)


def _place(store: Store, managed: ManagedCluster, alerts: Sequence[Alert], now: float) -> str:
    """Of what does not fire yet."""
    policy = alerts[0].policy
    for outage in open_outages(store, managed.name):
        if outage.args["policy"] == (policy or managed.outages.policy) and _wakes(store, outage, now):
            return outage.id
    mark = hashlib.sha256(f"{managed.name} {min(alert.fingerprint for alert in alerts)} {now}".encode()).hexdigest()[:6]
    return f"outage-{managed.name}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{mark}"


def _wakes(store: Store, outage: RunRow, now: float) -> bool:
    """Whether it would tell somebody of one more alert: nobody has it, so that people are being paged anyway (or will
    be, by this relapse); or it is young, and not all who have it want to be left alone. A note in its thread would wake
    nobody else."""
    found = holders(store.orders(outage.id), outage.args["void_before"], now)
    young = -PUT_BACK_S < now - outage.created_at < JOIN_S
    return not found or (young and not all(holder.snoozed for holder in found))


def _run(run_id: str, managed: ManagedCluster, first: Alert, now: float) -> RunRow:
    args = {
        "cluster": managed.name,
        "policy": first.policy or managed.outages.policy,
        "turn": 0,
        "mode": "ring",
        "void_before": 0.0,
        "by": first.source,
    }
    return RunRow(run_id, OUTAGE, managed.name, args, "active", now, first.source, now)


def _row(outage: str, cluster: str, alert: Alert, now: float) -> AlertRow:
    return AlertRow(
        outage,
        cluster,
        alert.fingerprint,
        alert.source,
        alert.subject,
        alert.summary,
        alert.severity,
        alert.began_at,
        now,
        detail=alert.detail,
    )
