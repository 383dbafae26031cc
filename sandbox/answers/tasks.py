"""What the stand-in says of tasks: of a node, and of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.answers.ask import Ask, Row
from sandbox.model.rescue import log_lines
from sandbox.model.tasks import Task
from sandbox.pve_contract import PveError


def node_tasks(ask: Ask) -> list[Row]:
    """Newest first. `source`: running ones ("active"), ended ones ("archive", the default), or all."""
    want, source = ask.values, ask.values.get("source", "archive")
    found = [
        task
        for task in reversed(ask.model.tasks.all.values())
        if task.node == ask.target
        and sees(ask, task)
        and (source == "all" or task.running == (source == "active"))
        and want.get("typefilter", task.kind) == task.kind
        and str(want.get("vmid", task.guest)) == task.guest
        and int(want.get("since", 0)) <= int(task.started) <= int(want.get("until", task.started))
        and want.get("userfilter", "") in task.user
        and not (want.get("errors") and task.exit in ("", "OK"))
    ]
    first = int(want.get("start", 0))
    return [task_row(task) for task in found[first : first + int(want.get("limit", 50))]]


def sees(ask: Ask, task: Task) -> bool:
    """One's own tasks; those of others with Sys.Audit on the node."""
    return task.user == ask.user or ask.may(f"/nodes/{task.node}", "Sys.Audit")


def task_row(task: Task) -> Row:
    row = _task_head(task)
    return row if task.ended is None else row | {"endtime": int(task.ended), "status": task.exit}


def _task_head(task: Task) -> Row:
    """A token's name is taken apart: its user, and which of his tokens."""
    _, _, pid, pstart, *_ = task.upid.split(":")
    user, _, token = task.user.partition("!")
    head = {
        "upid": task.upid,
        "node": task.node,
        "pid": int(pid, 16),
        "pstart": int(pstart, 16),
        "starttime": int(task.started),
        "type": task.kind,
        "id": task.guest,
        "user": user,
    }
    return head | ({"tokenid": token} if token else {})


def task_status(ask: Ask) -> Row:
    task = _seen_task(ask)
    if task.running:
        return _task_head(task) | {"status": "running"}
    return _task_head(task) | {"status": "stopped", "exitstatus": task.exit}


def task_log(ask: Ask) -> list[Row]:
    task = _seen_task(ask)
    lines = log_lines(ask.model, task)
    first = int(ask.values.get("start", 0))
    return [{"n": n, "t": text} for n, text in enumerate(lines, 1)][first : first + int(ask.values.get("limit", 50))]


def _seen_task(ask: Ask) -> Task:
    task = ask.model.task(ask.now, ask.values["upid"])
    if not sees(ask, task):
        raise PveError(403, f"Permission check failed (/nodes/{task.node}, Sys.Audit)")
    return task


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /nodes/{node}/tasks": node_tasks,
    "GET /nodes/{node}/tasks/{upid}/status": task_status,
    "GET /nodes/{node}/tasks/{upid}/log": task_log,
}
