"""What dist-upgrade would do: removing proxmox-ve or glusterfs-server is no upgrade."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import EMPTYING, MINUTES_S, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    plan = value(world.machines.packages)
    evidence = {"checksum": plan.checksum, "upgrades": len(plan.upgrades), "removes": list(plan.removes)}
    if world.own.packages_installed:
        return Passed(evidence)
    vital = [name for name in plan.removes if name.partition(":")[0] in world.settings.vital_packages]
    if vital:
        reason = f"dist-upgrade on {node} would remove {listed(vital)}"
        return Blocked(reason, evidence, f"look why: `apt-get -s dist-upgrade` on {node}")
    return Passed(evidence, f"dist-upgrade removes {listed(plan.removes)}" if plan.removes else "")


GATE = Gate(
    name="packages",
    doc="Does the package plan remove nothing vital?",
    phases=EMPTYING | {GatePhase.UPGRADE},
    reads=frozenset({Topic.PACKAGES}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
