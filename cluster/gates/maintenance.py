"""No other node is in maintenance mode, or going down: nothing in Proxmox VE stops two at once, and both routers then
share a node."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

GOING_DOWN = frozenset({"shutdown", "reboot", "restart"})
"""Modes of an LRM that stops. While its node stops the guests, for minutes perhaps, the node is online and healthy."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ha = value(world.machines.ha)
    found = ha.maintenance
    evidence = {"maintenance": sorted(found), "own": sorted(world.own.maintenance), "modes": dict(ha.modes)}
    foreign = sorted(found - world.own.maintenance)
    going = sorted(name for name, mode in ha.modes.items() if mode in GOING_DOWN and name != node)
    if going and phase in TAKING:
        reason = f"the HA manager's daemon of {listed(going)} is about to stop: somebody may be rebooting it"
        return Blocked(reason, evidence, f"wait until it is back; `systemctl list-jobs` on {going[0]}")
    if not foreign:
        return Passed(evidence)
    verb = "is" if len(foreign) == 1 else "are"
    reason = f"{listed(foreign)} {verb} in maintenance mode, and not because of this run"
    hint = f"if nobody works on it: `ha-manager crm-command node-maintenance disable {foreign[0]}`"
    return Blocked(reason, evidence, hint)


GATE = Gate(
    name="maintenance",
    doc="Is no node in maintenance mode, but for what this run has set itself, and no other one going down?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.HA}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
