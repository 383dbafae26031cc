"""Ceph holds every copy it should: placement groups active and clean, OSDs up, and monitors enough to lose one.

Not the word HEALTH_OK: with our own `noout` it can never be OK (proxmox.md section 6)."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.facts import Ceph, Topic
from cluster.gates._common import ALWAYS, FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

HARMLESS = frozenset({"scrubbing", "deep", "snaptrim", "snaptrim_wait"})
"""What a placement group may do besides being active and clean: every copy is there all the while."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ceph = value(world.machines.ceph)
    if ceph is None:
        return Passed({"ceph": False})
    wrong = [*what_is_wrong(ceph), *(_lost_monitor(ceph, node) if phase in TAKING else ())]
    evidence = {"pgs": dict(ceph.pgs), "osds": [ceph.osds, ceph.osds_up, ceph.osds_in], "quorum": sorted(ceph.quorum)}
    return Blocked(listed(wrong), evidence, "`ceph status` on any of its nodes") if wrong else Passed(evidence)


def what_is_wrong(ceph: Ceph) -> Iterator[str]:
    """Why not all of it is there, whatever else Ceph complains of. Its manager alone counts placement groups: an OSD
    may go and come back empty, and without a manager all of them are still listed as clean."""
    if not ceph.managed:
        yield "no manager (mgr) is active, so nobody counts placement groups"
    if not ceph.pgs and ceph.osds:
        yield "Ceph lists no placement group at all"
    if sick := {state: count for state, count in ceph.pgs.items() if not clean(state)}:
        what = listed(f"{count} {state}" for state, count in sorted(sick.items()))
        yield f"{sum(sick.values())} of {sum(ceph.pgs.values())} placement groups are not active+clean: {what}"
    if ceph.osds_up != ceph.osds_in:
        yield f"{ceph.osds_up} of {ceph.osds} OSDs are up, {ceph.osds_in} are in"
    if missing := sorted(ceph.monitors - ceph.quorum):
        yield f"monitors out of quorum: {listed(missing)}"


def clean(state: str) -> bool:
    """ "active+clean+scrubbing+deep" is; "active+undersized+degraded" is not."""
    words = set(state.split("+"))
    return {"active", "clean"} <= words <= {"active", "clean", *HARMLESS}


def _lost_monitor(ceph: Ceph, node: str) -> Iterator[str]:
    """Proxmox VE names a monitor after its node."""
    left, needed = len(ceph.quorum - {node}), len(ceph.monitors) // 2 + 1
    if node in ceph.quorum and left < needed:
        yield f"without the monitor on {node} {left} of {len(ceph.monitors)} are left, and they need {needed}"


GATE = Gate(
    name="ceph",
    doc="If there is Ceph: are all placement groups active and clean, OSDs up, and monitors enough without the node?",
    phases=ALWAYS,
    reads=frozenset({Topic.CEPH}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
