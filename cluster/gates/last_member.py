"""Before the drain: members of a guest group on this node must be able to leave it while they serve."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import (
    EMPTYING,
    FRESH_S,
    elsewhere,
    listed,
    members_up,
    named,
    serving,
    value,
    why_not_serving,
)
from cluster.guest_settings import GuestGroup
from cluster.ways import way_out
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    staying = {group.name: _staying(world, node, group) for group in world.settings.groups}
    evidence = {name: [guest.id for guest in guests] for name, guests in staying.items()}
    for group in world.settings.groups:
        if len(staying[group.name]) < group.keep_running:
            return Blocked(_reason(world, group, node, staying[group.name]), evidence, _hint(world, group))
    return Passed(evidence)


def _staying(world: World, node: str, group: GuestGroup) -> list[Guest]:
    """Members that serve elsewhere, or that can leave this node while they serve."""
    return [guest for guest in serving(world, group) if guest.node != node or _can_leave(world, node, guest)]


def _can_leave(world: World, node: str, guest: Guest) -> bool:
    """A container has no live migration: it is stopped, moved and started, so it is down for a while."""
    move = next((move for move in value(world.machines.moves) if move.guest == guest.id), None)
    if move is None or guest.kind != "qemu":
        return False
    return way_out(world.settings.cannot_move, guest, move, elsewhere(world, node)).moves


def _reason(world: World, group: GuestGroup, node: str, staying: list[Guest]) -> str:
    up = serving(world, group)
    lost = [named(guest) for guest in up if guest not in staying]
    does = "serves" if group.health else "runs"
    what = [f"{listed(lost)} would go down with {node}" if lost else f"no other member {does}"]
    what += [
        f"{named(guest)} does not serve: {why_not_serving(world, group, guest.id)}"
        for guest in members_up(world, group)
        if guest not in up
    ]
    must = "serve" if group.health else "run"
    head = f"{group.name}: {group.keep_running} must {must}, {len(staying)} of {len(group.guests)} would"
    return f"{head}: {'; '.join(what)}"


def _hint(world: World, group: GuestGroup) -> str:
    if dumb := [guest for guest in members_up(world, group) if why_not_serving(world, group, guest.id)]:
        return f"look into {named(dumb[0])}: its console is in the web interface; or make the other one movable"
    for guest in value(world.machines.guests):
        if guest.id in group.guests and not guest.running:
            start = f"`{guest.tool} start {guest.id}`"
            return f"start another member of {group.name} on another node ({start}), or make this one movable"
    return f"make this one movable, or move another member of {group.name} to another node"


GATE = Gate(
    name="last-member",
    doc="Does every guest group keep its members serving while the node is drained?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.HA, Topic.MOVES, Topic.SERVING}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
