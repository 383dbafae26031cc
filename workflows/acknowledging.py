"""Who holds an outage: read from the rows that people left, by emoji, button, command or key press."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from store.api import AuditRow, OrderRow, RunRow, Store

ACK_EMOJI = "eyes"
TAKEN = frozenset({ACK_EMOJI, "white_check_mark", "raising_hand", "+1"})
"""Emoji under an outage's messages that take it (normalised names)."""


class Deed(StrEnum):
    ACK = "ack"  # I have it
    SNOOZE = "snooze"  # I have it, and leave me alone until then (`about`: epoch seconds)
    SIGN = "sign"  # a sign of life of somebody who has it
    RELEASE = "release"  # I have it no longer
    RESOLVE = "resolve"  # it is over, says a person


@dataclass(frozen=True, slots=True)
class Holder:
    """`ends`: when it stops counting, unless a sign of life comes before; epoch seconds. `how`: "emoji", "voice" ..."""

    user: str
    since: float
    ends: float
    how: str
    snoozed: bool = False


def holders(orders: Sequence[OrderRow], void_before: float, now: float, stale_after: float) -> tuple[Holder, ...]:
    """Everybody who holds it now: does *anybody* hold it is the question (following only the last one who acknowledged
    left 10 % of simulated ladders silent). What was said before `void_before` went stale and counts no more."""
    found: dict[str, Holder | None] = {}
    for order in orders:
        if order.at <= void_before:
            continue
        match order.verb:
            case Deed.ACK:
                found[order.by] = Holder(order.by, order.at, order.at + stale_after, order.reason)
            case Deed.SNOOZE:
                found[order.by] = Holder(order.by, order.at, float(order.about), order.reason, snoozed=True)
            case Deed.RELEASE:
                found[order.by] = None
            case Deed.SIGN if (holder := found.get(order.by)) and not holder.snoozed and order.at < holder.ends:
                found[order.by] = Holder(order.by, holder.since, order.at + stale_after, holder.how)
    return tuple(holder for holder in found.values() if holder and now < holder.ends)


def resolved(orders: Sequence[OrderRow]) -> OrderRow | None:
    return next((order for order in orders if order.verb == Deed.RESOLVE), None)


def give(store: Store, run: RunRow, deed: Deed, by: str, how: str, source: str, now: float, about: str = "") -> bool:
    """Write it down, with its line in the audit log. False if this very deed was written before."""
    audit = AuditRow(now, run.id, run.cluster, by, str(deed), {"how": how, **({"until": about} if about else {})})
    return store.order(OrderRow(0, run.id, deed, about, how, by, now, source), audit)
