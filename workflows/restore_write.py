"""The backup is written: over a VM whose disks are set aside, or beside a container, under a new id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from cluster.facts import Backup
from engine.port import Saying, Waiting
from workflows import messages_restore as words
from workflows.guestwork import find_task, follow, must_be_stopped, start_once, task_kind
from workflows.journey import find
from workflows.messages import host
from workflows.phases import Stage
from workflows.restore_look import Wanted, examine
from workflows.restore_plan import Patient, Plan, plan_for
from workflows.steward import Offer, Step, Steward
from workflows.untouchable import untouchable

Send = Callable[[Offer, float], str]
"""send(offer, since): the task that writes; one that an earlier try began since then is found again."""


def _until_written(w: Steward, patient: Patient, step: Step, send: Send) -> None:
    """Until one restore went well. A failed one holds, says where the old disks are, and asks anew after a retry."""
    while True:
        began = w.act(Stage.RESTORE, lambda *_: w.site.clock(), "began")
        task = w.approved(
            step,
            lambda _, offer, since=began: send(offer, since),  # type: ignore[misc]
            partial(_begun, w, patient, began),
        )
        data = w.offered().data
        w.say(Stage.RESTORE, "", partial(_restoring, w, patient, data))
        patient.copy = data.get("new", 0)
        ended = follow(w, Stage.RESTORE, task, "the backup to be written", w.site.managed.limits.restore)
        patient.copying += ended["took"]
        if not ended["error"]:
            return
        patient.failed.append(data["backup"]["volid"])
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
    config = w.site.cluster.rescue.config(find(w, patient.guest))
    volumes = [disk.volid for disk in (*config.unused, *config.disks)]
    old = words.where_old_disks_are(patient.guest, patient.kind, patient.old, volumes)
    return f"{old}; {words.left_bare(patient.guest)}" if patient.is_bare(config) else old


def _offer(patient: Patient, plan: Plan, bound: Mapping[str, str], **more: Any) -> Offer:
    """`bound`: what else the approval is bound to; `more`: what else the deed needs."""
    backup, node, storage = plan.backup, plan.node, plan.space.storage
    terms = {"guest": patient.called, "backup": backup.volid, "node": node, "storage": storage, **bound}
    return Offer(terms, {"backup": asdict(backup), "node": node, "storage": storage, "size": plan.size, **more})


def _no_way(why: str) -> Offer:
    return Offer(no=why, hint="`/restore` again with other words, after `/restore abort`")


def _step(patient: Patient, look: Callable[[], Offer | Waiting], request: Callable[[Offer], str]) -> Step:
    too_late = "the restore had begun before you took it back; `/restore abort` lets it end and stops then"
    return Step(Stage.RESTORE, f"restoring {patient.called}", look, request, too_late)


# ---- over a virtual machine ------------------------------------------------------------------------------------------


def restore_over(w: Steward, wanted: Wanted, patient: Patient) -> None:
    def request(offer: Offer) -> str:
        data, backup = offer.data, Backup(**offer.data["backup"])
        age = w.site.clock() - backup.made_at
        where = data["node"], data["storage"]
        return words.ask_restore(patient.name, patient.guest, backup, age, *where, data["size"])

    step = _step(patient, lambda: over_offer(w, wanted, patient), request)
    _until_written(w, patient, step, partial(send_over, w, patient))


def over_offer(w: Steward, wanted: Wanted, patient: Patient) -> Offer | Waiting:
    """Bound to the guest, the backup, node and storage, and the digest of the configuration that is overwritten."""
    guest = find(w, patient.guest)
    if no := untouchable(guest):
        return no
    if guest.status != "stopped":
        return Offer(no=f"it is {host(guest.status)}, not stopped", hint="stop it")
    case = examine(w.site, guest)
    if case.config.disks:
        slots = ",".join(disk.slot for disk in case.config.disks)
        return Offer(
            no=f"disks are attached to it, which the restore would delete: {slots}",
            hint=f"`qm set {guest.id} --delete {slots}` detaches them",
        )
    plan = plan_for(w, wanted, patient, case)
    if isinstance(plan, str):
        return _no_way(plan)
    return _offer(patient, plan, {"configuration": case.config.digest})


def send_over(w: Steward, patient: Patient, offer: Offer, began: float) -> str:
    """The last question is asked of the world, after people were asked: is it stopped?"""
    data = offer.data

    def send() -> Any:
        must_be_stopped(w, patient.guest)
        volid = data["backup"]["volid"]
        return w.site.cluster.rescue.restore(patient.guest, "qemu", data["node"], volid, data["storage"], over=True)

    return start_once(w, (task_kind("qemu", "restore"),), patient.guest, began, send)


# ---- beside a container ----------------------------------------------------------------------------------------------


def restore_beside(w: Steward, wanted: Wanted, patient: Patient) -> None:
    """Under a new id; the old one stays, stopped, and does not start with its node any more."""

    def request(offer: Offer) -> str:
        data, backup = offer.data, Backup(**offer.data["backup"])
        age = w.site.clock() - backup.made_at
        where = data["node"], data["storage"]
        return words.ask_container(patient.name, patient.guest, data["new"], backup, age, *where)

    step = _step(patient, lambda: beside_offer(w, wanted, patient), request)
    _until_written(w, patient, step, partial(_send_beside, w))
    w.act(Stage.RESTORE, lambda *_: _onboot_off(w, patient.guest), "onboot")
    new, took = patient.copy, patient.copying
    w.say(Stage.RESTORE, "new", lambda: words.container_restored(patient.name, patient.guest, new, took))


def beside_offer(w: Steward, wanted: Wanted, patient: Patient) -> Offer | Waiting:
    guest = find(w, patient.guest)
    if guest.status != "stopped":
        return Offer(no=f"it is {host(guest.status)} on {guest.node}", hint=f"stop it: `pct shutdown {guest.id}`")
    if no := untouchable(guest):
        return no  # its onboot could not be switched off, or HA would start it beside the new one
    plan = plan_for(w, wanted, patient, examine(w.site, guest))
    if isinstance(plan, str):
        return _no_way(plan)
    new = w.site.cluster.rescue.free_id()
    return _offer(patient, plan, {"new id": str(new)}, new=new)


def _send_beside(w: Steward, offer: Offer, _: float) -> str:
    """Under an id that was free a moment ago. What has run under it since people were asked was not ours."""
    data = offer.data
    rescue = w.site.cluster.rescue
    return rescue.restore(data["new"], "lxc", data["node"], data["backup"]["volid"], data["storage"], over=False).upid


def _onboot_off(w: Steward, guest_id: int) -> None:
    guest = find(w, guest_id)
    if w.site.cluster.onboot(guest):
        w.site.cluster.set_onboot(guest, False)
