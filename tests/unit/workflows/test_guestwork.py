"""What a task that failed is said to have failed of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.api import TaskRef, TaskState, Unreachable
from engine.port import Look
from workflows.guestwork import follow
from workflows.phases import Stage
from workflows.wheel import Wheel

LIMIT = "Backup of VM 101 failed - There is a max backup limit of 1 enforced by the target storage"
LOG = ("INFO: Starting Backup of VM 101 (qemu)", f"ERROR: {LIMIT}", "INFO: Failed at", "TASK ERROR: job errors")


class OneLook:
    """A wheel that waits for nothing: it looks once. `log`: the task's, or what keeps it from being read."""

    def __init__(self, error: str, log: tuple[str, ...] | Unreachable) -> None:
        self.over: set[str] = set()
        self._log = log
        cluster = SimpleNamespace(task=lambda _: TaskState(False, error), rescue=SimpleNamespace(log=self._told))
        self.site = SimpleNamespace(cluster=cluster)

    def _told(self, _: TaskRef) -> tuple[str, ...]:
        if isinstance(self._log, Unreachable):
            raise self._log
        return self._log

    def wait(self, _: Stage, probe: Any, timeout: float, **__: str) -> Any:
        return probe(Look(now=60.0, since=0.0, deadline=timeout))


@pytest.mark.parametrize(
    ("error", "log", "told"),
    [
        ("job errors", LOG, LIMIT),
        ("job errors", ("INFO: nothing else",), "job errors"),
        ("job errors", Unreachable("pve1 is silent"), "job errors"),
        ("unable to restore VM 101 - vm is running", LOG, "unable to restore VM 101 - vm is running"),
        ("", LOG, ""),
    ],
)
def test_a_backup_that_failed_is_told_by_its_log(error: str, log: tuple[str, ...] | Unreachable, told: str) -> None:
    wheel = cast(Wheel, OneLook(error, log))
    assert follow(wheel, Stage.BACKUP, "UPID:pve1:1", "the backup", 600.0)["error"] == told
