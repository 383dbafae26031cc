"""What the model cluster says to each method of the PVE API, in the shapes of the real one, lies included.

One short function for each method; `ANSWERS` at the end says which belongs to which. Booleans are 1 and 0, as Perl
prints them. What a token may not see is left out, as there; what it may not do has been refused before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.facts import Backup, Guest, Move, StorageRow
from sandbox.lines import Acts, Gone
from sandbox.model import Away, Denied, Model
from sandbox.model.core import SOMEBODY
from sandbox.model.guests import Vm
from sandbox.model.machines import Node
from sandbox.model.tasks import Task
from sandbox.pve_contract import Acl, Method, PveError

GIB = 1 << 30
APT_UPDATE_S = 5.0
SHUTDOWN_S = 180.0
"""PVE's own limit for a guest to shut down, when the request names none."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, judged already. `node`: who was asked; `values`: its typed parameters."""

    model: Model
    now: float
    node: str
    values: Mapping[str, Any]
    acl: Acl
    user: str
    fingerprint: Callable[[str], str]

    @property
    def target(self) -> str:
        """The node that the path names."""
        return str(self.values["node"])

    def may(self, path: str, *privileges: str) -> bool:
        """Has the token one of these there?"""
        return not self.acl.at(path).isdisjoint(privileges)

    def vm(self) -> Vm:
        """The guest of the path, if it lives on the node of the path."""
        vm = self.model.guests.all.get(self.values["vmid"])
        if vm is None or vm.node != self.target:
            raise Denied(f"Configuration file 'nodes/{self.target}/{self.values['vmid']}.conf' does not exist")
        return vm


class Answers:
    """From a judged request to what stands under `data`; the model's errors become PVE's."""

    def __init__(
        self,
        model: Model,
        clock: Callable[[], float],
        line: Acts,
        acl: Acl,
        user: str,
        fingerprint: Callable[[str], str],
    ) -> None:
        self._model, self._clock, self._line = model, clock, line
        self._acl, self._user, self._fingerprint = acl, user, fingerprint

    def answer(self, node: str, method: Method, values: Mapping[str, Any]) -> Any:
        ask = Ask(self._model, self._clock(), node, values, self._acl, self._user, self._fingerprint)
        if not ask.model.api_answers(ask.now, node):
            raise Gone
        give = ANSWERS[f"{method.verb} {method.path}"]
        try:
            return give(ask) if method.verb == "GET" else self._line.do(*_named(method, values), lambda: give(ask))
        except Denied as no:
            raise _denied(no, values) from None
        except Away as away:
            raise _away(away) from None

    def reach(self, target: str) -> None:
        """Raises what a node answers when it cannot forward a request to the target."""
        if target not in self._model.machines.all:
            raise PveError(500, f"hostname lookup '{target}' failed - failed to get address info for: {target}")
        try:
            self._model.need_api(self._clock(), target)
        except Away as away:
            raise _away(away) from None


def _named(method: Method, values: Mapping[str, Any]) -> tuple[str, str]:
    """An act's verb as `cluster.api` has it, and the guest or node that it is about."""
    word = method.path.rsplit("/", 1)[1]
    return "set_onboot" if word == "config" else word, str(values.get("vmid", values["node"]))


def _denied(no: Denied, values: Mapping[str, Any]) -> PveError:
    if no.status != 400:
        return PveError(no.status, str(no))
    wrong = next(name for name in ("target", "upid", "vmid") if name in values)
    return PveError(400, "Parameter verification failed.", {wrong: str(no)})


def _away(away: Away) -> PveError:
    return PveError(away.status, str(away).removeprefix(f"{away.node}: "))


# ---- the cluster -------------------------------------------------------------------------------------------------


def version(_: Ask) -> Row:
    return {"version": "9.2.11", "release": "9.2", "repoid": "14a22df3"}


def cluster_status(ask: Ask) -> list[Row]:
    seen = ask.model.membership(ask.now)
    cluster = {
        "type": "cluster",
        "id": "cluster",
        "name": seen.cluster,
        "version": seen.config_version,
        "nodes": len(seen.members),
        "quorate": int(seen.quorate),
    }
    nodes = [
        {
            "type": "node",
            "id": f"node/{member.node}",
            "name": member.node,
            "nodeid": number,
            "ip": f"10.0.0.{number}",
            "local": int(member.node == ask.node),
            "online": int(member.online),
            "level": "",
        }
        for number, member in enumerate(seen.members, 1)
    ]
    return [cluster, *nodes]


def cluster_resources(ask: Ask) -> list[Row]:
    kind = ask.values.get("type")
    rows: list[Row] = []
    if kind in (None, "vm"):
        rows += [_guest_row(guest) for guest in ask.model.listing(ask.now) if ask.may(f"/vms/{guest.id}", "VM.Audit")]
    if kind in (None, "node"):
        rows += [_node_row(ask, node) for node in ask.model.machines.all.values()]
    if kind in (None, "storage"):
        rows += [_storage_resource(row) for name in ask.model.machines.all for row in _storages(ask, name)]
    return rows


def _guest_row(guest: Guest) -> Row:
    row = {
        "id": f"{guest.kind}/{guest.id}",
        "type": guest.kind,
        "vmid": guest.id,
        "name": guest.name,
        "node": guest.node,
        "status": guest.status,
        "template": int(guest.template),
        "maxmem": guest.memory,
        "mem": guest.memory // 2 if guest.running else 0,
        "maxcpu": 2,
        "cpu": 0.02 if guest.running else 0,
    }
    return row | ({"hastate": guest.ha} if guest.ha else {}) | ({"lock": guest.lock} if guest.lock else {})


def _node_row(ask: Ask, node: Node) -> Row:
    """Fed by pvestatd: a member that publishes nothing reads "unknown"."""
    mode = ask.model.ha_manager.modes[node.name]
    return {
        "id": f"node/{node.name}",
        "type": "node",
        "node": node.name,
        "status": _node_state(node),
        "maxmem": node.spec.memory,
        "hastate": "maintenance" if mode.reached else "online",
        "uptime": _uptime(ask, node),
    }


def _node_state(node: Node) -> str:
    if not node.online:
        return "offline"
    return "online" if node.api else "unknown"


def _uptime(ask: Ask, node: Node) -> int:
    return int(ask.now - node.booted_at) if node.lit else 0


def _storage_resource(row: StorageRow) -> Row:
    return {
        "id": f"storage/{row.node}/{row.storage}",
        "type": "storage",
        "storage": row.storage,
        "node": row.node,
        "status": "available" if row.active else "unknown",
        "shared": int(row.shared),
        "plugintype": row.kind,
        "content": _content(row),
    }


def cluster_tasks(ask: Ask) -> list[Row]:
    return [_task_row(task) for task in ask.model.tasks.all.values() if _sees(ask, task)]


def cluster_options(_: Ask) -> Row:
    return {"keyboard": "en-us", "allowed-tags": []}


def qdevice(ask: Ask) -> Row:
    votes = ask.model.spec.qdevice_votes
    return {"Algorithm": "Fifty-Fifty split", "Model": "Net", "State": "Connected"} if votes else {}


def not_backed_up(ask: Ask) -> list[Row]:
    safe = {backup.guest for backup in ask.model.backups(ask.now)}
    guests = [guest for guest in ask.model.listing(ask.now) if guest.id not in safe]
    return [{"vmid": guest.id, "name": guest.name, "type": guest.kind} for guest in guests]


def permissions(ask: Ask) -> Row:
    """All paths that PVE always lists, and those with an entry of their own."""
    paths = {"/", "/access", "/nodes", "/vms", "/storage", "/pool", "/sdn", *ask.acl.entries}
    return {path: dict.fromkeys(sorted(ask.acl.at(path)), 1) for path in sorted(paths)}


# ---- high availability -------------------------------------------------------------------------------------------


def ha_current(ask: Ask) -> list[Row]:
    ha, now = ask.model.ha(ask.now), int(ask.now)
    quorate = ask.model.membership(ask.now).quorate
    armed = "armed" if ha.armed else "disarmed"
    return [
        {
            "id": "quorum",
            "type": "quorum",
            "node": ask.node,
            "quorate": int(quorate),
            "status": "OK" if quorate else "",
        },
        {"id": "master", "type": "master", "node": ha.manager, "status": f"{ha.manager} (active)", "timestamp": now},
        {"id": "fencing", "type": "fencing", "node": ha.manager, "status": armed, "armed-state": armed},
        *(_lrm_row(name, mode, now) for name, mode in ha.modes.items()),
        *(_service_row(vm) for vm in ask.model.guests.all.values() if vm.ha),
    ]


def _lrm_row(name: str, mode: str, now: int) -> Row:
    word = "maintenance mode" if mode == "maintenance" else mode
    return {"id": f"lrm:{name}", "type": "lrm", "node": name, "status": f"{name} ({word})", "timestamp": now}


def _service_row(vm: Vm) -> Row:
    return {
        "id": f"service:{_sid(vm)}",
        "type": "service",
        "sid": _sid(vm),
        "node": vm.node,
        "state": vm.ha,
        "crm_state": vm.ha,
        "request_state": "started" if vm.ha == "started" else vm.ha,
        "status": f"{vm.node} ({vm.ha})",
    }


def _sid(vm: Vm) -> str:
    return f"{'ct' if vm.spec.kind == 'lxc' else 'vm'}:{vm.id}"


def manager_status(ask: Ask) -> Row:
    """`node_status` keeps its last word for a node that is off; `quorate` is a string, "1" or ""."""
    ha, modes = ask.model.ha(ask.now), ask.model.ha_manager.modes
    states = {n: "maintenance" if mode.reached else "online" for n, mode in modes.items()}
    services = {_sid(vm): {"node": vm.node, "state": vm.ha} for vm in ask.model.guests.all.values() if vm.ha}
    return {
        "manager_status": {
            "master_node": ha.manager,
            "timestamp": int(ask.now),
            "node_status": states,
            "node_request": {n: {"maintenance": 1} if n in ha.maintenance else {} for n in modes},
            "service_status": services,
        },
        "lrm_status": {n: {"mode": mode, "state": "active", "timestamp": int(ask.now)} for n, mode in ha.modes.items()},
        "quorum": {"node": ask.node, "quorate": "1" if ask.model.membership(ask.now).quorate else ""},
    }


def ha_resources(ask: Ask) -> list[Row]:
    return [{"sid": _sid(vm), "type": _sid(vm)[:2]} for vm in ask.model.guests.all.values() if vm.ha]


def no_rows(_: Ask) -> list[Row]:
    return []


# ---- nodes -------------------------------------------------------------------------------------------------------


def nodes(ask: Ask) -> list[Row]:
    return [
        {
            "node": node.name,
            "status": _node_state(node),
            "maxmem": node.spec.memory,
            "uptime": _uptime(ask, node),
            "ssl_fingerprint": ask.fingerprint(node.name),
        }
        for node in ask.model.machines.all.values()
    ]


def node_status(ask: Ask) -> Row:
    node = ask.model.node(ask.target)
    memory = node.spec.memory
    return {
        "uptime": _uptime(ask, node),
        "cpu": 0.05,
        "wait": 0,
        "loadavg": ["0.10", "0.12", "0.09"],
        "pveversion": "pve-manager/9.2.11/14a22df3",
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpuinfo": {"cores": 8, "cpus": 16, "model": "a model of a processor", "sockets": 1},
        "current-kernel": {"machine": "x86_64", "release": node.kernel, "sysname": "Linux", "version": "#1 SMP"},
        "memory": {"total": memory, "used": memory // 4, "free": memory // 2, "available": memory * 3 // 4},
        "rootfs": {"total": 100 * GIB, "used": 10 * GIB, "free": 90 * GIB, "avail": 90 * GIB},
    }


def node_command(ask: Ask) -> None:
    """Reboot, unguarded; the bot's token may not."""
    if ask.values["command"] != "reboot":
        raise Denied("the nodes of the sandbox reboot, they do not shut down")
    boot_id = ask.model.node(ask.target).boot_id
    ask.model.reboot(ask.now, ask.target, boot_id, 0.0, guard=False, by=SOMEBODY)


def apt_pending(ask: Ask) -> list[Row]:
    plan = ask.model.packages.plan(ask.target)
    return [_package(p.name, p.new) | {"OldVersion": p.old} for p in plan.upgrades]


def apt_refresh(ask: Ask) -> str:
    return ask.model.tasks.start("aptupdate", ask.target, "", ask.user, APT_UPDATE_S)


def apt_versions(ask: Ask) -> list[Row]:
    node = ask.model.node(ask.target)
    kernels = [_installed(f"proxmox-kernel-{kernel}-signed", kernel.removesuffix("-pve")) for kernel in node.kernels]
    return [_installed("proxmox-ve", "9.2.0") | {"RunningKernel": node.kernel}, *kernels]


def _installed(name: str, version: str) -> Row:
    return _package(name, version) | {"CurrentState": "Installed", "OldVersion": version}


def _package(name: str, version: str) -> Row:
    return {
        "Package": name,
        "Version": version,
        "Title": name,
        "Description": name,
        "Arch": "amd64",
        "Origin": "Proxmox",
        "Priority": "optional",
        "Section": "admin",
    }


def node_storages(ask: Ask) -> list[Row]:
    return [
        {
            "storage": row.storage,
            "type": row.kind,
            "content": _content(row),
            "active": int(row.active),
            "enabled": int(row.enabled),
            "shared": int(row.shared),
            "total": 1000 * GIB if row.active else 0,
            "used": 400 * GIB if row.active else 0,
            "avail": 600 * GIB if row.active else 0,
        }
        for row in _storages(ask, ask.target)
        if ask.values.get("content") in (None, *_content(row).split(","))
    ]


def storage_config(ask: Ask) -> list[Row]:
    """storage.cfg is one for the cluster: what any node says of itself will do."""
    return [
        {"storage": row.storage, "type": row.kind, "content": _content(row), "shared": int(row.shared)}
        | ({"path": row.path} if row.path else {})
        for row in _storages(ask, ask.node)
    ]


def _storages(ask: Ask, node: str) -> Sequence[StorageRow]:
    rows = ask.model.storages(ask.now, node)
    return [row for row in rows if ask.may(f"/storage/{row.storage}", "Datastore.Audit", "Datastore.AllocateSpace")]


def _content(row: StorageRow) -> str:
    return "backup" if row.kind == "pbs" else "images,rootdir"


def storage_content(ask: Ask) -> list[Row]:
    rows = {row.storage: row for row in ask.model.storages(ask.now, ask.target)}
    storage, vmid = ask.values["storage"], ask.values.get("vmid")
    if storage not in rows:
        raise Denied(f"storage '{storage}' does not exist")
    if not rows[storage].active:
        raise Denied(f"storage '{storage}' is not online")
    kept = [b for b in ask.model.backups(ask.now) if b.storage == storage and vmid in (None, b.guest)]
    shown = [backup for backup in kept if _shown(ask, backup)]
    return [_backup(backup) for backup in shown] if ask.values.get("content") in (None, "backup") else []


def _shown(ask: Ask, backup: Backup) -> bool:
    """PVE's own rule (check_volume_access): `vmid` narrows the list, but shows nothing more. Auditing is not enough."""
    path = f"/storage/{backup.storage}"
    owns = ask.may(path, "Datastore.AllocateSpace") and ask.may(f"/vms/{backup.guest}", "VM.Backup")
    return owns or ask.may(path, "Datastore.Allocate")


def _backup(backup: Backup) -> Row:
    row = {
        "volid": backup.volid,
        "vmid": backup.guest,
        "content": "backup",
        "format": "pbs-vm",
        "ctime": int(backup.made_at),
        "size": backup.size,
        "protected": int(backup.protected),
    }
    if backup.verified is None:
        return row
    return row | {"verification": {"state": "ok" if backup.verified else "failed", "upid": ""}}


# ---- tasks -------------------------------------------------------------------------------------------------------


def node_tasks(ask: Ask) -> list[Row]:
    """Newest first. `source`: running ones ("active"), ended ones ("archive", the default), or all."""
    want, source = ask.values, ask.values.get("source", "archive")
    found = [
        task
        for task in reversed(ask.model.tasks.all.values())
        if task.node == ask.target
        and _sees(ask, task)
        and (source == "all" or task.running == (source == "active"))
        and want.get("typefilter", task.kind) == task.kind
        and str(want.get("vmid", task.guest)) == task.guest
        and int(want.get("since", 0)) <= int(task.started) <= int(want.get("until", task.started))
        and want.get("userfilter", "") in task.user
        and not (want.get("errors") and task.exit in ("", "OK"))
    ]
    first = int(want.get("start", 0))
    return [_task_row(task) for task in found[first : first + int(want.get("limit", 50))]]


def _sees(ask: Ask, task: Task) -> bool:
    """One's own tasks; those of others with Sys.Audit on the node."""
    return task.user == ask.user or ask.may(f"/nodes/{task.node}", "Sys.Audit")


def _task_row(task: Task) -> Row:
    row = _task_head(task)
    return row if task.ended is None else row | {"endtime": int(task.ended), "status": task.exit}


def _task_head(task: Task) -> Row:
    """A token's name is taken apart: its user, and which of his tokens."""
    _, _, pid, pstart, *_ = task.upid.split(":")
    user, _, token = task.user.partition("!")
    head = {
        "upid": task.upid,
        "node": task.node,
        "pid": int(pid, 16),
        "pstart": int(pstart, 16),
        "starttime": int(task.started),
        "type": task.kind,
        "id": task.guest,
        "user": user,
    }
    return head | ({"tokenid": token} if token else {})


def task_status(ask: Ask) -> Row:
    task = _seen_task(ask)
    if task.running:
        return _task_head(task) | {"status": "running"}
    return _task_head(task) | {"status": "stopped", "exitstatus": task.exit}


def task_log(ask: Ask) -> list[Row]:
    task = _seen_task(ask)
    lines = [f"starting {task.kind} {task.guest}".rstrip()]
    if task.kind == "migrateall" and not task.running:
        lines.append("All jobs finished")
    if not task.running:
        lines.append("TASK OK" if task.exit == "OK" else f"TASK ERROR: {task.exit}")
    first = int(ask.values.get("start", 0))
    return [{"n": n, "t": text} for n, text in enumerate(lines, 1)][first : first + int(ask.values.get("limit", 50))]


def _seen_task(ask: Ask) -> Task:
    task = ask.model.task(ask.now, ask.values["upid"])
    if not _sees(ask, task):
        raise PveError(403, f"Permission check failed (/nodes/{task.node}, Sys.Audit)")
    return task


# ---- guests ------------------------------------------------------------------------------------------------------


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
    """A guest that does not start with its node has no `onboot` at all."""
    vm = ask.vm()
    mib = vm.spec.memory // (1 << 20)
    row: Row = {"name": vm.spec.name, "memory": str(mib), "digest": f"{vm.id:040x}"}
    if vm.spec.kind == "lxc":
        row = {"hostname": vm.spec.name, "memory": mib, "digest": f"{vm.id:040x}"}
    return row | ({"onboot": 1} if vm.onboot else {})


def set_guest_config(ask: Ask) -> None:
    vm = ask.vm()
    wanted = {name for name in ask.values if name not in ("node", "vmid", "digest")}
    if wanted == {"onboot"}:
        ask.model.set_onboot(ask.now, vm.id, bool(ask.values["onboot"]))
    elif wanted == {"delete"} and ask.values["delete"] == "onboot":
        ask.model.set_onboot(ask.now, vm.id, False)
    else:
        raise Denied(f"of a guest's settings the sandbox has onboot only, not {', '.join(sorted(wanted))}")


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
    if not ask.vm().healthy:
        raise Denied("QEMU guest agent is not running")
    return {"result": {}}


VM, CONTAINER = "/nodes/{node}/qemu/{vmid}", "/nodes/{node}/lxc/{vmid}"

ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /version": version,
    "GET /access/permissions": permissions,
    "GET /cluster/status": cluster_status,
    "GET /cluster/resources": cluster_resources,
    "GET /cluster/tasks": cluster_tasks,
    "GET /cluster/options": cluster_options,
    "GET /cluster/config/qdevice": qdevice,
    "GET /cluster/backup-info/not-backed-up": not_backed_up,
    "GET /cluster/ha/status/current": ha_current,
    "GET /cluster/ha/status/manager_status": manager_status,
    "GET /cluster/ha/resources": ha_resources,
    "GET /cluster/ha/rules": no_rows,
    "GET /nodes": nodes,
    "GET /nodes/{node}/status": node_status,
    "POST /nodes/{node}/status": node_command,
    "GET /nodes/{node}/apt/update": apt_pending,
    "POST /nodes/{node}/apt/update": apt_refresh,
    "GET /nodes/{node}/apt/versions": apt_versions,
    "GET /nodes/{node}/storage": node_storages,
    "GET /nodes/{node}/storage/{storage}/content": storage_content,
    "GET /storage": storage_config,
    "GET /nodes/{node}/tasks": node_tasks,
    "GET /nodes/{node}/tasks/{upid}/status": task_status,
    "GET /nodes/{node}/tasks/{upid}/log": task_log,
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
"""Every method of the vendored contract has its answer here, and only those."""
