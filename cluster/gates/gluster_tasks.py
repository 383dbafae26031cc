"""No rebalance, replace-brick or other long task of Gluster is under way: each moves copies around by itself."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import MINUTES_S, TAKING, listed
from cluster.gates._pool import pool_of, statuses
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    found = {volume.name: status.tasks for _, volume, status in statuses(pool_of(world, now), now) if status.tasks}
    evidence = {name: list(tasks) for name, tasks in found.items()}
    if not found:
        return Passed(evidence)
    what = listed(f"{listed(tasks)} of {name}" for name, tasks in found.items())
    name = next(iter(found))
    return Blocked(
        f"in progress: {what}", evidence, f"wait; `gluster volume rebalance {name} status` shows how far it is"
    )


GATE = Gate(
    name="gluster-tasks",
    doc="Is no rebalance or other long task of Gluster in progress?",
    phases=TAKING,
    reads=frozenset({Topic.GLUSTER, Topic.PROCESSES}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
