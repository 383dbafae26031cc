"""Members of a guest group lie apart, so that no single node takes two of them down; unless no other node is left."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import EMPTYING, FRESH_S, elsewhere, listed, members_up, named
from cluster.guest_settings import GuestGroup
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    """A node is left if it takes guests, has no member yet, and is not the one that is about to be taken."""
    places = {group.name: _places(world, group) for group in world.settings.groups}
    evidence = {name: {node: [g.id for g in guests] for node, guests in by.items()} for name, by in places.items()}
    notes = []
    for name, by_node in places.items():
        free = sorted(elsewhere(world, node) - set(by_node))
        for crowded, guests in by_node.items():
            if len(guests) > 1 and free:
                reason = f"{_together(name, crowded, guests)}, while {free[0]} has none"
                return Blocked(reason, evidence, f"`{_command(guests[-1], free[0])}`")
            if len(guests) > 1:
                notes.append(f"{_together(name, crowded, guests)}: no other node is left")
    return Passed(evidence, "; ".join(notes))


def _places(world: World, group: GuestGroup) -> dict[str, list[Guest]]:
    """Node -> members that run there."""
    found: dict[str, list[Guest]] = {}
    for guest in members_up(world, group):
        found.setdefault(guest.node, []).append(guest)
    return found


def _together(group: str, node: str, guests: list[Guest]) -> str:
    return f"{listed(map(named, guests))} of {group} are together on {node}"


def _command(guest: Guest, target: str) -> str:
    if guest.under_ha:
        return f"ha-manager crm-command migrate {guest.sid} {target}"
    return f"{guest.tool} migrate {guest.id} {target} {_how(guest)}"


def _how(guest: Guest) -> str:
    return "--restart" if guest.kind == "lxc" else "--online"


GATE = Gate(
    name="members-apart",
    doc="Do the members of every guest group run on different nodes, as far as there are any?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.HA}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
