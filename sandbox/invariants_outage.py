"""What must never happen to an outage (DESIGN section 5, invariants 5 and 6), judged from the store and the clock: an
alert fires, nobody has it, and nobody is paged."""

from __future__ import annotations

from collections.abc import Iterator

from store.api import RunRow, Store
from workflows.acknowledging import Deed, holders
from workflows.alerts import OUTAGE

MINUTE = 60.0
RUNG_S = 15 * MINUTE + 10 * MINUTE
"""The longest wait of a rung in random nights, and the longest pause of a ladder."""
SLACK_S = 3 * 10.0 + 2 * MINUTE
"""Beyond a rung's own time: three tries of a service that is away, and the pace of looking."""
LATE_S = 30.0
"""After the last who had it has it no more, somebody is rung within these two."""


def silent_outages(store: Store, now: float, up_since: float) -> Iterator[str]:
    """Of a bot that has been up since then. Each violation is a sentence."""
    for run in store.runs(state="active", workflow=OUTAGE):
        yield from _silent(store, run, now, up_since)
    ended = {row.id for row in store.runs(state="done")}
    for alert in store.firing():
        if alert.outage in ended:
            yield f"{alert.fingerprint} fires without an outage"


def held(store: Store, run: RunRow, now: float) -> bool:
    """Somebody has it."""
    return bool(holders(store.orders(run.id), run.args["void_before"], now))


def _silent(store: Store, run: RunRow, now: float, up_since: float) -> Iterator[str]:
    firing = any(alert.firing for alert in store.alerts(run.id))
    if not firing or held(store, run, now):
        return
    tried = [page.at for page in store.pages(run.id) if page.state != "sending"]
    since = max([run.created_at, up_since, _last_held(store, run, now), *tried[-12:]])
    if now - since > RUNG_S + SLACK_S:
        yield f"{run.id} is open, nobody has it, and nobody was paged for {now - since:.0f} s"
    lost = _lost_at(store, run, now)
    if max(tried, default=0.0) < lost - 1.0 and now - max(lost, up_since) > SLACK_S + LATE_S:
        yield f"{run.id}: nobody has it any more for {now - lost:.0f} s, and nobody was paged"


def _lost_at(store: Store, run: RunRow, now: float) -> float:
    """When the last of those who had it had it no more; if nobody ever had, when it began."""
    orders = store.orders(run.id)
    ends = [float(order.about) for order in orders if order.about]
    ends += [order.at for order in orders if order.verb == Deed.RELEASE]
    for end in sorted((end for end in ends if end <= now), reverse=True):
        if holders([order for order in orders if order.at < end], 0.0, end - 0.001):
            return end
    return run.created_at


def _last_held(store: Store, run: RunRow, now: float) -> float:
    """When the last word of anybody about it ended."""
    ends = [float(order.about) if order.about else order.at for order in store.orders(run.id)]
    cleared = [alert.began_at for alert in store.alerts(run.id)]
    return max([end for end in ends if end <= now] + cleared, default=0.0)
