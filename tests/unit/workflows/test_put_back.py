"""What must have ended before anything is put back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.facts import Ha, Machines, Member, Membership, Read, TaskRow
from engine.port import Look, Waiting
from workflows.putback import _quiet

ALONE = Membership("lab", True, (Member("pve3", True, 1),), 1, 0, 4)


def wheel(*tasks: TaskRow) -> Any:
    """One that puts pve3 back, with these tasks running."""
    machines = Machines(
        membership=Read(ALONE, 0.0), ha=Read(Ha("pve1", frozenset(), {}, True), 0.0), tasks=Read(tasks, 0.0)
    )
    cluster = SimpleNamespace(
        node_status=lambda node: SimpleNamespace(apt_busy="", boot_id="b"), survey=lambda topics, node: machines
    )
    return SimpleNamespace(node="pve3", site=SimpleNamespace(cluster=cluster))


@pytest.mark.parametrize("kind", ["qmigrate", "vzmigrate", "qmshutdown", "vzshutdown"])
def test_while_a_guest_is_moved_or_shut_down_nothing_is_put_back(kind: str) -> None:
    """One that is on its way down still runs: started "again" at once, it would be down a minute later."""
    seen = _quiet(wheel(TaskRow("U", "pve3", kind, "110", "roundsman@pve!bot", 0.0)), LOOK, "")
    assert seen == Waiting("1 tasks of guests are running")


@pytest.mark.parametrize("task", [("pve3", "vncproxy"), ("pve1", "vzshutdown")])
def test_other_tasks_and_other_nodes_hold_nothing_up(task: tuple[str, str]) -> None:
    assert _quiet(wheel(TaskRow("U", *task, "110", "root@pam", 0.0)), LOOK, "") is True


LOOK = Look(now=100.0, since=0.0, deadline=1000.0)
