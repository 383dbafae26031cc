"""Maintenance commands are ignored while HA is disarmed: the node would not be drained of its HA guests."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import EMPTYING, FRESH_S, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ha = value(world.machines.ha)
    evidence = {"manager": ha.manager, "armed": ha.armed, "modes": dict(ha.modes)}
    if ha.armed:
        return Passed(evidence)
    return Blocked(
        "HA is disarmed, and then ignores maintenance mode", evidence, "`pvesh create /cluster/ha/status/arm-ha`"
    )


GATE = Gate(
    name="ha",
    doc="Is HA armed, so that it heeds maintenance mode?",
    phases=EMPTYING,
    reads=frozenset({Topic.HA}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
