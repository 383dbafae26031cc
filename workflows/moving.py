"""A stopped guest moves to another node, with an approval; believed is the listing alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.port import Look, Waiting
from workflows import messages_rescue as words
from workflows.drain import HA_MOVES_IT, SAID_OK_S
from workflows.guestwork import find_task, follow, must_be_stopped, start_once
from workflows.journey import find
from workflows.messages import host, named
from workflows.phases import Stage
from workflows.steward import Offer, Step, Steward
from workflows.untouchable import given_up, locked


def move_stopped(w: Steward, guest_id: int, name: str, target: str) -> None:
    """A stopped guest moves to another node, with an approval; believed is the listing alone."""
    step = Step(
        Stage.MOVE,
        f"moving {named(name, guest_id)} to {target}",
        lambda: _move_offer(w, guest_id, name, target),
        lambda offer: words.ask_move(name, guest_id, offer.data["node"], target),
        "it was moved before you took it back",
    )
    began = w.act(Stage.MOVE, lambda *_: w.site.clock(), "began")
    kinds = ("qmigrate", "vzmigrate", "hamigrate")

    def deed(*_: Any) -> str:
        guest = must_be_stopped(w, guest_id)
        if guest.node == target:
            return ""
        return start_once(w, kinds, guest_id, began, lambda: w.site.cluster.migrate(guest, target))

    while True:
        upid = w.approved(step, deed, lambda _: find_task(w, kinds, guest_id, began) or None)
        ended = follow(w, Stage.MOVE, upid, "its move to end", w.site.managed.limits.drain) if upid else {"error": ""}
        if w.wait(
            Stage.MOVE,
            partial(_arrived, w, guest_id, target, bool(ended["error"])),
            w.site.managed.limits.drain,
            why=f"{host(name)} to be listed on {target}",
            who="Proxmox VE, or the HA manager, by moving it",
            detail="there",
        ):
            break
        w.hold(w.key(Stage.MOVE), f"it did not move to {target}: {host(ended['error']) or 'its task says OK'}")
        if w.read(Stage.MOVE, lambda: find(w, guest_id).node == target, "where it is", "moved"):
            break
    w.say(Stage.MOVE, "", lambda: words.moved(name, guest_id, target))


def _arrived(w: Steward, guest_id: int, target: str, failed: bool, at: Look) -> bool | Waiting:
    """Whether it is listed there. Under HA a task that says OK has only queued a request, which the manager follows
    some seconds later, or drops without a word."""
    guest = find(w, guest_id)
    if guest.node == target or failed:
        return guest.node == target
    if guest.ha in HA_MOVES_IT or at.now - at.since <= SAID_OK_S:
        return Waiting(f"it is listed on {guest.node}" + (f", HA has it as {host(guest.ha)}" if guest.ha else ""))
    return False


def _move_offer(w: Steward, guest_id: int, name: str, target: str) -> Offer:
    guest = find(w, guest_id)
    if guest.status != "stopped":
        return Offer(no=f"it is {host(guest.status)} on {guest.node}", hint="only a stopped guest is moved like this")
    if no := locked(guest) or given_up(guest, "be moved"):
        return no
    terms = {"guest": named(name, guest_id), "from": guest.node, "to": target}
    return Offer(terms, {"node": guest.node})
