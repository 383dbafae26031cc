"""What is asked of the world right before something is taken from a guest. The looks before an approval ask the same,
so no night shows that these stand; without them a guest that was started a moment ago would lose its disks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Refused
from cluster.facts import Guest
from cluster.rescue import GuestConfig, Side, Split, Trouble, entries_mark, guest_config
from engine.port import Waiting
from sandbox.spec import BackupSpec, GuestSpec, default_spec
from store.api import Entry, RunRow
from store.memory import MemoryStore
from tests.unit.sandbox.evening import Evening
from workflows import restore, restore_write
from workflows.drill import Copy, _restored
from workflows.phases import RESTORE
from workflows.restore import _aside_offer, _detach, _is_aside, move_to
from workflows.restore_look import Case, Sick, Wanted
from workflows.restore_plan import GUEST_KEY, Patient, other_restore
from workflows.restore_write import _send_beside, beside_offer, over_offer, send_over
from workflows.runbook import _unused_offer
from workflows.split_image import _choose, _side_offer, _sides
from workflows.steward import Offer

ROUTER = Guest(101, "router-a", "qemu", "pve1", "stopped", 1)
DISK = {"slot": "scsi0", "volid": "vmstore:101/vm-101-disk-0.raw", "size": 1, "line": "vmstore:101/vm-101-disk-0.raw"}
BACKUP = {"volid": "backup:backup/vm/101/2026-03-02T16:00:00Z"}
CONFIG = guest_config({"digest": "d", "scsi0": DISK["line"], "unused0": "vmstore:101/vm-101-disk-9.raw"}, "qemu")
PATIENT = Patient(101, "router-a", "qemu", 0.0)


def wheel(guest: Guest, config: GuestConfig = CONFIG) -> tuple[Any, list[str]]:
    """A steward whose cluster has this one guest, and what was done to it."""
    done: list[str] = []

    def does(what: str) -> Callable[..., Any]:
        return lambda *_, **__: done.append(what)

    rescue = SimpleNamespace(
        config=lambda _: config,
        detach=does("detach"),
        restore=does("restore"),
        choose=does("choose"),
        troubles=does("look at Gluster"),
    )
    cluster = SimpleNamespace(guests=lambda: (guest,), rescue=rescue, find_task=lambda *_: None)
    return SimpleNamespace(site=SimpleNamespace(cluster=cluster), over=set()), done


def detach(w: Any) -> object:
    return _detach(w, PATIENT, Offer(data={"disks": [DISK], "digest": "d"}))


def restored(w: Any) -> object:
    return send_over(w, PATIENT, Offer(data={"backup": BACKUP, "node": "pve1", "storage": "local"}), 0.0)


IMAGE = "/images/101/vm-101-disk-0.raw"


def side(w: Any) -> object:
    terms = {"entries": entries_mark("gfid", [IMAGE])}
    return _choose(w, 101, "", Offer(terms, {"image": IMAGE, "brick": "pve1:/brick"}))


@pytest.mark.parametrize("status", ["running", "paused", "unknown", "io-error"])
@pytest.mark.parametrize("act", [detach, restored, side])
def test_nothing_is_taken_from_a_guest_that_is_not_stopped_at_this_very_moment(
    act: Callable[[Any], object], status: str
) -> None:
    w, done = wheel(replace(ROUTER, status=status))
    with pytest.raises(Refused, match=f"guest 101 is {status} on pve1: it is never restored over while it runs"):
        act(w)
    assert done == []


def test_no_restore_is_offered_while_a_disk_is_attached_that_it_would_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody attached it again after it was set aside."""
    monkeypatch.setattr(restore_write, "examine", lambda *_: SimpleNamespace(config=CONFIG))
    w, _ = wheel(ROUTER)
    assert over_offer(w, Wanted("101", "U0ALICE"), PATIENT) == Offer(
        no="disks are attached to it, which the restore would delete: scsi0",
        hint="`qm set 101 --delete scsi0` detaches them",
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "running"}, "it runs on pve1: a running guest is never restored over"),
        ({"status": "io-error"}, "it is io-error, not stopped"),
        ({"lock": "backup"}, "it is locked (backup)"),
    ],
)
def test_no_restore_is_offered_over_one_that_runs_or_is_in_the_middle_of_something(
    changes: dict[str, str], why: str
) -> None:
    w, _ = wheel(replace(ROUTER, **changes))  # type: ignore[arg-type]
    offer = over_offer(w, Wanted("101", "U0ALICE"), PATIENT)
    assert isinstance(offer, Offer)
    assert offer.no == why


def test_no_restore_is_offered_over_one_that_ha_is_about_to_start() -> None:
    w, _ = wheel(replace(ROUTER, ha="started"))
    assert isinstance(over_offer(w, Wanted("101", "U0ALICE"), PATIENT), Waiting)


@pytest.mark.parametrize(("look", "kind"), [(over_offer, "qemu"), (beside_offer, "lxc")])
def test_no_restore_is_offered_of_a_guest_whose_last_backup_was_pruned_meanwhile(
    look: Callable[..., Offer | Waiting], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = replace(ROUTER, kind=kind)
    case = Case(guest, replace(CONFIG, disks=()), (), (), Sick(frozenset()))
    monkeypatch.setattr(restore_write, "examine", lambda *_: case)
    w, _ = wheel(guest)
    offer = look(w, Wanted("101", "U0ALICE"), replace(PATIENT, kind=kind))
    assert isinstance(offer, Offer)
    assert offer.no == "there is no backup of guest 101 on any storage that answers"


@pytest.mark.parametrize(
    ("status", "disks", "aside"), [("stopped", 0, True), ("stopped", 1, False), ("io-error", 0, False)]
)
def test_nothing_is_to_be_set_aside_only_of_a_guest_that_is_stopped_and_has_no_disks(
    status: str, disks: int, aside: bool
) -> None:
    w, _ = wheel(replace(ROUTER, status=status), replace(CONFIG, disks=CONFIG.disks[:disks]))
    assert _is_aside(w, PATIENT) is aside


@pytest.mark.parametrize(("node", "moves"), [("", []), ("pve1", []), ("pve2", ["pve2"])])
def test_a_guest_moves_only_to_a_node_that_was_named_and_is_not_its_own(
    node: str, moves: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxmox VE refuses to move a guest to where it is, and the restore would hold."""
    moved: list[str] = []
    monkeypatch.setattr(restore, "move_stopped", lambda *args: moved.append(args[-1]))
    w, _ = wheel(ROUTER)
    w.read = lambda _, look, *__: look()
    move_to(w, Wanted("101", "U0ALICE", node=node), PATIENT)
    assert moved == moves


def test_the_disks_of_a_guest_that_is_protected_stay() -> None:
    w, _ = wheel(ROUTER, replace(CONFIG, protection=True))
    offer = _aside_offer(w, PATIENT)
    assert isinstance(offer, Offer)
    assert offer.no == "its protection is switched on"


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"status": "running"}, "it is running on pve1"), ({"lock": "backup"}, "it is locked (backup)")],
)
def test_no_container_is_restored_beside_one_that_runs_or_is_in_the_middle_of_something(
    changes: dict[str, str], why: str
) -> None:
    w, _ = wheel(replace(ROUTER, kind="lxc", **changes))  # type: ignore[arg-type]
    offer = beside_offer(w, Wanted("101", "U0ALICE"), PATIENT)
    assert isinstance(offer, Offer)
    assert offer.no == why


def test_no_container_is_restored_beside_one_that_ha_is_about_to_start() -> None:
    w, _ = wheel(replace(ROUTER, kind="lxc", ha="started"))
    assert isinstance(beside_offer(w, Wanted("101", "U0ALICE"), PATIENT), Waiting)


def test_no_side_of_an_image_is_offered_while_its_guest_runs() -> None:
    w, done = wheel(replace(ROUTER, status="running"))
    assert _side_offer(w, 101, "router-a", "pve1").no == "it is running on pve1"
    assert done == []


def torn(*sides: Side, disk: str = "disk-0") -> tuple[Any, list[object]]:
    """A steward of a stopped guest with one image in split-brain, and which side of it was taken."""
    taken: list[object] = []
    image = f"/images/101/vm-101-{disk}.raw"
    volumes = {f"scsi{n}": f"vmstore:101/vm-101-disk-{n}.raw" for n in (0, 1)}
    w, _ = wheel(ROUTER, guest_config({"digest": "d", **volumes}, "qemu"))
    w.site.cluster.rescue.troubles = lambda: (Trouble("vmstore", "pve1:/brick", image, split=True),)
    w.site.cluster.rescue.split = lambda volume, name: Split(volume, name, "gfid", (name,), sides, "pve1")
    w.site.cluster.rescue.choose = lambda split, brick: taken.append((split.image, brick))
    return w, taken


A, B = (Side(f"pve{n}:/brick", f"pve{n}", 1, 0.0, 0.0, {}) for n in (1, 2))


TWIN = replace(B, node="pve1", brick="pve1:/other")


@pytest.mark.parametrize(
    ("sides", "word", "why", "names"),
    [
        ((A, B), "pve3", "there is no such side: pve3", ("pve1", "pve2")),
        ((A, B), "pve", "there is no such side: pve", ("pve1", "pve2")),
        ((A, TWIN), "pve1", "pve1 has several copies of it", ("pve1:/brick", "pve1:/other")),
        ((A, TWIN, B), "pve1:/", "there is no such side: pve1:/", ("pve1:/brick", "pve1:/other", "pve2")),
    ],
    ids=["another node", "part of a name", "two bricks of one node", "two bricks, and one elsewhere"],
)
def test_no_side_is_offered_for_a_word_that_does_not_mean_exactly_one(
    sides: tuple[Side, ...], word: str, why: str, names: tuple[str, ...]
) -> None:
    w, _ = torn(*sides)
    offer = _side_offer(w, 101, "router-a", word)
    assert offer.no == why
    assert offer.hint == f"its sides are called {', '.join(names)}"
    assert (_sides(w, 101, word)["refused"], _sides(w, 101, "")["nodes"]) == (why, list(names))
    for name in names:
        assert _side_offer(w, 101, "router-a", name).no == ""


@pytest.mark.parametrize("word", ["pve2", "pve2:/brick"])
def test_a_side_is_called_by_its_node_or_by_its_whole_name(word: str) -> None:
    w, _ = torn(A, B)
    assert _side_offer(w, 101, "router-a", word).data["brick"] == "pve2:/brick"


@pytest.mark.parametrize(("disk", "taken"), [("disk-0", 1), ("disk-1", 0)])
def test_a_side_is_taken_only_of_the_image_for_which_it_was_approved(disk: str, taken: int) -> None:
    """Meanwhile that one has healed, and another image of the guest is split: its good side may be the other one."""
    w, done = torn(A, B, disk=disk)
    side(w)
    assert len(done) == taken


def test_a_side_is_taken_only_of_what_was_split_when_it_was_approved() -> None:
    """A piece more was torn since: whose good copy may be the other one."""
    w, done = torn(A, B)
    w.site.cluster.rescue.split = lambda *_: Split("vmstore", IMAGE, "gfid", (IMAGE, "/.shard/gfid.7"), (A, B), "pve1")
    with pytest.raises(Refused, match="what is split of its image has changed since it was approved"):
        side(w)
    assert done == []


@pytest.mark.parametrize(
    ("status", "config"), [("stopped", CONFIG), ("running", replace(CONFIG, disks=()))], ids=["off", "without disks"]
)
def test_unused_disks_are_not_deleted_while_they_may_be_the_way_back(status: str, config: GuestConfig) -> None:
    w, _ = wheel(replace(ROUTER, status=status), config)
    assert _unused_offer(w, 101, "router-a").no == f"it is {status}: its old disks may be the way back"


# ---- an id that was free a moment ago ------------------------------------------------------------------------------


def restored_beside(w: Any, backup: str) -> object:
    return _send_beside(w, Offer(data={"new": 111, "backup": {"volid": backup}, "node": "pve3", "storage": "local"}), 0)


def restored_for_a_drill(w: Any, backup: str) -> object:
    w.key, w.judged = str, lambda _key, _judge, act, *_: {"value": act()}
    return _restored(w, Copy(110, "dns", "lxc", 111, "pve3", "local", backup))


@pytest.mark.parametrize("act", [restored_beside, restored_for_a_drill])
def test_no_backup_is_written_over_a_guest_that_was_made_meanwhile_under_the_new_id(
    act: Callable[[Any, str], object],
) -> None:
    """Proxmox VE keeps it only if it is not told to write over what is there: that would delete its disks."""
    dns, mail = (GuestSpec(id_, name, "pve3", "lxc", status="stopped") for id_, name in ((110, "dns"), (111, "mail")))
    evening = Evening(replace(default_spec(), guests=(dns, mail), groups=(), backups=(BackupSpec(110),)))
    w = SimpleNamespace(site=SimpleNamespace(cluster=evening.cluster))
    with pytest.raises(Refused, match="already exists on node 'pve3'"):
        act(w, evening.cluster.rescue.backups(110)[0].volid)
    evening.later(3600.0)
    assert evening.guest(111).name == "mail"


# ---- two restores of one guest at once ------------------------------------------------------------------------------


def test_of_two_restores_of_one_guest_the_older_goes_on_and_the_newer_does_not() -> None:
    """Both were typed before either had a thread: each looks for the other in what it wrote."""
    store = MemoryStore()
    for run_id, at in (("lab-restore-b", 5.0), ("lab-restore-a", 5.0), ("lab-restore-c", 9.0)):
        assert store.start_run(RunRow(run_id, RESTORE, "lab", {}, "active", at, "U0ALICE", at))
        store.write(run_id, Entry(GUEST_KEY, "result", ["saw", {"guest": 101}], at))
    site: Any = SimpleNamespace(store=store, managed=SimpleNamespace(name="lab"))
    assert other_restore(site, "lab-restore-a", 101) == ""
    assert other_restore(site, "lab-restore-b", 101) == "lab-restore-a"
    assert other_restore(site, "lab-restore-c", 101) in ("lab-restore-a", "lab-restore-b")
    assert other_restore(site, "lab-restore-c", 102) == ""
