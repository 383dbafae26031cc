"""Enough members of every guest group serve: outside of the node that is about to go, or at all once it is back."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import FRESH_S, listed, serving, value, why_not_serving
from cluster.guest_settings import GuestGroup
from cluster.telling import condition
from cluster.world import WATCHING, Blocked, Gate, GatePhase, Passed, Verdict, World

LEAVING = frozenset({GatePhase.UPGRADE, GatePhase.REBOOT})
"""The node is drained; a member that still runs on it goes down with it."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    gone = node if phase in LEAVING else ""
    up = {group.name: [g for g in serving(world, group) if g.node != gone] for group in world.settings.groups}
    evidence = {name: [guest.id for guest in guests] for name, guests in up.items()}
    for group in world.settings.groups:
        if len(up[group.name]) < group.keep_running:
            return Blocked(_reason(world, group, up[group.name], gone), evidence, _hint(world, group, up[group.name]))
    return Passed(evidence)


def _missing(group: GuestGroup, up: list[Guest]) -> list[int]:
    there = {guest.id for guest in up}
    return [member for member in group.guests if member not in there]


def _hint(world: World, group: GuestGroup, up: list[Guest]) -> str:
    guests = {guest.id: guest for guest in value(world.machines.guests)}
    missing = _missing(group, up)
    down = next((member for member in missing if member in guests and not guests[member].running), None)
    if down is None and any(why_not_serving(world, group, member) for member in missing):
        return f"look into guest {missing[0]}: `qm terminal {missing[0]}`, or its console in the web interface"
    start = down if down is not None else missing[0]
    return f"`{guests[start].tool if start in guests else 'qm'} start {start}`"


def _reason(world: World, group: GuestGroup, up: list[Guest], gone: str) -> str:
    where = outside(gone) if gone else ""
    does = "serve" if group.health else "run"
    missing = listed(_state(world, group, member) for member in _missing(group, up))
    return f"{group.name}: {len(up)} of {len(group.guests)} {does}{where}, {group.keep_running} must: {missing}"


def outside(node: str) -> str:
    """How the reason tells that members on this node do not count, for it is about to go."""
    return f" outside of {node}"


def _state(world: World, group: GuestGroup, member: int) -> str:
    guest = next((guest for guest in value(world.machines.guests) if guest.id == member), None)
    if guest is None:
        return f"{member} is not in the cluster"
    ha = f", HA says {guest.ha}" if guest.ha else ""
    ill = why_not_serving(world, group, member) if guest.running else ""
    sick = f", but does not serve: {ill}" if ill else ""
    return f"{guest.name} ({member}) is {condition(guest.status)} on {guest.node}{ha}{sick}"


GATE = Gate(
    name="guest-groups",
    doc="Do enough members of every guest group serve, outside of a node that is about to go?",
    phases=LEAVING | WATCHING | {GatePhase.HEALED},
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.SERVING}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
