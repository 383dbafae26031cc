"""What the stand-in says of ZFS replication: the jobs by its settings, and on their guest's node how they went."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.facts import ReplicationJob
from sandbox.answers.ask import Ask, Row
from sandbox.pve_contract import PveError


def jobs(ask: Ask) -> list[Row]:
    return [_job(job) for job in ask.model.replication(ask.now) if _seen(ask, job)]


def states(ask: Ask) -> list[Row]:
    """Fields that the schema does not name; `error` is there only after a failure, `pid` only while one runs."""
    mine = [job for job in ask.model.replication(ask.now) if job.source == ask.target and _seen(ask, job)]
    return [
        _job(job)
        | {"fail_count": job.fail_count, "last_sync": int(job.last_sync), "last_try": int(job.last_try)}
        | ({"error": job.error} if job.error else {})
        | ({"pid": 4711} if job.running else {})
        for job in mine
    ]


def schedule_now(ask: Ask) -> str:
    guest = str(ask.values["id"]).partition("-")[0]
    if not ask.may(f"/vms/{guest}", "VM.Replicate"):
        raise PveError(403, f"Permission check failed (/vms/{guest}, VM.Replicate)")
    ask.model.replicate(ask.now, ask.values["id"])
    return str(ask.values["id"])


def _job(job: ReplicationJob) -> Row:
    number = job.id.rpartition("-")[2]
    where = {"source": job.source, "target": job.target, "type": "local", "schedule": "*/15"}
    return {"id": job.id, "guest": job.guest, "jobnum": int(number), **where}


def _seen(ask: Ask, job: ReplicationJob) -> bool:
    return ask.may(f"/vms/{job.guest}", "VM.Audit")


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /cluster/replication": jobs,
    "GET /nodes/{node}/replication": states,
    "POST /nodes/{node}/replication/{id}/schedule_now": schedule_now,
}
