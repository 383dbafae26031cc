"""The other acts of the restore runbook, each one approved step: start a guest on another node, take a lock off,
unfreeze it in HA, cycle the power of a dead node, resolve a split image by the side that a person chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.api import NOT_AFTER_S, ClusterError, Unreachable
from cluster.facts import Guest, Read, Topic
from cluster.gates.ha import LEFT_ALONE
from cluster.gates.locks import ASLEEP
from engine.port import Look, Plain, Run, Waiting
from workflows import messages_rescue
from workflows import messages_runbook as words
from workflows.guestwork import let_end, node_is_dead, start_and_serve
from workflows.journey import find
from workflows.messages import host, named
from workflows.moving import move_stopped
from workflows.phases import Stage
from workflows.restore_look import find_guest
from workflows.site import Site
from workflows.split_image import heal
from workflows.steward import Declined, Offer, Step, Steward
from workflows.untouchable import locked
from workflows.wheel import Aborted, Mode

START_ON, UNLOCK, UNFREEZE, POWER_CYCLE, HEAL = "start", "unlock", "unfreeze", "power-cycle", "heal"
FORGET = "forget"
TOO_LATE = "it was done before you took it back"


def runbook(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | refused | aborted}."""
    title, by = str(args["title"]), str(args["by"])
    run.say("board", lambda: messages_rescue.board(site.managed.name, host(title), by))
    w = Steward(run, site, by, "", title)
    try:
        if args["act"] == POWER_CYCLE:
            node = str(args["node"])
            w = Steward(run, site, by, node, node)
            power_cycle(w, node)
            return {"state": "done"}
        found = w.read(Stage.LOOK, lambda: _find(site, args), "finding the guest", "guest")
        if found["refused"]:
            w.decline(found["refused"], found.get("hint", ""))
        w = Steward(run, site, by, str(found["guest"]), found["name"])
        ACTS[str(args["act"])](w, found["guest"], found["name"], args)
        return {"state": "done"}
    except Declined as no:
        return {"state": "refused", "why": str(no)}
    except Aborted:
        w.mode = Mode.ABORT
        let_end(w, Stage.ACT)
        left = run.step("run.left", lambda: _left(w))
        run.say("run.aborted", lambda: messages_rescue.aborted(w.name, left))
        return {"state": "aborted", "left": left}


def _left(w: Steward) -> list[str]:
    """How the guest, or the node, stands now: whatever was done by then shows in it."""
    try:
        if not w.node.isdigit():
            return [words.node_stands(w.node, w.site.cluster.rescue.answers(w.node))] if w.node else []
        guest = find(w, int(w.node))
    except ClusterError as silent:
        return [messages_rescue.left_unread(w.name, str(silent))]
    return [messages_rescue.left_as(guest)]


def _find(site: Site, args: Mapping[str, Plain]) -> Any:
    """Out of HA's error state any node helps a guest; for all else its own node must be there."""
    guest, why = find_guest(site.cluster.guests(), str(args["guest"]))
    if guest is None:
        return {"refused": why}
    refused, hint = ("", "") if args["act"] == UNFREEZE else node_is_dead(site, guest, str(args.get("node", "")))
    return {"refused": refused, "hint": hint, "guest": guest.id, "name": guest.name}


# ---- start it on another node --------------------------------------------------------------------------------------


def start_on(w: Steward, guest: int, name: str, args: Mapping[str, Plain]) -> None:
    """Move it, stopped as it is, and start it there."""
    target = str(args["node"])
    step = Step(
        Stage.ACT,
        f"starting {named(name, guest)} on {target}",
        lambda: _start_offer(w, guest, name, target),
        lambda _: words.ask_start_on(name, guest, target),
        TOO_LATE,
    )
    w.must_be_possible(step)
    if not w.read(Stage.MOVE, lambda: find(w, guest).node == target, "where it is", "here"):
        move_stopped(w, guest, name, target)
    w.approved(step, lambda *_: "go")
    start_and_serve(w, guest, name)


def _start_offer(w: Steward, guest_id: int, name: str, target: str) -> Offer:
    guest = find(w, guest_id)
    started = (
        w.granted and guest.running and guest.node == target
    )  # by hand, since the approval: then only its end is due
    if guest.status != "stopped" and not started:
        return Offer(no=f"it is {host(guest.status)} on {guest.node}", hint="only a stopped guest is started")
    return locked(guest) or Offer({"guest": named(name, guest_id), "node": target})


# ---- locks and HA --------------------------------------------------------------------------------------------------


def unlock(w: Steward, guest: int, name: str, args: Mapping[str, Plain]) -> None:
    step = Step(
        Stage.ACT,
        f"unlocking {named(name, guest)}",
        lambda: _lock_offer(find(w, guest), name),
        lambda offer: words.ask_unlock(name, guest, offer.data["lock"]),
        TOO_LATE,
    )
    w.must_be_possible(step)
    w.approved(step, lambda _, offer: _unlock(w, guest, offer.data["lock"]), lambda _: _unlocked(w, guest))
    lock = w.offered().data["lock"]
    w.say(Stage.ACT, "", lambda: words.unlocked(name, guest, lock))


def _lock_offer(guest: Guest, name: str) -> Offer:
    if not guest.lock:
        return Offer(no="it is not locked", hint="nothing has to be done")
    if guest.lock == ASLEEP and (no := locked(guest)):
        return no
    return Offer({"guest": named(name, guest.id), "lock": guest.lock, "node": guest.node}, {"lock": guest.lock})


def _unlock(w: Steward, guest_id: int, lock: str) -> str:
    w.site.cluster.rescue.unlock(find(w, guest_id), lock)
    return lock


def _unlocked(w: Steward, guest_id: int) -> str | None:
    """Done by a try of which nobody heard the end."""
    return None if find(w, guest_id).lock else "done"


def unfreeze(w: Steward, guest: int, name: str, args: Mapping[str, Plain]) -> None:
    """Out of the error state leads only "disabled"; then HA may start it again."""
    step = Step(
        Stage.ACT,
        f"unfreezing {named(name, guest)}",
        lambda: _ha_offer(find(w, guest), name),
        lambda offer: words.ask_unfreeze(name, guest, offer.data["state"]),
        TOO_LATE,
    )
    w.must_be_possible(step)
    w.approved(step, lambda *_: _tell_ha(w, guest, "disabled"), lambda _: find(w, guest).ha in LET_GO or None)
    _until_ha(w, guest, LET_GO, "HA to let it go", "disabled")
    w.act(Stage.ACT, lambda *_: _tell_ha(w, guest, "started"), "started")
    _until_ha(w, guest, ("started",), "HA to start it", "running")
    w.say(Stage.ACT, "", lambda: words.unfrozen(name, guest))


LET_GO = ("disabled", "stopped")
"""HA states out of which a guest can be started."""


def _tell_ha(w: Steward, guest: int, state: str) -> str:
    """Any node passes it on, so the first that answers does; by its own uptime the order expires."""
    node, uptime = _first_up(w)
    w.site.cluster.rescue.ha_state(find(w, guest), state, node, uptime + NOT_AFTER_S)
    return state


def _first_up(w: Steward) -> tuple[str, float]:
    silent: list[str] = []
    for node in w.site.managed.nodes:
        try:
            return node, w.site.cluster.node_status(node).uptime
        except ClusterError as error:
            silent.append(str(error))
    raise Unreachable("; ".join(silent))


def _ha_offer(guest: Guest, name: str) -> Offer:
    if not guest.ha:
        return Offer(no="it is not under HA", hint=f"`qm start {guest.id}` starts it")
    if guest.running:
        hint = LEFT_ALONE.get(guest.ha, "nothing has to be done").format(sid=guest.sid)
        return Offer(no=f"it runs on {guest.node}, HA has it as {host(guest.ha)}", hint=hint)
    return Offer({"guest": named(name, guest.id), "HA": guest.ha, "node": guest.node}, {"state": guest.ha})


def _until_ha(w: Steward, guest: int, states: tuple[str, ...], why: str, detail: str) -> None:
    def probe(_: Look) -> Any:
        state = find(w, guest).ha
        return state if state in states else Waiting(f"HA has it as {host(state)}")

    w.wait(Stage.ACT, probe, w.site.managed.limits.serving, why=why, who="the HA manager, in its round", detail=detail)


# ---- disks that a restore has set aside ----------------------------------------------------------------------------


def forget(w: Steward, guest: int, name: str, args: Mapping[str, Plain]) -> None:
    """Delete the unused disks of a guest that runs again: until then they are the way back."""
    step = Step(
        Stage.ACT,
        f"deleting the unused disks of {named(name, guest)}",
        lambda: _unused_offer(w, guest, name),
        lambda offer: words.ask_forget(name, guest, offer.data["volumes"]),
        "they were deleted before you took it back",
    )
    w.must_be_possible(step)
    w.approved(step, lambda _, offer: _forget(w, guest, offer), lambda _: _forgotten(w, guest, w.offered()))
    volumes = w.offered().data["volumes"]
    w.say(Stage.ACT, "", lambda: words.forgotten(name, guest, volumes))


def _unused_offer(w: Steward, guest_id: int, name: str) -> Offer:
    guest = find(w, guest_id)
    config = w.site.cluster.rescue.config(guest)
    if not config.unused:
        return Offer(no="it has no unused disk", hint="nothing has to be done")
    if not guest.running or not config.disks:
        return Offer(no=f"it is {host(guest.status)}: its old disks may be the way back", hint="once it runs again")
    volumes = [disk.volid for disk in config.unused]
    terms = {"guest": named(name, guest_id), "disks": ", ".join(volumes), "configuration": config.digest}
    slots = [disk.slot for disk in config.unused]
    return Offer(terms, {"volumes": volumes, "slots": slots, "digest": config.digest})


def _forget(w: Steward, guest_id: int, offer: Offer) -> str:
    w.site.cluster.rescue.forget(find(w, guest_id), offer.data["slots"], offer.data["digest"])
    return "deleted"


def _forgotten(w: Steward, guest_id: int, offer: Offer) -> str | None:
    """Done by a try of which nobody heard the end."""
    there = {disk.volid for disk in w.site.cluster.rescue.config(find(w, guest_id)).unused}
    return None if there & set(offer.data["volumes"]) else "deleted"


# ---- a dead node ---------------------------------------------------------------------------------------------------


def power_cycle(w: Steward, node: str) -> None:
    """Only a node that answers nobody, by nobody's word."""
    step = Step(
        Stage.ACT,
        f"cycling the power of {node}",
        lambda: _power_offer(w, node),
        lambda offer: words.ask_power_cycle(node, offer.data["guests"], offer.data["doubtful"]),
        "its power was cycled before you took it back",
    )
    w.must_be_possible(step)
    w.approved(step, lambda *_: _cut(w, node), lambda _: "sent")  # whether it was sent nobody can tell: its boot will
    w.say(Stage.ACT, "", lambda: words.power_cycled(node))
    took = w.wait(
        Stage.ACT,
        lambda at: at.now - at.since if w.site.cluster.rescue.answers(node) == "ssh" else Waiting("it does not answer"),
        w.site.managed.limits.reboot,
        why=f"{node} to boot",
        who="the node, by booting",
        detail="back",
    )
    w.say(Stage.ACT, "back", lambda: words.node_back(node, took))


def _cut(w: Steward, node: str) -> str:
    w.site.cluster.rescue.power_cycle(node)
    return "sent"


def _power_offer(w: Steward, node: str) -> Offer:
    if not w.site.managed.nodes[node].power_cycle:
        return Offer(no=f"the settings name no command for {node}", hint=f"nodes.{node}.power_cycle")
    if how := w.site.cluster.rescue.answers(node):
        return Offer(no=f"{node} answers: {how}", hint="a node that answers is rebooted, not cut off")
    there = [f"{guest.name} ({guest.id})" for guest in w.site.cluster.guests() if guest.node == node]
    doubtful = not _quorate(w)
    terms = {"node": node, "guests": ", ".join(there) or "none", **({"quorum": "none"} if doubtful else {})}
    return Offer(terms, {"guests": there, "doubtful": doubtful})


def _quorate(w: Steward) -> bool:
    """Whether whoever answers is the majority: to a minority every other node is off."""
    membership = w.site.cluster.survey(frozenset({Topic.MEMBERSHIP}), None).membership
    return isinstance(membership, Read) and membership.value.quorate


Act = Callable[[Steward, int, str, Mapping[str, Plain]], None]
ACTS: Mapping[str, Act] = {START_ON: start_on, UNLOCK: unlock, UNFREEZE: unfreeze, HEAL: heal, FORGET: forget}
"""Acts about a guest, by the word that people type."""
