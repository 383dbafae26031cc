"""Maintenance mode lets the HA manager choose where its guests go, and it knows nothing of guest groups: a rule of its
own must keep their members apart, or every node it may choose must be free of them."""

from __future__ import annotations

import re
from itertools import chain

from cluster.facts import Guest, HaRule, Topic
from cluster.gates._common import EMPTYING, FRESH_S, elsewhere, listed, members_up, named, value
from cluster.guest_settings import GuestGroup
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    """Every member under HA on the node, against every other member that runs."""
    evidence = {"rules": sorted(rule.name for rule in value(world.machines.rules))}
    notes = []
    for group in world.settings.groups:
        members = members_up(world, group)
        for guest in (member for member in members if member.node == node and member.under_ha):
            others = [other for other in members if other is not guest and not _kept_apart(world, guest, other)]
            targets = _targets(world, node, guest)
            near = [other for other in others if _may_meet(world, node, other, targets)]
            if near and targets <= {other.node for other in members}:
                notes.append(f"wherever HA moves {named(guest)}, it meets another member of {group.name}")
            elif near:
                return Blocked(_reason(group, guest, near), evidence, _hint(group, [guest, *others]))
    return Passed(evidence, "; ".join(notes))


def _kept_apart(world: World, guest: Guest, other: Guest) -> bool:
    rules = value(world.machines.rules)
    return any(rule.apart and {guest.sid, other.sid} <= rule.resources for rule in rules if other.under_ha)


def _targets(world: World, node: str, guest: Guest) -> frozenset[str]:
    """Nodes that the HA manager may choose: all that take guests, or those of a strict rule."""
    strict = [rule.nodes for rule in value(world.machines.rules) if _binds(rule, guest)]
    return elsewhere(world, node).intersection(*strict)


def _binds(rule: HaRule, guest: Guest) -> bool:
    return rule.kind == "node-affinity" and rule.strict and guest.sid in rule.resources


def _may_meet(world: World, node: str, other: Guest, targets: frozenset[str]) -> bool:
    """A member that leaves the same node by HA's choice may go anywhere that HA may put it."""
    if other.node != node:
        return other.node in targets
    return other.under_ha and bool(targets & _targets(world, node, other))


def _reason(group: GuestGroup, guest: Guest, near: list[Guest]) -> str:
    return (
        f"{named(guest)} of {group.name} is under HA, and no rule keeps it apart from {listed(map(named, near))}: "
        "the HA manager may put them on one node"
    )


def _hint(group: GuestGroup, members: list[Guest]) -> str:
    """Only guests under HA can be named in a rule."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"apart-{group.name}")
    sids = ",".join(sorted(member.sid for member in members))
    outside = [f"`ha-manager add {member.sid}`" for member in members if not member.under_ha]
    rule = f"`ha-manager rules add resource-affinity {name} --affinity negative --resources {sids}` (Proxmox VE 9)"
    return ", then ".join(chain(outside, [rule]))


GATE = Gate(
    name="ha-affinity",
    doc="Are members of a guest group that HA moves kept apart by a rule of HA, or by where it may put them?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MEMBERSHIP, Topic.HA, Topic.RULES}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
