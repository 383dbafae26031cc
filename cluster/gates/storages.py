"""Storages are active, and those on Gluster are really mounted: Proxmox VE happily writes into the empty directory
below a mount that is missing (proxmox.md section 2)."""

from __future__ import annotations

from cluster.facts import StorageRow, Topic
from cluster.gates._common import MINUTES_S, TAKING, listed, mounted, on_gluster, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    rows = [row for row in value(world.machines.storages) if row.enabled and row.node not in world.own.down]
    gluster = {row.storage for row in on_gluster(world)}
    wrong = [why for row in rows if (why := _why_not(world, row, row.storage in gluster))]
    evidence = {"storages": len(rows), "on_gluster": sorted(gluster), "wrong": wrong}
    if not wrong:
        return Passed(evidence)
    return Blocked(listed(wrong), evidence, "`pvesm status` on that node; `findmnt -t fuse.glusterfs` shows the mounts")


def _why_not(world: World, row: StorageRow, gluster: bool) -> str:
    if not row.active:
        return f"{row.storage} is not active on {row.node}"
    if gluster and not row.shared:
        return f"{row.storage} lies on Gluster, but is not marked as shared"
    if gluster and row.kind == "dir" and not mounted(world, row):
        return f"{row.storage} on {row.node} is an empty directory: no Gluster is mounted at {row.path}"
    return ""


GATE = Gate(
    name="storages",
    doc="Is every enabled storage active on every node, and those on Gluster shared and mounted?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.STORAGES, Topic.NODES}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
