"""Every pool of Ceph goes on with a node's copies away: one whose `min_size` equals its `size` stops at the first that
is missing, and its guests' disks with it (Ceph's documentation of pools; Proxmox VE's default is 3 and 2)."""

from __future__ import annotations

from cluster.facts import CephPool, Topic
from cluster.gates._common import FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

HINT = (
    "`ceph osd pool set {pool} size {enough}` gives it a copy to spare; "
    "where none of its data lies on {node}, an approver may override"
)


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ceph = value(world.machines.ceph)
    if ceph is None:
        return Passed({"ceph": False})
    evidence = {pool.name: [pool.size, pool.min_size] for pool in ceph.pools}
    stopping = [pool for pool in ceph.pools if pool.min_size >= pool.size]
    if not stopping:
        return Passed(evidence)
    first = stopping[0]
    hint = HINT.format(pool=first.name, enough=first.min_size + 1, node=node)
    return Blocked(f"while {node} is off, {listed(map(_says, stopping))}", evidence, hint)


def _says(pool: CephPool) -> str:
    return f"pool {pool.name} stops: it keeps {pool.size} copies and wants no fewer than {pool.min_size} (min_size)"


GATE = Gate(
    name="ceph-pools",
    doc="If there is Ceph: does every pool go on with the copies of one node away (`min_size` below `size`)?",
    phases=TAKING,
    reads=frozenset({Topic.CEPH}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
