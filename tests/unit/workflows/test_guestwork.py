"""What a task that failed is said to have failed of; when a guest serves; when a backup is made."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.api import TaskRef, TaskState, Unreachable
from cluster.facts import Backup, Guest
from engine.port import Look, Waiting
from workflows.backup import _is_full, _made
from workflows.guestwork import SETTLES_S, find_task, follow, serves
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


def test_a_task_that_was_followed_to_its_end_is_not_the_one_that_is_looked_for() -> None:
    """Else a retry would follow the one that failed, and hold again, and again."""
    asked: list[tuple[str, int, float]] = []

    def newest(kind: str, guest: int, since: float) -> TaskRef | None:
        asked.append((kind, guest, since))
        return TaskRef(f"UPID:pve1:{kind}") if kind != "vzmigrate" else None

    w: Any = SimpleNamespace(site=SimpleNamespace(cluster=SimpleNamespace(find_task=newest)), over=set())
    kinds = ("vzmigrate", "qmigrate")
    assert find_task(w, kinds, 101, 5.0) == "UPID:pve1:qmigrate"
    assert asked == [("vzmigrate", 101, 5.0), ("qmigrate", 101, 5.0)]
    w.over.add("UPID:pve1:qmigrate")
    assert find_task(w, kinds, 101, 5.0) == ""


# ---- does it serve ---------------------------------------------------------------------------------------------------


def serving(status: str = "running", *, agent: bool, answers: bool = False, ha: str = "") -> Any:
    """A wheel with one VM; `agent`: its configuration has one."""
    router = Guest(101, "router-a", "qemu", "pve1", status, 1, ha)
    rescue = SimpleNamespace(config=lambda _: SimpleNamespace(agent=agent), agent_answers=lambda _: answers)
    cluster = SimpleNamespace(guests=lambda: (router,), rescue=rescue, find_task=lambda *_: TaskRef("UPID:pve1:1"))
    cluster.task = lambda _: TaskState(False, "start failed: QEMU exited with code 1")
    return SimpleNamespace(site=SimpleNamespace(cluster=cluster, managed=SimpleNamespace(groups=())), over=set())


def look(after: float) -> Look:
    return Look(now=after, since=0.0, deadline=600.0)


def test_a_vm_with_an_agent_serves_when_that_answers_and_not_when_its_process_runs() -> None:
    assert serves(serving(agent=True), 101, 0.0, look(300.0)) == Waiting("it runs, its agent does not answer yet")
    told = serves(serving(agent=True, answers=True), 101, 0.0, look(5.0))
    assert told == {"error": "", "how": "it runs on pve1 and its agent answers", "took": 5.0}


def test_one_without_an_agent_serves_when_it_has_run_for_a_while() -> None:
    assert isinstance(serves(serving(agent=False), 101, 0.0, look(SETTLES_S - 1)), Waiting)
    assert serves(serving(agent=False), 101, 0.0, look(SETTLES_S))["how"] == "it runs on pve1"


def test_a_start_that_failed_is_told_and_one_whose_end_was_told_before_is_waited_for() -> None:
    failed = serving("stopped", agent=True)
    assert serves(failed, 101, 0.0, look(5.0))["error"] == "start failed: QEMU exited with code 1"
    failed.over.add("UPID:pve1:1")
    assert serves(failed, 101, 0.0, look(5.0)) == Waiting("it is stopped")


def test_one_that_ha_gave_up_is_not_waited_for() -> None:
    assert serves(serving("stopped", agent=True, ha="error"), 101, 0.0, look(5.0))["error"] == (
        "HA has it as error, and ignores every start"
    )


# ---- which backup, and whether there is room for it ------------------------------------------------------------------


def kept(*backups: Backup, keeps: int = 1) -> Any:
    rescue = SimpleNamespace(keeps=lambda *_: keeps, backups=lambda _: backups)
    return SimpleNamespace(site=SimpleNamespace(cluster=SimpleNamespace(rescue=rescue)))


BACKUP = Backup(101, "backup", 1000.0, 1 << 30, None, False, "backup:backup/vm/101/x", "")
ROUTER = Guest(101, "router-a", "qemu", "pve1", "running", 1)


@pytest.mark.parametrize(
    ("there", "full"),
    [
        ([BACKUP], True),
        ([replace(BACKUP, protected=True)], False),
        ([replace(BACKUP, storage="other")], False),
        ([replace(BACKUP, node="pve1")], True),
        ([replace(BACKUP, node="pve2")], False),
        ([], False),
    ],
    ids=["one", "a protected one", "elsewhere", "on its node", "on another node's storage of that name", "none"],
)
def test_a_storage_is_full_when_its_retention_is_reached_by_what_counts_there(there: list[Backup], full: bool) -> None:
    """A backup of a damaged guest must push out none; one that is protected for nothing must be taken off by hand."""
    assert _is_full(kept(*there), ROUTER, "backup") is full
    assert not _is_full(kept(*there, keeps=0), ROUTER, "backup")


def test_a_backup_is_made_when_one_is_listed_that_is_new_and_not_empty() -> None:
    new = replace(BACKUP, made_at=2000.0)
    assert _made(kept(new, BACKUP), 101, 1500.0) == {"volid": new.volid, "protected": False}
    assert _made(kept(replace(new, size=0)), 101, 1500.0) is False
    assert _made(kept(BACKUP), 101, 1500.0) is False
