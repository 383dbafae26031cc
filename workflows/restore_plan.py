"""Which guest is restored, from which backup and where to; or why not. All of it is read before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.facts import Backup, Guest
from cluster.rescue import GuestConfig, Space
from store.api import RunRow
from workflows import messages_restore as words
from workflows.guestwork import node_is_dead
from workflows.journey import find
from workflows.messages import named
from workflows.phases import RESTORE, UPGRADE
from workflows.restore_look import (
    Case,
    Wanted,
    choose_backup,
    choose_node,
    choose_storage,
    examine,
    find_guest,
    is_sick,
)
from workflows.site import Site
from workflows.steward import Steward

GUEST_KEY = "run.look.guest.wait"


@dataclass(slots=True)
class Patient:
    """The guest under way; all of it is derived from journaled results. `old`: slot -> volume of its disks before
    anything was changed, `lines`: slot -> the disk as the configuration had it, `size` of them all in bytes, `boot`:
    what it booted from, `networks`: slots of its cards; `failed`: backups that were tried in vain; `copy`: the new id
    of a restored container; `copying`: seconds that disks were written; `asked_at`: when it was typed, in epoch
    seconds."""

    guest: int
    name: str
    kind: str
    asked_at: float
    old: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    size: int = 0
    boot: str = ""
    networks: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    copy: int = 0
    copying: float = 0.0

    @property
    def called(self) -> str:
        return named(self.name, self.guest)

    def is_bare(self, config: GuestConfig) -> bool:
        """A restore over a VM that failed leaves next to nothing of its configuration; a container's old one stays."""
        return self.kind == "qemu" and bool(self.failed and self.networks) and not config.networks


# ---- which guest ---------------------------------------------------------------------------------------------------


def find_patient(site: Site, run_id: str, wanted: Wanted) -> Any:
    """Which guest, and whether it may be restored at all."""
    guest, why = find_guest(site.cluster.guests(), wanted.guest)
    if guest is None:
        return {"refused": why, "hint": "`/restore GUEST` takes an id or a name, as the cluster lists it"}
    refused, hint = node_is_dead(site, guest, wanted.node)
    if not refused:
        refused, hint = _not_now(site, run_id, guest)
    at = next((row.created_at for row in [site.store.run(run_id)] if row), site.clock())
    return {"refused": refused, "hint": hint, "guest": guest.id, "name": guest.name, "kind": guest.kind, "at": at}


def _not_now(site: Site, run_id: str, guest: Guest) -> tuple[str, str]:
    if guest.running:
        return (
            f"{named(guest.name, guest.id)} runs on {guest.node}, and a running guest is never restored over",
            f"if it is to be replaced, stop it first: `{guest.tool} shutdown {guest.id}`",
        )
    if guest.template:
        return f"{named(guest.name, guest.id)} is a template", ""
    if other := other_restore(site, run_id, guest.id):
        return f"{named(guest.name, guest.id)} is being restored already, by `{other}`", ""
    return "", ""


def other_restore(site: Site, run_id: str, guest: int) -> str:
    """An older active restore of the same guest; of two that began at once the one whose id sorts first goes on."""
    rows = site.store.runs(cluster=site.managed.name, state="active", workflow=RESTORE)
    mine = next((row for row in rows if row.id == run_id), None)
    for row in rows:
        if row.id == run_id or mine is None or (row.created_at, row.id) > (mine.created_at, mine.id):
            continue
        if guest_of(site.store.entries(row.id)) == guest:
            return row.id
    return ""


def guest_of(entries: Sequence[Any]) -> int:
    """The guest that a restore has found itself to be about, 0 before that."""
    for entry in entries:
        if entry.key == GUEST_KEY and entry.kind == "result" and entry.value and entry.value[0] == "saw":
            return int(entry.value[1].get("guest", 0))
    return 0


# ---- from what, and where to ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """`size`: bytes that its disks will take."""

    backup: Backup
    node: str
    space: Space
    size: int


def look_over(w: Steward, wanted: Wanted, patient: Patient) -> Any:
    """Everything of it, worded, with what would be done; and what the run is to remember of it."""
    case = examine(w.site, find(w, patient.guest))
    plan = plan_for(w, wanted, patient, case)
    aside = [
        *words.over_paths(sorted(set(w.site.cluster.detours().values()))),
        *words.beside_upgrades([row.id for row in _upgrades(w.site)]),
        *words.under_ha(case.guest.ha, patient.guest),
        *(words.with_snapshots(case.config.snapshot) if patient.kind == "qemu" else []),
    ]
    disks = case.config.disks
    found = {
        "disks": {disk.slot: disk.volid for disk in disks},
        "lines": {disk.slot: disk.line for disk in disks},
        "size": case.config.size,
        "boot": case.config.boot,
        "networks": list(case.config.networks),
    }
    if isinstance(plan, str):
        return {"refused": plan, "hint": "", "told": words.examined(w.site.managed, case, aside), **found}
    space = plan.space
    age = w.site.clock() - plan.backup.made_at
    sick = is_sick(w.site.managed, case.sick, space)
    new = "a new container" if patient.kind == "lxc" else f"guest {patient.guest} again"
    lines = words.plan_lines(plan.backup, age, plan.node, space.storage, new, sick, not space.shared)
    return {"refused": "", "hint": "", "told": words.examined(w.site.managed, case, [*aside, *lines]), **found}


def _upgrades(site: Site) -> list[RunRow]:
    """Rolling upgrades under way; their watch afterwards takes nothing."""
    rows = site.store.runs(cluster=site.managed.name, state="active", workflow=UPGRADE)
    return [row for row in rows if not str((row.parked or {}).get("key", "")).startswith("watch.")]


def plan_for(w: Steward, wanted: Wanted, patient: Patient, case: Case) -> Plan | str:
    """Or why there is no way. It needs the room of its disks as they were; where nobody knows them any more, that of
    the backup, which is smaller than they are."""
    backup, why = choose_backup(case, wanted.source, patient.failed)
    if backup is None:
        return why
    node, why = choose_node(case, wanted.node, backup)
    if not node:
        return why
    size = patient.size or case.config.size or backup.size
    space, why = choose_storage(w.site.managed, case, node, wanted.storage, size)
    return Plan(backup, node, space, size) if space else why
