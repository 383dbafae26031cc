"""Guests off a node and back: guest by guest, then the node is listed again, for task results lie (a `migrateall` ends
OK with guests left, an HA migration is OK before anything moved)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cluster.api import ClusterError, Refused, TaskRef, Uncertain, Unreachable
from cluster.facts import Capacity, Guest, Machines, Move, Read, Topic
from cluster.gates._common import members_up
from cluster.settings import GuestGroup
from cluster.world import World
from engine.port import Look, Waiting
from workflows import messages
from workflows.approvals import listed
from workflows.phases import Phase
from workflows.wheel import Wheel

SAID_OK_S = 180.0
"""A guest that is still listed on its old node so long after its task said OK did not move."""
MOST_ROUNDS = 200
"""Listings of one node; guests that keep coming back end in a hold."""


@dataclass(slots=True)
class Journey:
    """Which guests this run moved (guest -> target) or stopped (guest -> its onboot before) for the node, and which HA
    moved away and will bring back."""

    moved: dict[int, str] = field(default_factory=dict)
    by_ha: list[int] = field(default_factory=list)
    stopped: dict[int, bool] = field(default_factory=dict)

    def note(self, item: Mapping[str, Any]) -> None:
        if item["how"] != "ha":
            self.moved[item["guest"]] = item["target"]
        elif item["guest"] not in self.by_ha:
            self.by_ha.append(item["guest"])


def drain(w: Wheel, journey: Journey) -> None:
    """List the node; move or stop one guest; list again; until none is left."""
    for round_ in range(1, MOST_ROUNDS + 1):
        left = w.read(Phase.DRAIN, lambda: next_guest(w), f"listing the guests of {w.node}")
        if left["guest"] is None:
            w.say(Phase.DRAIN, "", lambda: _drained(w, journey))
            return
        if left["how"] == "stop":
            _stop(w, journey, left)
        else:
            _move(w, left, left["target"])
            journey.note(left)
        if round_ == MOST_ROUNDS:
            w.hold(w.key(Phase.DRAIN), f"guests keep coming back to {w.node}")


def _drained(w: Wheel, journey: Journey) -> Any:
    moved = {str(guest): target for guest, target in journey.moved.items()}
    return messages.drained(w.node, moved, journey.by_ha, sorted(journey.stopped))


def next_guest(w: Wheel) -> Any:
    """What to do next: {"guest": id or None, "how": "move" | "ha" | "stop", "name", "target"}, or Waiting."""
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.MOVES, Topic.CAPACITY}), w.node)
    if not isinstance(machines.guests, Read):
        return Waiting(machines.guests.why)
    here = [g for g in machines.guests.value if g.node == w.node and g.status != "stopped" and not g.template]
    if not here:
        return {"guest": None}
    if odd := [f"guest {g.id} is {g.status}" for g in here if not g.running]:
        return Waiting("; ".join(odd))  # neither to be moved nor to be called gone
    if not isinstance(machines.moves, Read):
        return Waiting(machines.moves.why)
    guest = min(here, key=lambda g: (not g.ha, g.id))
    move = next((m for m in machines.moves.value if m.guest == guest.id), None)
    if guest.ha:
        return {"guest": guest.id, "how": "ha", "name": guest.name, "source": guest.node, "target": "another node"}
    target = choose(machines, guest, move, w.site.managed.groups, w.own.down) if move else ""
    if target:
        return {"guest": guest.id, "how": "move", "name": guest.name, "target": target}
    return {"guest": guest.id, "how": "stop", "name": guest.name, "target": ""}


def choose(machines: Machines, guest: Guest, move: Move, groups: Sequence[GuestGroup], avoid: frozenset[str]) -> str:
    """The node that takes this guest: allowed, no other member of its groups there if it can be helped, most memory
    left. "" if there is none."""
    if not isinstance(machines.guests, Read) or not isinstance(machines.capacity, Read):
        return ""
    free = _free(machines.capacity.value, machines.guests.value)
    siblings = {i for group in groups if guest.id in group.guests for i in group.guests} - {guest.id}
    crowded = {g.node for g in machines.guests.value if g.id in siblings and g.running}
    fits = [n for n in move.allowed if n != guest.node and n not in avoid and free.get(n, 0) >= guest.memory]
    return min(fits, key=lambda n: (n in crowded, -free[n], n), default="")


def _free(capacity: Sequence[Capacity], guests: Sequence[Guest]) -> dict[str, int]:
    used: dict[str, int] = {}
    for guest in guests:
        if guest.running:
            used[guest.node] = used.get(guest.node, 0) + guest.memory
    return {row.node: row.memory - used.get(row.node, 0) for row in capacity}


# ---- one guest ---------------------------------------------------------------------------------------------------


def _find(w: Wheel, guest_id: int) -> Guest:
    for guest in w.site.cluster.guests():
        if guest.id == guest_id:
            return guest
    raise Refused(f"guest {guest_id} is no longer listed in the cluster")


def _move(w: Wheel, item: Mapping[str, Any], target: str) -> bool:
    """Start the migration (or leave it to HA), then believe the listing alone. False: it did not move, and a person
    said retry."""
    guest_id, detail = item["guest"], str(item["guest"])
    if item["how"] == "ha":
        started = {"upid": "", "source": item["source"]}
    else:
        began = w.act(Phase.MOVE, lambda *_: w.site.clock(), f"{detail}.began")
        started = w.act(Phase.MOVE, lambda _, again: _start_move(w, guest_id, target, again, began), detail)
    w.say(Phase.MOVE, detail, lambda: messages.moving(w.node, guest_id, item["name"], target, item["how"]))
    source = started["source"]
    ended = w.wait(
        Phase.MOVE,
        lambda at: _arrived(w, guest_id, source, started["upid"], at),
        w.site.managed.limits.drain,
        why=f"guest {guest_id} to leave {source}",
        who="the migration, by ending",
        detail=f"{detail}.end",
    )
    if ended == "arrived":
        return True
    w.hold(w.key(Phase.MOVE, detail), f"guest {guest_id} did not move: {ended}")
    return False


def _start_move(w: Wheel, guest_id: int, target: str, again: bool, began: float) -> dict[str, Any]:
    guest = _find(w, guest_id)
    if guest.node == target:
        return {"upid": "", "source": "nowhere"}
    kind = "qmigrate" if guest.kind == "qemu" else "vzmigrate"
    if again and (running := w.site.cluster.find_task(kind, guest_id, began)):
        return {"upid": running.upid, "source": guest.node}
    try:
        return {"upid": w.site.cluster.migrate(guest, target).upid, "source": guest.node}
    except Uncertain:
        found = w.site.cluster.find_task(kind, guest_id, began)
        if found is None:
            raise
        return {"upid": found.upid, "source": guest.node}


def _arrived(w: Wheel, guest_id: int, source: str, upid: str, at: Look) -> Any:
    guest = _find(w, guest_id)
    if guest.node != source and guest.running and guest.ha in ("", "started"):
        return "arrived"
    if not upid:
        return Waiting(f"listed on {guest.node}, {guest.status}")
    task = w.site.cluster.task(TaskRef(upid))
    if task.running:
        return Waiting("the migration is running")
    if task.error:
        return task.error
    if at.now - at.since > SAID_OK_S:
        return f"its task says OK, but it is listed on {guest.node}, {guest.status}"
    return Waiting(f"its task says OK, it is still listed on {guest.node}")


def _stop(w: Wheel, journey: Journey, item: Mapping[str, Any]) -> None:
    """Shut a guest down for the reboot. Its onboot is journaled, then off: it must not start before the heal."""
    if w.site.managed.cannot_move != "shutdown":
        w.hold(w.key(Phase.STOP), f"guest {item['guest']} has nowhere to go", "move it by hand or set cannot_move")
        return
    if w.approval is None or item["guest"] not in w.approval.bound.stops:
        why = f"guest {item['guest']} has nowhere to go any more, and nobody approved that it is shut down"
        w.hold(w.key(Phase.STOP), why, "move it or shut it down by hand")
        return
    guest_id, detail = item["guest"], str(item["guest"])
    cluster = w.site.cluster
    onboot = w.act(Phase.STOP, lambda *_: _onboot(w, guest_id), f"{detail}.onboot")
    journey.stopped.setdefault(guest_id, onboot)
    w.owns(stopped=w.own.stopped | {guest_id})
    if onboot:
        w.act(Phase.STOP, lambda *_: cluster.set_onboot(_find(w, guest_id), False), f"{detail}.off")

    def send() -> None:
        w.act(Phase.STOP, lambda *_: _shut_down(w, guest_id), detail)
        w.say(Phase.STOP, detail, lambda: messages.stopping(w.node, guest_id, item["name"]))

    patience = w.site.managed.shutdown_timeout * 2
    _until(w, Phase.STOP, guest_id, "stopped", send, patience, to="shut down", detail=f"{detail}.end")


def _onboot(w: Wheel, guest_id: int) -> bool:
    """Its onboot, of a guest that may be stopped: nothing is changed on one that may not."""
    _spared(w, guest_id)
    return w.site.cluster.onboot(_find(w, guest_id))


def _shut_down(w: Wheel, guest_id: int) -> str:
    guest = _find(w, guest_id)
    if guest.status == "stopped":
        return ""
    _spared(w, guest_id)
    return w.site.cluster.shutdown(guest, int(w.site.managed.shutdown_timeout)).upid


def _spared(w: Wheel, guest_id: int) -> None:
    """Raises Refused if a guest group of the settings needs this guest, as the cluster is at this very moment."""
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.MEMBERSHIP}), w.node)
    for reading in (machines.guests, machines.membership):
        if not isinstance(reading, Read):
            raise Unreachable(f"whether guest {guest_id} can be spared is not known: {reading.why}")
    world = World(w.site.managed, machines)
    for group in w.site.managed.groups:
        others = {guest.id for guest in members_up(world, group)} - {guest_id}
        if guest_id in group.guests and len(others) < group.keep_running:
            last = f"guest {guest_id} is the last running member" if not others else f"guest {guest_id} is needed"
            why = f"{last} of {group.name}: {len(others)} of {len(group.guests)} would run, {group.keep_running} must"
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
    """Send, and wait for the guest to have this status. Not in time: a hold, and a retry sends it again."""
    while True:
        send()
        seen = w.wait(
            phase,
            lambda at: _status(w, guest_id, wanted, at),
            patience,
            why=f"guest {guest_id} to {to}",
            who=f"the guest, by being {wanted}",
            detail=detail,
        )
        if seen == wanted:
            return
        why = f"waited {messages.span(patience)} in vain for guest {guest_id} to {to}; last seen: {seen}"
        w.hold(w.key(phase, detail), why)


def _status(w: Wheel, guest_id: int, wanted: str, at: Look) -> Any:
    """What is wanted; or, when the time is up, what was seen instead."""
    try:
        status = _find(w, guest_id).status
    except ClusterError as silent:
        seen = messages.host(str(silent))
    else:
        if status == wanted:
            return wanted
        seen = f"it is {status}"
    return seen if at.now >= at.deadline else Waiting(seen)


# ---- and back ----------------------------------------------------------------------------------------------------


def start_again(w: Wheel, journey: Journey) -> None:
    """What was shut down for the reboot is started after the heal, and its onboot is put back."""
    for guest_id, onboot in journey.stopped.items():
        send = partial(_send_start, w, guest_id, onboot)
        patience = w.site.managed.limits.guests_back
        _until(w, Phase.RETURN, guest_id, "running", send, patience, to="run again", detail=f"{guest_id}.running")
        w.owns(stopped=w.own.stopped - {guest_id})


def _send_start(w: Wheel, guest_id: int, onboot: bool) -> None:
    w.act(Phase.RETURN, lambda *_: _start(w, guest_id), f"{guest_id}.start")
    if onboot:
        w.act(Phase.RETURN, lambda *_: w.site.cluster.set_onboot(_find(w, guest_id), True), f"{guest_id}.onboot")


def _start(w: Wheel, guest_id: int) -> str:
    guest = _find(w, guest_id)
    return "" if guest.running else w.site.cluster.start(guest).upid


def bring_back(w: Wheel, journey: Journey) -> None:
    """Moved guests return to their node, one after the other, as the settings say. HA brings its own back."""
    if w.site.managed.move_back:
        for guest_id in (*journey.by_ha, *journey.moved):
            _bring(w, guest_id)
    guests = sorted({*journey.moved, *journey.by_ha, *journey.stopped})
    found = w.wait(
        Phase.RETURN,
        lambda _: _all_running(w, guests),
        w.site.managed.limits.guests_back,
        why="guests to be running",
        who="the guests, by running",
        detail="running",
    )
    w.say(Phase.RETURN, "", lambda: messages.returned(w.node, found["back"], found["away"]))


def _bring(w: Wheel, guest_id: int) -> None:
    """A move that failed is tried again after a retry, unless the guest is back meanwhile."""
    while True:
        item = w.read(Phase.RETURN, lambda: _way_back(w, guest_id), f"reading where guest {guest_id} is")
        if item["guest"] is None or _move(w, item, w.node):
            return


def _way_back(w: Wheel, guest_id: int) -> Any:
    guest = _find(w, guest_id)
    if guest.node == w.node or not guest.running:
        return {"guest": None}
    return {"guest": guest_id, "how": "ha" if guest.ha else "move", "name": guest.name, "source": guest.node}


def _all_running(w: Wheel, guests: Sequence[int]) -> Any:
    ours = [guest for guest in w.site.cluster.guests() if guest.id in guests]
    if down := [guest.id for guest in ours if not guest.running]:
        return Waiting(f"not running: {listed(down)}")
    away = {str(guest.id): guest.node for guest in ours if guest.node != w.node}
    return {"back": sorted(guest.id for guest in ours if guest.node == w.node), "away": away}
