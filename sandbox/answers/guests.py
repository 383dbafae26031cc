"""What the stand-in says of one guest, and what it does with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cluster.facts import Move
from cluster.rescue import NETWORK, UNUSED
from sandbox.answers.ask import GIB, Ask, Row
from sandbox.model import Denied
from sandbox.model.guests import Vm
from sandbox.rescue import config_row

SHUTDOWN_S = 180.0
"""PVE's own limit for a guest to shut down, when the request names none."""

VM, CONTAINER = "/nodes/{node}/qemu/{vmid}", "/nodes/{node}/lxc/{vmid}"


def guest_current(ask: Ask) -> Row:
    vm = ask.vm()
    row: Row = {
        "vmid": vm.id,
        "name": vm.spec.name,
        "status": vm.status,
        "maxmem": vm.spec.memory,
        "ha": {"managed": 1, "state": vm.ha} if vm.ha else {"managed": 0},
    }
    if vm.spec.kind == "qemu":
        row["qmpstatus"] = vm.qmp
    lock = ask.model.guests.lock(vm)
    return row | ({"lock": lock} if lock else {})


def guest_config(ask: Ask) -> Row:
    return dict(config_row(ask.model, ask.vm()))


def set_guest_config(ask: Ask) -> None:
    """Onboot; and of disks and network devices only that they are taken away: a disk stays as an unused one."""
    vm = ask.vm()
    wanted = {name for name in ask.values if name not in ("node", "vmid", "digest")}
    gone = re.split("[,; ]", str(ask.values.get("delete", "")))
    if wanted == {"onboot"}:
        ask.model.set_onboot(ask.now, vm.id, bool(ask.values["onboot"]))
    elif wanted == {"delete"} and gone == ["onboot"]:
        ask.model.set_onboot(ask.now, vm.id, False)
    elif wanted == {"delete"} and all(NETWORK.fullmatch(name) for name in gone):
        ask.need(f"/vms/{vm.id}", "VM.Config.Network")
        ask.model.archives.unplug(vm.id, gone)
    elif wanted == {"delete"} and all(UNUSED.fullmatch(name) for name in gone):
        ask.need(f"/vms/{vm.id}", "VM.Config.Disk")
        ask.model.archives.forget(vm.id, gone, str(ask.values.get("digest", "")))
    elif wanted == {"delete"}:
        ask.need(f"/vms/{vm.id}", "VM.Config.Disk")
        ask.model.archives.detach(vm.id, gone, str(ask.values.get("digest", "")))
    else:
        raise Denied(f"the sandbox cannot set {', '.join(sorted(wanted))} of a guest")


def vm_move(ask: Ask) -> Row:
    move = ask.model.move(ask.now, ask.vm().id)
    return {
        "running": int(ask.vm().running),
        "allowed_nodes": list(move.allowed),
        "not_allowed_nodes": _barred(move),
        "local_disks": [{"volid": disk, "size": GIB, "cdrom": 0, "is_unused": 0} for disk in move.local_disks],
        "local_resources": list(move.local_devices),
        "has-dbus-vmstate": 0,
        "mapped-resources": [],
        "mapped-resource-info": {},
    }


def container_move(ask: Ask) -> Row:
    """The same question, with dashes in place of underscores."""
    move = ask.model.move(ask.now, ask.vm().id)
    return {
        "running": int(ask.vm().running),
        "allowed-nodes": list(move.allowed),
        "not-allowed-nodes": _barred(move),
    }


def _barred(move: Move) -> Row:
    return {node: {"unavailable-resources": [why]} for node, why in move.why_not.items()}


def migrate_vm(ask: Ask) -> str:
    vm = ask.vm()
    if vm.running and not ask.values.get("online") and not vm.ha:
        raise Denied("can't migrate running VM without --online")
    return ask.model.migrate(ask.now, vm.id, ask.values["target"], ask.user)


def migrate_container(ask: Ask) -> str:
    vm = ask.vm()
    if vm.running and not ask.values.get("restart") and not vm.ha:
        raise Denied("can't migrate running container without --online or --restart")
    return ask.model.migrate(ask.now, vm.id, ask.values["target"], ask.user)


def migrate_all(ask: Ask) -> str:
    """Ends in OK whatever becomes of the guests: never believe it (proxmox.md §1.2)."""
    if not (ask.values.get("max-workers") or ask.values.get("maxworkers")):
        raise Denied("either 'max-workers' parameter or max_workers in datacenter.cfg must be set!")
    guests = [vm for vm in ask.model.guests.on(ask.target) if vm.running]
    for vm in guests:
        _try_to_move(ask, vm)
    timings = ask.model.spec.timings
    lasts = max((timings.migrate + timings.migrate_gib * vm.spec.memory / GIB for vm in guests), default=1.0)
    return ask.model.tasks.start("migrateall", ask.target, "", ask.user, lasts)


def _try_to_move(ask: Ask, vm: Vm) -> None:
    try:
        ask.model.migrate(ask.now, vm.id, ask.values["target"], ask.user)
    except Denied:
        return  # as there: the child's failure is in nobody's log but its own


def shutdown_guest(ask: Ask) -> str:
    return ask.model.shutdown(ask.now, ask.vm().id, float(ask.values.get("timeout", SHUTDOWN_S)), ask.user)


def start_guest(ask: Ask) -> str:
    return ask.model.start(ask.now, ask.vm().id, ask.user)


def agent_ping(ask: Ask) -> Row:
    vm = ask.vm()
    if not vm.spec.agent:
        raise Denied("No QEMU guest agent configured")
    if not ask.model.serving(ask.now, vm.id).serves:
        raise Denied("QEMU guest agent is not running")
    return {"result": {}}


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "POST /nodes/{node}/migrateall": migrate_all,
    f"GET {VM}/status/current": guest_current,
    f"GET {VM}/config": guest_config,
    f"PUT {VM}/config": set_guest_config,
    f"GET {VM}/migrate": vm_move,
    f"POST {VM}/migrate": migrate_vm,
    f"POST {VM}/status/shutdown": shutdown_guest,
    f"POST {VM}/status/start": start_guest,
    f"POST {VM}/agent/ping": agent_ping,
    f"GET {CONTAINER}/status/current": guest_current,
    f"GET {CONTAINER}/config": guest_config,
    f"PUT {CONTAINER}/config": set_guest_config,
    f"GET {CONTAINER}/migrate": container_move,
    f"POST {CONTAINER}/migrate": migrate_container,
    f"POST {CONTAINER}/status/shutdown": shutdown_guest,
    f"POST {CONTAINER}/status/start": start_guest,
}
