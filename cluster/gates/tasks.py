"""Nothing that moves, copies or saves guests is running, but for what this run has started itself."""

from __future__ import annotations

from cluster.facts import TaskRow, Topic
from cluster.gates._common import FRESH_S, TAKING, listed, value
from cluster.telling import short_span
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

SAVING = {"vzdump", "qmrestore", "vzrestore", "qmclone", "vzclone", "qmmove", "move_volume"}
MOVING = {"qmigrate", "vzmigrate", "hamigrate", "migrateall", "vzmigrateall", "startall", "stopall", "suspendall"}
BUSY = SAVING | MOVING
"""Task types of Proxmox VE that a node must not be taken from under."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    rows = [row for row in value(world.machines.tasks) if row.kind in BUSY and row.upid not in world.own.tasks]
    if phase is GatePhase.HEALED:  # back is a node only when it has started what it starts at boot
        rows = [row for row in rows if row.kind == "startall" and row.node == node]
    evidence = {"tasks": [row.upid for row in rows]}
    if not rows:
        return Passed(evidence)
    what = listed(_told(row, now) for row in rows)
    return Blocked(f"running: {what}", evidence, f"wait, or `pvesh delete /nodes/{rows[0].node}/tasks/{rows[0].upid}`")


def _told(row: TaskRow, now: float) -> str:
    guest = f" of guest {row.guest}" if row.guest else ""
    return f"{row.kind}{guest} on {row.node}, since {short_span(max(0.0, now - row.started))}"


GATE = Gate(
    name="tasks",
    doc="Is no backup, restore, migration or clone running in the cluster; once back, has the node started its guests?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.TASKS}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
