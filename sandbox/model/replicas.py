"""Jobs of ZFS replication: they run by their schedule, follow their guest, and fail when their target is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.facts import ReplicationJob
from sandbox.faults import Kind
from sandbox.model.core import Core, Denied
from sandbox.model.guests import Guests
from sandbox.model.machines import Machines
from sandbox.model.trouble import Trouble
from sandbox.spec import ReplicaSpec

SOON = 30.0
"""`schedule_now` is heeded within the scheduler's next minute."""
RETRY, LONGEST = 300.0, 1800.0
"""A job that failed n times is tried again n times so late, and never later than the second."""


@dataclass(slots=True)
class Job:
    id: str
    guest: int
    target: str
    every: float
    last_sync: float
    last_try: float
    fail_count: int = 0
    error: str = ""
    running: bool = False
    turn: int = 0


class Replicas:
    def __init__(self, core: Core, trouble: Trouble, machines: Machines, guests: Guests) -> None:
        self.core, self.trouble, self.machines, self.guests = core, trouble, machines, guests
        self.jobs = {job.id: job for job in map(self._born, core.spec.replicas)}
        for job, spec in zip(self.jobs.values(), core.spec.replicas, strict=True):
            self._next(job, max(spec.every - spec.age, SOON))

    def listing(self) -> tuple[ReplicationJob, ...]:
        return tuple(
            ReplicationJob(
                job.id,
                job.guest,
                self.guests.get(job.guest).node,
                job.target,
                job.fail_count,
                job.error,
                job.last_sync,
                job.last_try,
                job.running,
            )
            for job in self.jobs.values()
        )

    def run_soon(self, job_id: str) -> None:
        if job_id not in self.jobs:
            raise Denied(f"no such replication job '{job_id}'")
        self._next(self.jobs[job_id], SOON)

    def moved(self, guest: int, source: str, target: str) -> None:
        """A guest that moved to its replica is replicated back from there."""
        for job in self.jobs.values():
            if job.guest == guest and job.target == target:
                job.target = source

    def _born(self, spec: ReplicaSpec) -> Job:
        last = self.core.start - spec.age
        return Job(f"{spec.guest}-0", spec.guest, spec.target, spec.every, last, last)

    def _next(self, job: Job, delay: float) -> None:
        job.turn += 1
        turn = job.turn
        self.core.later(delay, self._if_due(job, turn))

    def _if_due(self, job: Job, turn: int) -> Callable[[], None]:
        def due() -> None:
            if job.turn == turn:
                self._run(job)

        return due

    def _run(self, job: Job) -> None:
        source = self.machines.all[self.guests.get(job.guest).node]
        if not source.lit:
            self._next(job, job.every)  # nobody is there to run it
            return
        job.last_try, job.running = self.core.now, True
        turn = job.turn
        self.core.later(self.core.timings.replicate, lambda: self._ended(job, turn))

    def _ended(self, job: Job, turn: int) -> None:
        job.running = False
        fault = self.trouble.has(Kind.REPLICATION_FAILS, str(job.guest))
        away = not self.machines.all[job.target].lit
        if fault or away:
            job.fail_count += 1
            job.error = (fault.text if fault else "") or "command 'zfs send' failed: No route to host"
        else:
            job.fail_count, job.error, job.last_sync = 0, "", job.last_try
        if job.turn == turn:
            self._next(job, min(RETRY * job.fail_count, LONGEST) if job.fail_count else job.every)
