"""Who holds an outage: read from the rows that people left, by emoji, button, command or key press."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from oncall.escalation import policy_of, reachable
from store.api import AuditRow, OrderRow, OutboxRow, RunRow, Store
from workflows.site import Watchers

ACK_EMOJI = "eyes"
TAKEN = frozenset({ACK_EMOJI, "white_check_mark", "raising_hand", "+1"})
"""Emoji under an outage's messages that take it (normalised names)."""


STALE_S = 3600.0  # where the settings have no section `oncall`


EMOJI = "emoji"

PUT_BACK_S = 60.0
"""What lies so far ahead was written before the clock was put back."""


class Deed(StrEnum):
    ACK = "ack"  # I have it (`about`: until when that counts without a sign of life, epoch seconds)
    SNOOZE = "snooze"  # I have it, and leave me alone until then (`about`)
    SIGN = "sign"  # a sign of life of somebody who has it (`about`: until when it counts now)
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


def holders(orders: Sequence[OrderRow], void_before: float, now: float) -> tuple[Holder, ...]:
    """Everybody who holds it now: does *anybody* hold it is the question (following only the last one who acknowledged
    left 10 % of simulated ladders silent). What was said before `void_before` went stale and counts no more."""
    found: dict[str, Holder | None] = {}
    for order in _counting(orders, void_before, now):
        match order.verb:
            case Deed.ACK | Deed.SNOOZE:
                snoozed = order.verb == Deed.SNOOZE
                found[order.by] = Holder(order.by, order.at, float(order.about), order.reason, snoozed)
            case Deed.RELEASE:
                found[order.by] = None
            case Deed.SIGN if (holder := found.get(order.by)) and not holder.snoozed and order.at < holder.ends:
                found[order.by] = replace(holder, ends=float(order.about))
    return tuple(holder for holder in found.values() if holder and now < holder.ends)


def _counting(orders: Sequence[OrderRow], void_before: float, now: float) -> list[OrderRow]:
    """Those after the last word that went stale: later by the clock, or written later, for the clock may have been put
    back since, and whoever answers then must be heard.

    None that bears a time that is still to come, or later than that of a word which was written after it: the clock was
    put back since, and nobody can tell how long ago it was; whoever meant it is rung once more. An emoji bears Slack's
    time and may come in late: it says nothing of our clock."""
    places = range(len(orders))
    stale = next((n for n in reversed(places) if orders[n].at == void_before), len(orders))
    kept: list[OrderRow] = []
    for n in reversed(places):
        order = orders[n]
        if order.at - now < PUT_BACK_S and (n > stale or order.at > void_before):
            kept.append(order)
        if order.at < now and order.reason != EMOJI:
            now = order.at
    return kept[::-1]


def react(
    store: Store, watchers: Watchers | None, row: OutboxRow, user: str, emoji: str, given: bool, at: float
) -> str:
    """A reaction under a message of an outage, at its time. Why it does not count, as half a sentence, or "". Taken
    back it releases what it took: only if this person did nothing else about the outage since."""
    run = store.run(row.run_id)
    if run is None or run.state != "active" or emoji not in TAKEN:
        return ""
    if given and (why := why_not(watchers, run, user, at)):
        return why
    mine = [order for order in store.orders(run.id) if order.by == user]
    source = f"reaction {row.ts} {user} {emoji} {sum(order.reason == EMOJI for order in mine)}"
    if given:
        take(store, watchers, run, user, EMOJI, source, at)
    elif mine and mine[-1].verb == Deed.ACK and mine[-1].reason == EMOJI:
        give(store, run, Deed.RELEASE, user, EMOJI, source, at)
    return ""


def stale_after(watchers: Watchers | None) -> float:
    """Seconds that an acknowledgement lives without a sign of life."""
    return watchers.settings.stale_after if watchers else STALE_S


def why_not(watchers: Watchers | None, run: RunRow, user: str, now: float) -> str:
    """Why this person may not take the outage, as a sentence without its end; "" if they may. Anybody may, unless the
    policy says otherwise."""
    if watchers is None or "policy" not in run.args:  # a drill: only its own person's answer counts anyway
        return ""
    policy = policy_of(watchers.settings, run.args["policy"])
    if policy.acknowledged_by == "anybody":
        return ""
    can = reachable(watchers.settings, policy, watchers.on_call, now)
    if watchers.name_of(user) in can:
        return ""
    return f"only people of the policy *{policy.name}* may take this outage: {', '.join(sorted(can))}"


def resolved(orders: Sequence[OrderRow]) -> OrderRow | None:
    return next((order for order in orders if order.verb == Deed.RESOLVE), None)


def take(store: Store, watchers: Watchers | None, run: RunRow, by: str, how: str, source: str, now: float) -> bool:
    """Acknowledge: by emoji, button, command, "voice", "pushover". False if this very deed was written before."""
    return give(store, run, Deed.ACK, by, how, source, now, now + stale_after(watchers))


def alive(
    store: Store, watchers: Watchers | None, outages: Sequence[RunRow], user: str, source: str, now: float
) -> None:
    """Whoever has one of these open outages and types anything is awake: a sign of life, unless the words were about
    the outage itself."""
    for run in outages:
        orders = store.orders(run.id)
        has_it = any(holder.user == user for holder in holders(orders, run.args["void_before"], now))
        if has_it and not any(order.source == source for order in orders):
            give(store, run, Deed.SIGN, user, "command", f"{source} {run.id}", now, now + stale_after(watchers))


def give(
    store: Store, run: RunRow, deed: Deed, by: str, how: str, source: str, now: float, ends: float | None = None
) -> bool:
    """Write it down, with its line in the audit log. `ends`: until when it counts. False if it was written before."""
    audit = AuditRow(now, run.id, run.cluster, by, str(deed), {"how": how, "ends": ends})
    return store.order(OrderRow(0, run.id, deed, "" if ends is None else str(ends), how, by, now, source), audit)
