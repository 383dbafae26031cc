"""A drill deletes what it has made, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cluster.api import Refused, TaskRef, TaskState, Uncertain, Unreachable
from cluster.facts import Guest
from cluster.rescue import guest_config
from sandbox.direct import SimCluster
from sandbox.model import What
from sandbox.night import Night
from sandbox.rescue import SimRescue
from sandbox.scenario import load
from workflows.drill import DOUBTFUL, NONE, Copy, _delete, _found, _start_unplugged, _stop, last_drills

CLUSTER = {
    "guests": [
        {"id": 101, "name": "router-a", "node": "pve1"},
        {"id": 102, "name": "router-b", "node": "pve2"},
        {"id": 110, "name": "dns", "node": "pve3", "kind": "lxc"},
        {"id": 111, "name": "mail", "node": "pve3", "kind": "lxc", "status": "stopped"},
    ],
    "backups": [{"guest": guest} for guest in (101, 102, 110, 111)],
}


def night(folder: Path, *people: dict[str, Any], lasts: str = "2h", faults: tuple[dict[str, Any], ...] = ()) -> Night:
    spec = {"lasts": lasts, "cluster": CLUSTER, "faults": list(faults), "people": list(people)}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(spec))
    (folder / "why.md").write_text("A drill.\n")
    return Night(load(folder))


def test_a_container_that_a_person_restored_is_not_taken_for_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drill's own restore was refused and holds; meanwhile somebody restores another guest, which gets the id that
    was free for both. Whoever lets the drill go on loses nothing."""
    restore = SimRescue.restore
    refused: list[int] = []

    def once(self: SimRescue, guest: int, kind: str, *args: Any, **how: Any) -> Any:
        if not refused:
            refused.append(guest)
            raise Refused("storage is locked")
        return restore(self, guest, kind, *args, **how)

    monkeypatch.setattr(SimRescue, "restore", once)
    lived = night(
        tmp_path,
        {"at": "0m", "who": "alice", "types": "/drill restore dns"},
        {"at": "1m", "who": "alice", "types": "/restore mail"},
        {"when": "asked", "each": True, "after": "1m", "who": "carol", "reacts": "white_check_mark"},
        {"at": "30m", "who": "alice", "types": "/restore retry dns"},
        {"at": "40m", "who": "alice", "types": "/restore abort dns"},
    ).live()
    assert refused == [100]
    assert "mail (100) is back" in lived.text
    assert lived.model.guests.get(100).running
    assert "-> delete" not in lived.text
    assert "-> unplug" not in lived.text


def copy_listed(name: str, kind: str = "qemu") -> tuple[Any, list[str]]:
    """A wheel that lists guest 100 like this, and what was done to it."""
    done: list[str] = []

    def act(guest: Guest) -> TaskRef:
        done.append(guest.name)
        return TaskRef("UPID:pve3:1")

    listed = Guest(100, name, kind, "pve3", "running", 1)
    rescue = SimpleNamespace(stop=act, delete=act)
    cluster = SimpleNamespace(guests=lambda: (listed,), rescue=rescue, find_task=lambda *_: None)
    return SimpleNamespace(site=SimpleNamespace(cluster=cluster), over=set()), done


COPY = Copy(101, "router-a", "qemu", 100, "pve3", "vmstore", "backup:x", "UPID:pve3:0", made=True)


@pytest.mark.parametrize(("name", "kind"), [("db-1", "qemu"), ("router-a", "lxc")])
def test_a_guest_that_took_the_place_of_the_copy_is_left_alone(name: str, kind: str) -> None:
    """Somebody deleted the copy by hand, and the next guest was made under the id that was free again."""
    w, done = copy_listed(name, kind)
    with pytest.raises(Refused, match=r"guest 100 is not the copy"):
        _stop(w, COPY)
    with pytest.raises(Refused, match=r"guest 100 is not the copy"):
        _delete(w, COPY, 0.0)
    assert done == []


@pytest.mark.parametrize("name", ["router-a", "VM 100", ""])
def test_the_copy_is_known_by_its_name_or_has_none_yet(name: str) -> None:
    w, done = copy_listed(name)
    _stop(w, COPY)
    _delete(w, COPY, 0.0)
    assert done == [name, name]


@pytest.mark.parametrize("row", [{"hostpci0": "0000:03:00.0,pcie=1"}, {"usb1": "mapping=lte"}, {"net0": "virtio=BC"}])
def test_a_copy_that_would_get_a_network_or_a_device_of_its_node_is_not_started(row: dict[str, str]) -> None:
    """A card of the node is a way into the network as well, and nothing else stops it while the real guest is down."""
    started: list[int] = []
    listed = Guest(100, "router-a", "qemu", "pve3", "stopped", 1)
    rescue = SimpleNamespace(config=lambda _: guest_config({"digest": "d", **row}, "qemu"))
    cluster = SimpleNamespace(
        guests=lambda: (listed,), rescue=rescue, find_task=lambda *_: None, start=lambda g: started.append(g.id)
    )
    w: Any = SimpleNamespace(site=SimpleNamespace(cluster=cluster), over=set())
    with pytest.raises(Refused, match=f"copy 100 still has {next(iter(row))}: it is not started"):
        _start_unplugged(w, COPY, 0.0)
    assert started == []


def test_a_drill_of_a_guest_with_a_card_of_its_node_says_that_its_copy_was_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SimRescue.config
    monkeypatch.setattr(SimRescue, "config", lambda self, guest: replace(config(self, guest), devices=("hostpci0",)))
    lived = night(tmp_path, {"at": "0m", "who": "alice", "types": "/drill restore dns"}).live()
    assert "it was restored, and not started: hostpci0 of it is a device of pve3" in lived.text
    assert "-> start 100" not in lived.text
    assert "-> delete 100" in lived.text


# ---- what an abort leaves --------------------------------------------------------------------------------------------


def test_a_copy_whose_restore_nobody_heard_of_is_deleted_after_an_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line broke after the order was sent, and the drill was aborted before the node could be asked: it said that
    nothing was left, while the copy was being written."""
    restore, find_task = SimRescue.restore, SimCluster.find_task
    asked: list[str] = []

    def lost(self: SimRescue, *args: Any, **how: Any) -> Any:
        restore(self, *args, **how)
        raise Uncertain("the line broke")

    def silent(self: SimCluster, kind: str, guest: int, since: float) -> TaskRef | None:
        asked.append(kind)
        if len(asked) <= 2:
            raise Unreachable("no connection")
        return find_task(self, kind, guest, since)

    monkeypatch.setattr(SimRescue, "restore", lost)
    monkeypatch.setattr(SimCluster, "find_task", silent)
    lived = night(
        tmp_path,
        {"at": "0m", "who": "alice", "types": "/drill restore dns"},
        {"at": "1m", "who": "alice", "types": "/restore abort dns"},
    ).live()
    assert "aborted. Nothing is left changed" in lived.text
    assert "-> delete 100" in lived.text
    assert 100 not in lived.model.guests.all


@pytest.mark.parametrize("state", [TaskState(running=True), TaskState(False, "unexpected status"), None])
def test_what_a_restore_that_did_not_end_well_may_have_left_is_said(state: TaskState | None) -> None:
    """A node that dies in the middle of a restore keeps what was written; an abort waits for its end in vain."""

    def task(_: TaskRef) -> TaskState:
        if state is None:
            raise Unreachable("pve3 is silent")
        return state

    listed = Guest(100, "", "qemu", "pve3", "stopped", 1, lock="create")
    w: Any = SimpleNamespace(site=SimpleNamespace(cluster=SimpleNamespace(guests=lambda: (listed,), task=task)))
    assert _found(w, replace(COPY, made=False)) == DOUBTFUL


def test_a_guest_of_its_id_that_no_restore_of_ours_may_have_made_is_none_of_the_drill() -> None:
    w, _ = copy_listed("mail")
    assert _found(w, replace(COPY, made=False, task="")) == NONE


def test_after_a_restore_that_broke_off_what_may_be_left_of_it_stands_in_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node died in the middle: the task says so, and the half-written guest stays."""
    task = SimCluster.task

    def broke_off(self: SimCluster, ref: TaskRef) -> TaskState:
        seen = task(self, ref)
        return replace(seen, error="unexpected status") if "restore" in ref.upid else seen

    monkeypatch.setattr(SimCluster, "task", broke_off)
    lived = night(tmp_path, {"at": "0m", "who": "alice", "types": "/drill restore dns"}).live()
    assert "Left behind: guest 100 on pve3, which may be half of the copy; look before you delete it" in lived.text
    assert "-> delete" not in lived.text


def test_a_copy_that_cannot_be_deleted_is_left_behind_and_no_drill_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy booted, and keeps the memory and the room of a guest: whoever reads "passed" looks no further."""
    task = SimCluster.task

    def refused(self: SimCluster, ref: TaskRef) -> TaskState:
        seen = task(self, ref)
        return replace(seen, error="rbd is busy") if "destroy" in ref.upid and not seen.running else seen

    monkeypatch.setattr(SimCluster, "task", refused)
    lived = night(tmp_path, {"at": "0m", "who": "alice", "types": "/drill restore dns"}).live()
    assert "failed*: its copy could not be deleted. Left behind: the copy 100 on pve3 (rbd is busy)." in lived.text
    assert last_drills(lived.store, lived.managed, lived.clock.now) == ["last restore drill of dns: just now, failed"]


def test_a_copy_that_was_seen_whole_is_deleted_although_its_restore_cannot_be_asked_about_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = SimCluster.task
    ended: set[str] = set()

    def forgotten(self: SimCluster, ref: TaskRef) -> TaskState:
        if ref.upid in ended:
            raise Unreachable("pve3 keeps no task for so long")
        seen = task(self, ref)
        if not seen.running:
            ended.add(ref.upid)
        return seen

    monkeypatch.setattr(SimCluster, "task", forgotten)
    lived = night(tmp_path, {"at": "0m", "who": "alice", "types": "/drill restore dns"}).live()
    assert 100 not in lived.model.guests.all


# ---- what it is there to find ----------------------------------------------------------------------------------------


def drilled(folder: Path, *faults: dict[str, Any]) -> Night:
    return night(folder, {"at": "0m", "who": "alice", "types": "/drill restore router-a"}, faults=faults).live()


def test_a_copy_that_never_answers_is_no_drill_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimRescue, "agent_answers", lambda self, guest: False)
    lived = drilled(tmp_path)
    assert "*failed*: it was restored, and did not answer after its start. Nothing is left of its copy." in lived.text
    assert 100 not in lived.model.guests.all


def test_a_copy_that_does_not_start_is_deleted_without_being_stopped(tmp_path: Path) -> None:
    """Proxmox VE refuses to stop what does not run, and the drill would hold."""
    lived = drilled(tmp_path, {"kind": "start-fails", "guest": 100})
    assert "*failed*: start failed" in lived.text
    assert "-> stop" not in lived.text
    assert 100 not in lived.model.guests.all


@pytest.mark.parametrize("how", ["lost", "broken"])
def test_a_restore_whose_answer_was_lost_is_begun_once_and_followed(tmp_path: Path, how: str) -> None:
    lived = drilled(tmp_path, {"kind": "line", "guest": 100, "text": "restore", "how": how})
    begun = [event for event in lived.model.events if event.what is What.RESTORING]
    assert len(begun) == 1
    assert "Restore drill of router-a (101) passed" in lived.text


def test_of_a_group_the_member_is_drilled_whose_last_drill_is_the_longest_ago(tmp_path: Path) -> None:
    again = [{"at": f"{n}h", "who": "alice", "types": "/drill restore routers"} for n in (0, 1, 2)]
    text = night(tmp_path, *again, lasts="3h").live().text
    assert re.findall(r"Restore drill of (router-.) \(\d+\) passed", text) == ["router-a", "router-b", "router-a"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "backups-gone", "guest": 101}, "there is no backup of guest 101"),
        ({"kind": "storage-full", "amount": 5}, "no storage of pve1 can take 16.8 GiB"),
    ],
)
def test_what_cannot_be_drilled_is_refused_before_anything_is_begun(
    tmp_path: Path, fault: dict[str, Any], why: str
) -> None:
    """A backup takes less room than the disks that come out of it."""
    lived = drilled(tmp_path, fault)
    assert why in lived.text
    assert "-> " not in lived.text


def test_a_drill_that_is_aborted_while_nobody_answers_leaves_nothing(tmp_path: Path) -> None:
    lived = night(
        tmp_path,
        {"at": "0m", "who": "alice", "types": "/drill restore router-a"},
        {"at": "5m", "who": "bob", "types": "/restore abort router-a"},
        faults=({"kind": "api-down"},),
    ).live()
    assert "aborted. Nothing is left changed" in lived.text
