"""Enough members of every guest group run: outside of the node that is about to go, or at all once it is back."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import FRESH_S, listed, members_up, value
from cluster.settings import GuestGroup
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

LEAVING = frozenset({GatePhase.UPGRADE, GatePhase.REBOOT})
"""The node is drained; a member that still runs on it goes down with it."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    gone = node if phase in LEAVING else ""
    up = {group.name: [g for g in members_up(world, group) if g.node != gone] for group in world.settings.groups}
    evidence = {name: [guest.id for guest in guests] for name, guests in up.items()}
    for group in world.settings.groups:
        if len(up[group.name]) < group.keep_running:
            return Blocked(_reason(world, group, up[group.name], gone), evidence, f"`qm start {_down(group, up)}`")
    return Passed(evidence)


def _down(group: GuestGroup, up: dict[str, list[Guest]]) -> int:
    return next(member for member in group.guests if member not in {guest.id for guest in up[group.name]})


def _reason(world: World, group: GuestGroup, up: list[Guest], gone: str) -> str:
    where = f" outside of {gone}" if gone else ""
    missing = listed(_state(world, member) for member in group.guests if member not in {guest.id for guest in up})
    return f"{group.name}: {len(up)} of {len(group.guests)} run{where}, {group.keep_running} must: {missing}"


def _state(world: World, member: int) -> str:
    guest = next((guest for guest in value(world.machines.guests) if guest.id == member), None)
    if guest is None:
        return f"{member} is not in the cluster"
    ha = f", HA says {guest.ha}" if guest.ha else ""
    return f"{guest.name} ({member}) is {guest.status} on {guest.node}{ha}"


GATE = Gate(
    name="guest-groups",
    doc="Do enough members of every guest group run, outside of a node that is about to go?",
    phases=LEAVING | {GatePhase.HEALED, GatePhase.WATCH},
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
