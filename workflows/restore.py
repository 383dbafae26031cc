"""A guest brought back from its backup, from the thread: the runbook of docs/runbooks/restore.md, line by line.

Proxmox VE deletes the disks that are attached when it restores over a VM, before it writes the first byte, and a
restore that fails leaves neither old nor new. So they are detached first, with an approval of their own, and stay as
unused disks. A container is restored beside the old one, under a new id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cluster.api import ClusterError
from cluster.facts import Backup, Guest
from cluster.rescue import Disk, GuestConfig
from engine.port import Look, Plain, Run, Saying, Waiting
from store.api import RunRow
from workflows import messages_restore as words
from workflows.drain import HA_MOVES_IT, SAID_OK_S
from workflows.guestwork import (
    find_task,
    follow,
    let_end,
    must_be_stopped,
    node_is_dead,
    start_and_serve,
    start_once,
    task_kind,
)
from workflows.journey import find
from workflows.messages import host, named
from workflows.phases import RESTORE, UPGRADE, Stage
from workflows.restore_look import (
    Case,
    Wanted,
    choose_backup,
    choose_node,
    choose_storage,
    examine,
    find_guest,
    is_dead,
    is_sick,
)
from workflows.site import Site
from workflows.steward import Offer, Step, Steward
from workflows.wheel import Aborted, Mode

SLASH = "/restore"


@dataclass(slots=True)
class Patient:
    """The guest under way; all of it is derived from journaled results. `old`: slot -> volume of its disks before
    anything was changed, `lines`: slot -> the disk as the configuration had it, `size` of them all in bytes, `boot`:
    what it booted from, `networks`: slots of its cards; `failed`: backups that were tried in vain; `copy`: the new id
    of a restored container; `asked_at`: when it was typed, in epoch seconds."""

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
    onboot_off: bool = False


def restore(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | refused | aborted, "guest": id, ...}."""
    wanted = Wanted.of(args)
    w = Steward(run, site, wanted.by, "", wanted.guest, slash=SLASH, pages=False)
    run.say("board", lambda: words.board(site.managed.name, f"Restore of {host(wanted.guest)}", wanted.by))
    patient = Patient(0, wanted.guest, "", 0.0)
    try:
        found = w.read(Stage.LOOK, lambda: _find(site, run.id, wanted), "finding the guest", "guest")
        if found["refused"]:
            run.say("run.refused", lambda: words.refused(found["refused"], found["hint"]))
            return {"state": "refused", "why": found["refused"]}
        patient = Patient(found["guest"], found["name"], found["kind"], found["at"])
        w = Steward(run, site, wanted.by, str(patient.guest), patient.name or wanted.guest, slash=SLASH, pages=True)
        return _restore(w, wanted, patient)
    except Aborted:
        return _aborted(w, patient)


def _restore(w: Steward, wanted: Wanted, patient: Patient) -> Plain:
    seen = w.read(Stage.LOOK, lambda: _seen(w, wanted, patient), "reading its disks, image and backups")
    w.say(Stage.LOOK, "", lambda: words.shown(seen["told"]))
    if seen["refused"]:
        w.say(Stage.LOOK, "refused", lambda: words.refused(seen["refused"], seen["hint"]))
        return {"state": "refused", "guest": patient.guest, "why": seen["refused"]}
    patient.old, patient.lines, patient.size = dict(seen["disks"]), dict(seen["lines"]), seen["size"]
    patient.boot, patient.networks = seen.get("boot", ""), list(seen.get("networks", ()))
    if patient.kind == "lxc":
        return _container(w, wanted, patient)
    set_aside(w, patient)
    move_to(w, wanted, patient)
    restore_over(w, wanted, patient)
    start_and_serve(w, patient.guest, patient.name)
    return _done(w, patient, patient.guest)


def _done(w: Steward, patient: Patient, guest: int) -> Plain:
    spent = w.act(Stage.SERVE, lambda *_: _spent(w, patient), "spent")
    total, people = spent["total"], spent["people"]
    old = sorted(patient.old.values()) if patient.kind == "qemu" else []
    w.say(Stage.SERVE, "done", lambda: words.finished(patient.name, guest, total, people, patient.copying, old))
    return {"state": "done", "guest": patient.guest, "as": guest, "total": total, "people": people}


def _spent(w: Steward, patient: Patient) -> dict[str, float]:
    """Seconds from the command until now, and how many of them it waited for people: in requests and in holds."""
    entries = w.site.store.entries(w.run.id)
    ended = {entry.key: entry.at for entry in entries if entry.kind == "result"}
    waits = [entry for entry in entries if entry.kind == "wait" and entry.key in ended]
    people = [entry for entry in waits if f".{Stage.ASK}.wait" in entry.key or ".hold" in entry.key]
    return {
        "total": w.site.clock() - patient.asked_at,
        "people": sum(ended[entry.key] - entry.at for entry in people),
    }


# ---- what it is about ----------------------------------------------------------------------------------------------


def _find(site: Site, run_id: str, wanted: Wanted) -> Any:
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
        stop = f"{'pct' if guest.kind == 'lxc' else 'qm'} shutdown {guest.id}"
        return (
            f"{named(guest.name, guest.id)} runs on {guest.node}, and a running guest is never restored over",
            f"if it is to be replaced, stop it first: `{stop}`",
        )
    if guest.template:
        return f"{named(guest.name, guest.id)} is a template", ""
    if other := _other_run(site, run_id, guest.id):
        return f"{named(guest.name, guest.id)} is being restored already, by `{other}`", ""
    return "", ""


def _other_run(site: Site, run_id: str, guest: int) -> str:
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


GUEST_KEY = "run.look.guest.wait"


def _seen(w: Steward, wanted: Wanted, patient: Patient) -> Any:
    """Look at everything, and say it, with what would be done."""
    case = examine(w.site, find(w, patient.guest))
    plan = _plan(w, wanted, patient, case)
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


@dataclass(frozen=True, slots=True)
class Plan:
    backup: Backup
    node: str
    space: Any


def _plan(w: Steward, wanted: Wanted, patient: Patient, case: Case) -> Plan | str:
    """From which backup, on which node, to which storage; or why there is no way."""
    backup, why = choose_backup(case, wanted.source, patient.failed)
    if backup is None:
        return why
    node, why = choose_node(case, wanted.node, backup)
    if not node:
        return why
    size = _size(patient, case, backup)
    space, why = choose_storage(w.site.managed, case, node, wanted.storage, size)
    return Plan(backup, node, space) if space else why


def _size(patient: Patient, case: Case, backup: Backup) -> int:
    """Of its disks as they were; where nobody knows them any more, the backup's own, which is smaller than they are."""
    return patient.size or case.config.size or backup.size


# ---- the disks are set aside ---------------------------------------------------------------------------------------


def set_aside(w: Steward, patient: Patient) -> None:
    """Stop what is left of it and detach its disks; they stay. Nothing to do for a stopped guest without disks."""
    if w.read(Stage.ASIDE, lambda: _is_aside(w, patient), "looking at its disks", "needed"):
        return
    step = Step(
        Stage.ASIDE,
        f"setting the disks of {named(patient.name, patient.guest)} aside",
        lambda: _aside_offer(w, patient),
        lambda offer: words.ask_aside(patient.name, patient.guest, offer.data["status"], _disks(offer)),
        "its disks were set aside before you took it back; `/restore abort` stops before the next step",
    )
    w.approved(step, lambda *_: stop_if_dead(w, patient.guest))
    w.wait(
        Stage.ASIDE,
        lambda _: is_stopped(w, patient.guest),
        w.site.managed.limits.serving,
        why=f"{host(patient.name)} to be stopped",
        who="Proxmox VE, by ending its process",
        detail="stopped",
    )
    kept = w.goes_on(
        step, lambda _, offer: _detach(w, patient, offer), "detach", lambda _: _detached(w, patient, w.offered())
    )
    w.say(Stage.ASIDE, "", lambda: words.set_aside(patient.name, patient.guest, kept))


def _is_aside(w: Steward, patient: Patient) -> bool:
    guest = find(w, patient.guest)
    return guest.status == "stopped" and not w.site.cluster.rescue.config(guest).disks


def _aside_offer(w: Steward, patient: Patient) -> Offer | Waiting:
    """Bound to the guest, its node, its disks and the digest of its configuration."""
    guest = find(w, patient.guest)
    if no := untouchable(guest):
        return no
    config = w.site.cluster.rescue.config(guest)
    if config.protection:
        return Offer(no="its protection is switched on", hint=f"`qm set {guest.id} --protection 0` if that is meant")
    disks = [{"slot": d.slot, "volid": d.volid, "size": d.size, "line": d.line} for d in config.disks]
    terms = {
        "guest": named(patient.name, guest.id),
        "node": guest.node,
        "disks": ", ".join(f"{disk.slot} {disk.volid}" for disk in config.disks) or "none",
        "configuration": config.digest,
    }
    return Offer(terms, {"status": guest.status, "disks": disks, "digest": config.digest})


HA_STARTS_IT = frozenset(
    {"started", "request_start", "request_start_balance", "recovery", "fence", "freeze", "migrate", "relocate"}
)
"""HA states out of which a guest that is stopped gets started, sooner or later."""


def untouchable(guest: Guest) -> Offer | Waiting | None:
    """Why nothing is done to it. Waiting while HA may start it at any moment: in the middle of a restore it would run
    without its disks, or end in HA's error state, which ignores the start at the end."""
    if guest.running:
        return Offer(no=f"it runs on {guest.node}: a running guest is never restored over", hint="somebody started it")
    if no := locked(guest):
        return no
    if guest.status != "stopped" and not is_dead(guest):
        return Offer(no=f"it is {host(guest.status)}, which is neither stopped nor dead", hint="look at it by hand")
    if guest.status != "stopped" and (no := _given_up(guest, "be stopped")):
        return no
    if guest.status == "stopped" and guest.ha in HA_STARTS_IT:
        keeps = f"`ha-manager set {guest.sid} --state stopped` keeps it down"
        return Waiting(f"it is stopped, but HA has it as {guest.ha} and may start it at any moment; {keeps}")
    return None


def locked(guest: Guest) -> Offer | None:
    if not guest.lock:
        return None
    no, hint = words.locked(guest)
    return Offer(no=no, hint=hint)


def _given_up(guest: Guest, what: str) -> Offer | None:
    """In HA's error state requests are taken, their tasks say OK, and nobody follows them."""
    if guest.ha != "error":
        return None
    no, hint = words.ignored_by_ha(guest, what)
    return Offer(no=no, hint=hint)


def _disks(offer: Offer) -> list[Disk]:
    return [Disk(**disk) for disk in offer.data["disks"]]


def stop_if_dead(w: Steward, guest_id: int) -> str:
    """Asked once more, for people took their time."""
    guest = find(w, guest_id)
    return w.site.cluster.rescue.stop(guest).upid if is_dead(guest) else ""


def is_stopped(w: Steward, guest_id: int) -> Any:
    guest = find(w, guest_id)
    return True if guest.status == "stopped" else Waiting(f"it is {host(guest.status)}")


def _detached(w: Steward, patient: Patient, offer: Offer) -> list[str] | None:
    """What was set aside by a try of which nobody heard the end; None if it was not."""
    attached = {disk.slot for disk in w.site.cluster.rescue.config(find(w, patient.guest)).disks}
    disks = _disks(offer)
    return None if attached & {disk.slot for disk in disks} else [disk.volid for disk in disks]


def _detach(w: Steward, patient: Patient, offer: Offer) -> list[str]:
    """All at once or none: Proxmox VE compares the digest that was approved."""
    guest, disks = must_be_stopped(w, patient.guest), _disks(offer)
    if disks:
        w.site.cluster.rescue.detach(guest, [disk.slot for disk in disks], offer.data["digest"])
    return [disk.volid for disk in disks]


def move_to(w: Steward, wanted: Wanted, patient: Patient) -> None:
    """To the node that was named, if it is another one."""
    if not wanted.node or w.read(Stage.MOVE, lambda: find(w, patient.guest).node == wanted.node, "where it is", "here"):
        return
    move_stopped(w, patient.guest, patient.name, wanted.node)


def move_stopped(w: Steward, guest_id: int, name: str, target: str) -> None:
    """A stopped guest moves to another node, with an approval; believed is the listing alone."""
    step = Step(
        Stage.MOVE,
        f"moving {named(name, guest_id)} to {target}",
        lambda: _move_offer(w, guest_id, name, target),
        lambda offer: words.ask_move(name, guest_id, offer.data["node"], target),
        "it was moved before you took it back",
    )
    began = w.act(Stage.MOVE, lambda *_: w.site.clock(), "began")
    kinds = ("qmigrate", "vzmigrate", "hamigrate")

    def deed(*_: Any) -> str:
        guest = must_be_stopped(w, guest_id)
        if guest.node == target:
            return ""
        return start_once(w, kinds, guest_id, began, lambda: w.site.cluster.migrate(guest, target))

    while True:
        upid = w.approved(step, deed, lambda _: find_task(w, kinds, guest_id, began) or None)
        ended = follow(w, Stage.MOVE, upid, "its move to end", w.site.managed.limits.drain) if upid else {"error": ""}
        if w.wait(
            Stage.MOVE,
            partial(_arrived, w, guest_id, target, bool(ended["error"])),
            w.site.managed.limits.drain,
            why=f"{host(name)} to be listed on {target}",
            who="Proxmox VE, or the HA manager, by moving it",
            detail="there",
        ):
            break
        w.hold(w.key(Stage.MOVE), f"it did not move to {target}: {host(ended['error']) or 'its task says OK'}")
        if w.read(Stage.MOVE, lambda: find(w, guest_id).node == target, "where it is", "moved"):
            break
    w.say(Stage.MOVE, "", lambda: words.moved(name, guest_id, target))


def _arrived(w: Steward, guest_id: int, target: str, failed: bool, at: Look) -> bool | Waiting:
    """Whether it is listed there. Under HA a task that says OK has only queued a request, which the manager follows
    some seconds later, or drops without a word."""
    guest = find(w, guest_id)
    if guest.node == target or failed:
        return guest.node == target
    if guest.ha in HA_MOVES_IT or at.now - at.since <= SAID_OK_S:
        return Waiting(f"it is listed on {guest.node}" + (f", HA has it as {host(guest.ha)}" if guest.ha else ""))
    return False


def _move_offer(w: Steward, guest_id: int, name: str, target: str) -> Offer:
    guest = find(w, guest_id)
    if guest.status != "stopped":
        return Offer(no=f"it is {host(guest.status)} on {guest.node}", hint="only a stopped guest is moved like this")
    if no := locked(guest) or _given_up(guest, "be moved"):
        return no
    terms = {"guest": named(name, guest_id), "from": guest.node, "to": target}
    return Offer(terms, {"node": guest.node})


# ---- the restore itself --------------------------------------------------------------------------------------------


def restore_over(w: Steward, wanted: Wanted, patient: Patient) -> None:
    """Until one restore went well. A failed one holds, says where the old disks are, and asks anew after a retry."""
    step = Step(
        Stage.RESTORE,
        f"restoring {named(patient.name, patient.guest)}",
        lambda: _restore_offer(w, wanted, patient),
        lambda offer: words.ask_restore(
            patient.name,
            patient.guest,
            Backup(**offer.data["backup"]),
            w.site.clock() - offer.data["backup"]["made_at"],
            offer.data["node"],
            offer.data["storage"],
            offer.data["size"],
        ),
        "the restore had begun before you took it back; `/restore abort` lets it end and stops then",
    )
    _until_restored(w, patient, step, partial(_send_over, w, patient))


def _until_restored(w: Steward, patient: Patient, step: Step, send: Any) -> None:
    while True:
        began = w.act(Stage.RESTORE, lambda *_: w.site.clock(), "began")
        task = w.approved(
            step,
            lambda _, offer, since=began: send(offer, since),  # type: ignore[misc]
            partial(_begun, w, patient, began),
        )
        data = w.offered().data
        volid = data["backup"]["volid"]
        w.say(Stage.RESTORE, "", partial(_restoring, w, patient, data))
        patient.copy = data.get("new", 0)
        ended = follow(w, Stage.RESTORE, task, "the backup to be written", w.site.managed.limits.restore)
        patient.copying += ended["took"]
        if not ended["error"]:
            return
        patient.failed.append(volid)
        where = w.read(Stage.RESTORE, lambda: _where(w, patient), "looking for the old disks", "old")
        w.hold(w.key(Stage.RESTORE), words.failed(ended["error"]), where)


def _begun(w: Steward, patient: Patient, began: float, _: str) -> str | None:
    """The restore that an earlier try has started, if it has."""
    guest = w.offered().data.get("new", patient.guest)
    return find_task(w, (task_kind(patient.kind, "restore"),), guest, began) or None


def _restoring(w: Steward, patient: Patient, data: Mapping[str, Any]) -> Saying:
    guest, volid = data.get("new", patient.guest), data["backup"]["volid"]
    about = w.key(Stage.RESTORE, "end")
    return words.restoring(patient.name, guest, volid, data["node"], data["storage"], about)


def _where(w: Steward, patient: Patient) -> str:
    guest = find(w, patient.guest)
    config = w.site.cluster.rescue.config(guest)
    volumes = [disk.volid for disk in (*config.unused, *config.disks)]
    old = words.where_old_disks_are(patient.guest, patient.kind, patient.old, volumes, bool(volumes))
    return f"{old}; {words.left_bare(patient.guest)}" if _is_bare(patient, config) else old


def _is_bare(patient: Patient, config: GuestConfig) -> bool:
    """A restore over a VM that failed leaves next to nothing of its configuration; of a container the old one stays."""
    return patient.kind == "qemu" and bool(patient.failed and patient.networks) and not config.networks


def _restore_offer(w: Steward, wanted: Wanted, patient: Patient) -> Offer | Waiting:
    """Bound to the guest, the backup, node and storage, and the digest of the configuration that is overwritten."""
    guest = find(w, patient.guest)
    if guest.status != "stopped":
        return untouchable(guest) or Offer(no=f"it is {host(guest.status)}, not stopped", hint="stop it")
    if no := untouchable(guest):
        return no
    case = examine(w.site, guest)
    if case.config.disks:
        slots = ",".join(disk.slot for disk in case.config.disks)
        return Offer(
            no=f"disks are attached to it, which the restore would delete: {slots}",
            hint=f"`qm set {guest.id} --delete {slots}` detaches them",
        )
    plan = _plan(w, wanted, patient, case)
    if isinstance(plan, str):
        return Offer(no=plan, hint="`/restore` again with other words, after `/restore abort`")
    size = _size(patient, case, plan.backup)
    terms = {**_terms(patient, plan), "configuration": case.config.digest}
    return Offer(terms, {"backup": _plain(plan.backup), "node": plan.node, "storage": plan.space.storage, "size": size})


def _terms(patient: Patient, plan: Plan) -> dict[str, str]:
    return {
        "guest": named(patient.name, patient.guest),
        "backup": plan.backup.volid,
        "node": plan.node,
        "storage": plan.space.storage,
    }


def _plain(backup: Backup) -> dict[str, Any]:
    return {name: getattr(backup, name) for name in backup.__slots__}


def _send_over(w: Steward, patient: Patient, offer: Offer, began: float) -> str:
    """The last question is asked of the world, after people were asked: is it stopped?"""
    data = offer.data

    def send() -> Any:
        must_be_stopped(w, patient.guest)
        volid = data["backup"]["volid"]
        return w.site.cluster.rescue.restore(patient.guest, "qemu", data["node"], volid, data["storage"], over=True)

    return start_once(w, (task_kind("qemu", "restore"),), patient.guest, began, send)


# ---- a container ---------------------------------------------------------------------------------------------------


def _container(w: Steward, wanted: Wanted, patient: Patient) -> Plain:
    """Beside the old one, under a new id; the old one stays, stopped, and does not start with its node any more."""
    step = Step(
        Stage.RESTORE,
        f"restoring {named(patient.name, patient.guest)}",
        lambda: _container_offer(w, wanted, patient),
        lambda offer: words.ask_container(
            patient.name,
            patient.guest,
            offer.data["new"],
            Backup(**offer.data["backup"]),
            w.site.clock() - offer.data["backup"]["made_at"],
            offer.data["node"],
            offer.data["storage"],
        ),
        "the restore had begun before you took it back; `/restore abort` lets it end and stops then",
    )
    _until_restored(w, patient, step, partial(_send_new, w))
    patient.onboot_off = w.act(Stage.RESTORE, lambda *_: _onboot_off(w, patient.guest), "onboot")
    new = patient.copy
    w.say(
        Stage.RESTORE,
        "new",
        lambda: words.container_restored(patient.name, patient.guest, new, patient.copying),
    )
    start_and_serve(w, new, patient.name, old=patient.guest)
    return _done(w, patient, new)


def _container_offer(w: Steward, wanted: Wanted, patient: Patient) -> Offer | Waiting:
    guest = find(w, patient.guest)
    if guest.status != "stopped":
        return Offer(no=f"it is {host(guest.status)} on {guest.node}", hint=f"stop it: `pct shutdown {guest.id}`")
    if no := untouchable(guest):
        return no  # its onboot could not be switched off, or HA would start it beside the new one
    case = examine(w.site, guest)
    plan = _plan(w, wanted, patient, case)
    if isinstance(plan, str):
        return Offer(no=plan, hint="`/restore` again with other words, after `/restore abort`")
    new = w.site.cluster.rescue.free_id()
    terms = {**_terms(patient, plan), "new id": str(new)}
    size = _size(patient, case, plan.backup)
    return Offer(
        terms,
        {
            "backup": _plain(plan.backup),
            "node": plan.node,
            "storage": plan.space.storage,
            "size": size,
            "new": new,
        },
    )


def _send_new(w: Steward, offer: Offer, _: float) -> str:
    """Under an id that was free a moment ago. What has run under it since people were asked was not ours."""
    data = offer.data
    rescue = w.site.cluster.rescue
    return rescue.restore(data["new"], "lxc", data["node"], data["backup"]["volid"], data["storage"], over=False).upid


def _onboot_off(w: Steward, guest_id: int) -> bool:
    """True if it was on."""
    guest = find(w, guest_id)
    if not w.site.cluster.onboot(guest):
        return False
    w.site.cluster.set_onboot(guest, False)
    return True


# ---- after an abort ------------------------------------------------------------------------------------------------


def _aborted(w: Steward, patient: Patient) -> Plain:
    """What was begun ends first; then the world is asked what is left, and it is said."""
    w.mode = Mode.ABORT
    let_end(w, Stage.RESTORE, w.follows)
    left: list[str] = w.run.step(f"{w.node or 'run'}.{Stage.PUT_BACK}", lambda: _left(w, patient))
    w.run.say("run.aborted", lambda: words.aborted(w.name, left))
    return {"state": "aborted", "guest": patient.guest, "left": left}


def _left(w: Steward, patient: Patient) -> list[str]:
    if not patient.guest:
        return []
    try:
        return list(_left_of(w, patient))
    except ClusterError as silent:
        return [words.left_unread(named(patient.name, patient.guest), str(silent))]


def _left_of(w: Steward, patient: Patient) -> Any:
    guest = find(w, patient.guest)
    config = w.site.cluster.rescue.config(guest)
    if guest.status == "stopped":
        yield words.left_as(guest)
    if bare := _is_bare(patient, config):
        yield words.left_bare(patient.guest)
    if not config.disks and patient.old:
        boot = "" if bare else patient.boot  # it may name a card that is gone, which Proxmox VE refuses
        yield words.left_without_disks(patient.guest, patient.lines, boot)
    if patient.copy and any(other.id == patient.copy for other in w.site.cluster.guests()):
        yield words.left_copy(patient.copy)
    if patient.kind == "lxc" and patient.copy and not config.onboot:
        yield words.left_onboot(patient.guest)
