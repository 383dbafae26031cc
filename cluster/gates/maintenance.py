"""No other node is in maintenance mode: nothing in Proxmox VE stops two at once, and both routers then share a node."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    found = value(world.machines.ha).maintenance
    evidence = {"maintenance": sorted(found), "own": sorted(world.own.maintenance)}
    foreign = sorted(found - world.own.maintenance)
    if not foreign:
        return Passed(evidence)
    verb = "is" if len(foreign) == 1 else "are"
    reason = f"{listed(foreign)} {verb} in maintenance mode, and not because of this run"
    hint = f"if nobody works on it: `ha-manager crm-command node-maintenance disable {foreign[0]}`"
    return Blocked(reason, evidence, hint)


GATE = Gate(
    name="maintenance",
    doc="Is no node in maintenance mode, but for what this run has set itself?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.HA}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
