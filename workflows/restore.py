"""A guest brought back from its backup, from the thread: the runbook of docs/runbooks/restore.md, line by line.

Proxmox VE deletes the disks that are attached when it restores over a VM, before it writes the first byte, and a
restore that fails leaves neither old nor new. So they are detached first, with an approval of their own, and stay as
unused disks. A container is restored beside the old one, under a new id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cluster.api import ClusterError
from cluster.rescue import Disk
from engine.port import Plain, Run, Waiting
from workflows import messages_rescue
from workflows import messages_restore as words
from workflows.guestwork import let_end, must_be_stopped, start_and_serve, stop_if_dead, until_stopped
from workflows.journey import find
from workflows.messages import host
from workflows.moving import move_stopped
from workflows.phases import Stage
from workflows.restore_look import Wanted
from workflows.restore_plan import Patient, find_patient, look_over
from workflows.restore_write import restore_beside, restore_over
from workflows.site import Site
from workflows.steward import Declined, Offer, Step, Steward
from workflows.untouchable import untouchable
from workflows.wheel import Aborted, Mode


def restore(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | refused | aborted, "guest": id, ...}."""
    wanted = Wanted.of(args)
    w = Steward(run, site, wanted.by, "", wanted.guest)
    run.say("board", lambda: messages_rescue.board(site.managed.name, f"Restore of {host(wanted.guest)}", wanted.by))
    patient = Patient(0, wanted.guest, "", 0.0)
    try:
        found = w.read(Stage.LOOK, lambda: find_patient(site, run.id, wanted), "finding the guest", "guest")
        if found["refused"]:
            w.decline(found["refused"], found["hint"])
        patient = Patient(found["guest"], found["name"], found["kind"], found["at"])
        w = Steward(run, site, wanted.by, str(patient.guest), patient.name or wanted.guest, pages=True)
        return _restore(w, wanted, patient)
    except Declined as no:
        return {"state": "refused", "guest": patient.guest, "why": str(no)}
    except Aborted:
        return _aborted(w, patient)


def _restore(w: Steward, wanted: Wanted, patient: Patient) -> Plain:
    seen = w.read(Stage.LOOK, lambda: look_over(w, wanted, patient), "reading its disks, image and backups")
    w.say(Stage.LOOK, "", lambda: messages_rescue.shown(seen["told"]))
    if seen["refused"]:
        w.decline(seen["refused"], seen["hint"])
    patient.old, patient.lines, patient.size = dict(seen["disks"]), dict(seen["lines"]), seen["size"]
    patient.boot, patient.networks = seen.get("boot", ""), list(seen.get("networks", ()))
    if patient.kind == "lxc":
        restore_beside(w, wanted, patient)
        start_and_serve(w, patient.copy, patient.name, old=patient.guest)
        return _done(w, patient, patient.copy)
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


# ---- its disks are set aside, and it moves ---------------------------------------------------------------------------


def set_aside(w: Steward, patient: Patient) -> None:
    """Stop what is left of it and detach its disks; they stay. Nothing to do for a stopped guest without disks."""
    if w.read(Stage.ASIDE, lambda: _is_aside(w, patient), "looking at its disks", "needed"):
        return
    step = Step(
        Stage.ASIDE,
        f"setting the disks of {patient.called} aside",
        lambda: _aside_offer(w, patient),
        lambda offer: words.ask_aside(patient.name, patient.guest, offer.data["status"], _disks(offer)),
        "its disks were set aside before you took it back; `/restore abort` stops before the next step",
    )
    w.approved(step, lambda *_: stop_if_dead(w, patient.guest))
    until_stopped(w, Stage.ASIDE, patient.guest, host(patient.name))
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
        "guest": patient.called,
        "node": guest.node,
        "disks": ", ".join(f"{disk.slot} {disk.volid}" for disk in config.disks) or "none",
        "configuration": config.digest,
    }
    return Offer(terms, {"status": guest.status, "disks": disks, "digest": config.digest})


def _disks(offer: Offer) -> list[Disk]:
    return [Disk(**disk) for disk in offer.data["disks"]]


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


# ---- after an abort ------------------------------------------------------------------------------------------------


def _aborted(w: Steward, patient: Patient) -> Plain:
    """What was begun ends first; then the world is asked what is left, and it is said."""
    w.mode = Mode.ABORT
    let_end(w, Stage.RESTORE)
    left: list[str] = w.run.step(f"{w.node or 'run'}.{Stage.PUT_BACK}", lambda: _left(w, patient))
    w.run.say("run.aborted", lambda: messages_rescue.aborted(w.name, left))
    return {"state": "aborted", "guest": patient.guest, "left": left}


def _left(w: Steward, patient: Patient) -> list[str]:
    if not patient.guest:
        return []
    try:
        return list(_left_of(w, patient))
    except ClusterError as silent:
        return [messages_rescue.left_unread(patient.called, str(silent))]


def _left_of(w: Steward, patient: Patient) -> Iterator[str]:
    guest = find(w, patient.guest)
    config = w.site.cluster.rescue.config(guest)
    if guest.status == "stopped":
        yield messages_rescue.left_as(guest)
    if bare := patient.is_bare(config):
        yield words.left_bare(patient.guest)
    if not config.disks and patient.old:
        boot = "" if bare else patient.boot  # it may name a card that is gone, which Proxmox VE refuses
        yield words.left_without_disks(patient.guest, patient.lines, boot)
    elif not set(patient.old.values()) <= {disk.volid for disk in config.disks}:
        listed = [disk.volid for disk in (*config.unused, *config.disks)]
        yield words.left_written(patient.guest, patient.kind, patient.old, listed)
    if patient.copy and (copy := next((one for one in w.site.cluster.guests() if one.id == patient.copy), None)):
        yield words.left_copy(copy)
    if patient.kind == "lxc" and patient.copy and not config.onboot:
        yield words.left_onboot(patient.guest)
