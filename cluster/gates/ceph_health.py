"""Ceph complains of nothing, but for the flags that this run has set itself."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

FLAGS = "OSDMAP_FLAGS"
"""The health check that only says that flags are set."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ceph = value(world.machines.ceph)
    if ceph is None:
        return Passed({"ceph": False})
    foreign = sorted(ceph.flags - world.own.flags)
    checks = {name: text for name, text in ceph.checks.items() if name != FLAGS}
    evidence = {"checks": dict(ceph.checks), "flags": sorted(ceph.flags)}
    if checks:
        what = listed(f"{text} ({name})" for name, text in sorted(checks.items()))
        return Blocked(what, evidence, "`ceph health detail` says more")
    if foreign:
        hint = f"`ceph osd unset {foreign[0]}`, if it was forgotten"
        return Blocked(f"somebody has set {listed(foreign)} on Ceph", evidence, hint)
    return Passed(evidence)


GATE = Gate(
    name="ceph-health",
    doc="If there is Ceph: does it report nothing but the flags that this run has set itself?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.CEPH}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
