"""Which guests an approved step keeps its hands off, and why."""

from __future__ import annotations

from cluster.facts import Guest
from engine.port import Waiting
from workflows import messages_rescue as words
from workflows.messages import host
from workflows.restore_look import is_dead
from workflows.steward import Offer

HA_STARTS_IT = frozenset(
    {"started", "request_start", "request_start_balance", "recovery", "fence", "freeze", "migrate", "relocate"}
)
"""HA states out of which a guest that is stopped gets started, sooner or later."""


def untouchable(guest: Guest) -> Offer | Waiting | None:
    """Why nothing is done to it. Waiting while HA may start it at any moment: in the middle of a restore it would run
    without its disks, or end in HA's error state, which ignores the start at the end."""
    if guest.running:
        return Offer(no=f"it runs on {guest.node}: a running guest is never restored over", hint="somebody started it")
    if no := locked(guest):
        return no
    if guest.status != "stopped" and not is_dead(guest):
        return Offer(no=f"it is {host(guest.status)}, which is neither stopped nor dead", hint="look at it by hand")
    if guest.status != "stopped" and (no := given_up(guest, "be stopped")):
        return no
    if guest.status == "stopped" and guest.ha in HA_STARTS_IT:
        keeps = f"`ha-manager set {guest.sid} --state stopped` keeps it down"
        return Waiting(f"it is stopped, but HA has it as {guest.ha} and may start it at any moment; {keeps}")
    return None


def locked(guest: Guest) -> Offer | None:
    if not guest.lock:
        return None
    no, hint = words.locked(guest)
    return Offer(no=no, hint=hint)


def given_up(guest: Guest, what: str) -> Offer | None:
    """In HA's error state requests are taken, their tasks say OK, and nobody follows them."""
    if guest.ha != "error":
        return None
    no, hint = words.ignored_by_ha(guest, what)
    return Offer(no=no, hint=hint)
