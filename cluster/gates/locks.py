"""A locked guest is in the middle of something that a reboot would cut off, and a migration refuses it."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import FRESH_S, TAKING, listed, named, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

ASLEEP = "suspended"
"""Hibernated to disk: nothing is under way."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    guests = [guest for guest in value(world.machines.guests) if guest.node == node]
    locked = [guest for guest in guests if guest.lock not in ("", ASLEEP)]
    evidence = {"locks": {str(guest.id): guest.lock for guest in guests if guest.lock}}
    if not locked:
        return Passed(evidence)
    what = listed(f"{named(guest)}: {guest.lock}" for guest in locked)
    return Blocked(f"{len(locked)} locked on {node}: {what}", evidence, _hint(locked[0]))


def _hint(guest: Guest) -> str:
    return f"wait for the task to end; if there is none, the lock was left behind: `{guest.tool} unlock {guest.id}`"


GATE = Gate(
    name="locks",
    doc="Is no guest of the node locked by a backup, a migration or a snapshot?",
    phases=TAKING,
    reads=frozenset({Topic.GUESTS}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
