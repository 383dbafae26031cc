"""The same corosync.conf everywhere: a node that boots with an older one hung pmxcfs on all nodes, and the watchdogs
fenced them (before corosync 3.1.10-pve3)."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import FRESH_S, TAKING, listed, not_down, status_of, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    wanted = value(world.machines.membership).config_version
    found = {name: value(status_of(world, name)).corosync_version for name in not_down(world)}
    evidence = {"cluster": wanted, "nodes": found}
    other = [f"{name} has {version}" for name, version in found.items() if version != wanted]
    if not other:
        return Passed(evidence)
    hint = "compare /etc/pve/corosync.conf with /etc/corosync/corosync.conf; `systemctl restart pve-cluster` copies it"
    return Blocked(f"corosync.conf is version {wanted} in the cluster, but {listed(other)}", evidence, hint)


GATE = Gate(
    name="corosync-config",
    doc="Is corosync.conf of the same version in the cluster and on every node's disk?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.MEMBERSHIP, Topic.NODES}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
