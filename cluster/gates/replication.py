"""ZFS replication keeps up: what is moved or lost with the node is on its other node as well."""

from __future__ import annotations

from cluster.facts import ReplicationJob, Topic
from cluster.gates._common import AHEAD_S, FRESH_S, TAKING, listed, value
from cluster.telling import short_span
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    """Once the node is back only failures count: a nightly job may be due soon."""
    jobs = value(world.machines.replication)
    limit = world.settings.replication_max_age if phase in TAKING else None
    wrong = {job.id: why for job in jobs if (why := _why_not(job, now, limit))}
    evidence = {job.id: {"fail_count": job.fail_count, "last_sync": job.last_sync} for job in jobs}
    if not wrong:
        return Passed(evidence)
    what = listed(f"{job} {why}" for job, why in wrong.items())
    first = next(iter(wrong))
    reason = f"{len(wrong)} of {len(jobs)} replication jobs are not in order: {what}"
    return Blocked(reason, evidence, f"`pvesr schedule-now {first}` on its source; `pvesr status` shows the rest")


def _why_not(job: ReplicationJob, now: float, limit: float | None) -> str:
    way = f"(to {job.target})"
    if job.fail_count:
        return f"{way} failed {job.fail_count} times: {job.error or 'without a word'}"
    if job.error:
        return f"{way}: {job.error}"
    if not job.last_sync:
        return f"{way} has never run"
    age = now - job.last_sync
    if age < -AHEAD_S:
        return f"{way}: its last sync is stamped {short_span(-age)} ahead of now"
    if limit is not None and age > limit:
        return f"{way} last ran {short_span(age)} ago, limit {short_span(limit)}"
    return ""


GATE = Gate(
    name="replication",
    doc="Is every job of ZFS replication without a failure, and its last sync young?",
    phases=TAKING | {GatePhase.HEALED},
    reads=frozenset({Topic.REPLICATION}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
