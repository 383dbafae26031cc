"""A node whose packages are half installed, or being installed, is neither upgraded nor rebooted."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, TAKING, status_of, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    status = value(status_of(world, node))
    evidence = {"broken": status.dpkg_broken, "busy": status.apt_busy}
    if status.dpkg_broken:
        hint = f"`dpkg --configure -a`, then `apt-get -f install`, on {node}"
        return Blocked(f"dpkg on {node} is broken: {status.dpkg_broken}", evidence, hint)
    if status.apt_busy:
        return Blocked(f"{status.apt_busy} is at work on {node}", evidence, "wait for it to end")
    return Passed(evidence)


GATE = Gate(
    name="dpkg",
    doc="Is dpkg whole and apt idle on the node?",
    phases=TAKING,
    reads=frozenset({Topic.NODES}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
