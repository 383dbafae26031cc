"""When a backup counts as made, where it goes, and what is left of it after an abort."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import TaskRef, TaskState
from cluster.facts import Backup, Guest, Machines, Read, TaskRow, Unread
from cluster.rescue import Space
from sandbox.direct import SimCluster
from sandbox.night import Night
from sandbox.rescue import SimRescue
from sandbox.scenario import load
from sandbox.spec import default_spec, managed_settings
from workflows import backup
from workflows.backup import _offer, _saving, _storage
from workflows.restore_look import Sick

USUAL = load(Path("tests/scenarios/backup-now"))
ROUTERS = (Guest(101, "router-a", "qemu", "pve1", "running", 1), Guest(102, "router-b", "qemu", "pve2", "running", 1))


# ---- made or not -----------------------------------------------------------------------------------------------------


def test_a_backup_whose_task_failed_is_not_made_though_one_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written one is listed as well, and nobody would look at it before the night it is needed."""
    task = SimCluster.task

    def failed(self: SimCluster, ref: TaskRef) -> TaskState:
        seen = task(self, ref)
        return replace(seen, error="connection lost") if "vzdump" in ref.upid and not seen.running else seen

    monkeypatch.setattr(SimCluster, "task", failed)
    text = Night(USUAL).live().text
    assert "the backup of router-a (101) failed: connection lost" in text
    assert "backed up in" not in text


def test_a_backup_is_not_made_while_none_is_listed_whatever_its_task_says(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Night(USUAL).cluster.rescue.backups(101)
    monkeypatch.setattr(SimRescue, "backups", lambda self, guest: old)
    text = Night(USUAL).live().text
    assert "the backup of router-a (101) failed: its task says OK, and no new backup is listed" in text
    assert "backed up in" not in text


# ---- before it, and after an abort -----------------------------------------------------------------------------------


def test_a_guest_in_the_middle_of_something_is_not_backed_up() -> None:
    cluster = SimpleNamespace(guests=lambda: (replace(ROUTERS[0], lock="migrate"),))
    w: Any = SimpleNamespace(site=SimpleNamespace(cluster=cluster))
    assert _offer(w, [{"id": 101}], "backup").no == "router-a (101): it is locked (migrate)"


@pytest.mark.parametrize(
    ("tasks", "saving"),
    [
        (Read((TaskRow("U", "pve1", "vzdump", "101", "root@pam", 0.0),), 0.0), True),
        (Read((TaskRow("U", "pve1", "qmigrate", "101", "root@pam", 0.0),), 0.0), False),
        (Unread("no node answers", 0.0), True),
    ],
    ids=["a backup runs", "something else runs", "nobody can tell"],
)
def test_an_abort_says_that_a_backup_may_run_on_unless_it_is_seen_that_none_does(tasks: Any, saving: bool) -> None:
    cluster = SimpleNamespace(survey=lambda topics, node: Machines(tasks=tasks))
    assert _saving(SimpleNamespace(cluster=cluster)) is saving  # type: ignore[arg-type]


# ---- where it goes ---------------------------------------------------------------------------------------------------


def on_both(storage: str, **more: Any) -> list[Space]:
    usual: dict[str, Any] = {"kind": "dir", "shared": True, "active": True, "avail": 1, "holds": ("backup",)}
    return [Space(node, storage, **{**usual, **more}) for node in ("pve1", "pve2")]


BIG = on_both("big", avail=9)


@pytest.mark.parametrize(
    ("spaces", "wanted", "chosen"),
    [
        (BIG + on_both("other"), "", "big"),
        (BIG + on_both("other"), "other", "other"),
        (on_both("local", avail=99, shared=False) + BIG, "", "big"),
        (BIG + on_both("newest"), "", "newest"),
        (on_both("off", active=False) + BIG, "off", ""),
        (on_both("off", active=False, avail=99) + BIG, "", "big"),
        (on_both("disks", holds=("images",), avail=99) + BIG, "", "big"),
        (on_both("half", avail=99)[:1] + BIG, "", "big"),
        (on_both("dumps", avail=99) + BIG, "", "big"),
        (on_both("dumps") + BIG, "dumps", "dumps"),
        (on_both("torn", kind="glusterfs", path="/mnt/pve/vmstore", avail=99) + BIG, "", "big"),
        (on_both("half")[:1], "", ""),
    ],
    ids=[
        "the emptiest",
        "what was named",
        "shared before local",
        "where the newest lies",
        "one that is not active",
        "rather an active one",
        "one for backups",
        "one that every node of theirs has",
        "not on the volume",
        "unless named",
        "not on a volume that is not healed",
        "none for both",
    ],
)
def test_a_backup_goes_where_every_guest_can_write_it_and_where_it_outlives_the_volume(
    spaces: list[Space], wanted: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = frozenset({"vmstore"}) if any(space.storage == "torn" for space in spaces) else frozenset[str]()
    monkeypatch.setattr(backup, "sickness", lambda _: Sick(torn))
    managed = managed_settings(replace(default_spec(), settings={"backups": {"on_gluster": ["dumps"]}}))
    newest = {101: (Backup(101, "newest", 9.0, 1, None), Backup(101, "other", 1.0, 1, None)), 102: ()}
    rescue = SimpleNamespace(spaces=lambda: tuple(spaces), backups=lambda guest: newest[guest])
    site: Any = SimpleNamespace(managed=managed, cluster=SimpleNamespace(rescue=rescue))
    found, why = _storage(site, ROUTERS, wanted)
    assert (found, bool(why)) == (chosen, not chosen)
