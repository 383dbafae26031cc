"""Maintenance mode works through HA: while HA is disarmed it is ignored, and a guest that HA has given up, or was told
to ignore, is not moved away, though it is under HA: the drain would wait for it in vain."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import EMPTYING, FRESH_S, listed, named, runs_on, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

LEFT_ALONE = {
    "error": "`ha-manager set {sid} --state disabled`, which stops it, and then `--state started`",
    "ignored": "`ha-manager set {sid} --state started`, or take it out of HA with `ha-manager remove {sid}`",
}
"""HA states in which the manager does not touch a guest, and what ends each."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ha = value(world.machines.ha)
    stuck = [guest for guest in runs_on(world, node) if guest.ha in LEFT_ALONE]
    evidence = {
        "manager": ha.manager,
        "armed": ha.armed,
        "modes": dict(ha.modes),
        "left alone": {guest.sid: guest.ha for guest in stuck},
    }
    if not ha.armed:
        hint = "`pvesh create /cluster/ha/status/arm-ha`"
        return Blocked("HA is disarmed, and then ignores maintenance mode", evidence, hint)
    if stuck:
        why = listed(f"{named(guest)} is in HA state {guest.ha}" for guest in stuck)
        return Blocked(f"{why}: HA would not move it away from {node}", evidence, _hint(stuck[0]))
    return Passed(evidence)


def _hint(guest: Guest) -> str:
    return LEFT_ALONE[guest.ha].format(sid=guest.sid)


GATE = Gate(
    name="ha",
    doc="Is HA armed, so that it heeds maintenance mode, and does it move each of its guests on the node?",
    phases=EMPTYING,
    reads=frozenset({Topic.HA, Topic.GUESTS}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
