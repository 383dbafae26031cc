"""The clock on the wall: what has to happen every so often, and may be missed. What must not be lost is in the journal.

APScheduler with a memory store, UTC, and no misfire limit: its default of 1 second silently drops late jobs. It waits
for a time of day, so a host's clock that is put back by an hour would silence every job for that hour, systemd's
watchdog among them. What is due later than its own interval from now was planned before such a jump: it comes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.background import BackgroundScheduler

from bot.worker import Fatal, Worker

LOOK_S = 5.0  # between two looks whether the host's clock was put back


class WallClock:
    """Whatever a job raises is fatal: what a job can live with it handles itself."""

    def __init__(self, fatal: Fatal) -> None:
        rules = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._jobs = BackgroundScheduler(timezone=UTC, job_defaults=rules)
        self._jobs.add_listener(lambda event: fatal(event.exception), EVENT_JOB_ERROR)
        self._minder = Worker("clock", self._bring_forward, fatal)

    def every(self, name: str, seconds: float, job: Callable[[], Any], *, at_once: bool = False) -> None:
        """Run `job` every so many seconds, the first time after as many (or at once)."""
        first = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._jobs.add_job(job, "interval", seconds=seconds, id=name, name=name, **first)

    def start(self) -> None:
        self._jobs.start()
        self._minder.start()

    def stop(self) -> None:
        self._minder.stop()
        if self._jobs.running:
            self._jobs.shutdown(wait=False)

    def _bring_forward(self) -> float:
        for job in self._jobs.get_jobs():
            if job.next_run_time > datetime.now(UTC) + job.trigger.interval:
                job.modify(next_run_time=datetime.now(UTC))
        return LOOK_S
