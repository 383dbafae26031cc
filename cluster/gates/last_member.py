"""Before the drain: members of a guest group on this node must be able to leave it running."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import EMPTYING, FRESH_S, elsewhere, listed, members_up, named, value
from cluster.settings import GuestGroup
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    staying = {group.name: _staying(world, node, group) for group in world.settings.groups}
    evidence = {name: [guest.id for guest in guests] for name, guests in staying.items()}
    for group in world.settings.groups:
        if len(staying[group.name]) < group.keep_running:
            return Blocked(_reason(world, node, group, staying[group.name]), evidence, _hint(group))
    return Passed(evidence, "; ".join(note for group in world.settings.groups if (note := _together(world, group))))


def _staying(world: World, node: str, group: GuestGroup) -> list[Guest]:
    """Members that run elsewhere, or that can leave this node while they run."""
    return [guest for guest in members_up(world, group) if guest.node != node or _can_leave(world, node, guest)]


def _can_leave(world: World, node: str, guest: Guest) -> bool:
    """A container has no live migration: it is stopped, moved and started, so it is down for a while."""
    allowed = {move.guest: move.allowed for move in value(world.machines.moves)}.get(guest.id, ())
    return guest.kind == "qemu" and bool(elsewhere(world, node) & frozenset(allowed))


def _reason(world: World, node: str, group: GuestGroup, staying: list[Guest]) -> str:
    lost = [named(guest) for guest in members_up(world, group) if guest not in staying]
    what = f"{listed(lost)} would go down with {node}" if lost else "no other member runs"
    return f"{group.name}: {group.keep_running} must run, {len(staying)} of {len(group.guests)} would: {what}"


def _hint(group: GuestGroup) -> str:
    ids = " or ".join(map(str, group.guests))
    return f"start another member of {group.name} on another node (`qm start {ids}`), or make this one movable"


def _together(world: World, group: GuestGroup) -> str:
    up = members_up(world, group)
    nodes = {guest.node for guest in up}
    return f"all running members of {group.name} are on {up[0].node}" if len(up) > 1 and len(nodes) == 1 else ""


GATE = Gate(
    name="last-member",
    doc="Does every guest group keep its members running while the node is drained?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.HA, Topic.MOVES}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
