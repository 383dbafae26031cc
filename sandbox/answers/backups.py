"""What the stand-in does with backups: it makes them, restores from them, and lies as Proxmox VE does (a restore over a
guest deletes its attached disks first). Privileges that the real one checks in its own code are checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.answers.ask import Ask, Row
from sandbox.answers.guests import CONTAINER, VM
from sandbox.model import Denied
from sandbox.model.archives import Wish
from sandbox.model.core import US
from sandbox.pve_contract import PveError


def next_id(ask: Ask) -> int:
    return ask.model.archives.free_id()


def stop_guest(ask: Ask) -> str:
    return ask.model.archives.stop(ask.vm().id, ask.user, US)


def restore_vm(ask: Ask) -> str:
    """Over an existing one VM.Backup on it is enough; a new one wants VM.Allocate."""
    archive = ask.values.get("archive")
    if not archive:
        raise Denied("the sandbox makes no guests but out of backups")
    over = bool(ask.values.get("force"))
    return _restore(ask, "qemu", archive, over and ask.values["vmid"] in ask.model.guests.all)


def restore_container(ask: Ask) -> str:
    if not ask.values.get("restore"):
        raise Denied("the sandbox makes no guests but out of backups")
    return _restore(ask, "lxc", ask.values["ostemplate"], bool(ask.values.get("force")))


def _restore(ask: Ask, kind: str, volid: str, over: bool) -> str:
    guest = ask.values["vmid"]
    ask.need(f"/vms/{guest}", "VM.Backup" if over else "VM.Allocate")
    storage = ask.values.get("storage", "local")
    ask.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    ask.need(f"/storage/{volid.partition(':')[0]}", "Datastore.AllocateSpace")
    return ask.model.archives.restore(Wish(guest, kind, ask.target, volid, storage, over), ask.user)


def make_backup(ask: Ask) -> str:
    guests = str(ask.values.get("vmid", "")).replace(";", ",").split(",")
    if len(guests) != 1 or not guests[0].isdigit():
        raise PveError(400, "Parameter verification failed.", {"vmid": "the sandbox saves one guest at a time"})
    storage = ask.values.get("storage", "local")
    ask.need(f"/vms/{guests[0]}", "VM.Backup")
    ask.need(f"/storage/{storage}", "Datastore.AllocateSpace")
    vm = ask.model.guests.get(int(guests[0]))
    if vm.node != ask.target:
        raise Denied(f"no such VM ('{vm.id}') on this node")
    if "prune-backups" in ask.values:
        ask.need(f"/storage/{storage}", "Datastore.Allocate")
    return ask.model.archives.back_up(
        vm.id,
        storage,
        str(ask.values.get("notes-template", "")),
        ask.user,
        remove=ask.values.get("remove", True),
        protected=ask.values.get("protected", False),
    )


def backup_defaults(ask: Ask) -> Row:
    """What vzdump does where nothing else is said; the retention is the storage's."""
    storage = ask.values.get("storage", "local")
    if not ask.may(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace"):
        raise PveError(403, f"Permission check failed (/storage/{storage}, Datastore.Audit)")
    keeps = ask.model.archives.keeps(storage)
    return {"mode": "snapshot", "remove": 1, "prune-backups": f"keep-last={keeps}" if keeps else "keep-all=1"}


def delete_guest(ask: Ask) -> str:
    return ask.model.archives.delete(ask.vm().id, ask.user, US)


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /cluster/nextid": next_id,
    "GET /nodes/{node}/vzdump/defaults": backup_defaults,
    "POST /nodes/{node}/vzdump": make_backup,
    "POST /nodes/{node}/qemu": restore_vm,
    "POST /nodes/{node}/lxc": restore_container,
    f"DELETE {VM}": delete_guest,
    f"DELETE {CONTAINER}": delete_guest,
    f"POST {VM}/status/stop": stop_guest,
    f"POST {CONTAINER}/status/stop": stop_guest,
}
