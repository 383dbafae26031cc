"""After skip or abort: what was begun ends first, then what was changed is put back.

The WORLD is asked what is changed, never the journal's results (undoing by results broke 2.5 % of simulated nights).
Only a Halt is caught: a `finally` would run at every wait, for waiting is leaving the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cluster.facts import Read, Topic
from cluster.world import GatePhase
from engine.port import Look, Waiting
from workflows import meanwhile, messages, messages_guests, messages_meanwhile
from workflows.ceph import noout_off
from workflows.journey import Journey
from workflows.phases import Phase
from workflows.stopping import start_again
from workflows.storage import healed
from workflows.wheel import LISTING_S, Aborted, GaveUp, Halt, Mode, Wheel

STILL_UP_S = 300.0
"""A node that answers with the old boot id so long after the reboot was sent is not rebooting (molly-guard, a hang)."""
ON_ITS_WAY_S = 30.0
"""So long after the last act the world may not show it yet: a reboot is refused 10 s later, but the HA manager takes up
to 20 s until its status shows a request for maintenance mode."""

GUESTS_ON_THEIR_WAY = frozenset({"qmigrate", "vzmigrate", "qmshutdown", "vzshutdown"})
"""Tasks of Proxmox VE that move a guest, or shut it down: until they end it runs still."""


@contextmanager
def putting_back(w: Wheel, journey: Journey) -> Iterator[None]:
    try:
        yield
    except Halt as halt:
        struck = w.approval.bound.boot_id if w.approval and w.own.down else ""
        w.approval = None
        try:
            _put_back(w, journey, halt, struck)
        except Aborted as aborted:  # a skip that was aborted while it put back
            _put_back(w, journey, aborted, struck)
            raise
        raise


def _put_back(w: Wheel, journey: Journey, halt: Halt, struck: str) -> None:
    """1. what was begun ends: upgrade, reboot, moves; 2. the storage heals; 3. guests start; 4. maintenance off."""
    abort = isinstance(halt, Aborted)
    w.mode = Mode.ABORT if abort else Mode.SKIP
    if not w.own.maintenance and not w.own.stopped:
        if journey.moved:  # it came while they were brought back
            halt.left = _not_back(w, journey)
            w.say(Phase.PUT_BACK, "over", lambda: messages.put_back(w.node, [], halt.left))
        return
    w.say(Phase.PUT_BACK, "", lambda: messages.putting_back(w.node, "aborted" if abort else "skipped"))
    done: list[str] = []
    left: list[str] = []
    ended = _tried(left, lambda: _let_end(w, struck))
    whole = ended and _tried(left, lambda: healed(w, "putback"))
    if whole and _tried(left, lambda: start_again(w, journey)):
        again = messages.guests(sorted(journey.stopped), journey.called)
        done += [f"running again: {again}"] if again else []  # some may have been removed meanwhile
    else:
        left += [_left_down(w, journey, guest) for guest in sorted(w.own.stopped)]
    if w.own.flags:
        if ended and _tried(left, lambda: noout_off(w)):
            done.append("noout is off")
        else:
            left.append("noout is still set on Ceph: `ceph osd unset noout` when all OSDs are up")
    why_not = "" if whole else "the storage is not healed" if ended else "what was begun has not ended"
    halt.left = tuple(left)
    _maintenance_off(w, why_not, done, left)
    meanwhile.settle(w, Phase.PUT_BACK)
    away = _not_back(w, journey)
    halt.left += away
    left += away
    w.say(Phase.PUT_BACK, "over", lambda: messages.put_back(w.node, done, left))


def _left_down(w: Wheel, journey: Journey, guest: int) -> str:
    before = journey.stopped[guest]
    return messages_guests.left_down(w.node, guest, journey.called[str(guest)], before.onboot, before.ha)


def _not_back(w: Wheel, journey: Journey) -> tuple[str, ...]:
    """Guests that the run moved and that are not on their node again, and where each of them is."""
    if not journey.moved:
        return ()
    what, who = f"listing the guests that left {w.node}", "the machines, by answering"
    found = w.tried(Phase.PUT_BACK, lambda _: _elsewhere(w, journey), LISTING_S, why=what, who=who, detail="away")
    if found is None:
        return (messages.perhaps_not_back(w.node, journey.moved, journey.called),)
    return (messages.not_moved_back(found["away"], journey.called),) if found["away"] else ()


def _elsewhere(w: Wheel, journey: Journey) -> dict[str, Any]:
    listed = {guest.id: guest for guest in w.site.cluster.guests()}
    seen = {guest: listed.get(guest) for guest in sorted(journey.moved)}
    away = {str(i): (guest.node, guest.lock == "migrate") if guest else ("", False) for i, guest in seen.items()}
    return {"away": {i: list(where) for i, where in away.items() if where[0] != w.node}}


def _tried(left: list[str], fn: Callable[[], Any]) -> bool:
    """True if it was put back. After an abort nobody is asked: what could not be put back is said."""
    try:
        fn()
    except GaveUp as why:
        left.append(str(why))
        return False
    return True


def _maintenance_off(w: Wheel, why_not: str, done: list[str], left: list[str]) -> None:
    def off() -> None:
        on = w.read(Phase.PUT_BACK, lambda: _in_maintenance(w), f"reading whether {w.node} is in maintenance", "asked")
        if not on["maintenance"]:
            return
        if why_not:
            raise GaveUp(why_not)
        w.owns(down=frozenset())
        w.gated(Phase.PUT_BACK, GatePhase.HEALED, lambda *_: w.site.cluster.maintenance(w.node, False))
        await_release(w, Phase.PUT_BACK)
        w.owns(maintenance=frozenset())
        w.reduced = False
        done.append("maintenance mode is off")

    try:
        off()
    except GaveUp as why:
        left.append(f"{w.node} stays in maintenance mode: {why}")


def _in_maintenance(w: Wheel) -> Any:
    machines = w.site.cluster.survey(frozenset({Topic.HA}), w.node)
    if not isinstance(machines.ha, Read):
        return Waiting(machines.ha.why)
    return {"maintenance": w.node in machines.ha.value.maintenance}


def in_mode(w: Wheel, on: bool) -> Any:
    """Whether maintenance mode is reached, or left: the request is one thing, what the node's LRM says another."""
    ha = w.site.cluster.survey(frozenset({Topic.HA}), w.node).ha
    if not isinstance(ha, Read):
        return Waiting(ha.why)
    reached = ha.value.modes.get(w.node) == "maintenance"
    if on:
        return True if reached else Waiting("requested, not reached yet")
    return Waiting("requested, not left yet") if reached or w.node in ha.value.maintenance else True


def await_release(w: Wheel, phase: Phase) -> None:
    """Maintenance mode is really off: else the next node would meet it, and the run would say that it is left."""
    w.wait(
        phase,
        lambda _: in_mode(w, False),
        w.site.managed.limits.brick_back,
        why=f"the end of maintenance mode of {w.node}",
        who="the HA manager, within half a minute",
        detail="reached",
        hint=messages_meanwhile.shows_ha(w.node),
    )


def _let_end(w: Wheel, struck: str) -> None:
    """Wait until the node answers and nothing of ours runs on it: no dpkg, no migration, no boot under way."""
    limits = w.site.managed.limits
    w.wait(
        Phase.PUT_BACK,
        lambda at: _quiet(w, at, struck),
        max(limits.upgrade, limits.reboot, limits.drain),
        why=f"what was begun on {w.node} to end",
        who="dpkg, the migrations or the boot, by ending",
        detail="end",
    )


def _quiet(w: Wheel, at: Look, struck: str) -> Any:
    """`struck`: the boot that a reboot was sent to, "" if none was."""
    status = w.site.cluster.node_status(w.node)
    if status.apt_busy:
        return Waiting(f"{status.apt_busy} is at work")
    machines = w.site.cluster.survey(frozenset({Topic.TASKS, Topic.MEMBERSHIP, Topic.HA}), w.node)
    tasks, membership, ha = machines.tasks, machines.membership, machines.ha
    if not isinstance(tasks, Read) or not isinstance(membership, Read) or not isinstance(ha, Read):
        return Waiting("the cluster does not answer")
    if not all(member.online for member in membership.value.members if member.node == w.node):
        return Waiting(f"{w.node} is not a member yet")
    moving = [t for t in tasks.value if t.node == w.node and t.kind in GUESTS_ON_THEIR_WAY]
    if moving:
        return Waiting(f"{len(moving)} tasks of guests are running")
    if at.now - at.since < ON_ITS_WAY_S:
        return Waiting("an order of ours may still be on its way")
    if status.boot_id == struck and at.now - at.since < STILL_UP_S:
        return Waiting("a reboot may still be under way")
    return True
