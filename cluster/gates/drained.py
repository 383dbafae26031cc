"""After the drain: whatever is not stopped goes down with the node, so nothing but stopped guests may be listed on it.

The drain left none; a person, a backup job or HA may have started one since. A paused guest holds its memory, and of
one that is "unknown" nobody can say that it does not run.
"""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, listed, named, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    guests = [g for g in value(world.machines.guests) if g.node == node and not g.template]
    there = [guest for guest in guests if guest.status != "stopped"]
    evidence = {"guests": {str(guest.id): guest.status for guest in guests}}
    if not there:
        return Passed(evidence)
    what = listed(f"{named(guest)} is {guest.status}" for guest in there)
    return Blocked(f"{node} is not drained: {what}", evidence, "move it away or shut it down")


GATE = Gate(
    name="drained",
    doc="Is every guest that is still listed on the drained node stopped?",
    phases=frozenset({GatePhase.UPGRADE, GatePhase.REBOOT}),
    reads=frozenset({Topic.GUESTS}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
