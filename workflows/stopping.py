"""Guests that cannot move: shut down for the reboot, kept down until the storage has healed, then started again.

What would start one too early is journaled first, then switched off: its onboot, and what the HA manager was asked for
(shutting a guest under HA down asks for "stopped", starting it for "started")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cluster.api import ClusterError, Refused, Unreachable
from cluster.facts import Guest, Read, Topic
from cluster.gates._common import serving
from cluster.ways import way_out
from cluster.world import GatePhase, World
from engine.port import Look, Waiting
from workflows import messages, messages_guests
from workflows.journey import Journey, Removed, Stopped, act_on, listed, removed
from workflows.phases import Phase
from workflows.picture import GONE
from workflows.wheel import Wheel

HA_AGREES = {"stopped": ("", "ignored", "stopped"), "running": ("", "ignored", "started")}
"""Status -> the HA states in which it lasts."""


def park(w: Wheel, journey: Journey, ask_again: Callable[[str], None]) -> None:
    """Guests under HA that are to stay, before maintenance mode: it would move them away, or try to, again and again.
    Each behind the gates of maintenance mode, for it is the first that is taken from the cluster."""
    found = w.read(Phase.STOP, lambda: _staying_under_ha(w), f"listing the guests under HA of {w.node}", "ha")
    for item in found["guests"]:
        w.gated(
            Phase.STOP, GatePhase.MAINTENANCE, lambda *_: None, ask_again=ask_again, detail=f"{item['guest']}.gates"
        )
        stop(w, journey, item)


def _staying_under_ha(w: Wheel) -> Any:
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.MOVES}), w.node)
    guests, moves = machines.guests, machines.moves
    if not isinstance(guests, Read):
        return Waiting(guests.why)
    if not isinstance(moves, Read):
        return Waiting(moves.why)
    options, policy = {move.guest: move for move in moves.value}, w.site.managed.cannot_move
    here = [g for g in guests.value if g.node == w.node and g.running and g.under_ha and g.id in options]
    ways = [(guest, way_out(policy, guest, options[guest.id])) for guest in here]
    return {"guests": [{"guest": g.id, "name": g.name, "way": w.way} for g, w in ways if w.way == "shutdown"]}


def stop(w: Wheel, journey: Journey, item: Mapping[str, Any]) -> None:
    """Shut a guest down for the reboot. One that somebody removes meanwhile needs neither that nor its part of the
    approval."""
    if item["way"] != "shutdown":
        why = f"guest {item['guest']} has nowhere to go"
        w.hold(w.key(Phase.STOP), why, "move it by hand or set cannot_move")
        return
    if w.approval is None or item["guest"] not in w.approval.bound.stops:
        why = f"guest {item['guest']} has nowhere to go any more, and nobody approved that it is shut down"
        w.hold(w.key(Phase.STOP), why, "move it or shut it down by hand")
        return
    guest_id, name, bound = item["guest"], item["name"], w.approval.bound
    try:
        _take_down(w, journey, guest_id, name)
    except Removed:
        journey.forget(guest_id)
        w.owns(stopped=w.own.stopped - {guest_id})
        w.approval = replace(w.approval, bound=replace(bound, stops=tuple(s for s in bound.stops if s != guest_id)))
        w.say(Phase.STOP, f"{guest_id}.gone", lambda: messages_guests.removed(w.node, guest_id, name, "shut down"))


def _take_down(w: Wheel, journey: Journey, guest_id: int, name: str) -> None:
    """What would start it before the heal is journaled, then off. Raises Removed."""
    cluster, detail = w.site.cluster, str(guest_id)
    onboot = act_on(w, Phase.STOP, guest_id, lambda guest, _: _onboot(w, guest), f"{detail}.onboot")
    ha = act_on(w, Phase.STOP, guest_id, lambda guest, _: cluster.ha_request(guest), f"{detail}.ha")
    journey.stopped.setdefault(guest_id, Stopped(onboot, ha))
    journey.called[detail] = name
    w.owns(stopped=w.own.stopped | {guest_id})
    if onboot:
        act_on(w, Phase.STOP, guest_id, lambda guest, _: cluster.set_onboot(guest, False), f"{detail}.off")

    def send() -> None:
        act_on(w, Phase.STOP, guest_id, lambda guest, _: shut_down(w, guest), detail)
        w.say(Phase.STOP, detail, lambda: messages_guests.stopping(w.node, guest_id, name, onboot, ha))

    patience = w.site.managed.shutdown_timeout * 2
    _until(w, Phase.STOP, guest_id, "stopped", send, patience, to="shut down", detail=f"{detail}.end")


def _onboot(w: Wheel, guest: Guest) -> bool:
    """Its onboot, of a guest that may be stopped: nothing is changed on one that may not."""
    spared(w, guest.id)
    return w.site.cluster.onboot(guest)


def shut_down(w: Wheel, guest: Guest) -> str:
    if guest.status == "stopped":
        return ""
    spared(w, guest.id)
    return w.site.cluster.shutdown(guest, int(w.site.managed.shutdown_timeout)).upid


def spared(w: Wheel, guest_id: int) -> None:
    """Raises Refused if a guest group of the settings needs this guest, as the cluster is at this very moment."""
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.SERVING}), w.node)
    groups = [group for group in w.site.managed.groups if guest_id in group.guests]
    probed = any(group.health for group in groups)
    for reading in (machines.guests, machines.membership, *([machines.serving] if probed else [])):
        if not isinstance(reading, Read):
            raise Unreachable(f"whether guest {guest_id} can be spared is not known: {reading.why}")
    world = World(w.site.managed, machines)
    for group in groups:
        others = {guest.id for guest in serving(world, group)} - {guest_id}
        if len(others) < group.keep_running:
            does, last = ("serve", "serving") if group.health else ("run", "running")
            what = f"guest {guest_id} is the last {last} member" if not others else f"guest {guest_id} is needed"
            why = (
                f"{what} of {group.name}: {len(others)} of {len(group.guests)} would {does}, {group.keep_running} must"
            )
            raise Refused(why, f"start another member of {group.name} on another node")


def _until(
    w: Wheel,
    phase: Phase,
    guest_id: int,
    wanted: str,
    send: Callable[[], None],
    patience: float,
    *,
    to: str,
    detail: str,
) -> None:
    """Send, and wait for the guest to have this status. Not in time: a hold, and a retry sends it again. Raises
    Removed."""
    while True:
        send()
        found = w.wait(
            phase,
            lambda at: _status(w, guest_id, wanted, at),
            patience,
            why=f"guest {guest_id} to {to}",
            who=f"the guest, by being {wanted}",
            detail=detail,
        )
        if found == GONE:
            raise Removed
        if found == wanted:
            return
        seen, hint = found if isinstance(found, list) else (found, "")  # former versions kept no hint
        why = f"waited {messages.span(patience)} in vain for guest {guest_id} to {to}; last seen: {seen}"
        w.hold(w.key(phase, detail), why, hint)


def _status(w: Wheel, guest_id: int, wanted: str, at: Look) -> Any:
    """What is wanted, to the HA manager too; GONE; or, when the time is up, what was seen, and what helps."""
    seen, hint = "it is not listed", ""
    try:
        guest = listed(w, guest_id)
    except ClusterError as silent:
        guest, seen = None, messages.host(str(silent))
    else:
        if guest is None and removed(w, guest_id, at):
            return GONE
    if guest is not None:
        if guest.status == wanted and guest.ha in HA_AGREES[wanted]:
            return wanted
        seen = f"it is {guest.status}" + (f", HA says {guest.ha}" if guest.ha else "")
        hint = messages_guests.by_hand(guest, wanted)
    return [seen, hint] if at.now >= at.deadline else Waiting(seen)


# ---- and back ----------------------------------------------------------------------------------------------------


def start_again(w: Wheel, journey: Journey) -> None:
    """What was shut down for the reboot is started after the heal, and what would start it by itself is put back. One
    that was removed meanwhile is no business of ours any more."""
    for guest_id, before in list(journey.stopped.items()):
        send = partial(_send_start, w, guest_id, before)
        patience = w.site.managed.limits.guests_back
        name, detail = journey.called.get(str(guest_id), ""), f"{guest_id}.running"
        told = partial(messages_guests.started_again, w.node, guest_id, name, before.onboot, before.ha)
        try:
            _until(w, Phase.RETURN, guest_id, "running", send, patience, to="run again", detail=detail)
        except Removed:
            told = partial(messages_guests.removed, w.node, guest_id, name, "started")
            journey.forget(guest_id)
        w.owns(stopped=w.own.stopped - {guest_id})
        w.say(Phase.RETURN, detail, told)


def _send_start(w: Wheel, guest_id: int, before: Stopped) -> None:
    cluster = w.site.cluster
    act_on(w, Phase.RETURN, guest_id, lambda guest, _: _start(w, guest), f"{guest_id}.start")
    if before.onboot:
        act_on(w, Phase.RETURN, guest_id, lambda guest, _: cluster.set_onboot(guest, True), f"{guest_id}.onboot")


def _start(w: Wheel, guest: Guest) -> str:
    return "" if guest.running else w.site.cluster.start(guest).upid
