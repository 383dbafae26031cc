"""ZFS replication around a node: it runs once more before guests leave, and what failed meanwhile runs when it is back.

Whether a job ran is told by its last sync being another one than before: node clocks differ from the bot's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cluster.api import Unreachable
from cluster.facts import Read, ReplicationJob, Topic
from engine.port import Look, Waiting
from workflows import messages, messages_guests
from workflows.phases import Phase
from workflows.wheel import Wheel

QUIETLY_S = 180.0
"""So long a job that failed while the node was away may take to run again before the gates speak of it."""


def replicated(w: Wheel) -> None:
    """Every job of a guest on this node, before maintenance mode lets HA move it: a migration then copies little, and
    what stays down here is elsewhere as it was."""
    before = _read(w, "before", lambda job: job.source == w.node)
    if not before:
        return
    while True:
        tried = _read(w, "tried", lambda job: job.id in before, "last_try")
        for job_id in before:
            w.act(Phase.REPLICATION, lambda *_, job_id=job_id: _run(w, job_id), job_id)
        ended = w.wait(
            Phase.REPLICATION,
            partial(_ran, w, before, tried),
            w.site.managed.limits.drain,
            why=f"replication of {messages.some(list(before))} to run",
            who="the scheduler of Proxmox VE, within a minute",
            detail="ran",
        )
        if not ended["failed"]:
            break
        w.hold(w.key(Phase.REPLICATION), ended["failed"], "`pvesr status` on the node")
    w.say(Phase.REPLICATION, "ran", lambda: messages_guests.replicated(w.node, list(before)))


def catch_up(w: Wheel) -> None:
    """Jobs to or from this node that failed while it was away run again now, and not after their growing delay."""
    failed = _read(w, "after", lambda job: bool(job.fail_count) and w.node in (job.source, job.target))
    for job_id in failed:
        w.act(Phase.REPLICATION, lambda *_, job_id=job_id: _run(w, job_id), f"{job_id}.again")
    if failed:
        w.wait(
            Phase.REPLICATION,
            lambda at: _in_order(w, failed, at),
            w.site.managed.limits.brick_back,
            why=f"replication of {messages.some(list(failed))} to catch up",
            who="the scheduler of Proxmox VE, within a minute",
            detail="caught-up",
        )


def _read(
    w: Wheel, when: str, wanted: Callable[[ReplicationJob], bool], what: str = "last_sync"
) -> Mapping[str, float]:
    """Job -> its last sync, or its last try."""

    def read() -> Any:
        jobs = _jobs(w)
        return jobs if isinstance(jobs, Waiting) else {i: getattr(job, what) for i, job in jobs.items() if wanted(job)}

    found: Mapping[str, float] = w.read(Phase.REPLICATION, read, "reading the jobs of ZFS replication", when)
    return found


def _jobs(w: Wheel) -> Mapping[str, ReplicationJob] | Waiting:
    jobs = w.site.cluster.survey(frozenset({Topic.REPLICATION}), w.node).replication
    return {job.id: job for job in jobs.value} if isinstance(jobs, Read) else Waiting(messages.host(jobs.why))


def _run(w: Wheel, job_id: str) -> None:
    """A job that somebody removed meanwhile is not missed."""
    jobs = _jobs(w)
    if isinstance(jobs, Waiting):
        raise Unreachable(f"the jobs of ZFS replication could not be read: {jobs.seen}")
    if job_id in jobs:
        w.site.cluster.replicate(jobs[job_id])


def _ran(w: Wheel, before: Mapping[str, float], tried: Mapping[str, float], _: Look) -> Any:
    """A failure counts only if it is of a later try than those that were known when we asked for one."""
    jobs = _jobs(w)
    if isinstance(jobs, Waiting):
        return jobs
    left = [jobs[job_id] for job_id, then in before.items() if job_id in jobs and jobs[job_id].last_sync <= then]
    late = [job for job in left if job.last_try > tried.get(job.id, 0.0) and not job.running]
    if failed := [job for job in late if job.fail_count]:
        why = f"replication {failed[0].id} to {failed[0].target} failed: {failed[0].error or 'without a word'}"
        return {"failed": messages.host(why)}
    return Waiting(f"not yet run: {', '.join(job.id for job in left)}") if left else {"failed": ""}


def _in_order(w: Wheel, failed: Mapping[str, float], at: Look) -> Any:
    """Or the gates are to speak of it."""
    jobs = _jobs(w)
    if isinstance(jobs, Waiting):
        return jobs
    left = [job_id for job_id in failed if job_id in jobs and jobs[job_id].fail_count]
    if not left or at.now - at.since > QUIETLY_S:
        return True
    return Waiting(f"still failed: {', '.join(left)}")
