"""Guests off a node and back: guest by guest, then the node is listed again, for task results lie (a `migrateall` ends
OK with guests left, an HA migration is OK before anything moved)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from math import inf
from typing import Any

from cluster.api import TaskRef, Uncertain
from cluster.facts import Capacity, Guest, Machines, Move, Read, Topic, Unread
from cluster.gates.ha import LEFT_ALONE
from cluster.guest_settings import GuestGroup
from cluster.telling import condition
from cluster.ways import WayOut, way_out, why_not_serving
from engine.port import Look, Waiting
from workflows import meanwhile, messages, messages_guests
from workflows.approvals import listed
from workflows.journey import Journey, Removed, act_on, found_or_gone, removed
from workflows.phases import Phase
from workflows.picture import GONE
from workflows.stopping import HA_AGREES, spared, stop
from workflows.wheel import Wheel

SAID_OK_S = 180.0
"""A guest that is still listed on its old node so long after its task said OK did not move."""
HA_MOVES_IT = ("migrate", "relocate")
"""HA states in which its manager moves a guest."""
HA_DECIDES_S = 180.0
"""So long after maintenance mode went off HA has begun to bring a guest back (it takes half a minute), or it leaves it
where it is: its failback is off, or its rules want it there."""
MOST_ROUNDS = 200
"""Listings of one node; guests that keep coming back end in a hold."""


def drain(w: Wheel, journey: Journey) -> None:
    """List the node; move or stop one guest; list again; until none is left."""
    for round_ in count(1):
        left = w.read(Phase.DRAIN, lambda: next_guest(w, journey), f"listing the guests of {w.node}")
        if left["guest"] is None:
            w.say(Phase.DRAIN, "", lambda: _drained(w, journey))
            return
        if left["how"] == "stop":
            stop(w, journey, left)
        else:
            _away(w, journey, left)
        if round_ % MOST_ROUNDS == 0:
            w.hold(w.key(Phase.DRAIN), f"guests keep coming back to {w.node}")


def _away(w: Wheel, journey: Journey, item: Mapping[str, Any]) -> None:
    """Noted before it moves, for an abort may come meanwhile."""
    guest_id = item["guest"]
    journey.note(item)
    try:
        ended = _move(w, item, item["target"])
    except Removed:
        ended = OFF
        w.say(Phase.MOVE, f"{guest_id}.gone", lambda: messages_guests.removed(w.node, guest_id, item["name"], "moved"))
    if ended == OFF:
        journey.forget(guest_id)


def _drained(w: Wheel, journey: Journey) -> Any:
    return messages.drained(w.node, journey.moved, journey.by_ha, sorted(journey.stopped), journey.called)


def next_guest(w: Wheel, journey: Journey) -> Any:
    """What to do next: {"guest": id or None, "how": "move" | "ha" | "stop", "name", ...}, or Waiting."""
    wanted = frozenset({Topic.GUESTS, Topic.MOVES, Topic.CAPACITY, Topic.HA, Topic.SERVING})
    machines = w.site.cluster.survey(wanted, w.node)
    if not isinstance(machines.guests, Read):
        return Waiting(machines.guests.why)
    here = [g for g in machines.guests.value if g.node == w.node and g.status != "stopped" and not g.template]
    if gone := [g for g in machines.guests.value if g.id in _unseen(journey) and g not in here and not _off(g)]:
        return _by_ha(w.node, gone[0].id, journey.due[gone[0].id])  # HA was quicker than this listing
    if not here:
        return {"guest": None}
    if odd := [f"guest {g.id} is {g.status}" for g in here if not g.running]:
        return Waiting("; ".join(odd))  # neither to be moved nor to be called gone
    if not isinstance(machines.moves, Read):
        return Waiting(machines.moves.why)
    guest = min(here, key=lambda g: (not g.under_ha, g.id))
    move = next((m for m in machines.moves.value if m.guest == guest.id), None)
    return _what_to_do(w, journey, machines, guest, move)


def _unseen(journey: Journey) -> set[int]:
    """Guests that HA was to move, and of which nothing was heard since."""
    return journey.due.keys() - {*journey.by_ha, *journey.moved, *journey.stopped}


def _off(guest: Guest) -> bool:
    """It is stopped, and HA means it to be: somebody stopped it, so it goes nowhere. A container stands still while HA
    moves it, and that is another state."""
    return guest.status == "stopped" and guest.ha in HA_AGREES["stopped"]


def _what_to_do(w: Wheel, journey: Journey, machines: Machines, guest: Guest, move: Move | None) -> Any:
    item = {"guest": guest.id, "name": guest.name}
    way = way_out(w.site.managed.cannot_move, guest, move) if move else WayOut("refuse", "PVE did not say")
    if way.way == "shutdown":
        return {**item, "how": "stop", "way": "shutdown"}
    if guest.under_ha:
        return _by_ha(guest.node, guest.id, guest.name)
    groups = w.site.managed.groups
    capacity, ha = machines.capacity, machines.ha
    if not isinstance(capacity, Read) or not isinstance(ha, Read):
        return Waiting(next(topic.why for topic in (capacity, ha) if isinstance(topic, Unread)))
    avoid = w.own.down | ha.value.maintenance  # of its own; or of another's hand, and an approver waived that gate
    target = choose(machines, guest, move, groups, avoid) if move and way.moves else ""
    if not target:  # or whatever the settings say of guests that have nowhere to go
        return {**item, "how": "stop", "way": way.way if not way.moves else w.site.managed.cannot_move.otherwise}
    if busy := busy_sibling(machines, guest, groups, journey):
        return Waiting(busy)
    return {**item, "how": "move", "target": target, "beside": _beside(machines, guest, target, groups)}


def _by_ha(source: str, guest_id: int, name: str) -> dict[str, Any]:
    return {"guest": guest_id, "name": name, "how": "ha", "source": source, "target": "another node"}


def busy_sibling(machines: Machines, guest: Guest, groups: Sequence[GuestGroup], journey: Journey) -> str:
    """Why a member of a guest group must not move yet, or "": another one moves, or does not serve again since we moved
    it. What HA moves, it moves by itself."""
    assert isinstance(machines.guests, Read)
    for group in (group for group in groups if guest.id in group.guests):
        for other in machines.guests.value:
            if other.id not in group.guests or other.id == guest.id:
                continue
            if other.lock == "migrate" or other.ha in HA_MOVES_IT:
                return f"{other.name} of {group.name} moves; two members never move at the same time"
            if other.id in (*journey.moved, *journey.by_ha) and (ill := _ill(machines, group, other.id)):
                return f"{other.name} of {group.name} was moved and does not serve yet: {ill}"
    return ""


def _ill(machines: Machines, group: GuestGroup, member: int) -> str:
    if member not in group.health:
        return ""
    if not isinstance(machines.serving, Read):
        return machines.serving.why
    return why_not_serving(machines.serving.value, group, member)


def siblings_of(guest_id: int, groups: Sequence[GuestGroup]) -> frozenset[int]:
    """The other members of its guest groups."""
    return frozenset(other for group in groups if guest_id in group.guests for other in group.guests) - {guest_id}


def _beside(machines: Machines, guest: Guest, target: str, groups: Sequence[GuestGroup]) -> list[str]:
    """Members of its groups that it will share its node with, for no other node is left."""
    assert isinstance(machines.guests, Read)
    return [
        f"{other.name} of {group.name}"
        for group in groups
        if guest.id in group.guests
        for other in machines.guests.value
        if other.id in group.guests and other.id != guest.id and other.node == target and other.running
    ]


def choose(machines: Machines, guest: Guest, move: Move, groups: Sequence[GuestGroup], avoid: frozenset[str]) -> str:
    """The node that takes this guest: allowed, no other member of its groups there if it can be helped, most memory
    left. "" if there is none."""
    if not isinstance(machines.guests, Read) or not isinstance(machines.capacity, Read):
        return ""
    free = _free(machines.capacity.value, machines.guests.value)
    siblings = siblings_of(guest.id, groups)
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


ARRIVED, OFF, LEFT, STAYED = "arrived", "off", "left", ""


def _move(w: Wheel, item: Mapping[str, Any], target: str, decided_at: float = inf) -> str:
    """Start the migration (or leave it to HA), then believe the listing alone. ARRIVED; OFF: somebody stopped it before
    HA moved it; LEFT: HA leaves it where it is, as is seen after `decided_at`; STAYED: it did not move, and a person
    said retry. Raises Removed."""
    guest_id, detail = item["guest"], str(item["guest"])
    if item["how"] == "ha":
        started = {"upid": "", "source": item["source"]}
    else:
        began = w.act(Phase.MOVE, lambda *_: w.site.clock(), f"{detail}.began")
        started = act_on(w, Phase.MOVE, guest_id, partial(_start_move, w, target, began), detail)
    beside = item.get("beside", [])
    w.say(Phase.MOVE, detail, lambda: messages.moving(w.node, guest_id, item["name"], target, item["how"], beside))
    source, who = started["source"], messages.named(item["name"], guest_id)
    wait = partial(meanwhile.wait, w) if w.reduced else w.wait  # a large guest takes hours to leave a drained node
    ended = wait(
        Phase.MOVE,
        lambda at: _arrived(w, guest_id, source, started["upid"], at, decided_at),
        w.site.managed.limits.drain,
        why=f"{who} to leave {source}",
        who="HA, by moving it" if item["how"] == "ha" else "the migration, by ending",
        detail=f"{detail}.end",
    )
    if ended == GONE:
        raise Removed
    if ended == OFF:
        w.say(Phase.MOVE, f"{detail}.off", lambda: messages_guests.stopped_by_others(w.node, guest_id, item["name"]))
    if ended == LEFT:
        w.say(Phase.MOVE, f"{detail}.left", lambda: messages_guests.left_by_ha(w.node, guest_id, item["name"], source))
    if ended in (ARRIVED, OFF, LEFT):
        return str(ended)
    w.hold(w.key(Phase.MOVE, detail), f"{who} did not move: {ended}", messages_guests.MOVE_HINT)
    return STAYED


def _start_move(w: Wheel, target: str, began: float, guest: Guest, again: bool) -> dict[str, Any]:
    if guest.node == target:
        return {"upid": "", "source": "nowhere"}
    if guest.kind == "lxc" and guest.running:
        spared(w, guest.id)  # it has no live migration: it is down while it moves
    kind = "qmigrate" if guest.kind == "qemu" else "vzmigrate"
    if again and (running := w.site.cluster.find_task(kind, guest.id, began)):
        return {"upid": running.upid, "source": guest.node}
    try:
        return {"upid": w.site.cluster.migrate(guest, target).upid, "source": guest.node}
    except Uncertain:
        found = w.site.cluster.find_task(kind, guest.id, began)
        if found is None:
            raise
        return {"upid": found.upid, "source": guest.node}


def _arrived(w: Wheel, guest_id: int, source: str, upid: str, at: Look, decided_at: float) -> Any:
    guest = found_or_gone(w, guest_id, at)
    if not isinstance(guest, Guest):
        return guest
    if guest.node != source and guest.running and guest.ha in HA_AGREES["running"]:
        return ARRIVED
    if not upid and _off(guest):
        return OFF
    if guest.node == source and guest.ha in LEFT_ALONE:
        return f"its HA state is {guest.ha}: {LEFT_ALONE[guest.ha].format(sid=guest.sid)}"
    if not upid and guest.running and guest.ha == "started" and at.now > decided_at:
        return LEFT
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


# ---- and back ----------------------------------------------------------------------------------------------------


def bring_back(w: Wheel, journey: Journey) -> None:
    """Moved guests return to their node, one after the other, as the settings say. HA brings its own back."""
    guests = sorted({*journey.moved, *journey.by_ha, *journey.stopped})
    w.carried = frozenset(guests)
    if w.site.managed.move_back:
        off_since = w.act(Phase.RETURN, lambda *_: w.site.clock(), "began") if journey.by_ha else 0.0
        for guest_id in (*journey.by_ha, *journey.moved):
            _bring(w, guest_id, off_since + HA_DECIDES_S)
    found = w.wait(
        Phase.RETURN,
        lambda at: _all_running(w, guests, at),
        w.site.managed.limits.guests_back,
        why="guests to be running",
        who=f"the guests, by running; `/upgrade skip {w.node}` goes on without them",
        detail="running",
    )
    w.say(Phase.RETURN, "", lambda: _returned(w, journey, found))


def _returned(w: Wheel, journey: Journey, found: Mapping[str, Any]) -> Any:
    off, gone = found.get("off", ()), found.get("gone", ())  # former versions told neither
    return messages.returned(w.node, found["back"], found["away"], journey.called, off, gone)


def _bring(w: Wheel, guest_id: int, decided_at: float) -> None:
    """A move that failed is tried again after a retry, unless the guest is back meanwhile. `decided_at`: by then HA has
    begun to bring its own back, or leaves them (epoch seconds)."""
    while True:
        item = w.read(Phase.RETURN, lambda: _way_back(w, guest_id), f"reading where guest {guest_id} is")
        try:
            if item["guest"] is None or _move(w, item, w.node, decided_at):
                return
        except Removed:  # which is told together with those that are back
            return


def _way_back(w: Wheel, guest_id: int) -> Any:
    """What HA moved, it moves back by itself; what we moved stays away if it would join another member of its group.
    One that somebody removed meanwhile has no way back."""
    guests = w.site.cluster.guests()
    guest = next((guest for guest in guests if guest.id == guest_id), None)
    if guest is None or guest.node == w.node or not guest.running:
        return {"guest": None}
    siblings = siblings_of(guest_id, w.site.managed.groups)
    if not guest.under_ha and any(g.id in siblings and g.running and g.node == w.node for g in guests):
        return {"guest": None}
    return {"guest": guest_id, "how": "ha" if guest.under_ha else "move", "name": guest.name, "source": guest.node}


def _all_running(w: Wheel, guests: Sequence[int], at: Look) -> Any:
    """And serving, those that have a health probe: no other node is taken before they are back in their place. What
    somebody removed, or told HA to stop, is not waited for."""
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.SERVING}), w.node)
    if not isinstance(machines.guests, Read):
        return Waiting(machines.guests.why)
    ours = {guest.id: guest for guest in machines.guests.value if guest.id in guests}
    gone = [guest for guest in guests if guest not in ours]
    if unsure := [guest for guest in gone if not removed(w, guest, at)]:
        return Waiting(f"not listed: {listed(unsure)}")
    off = [guest.id for guest in ours.values() if guest.status == guest.ha == "stopped"]
    if down := [guest for guest in ours.values() if not guest.running and guest.id not in off]:
        return Waiting("; ".join(map(_not_running, down)))
    asked = ours.keys() - set(off)
    ill = {guest: why for group in w.site.managed.groups for guest in asked if (why := _ill(machines, group, guest))}
    if ill:
        return Waiting("; ".join(f"guest {guest} does not serve: {why}" for guest, why in ill.items()))
    away = {str(guest): ours[guest].node for guest in sorted(asked) if ours[guest].node != w.node}
    back = sorted(guest for guest in asked if ours[guest].node == w.node)
    return {"back": back, "away": away, "off": sorted(off), "gone": gone}


def _not_running(guest: Guest) -> str:
    """With the command that starts it."""
    start = f" (`{guest.tool} start {guest.id}` there)" if guest.status == "stopped" else ""
    ha = f", HA says {guest.ha}" if guest.ha else ""
    return f"{messages.named(guest.name, guest.id)} is {condition(guest.status)} on {guest.node}{ha}{start}"
