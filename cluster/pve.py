"""What Proxmox VE is asked and told: rows of its API as facts, and acts on guests.

Rows of unknown types are passed over (a new resource type must not stop a night); a field that a fact needs and that
is not there is an error, never a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cluster.api import Refused, TaskRef, TaskState, Uncertain
from cluster.facts import Backup, Capacity, Guest, Ha, Member, Membership, Move, StorageRow, TaskRow
from cluster.helper import Votes
from cluster.proxmox import Proxmox, TooOld
from cluster.settings import ClusterSettings

CLOCK_SKEW_S = 5.0  # a node's clock may be behind the bot's
BACKUPS_KEPT = 20  # newest backups of one guest that are looked at

Row = Mapping[str, Any]
Each = Callable[[Callable[[str], Any], Iterable[str]], Iterable[Any]]
"""Like map(), at the same time."""


class Pve:
    """`each` asks about several nodes at the same time. `avoid` in every call: the node that is never the entry."""

    def __init__(self, api: Proxmox, settings: ClusterSettings, each: Each) -> None:
        self._api, self._settings, self._each = api, settings, each

    # ---- reads ---------------------------------------------------------------------------------------------------

    def membership(self, votes: Votes, avoid: str) -> Membership:
        with understanding("/cluster/status"):
            return membership(self._api.get("cluster/status", avoid), votes)

    def guests(self, avoid: str) -> tuple[Guest, ...]:
        with understanding("/cluster/resources"):
            return guests(self._api.get("cluster/resources", avoid, type="vm"))

    def ha(self, avoid: str) -> Ha:
        with understanding("/cluster/ha/status"):
            manager = self._api.get("cluster/ha/status/manager_status", avoid)
            return ha(manager, self._api.get("cluster/ha/status/current", avoid))

    def capacity(self, avoid: str) -> tuple[Capacity, ...]:
        """Nodes that are online; one that is off says nothing of its memory."""
        with understanding("/cluster/resources"):
            rows = self._api.get("cluster/resources", avoid, type="node")
            return tuple(Capacity(row["node"], int(row["maxmem"])) for row in rows if row.get("status") == "online")

    def storages(self, avoid: str) -> tuple[StorageRow, ...]:
        """Every storage on every node of the settings; one silent node leaves all unread."""
        with understanding("/storage"):
            paths = {row["storage"]: row.get("path", "") for row in self._api.get("storage", avoid)}
            answers = self._of_each(list(self._settings.nodes), "storage", avoid)
            return tuple(storage_row(node, row, paths) for node, rows in answers for row in rows)

    def tasks(self, avoid: str) -> tuple[TaskRow, ...]:
        """What runs now, told by every node itself."""
        with understanding("/nodes/NODE/tasks"):
            answers = self._of_each(list(self._settings.nodes), "tasks", avoid, source="active")
            return tuple(task_row(row) for _, rows in answers for row in rows if not row.get("endtime"))

    def backups(self, avoid: str) -> tuple[Backup, ...]:
        """Of the guests that must have one, newest first. Asked for by guest: a storage may hold thousands more."""
        wanted = backed_up(self._settings)
        with understanding("/nodes/NODE/storage/STORAGE/content"):
            found = [
                backup(storage, row)
                for node, storage in (self._backup_storages(avoid) if wanted else ())
                for guest in wanted
                for row in self._api.get(f"nodes/{node}/storage/{storage}/content", avoid, content="backup", vmid=guest)
            ]
        return newest(found, BACKUPS_KEPT)

    def _backup_storages(self, avoid: str) -> Iterator[tuple[str, str]]:
        """(node to ask, storage); a shared one once. One that is not active holds nothing to restore from now."""
        seen: set[str] = set()
        nodes = [node for node in self._settings.nodes if node != avoid] or list(self._settings.nodes)
        for node, rows in self._of_each(nodes, "storage", avoid, content="backup"):
            for row in rows:
                if row.get("active") and row["storage"] not in seen:
                    seen |= {row["storage"]} if row.get("shared") else set()
                    yield node, row["storage"]

    def _of_each(self, nodes: list[str], path: str, avoid: str, **params: Any) -> list[tuple[str, Sequence[Row]]]:
        """What the API says under nodes/NODE/path, all nodes asked at the same time."""

        def ask(node: str) -> Sequence[Row]:
            rows: Sequence[Row] = self._api.get(f"nodes/{node}/{path}", avoid, **params)
            return rows

        return list(zip(nodes, self._each(ask, nodes), strict=True))

    def move_options(self, guest: Guest, avoid: str) -> Move:
        """Whether and where the guest can migrate. A container is not asked about before Proxmox VE 9: there the API
        has no such question."""
        others = [node for node in self._settings.nodes if node != guest.node]
        with understanding(f"{path_of(guest)}/migrate"):
            try:
                answer = self._api.get(f"{path_of(guest)}/migrate", avoid)
            except TooOld:
                answer = {}
            return move(guest, answer, others)

    def permissions(self, entry: str) -> Mapping[str, Mapping[str, int]]:
        """Path -> privileges of the token there, as that entry sees them."""
        granted: Mapping[str, Mapping[str, int]] = self._api.ask(entry, "get", "access/permissions")
        return granted

    def version(self, entry: str) -> str:
        with understanding("/version"):
            return str(self._api.ask(entry, "get", "version")["version"])

    def members(self, entry: str) -> tuple[str, ...]:
        with understanding("/cluster/status"):
            return tuple(row["name"] for row in self._api.ask(entry, "get", "cluster/status") if row["type"] == "node")

    # ---- acts on guests ------------------------------------------------------------------------------------------

    def migrate(self, guest: Guest, target: str, avoid: str) -> TaskRef:
        """A running VM moves live, with its local disks if it has some; a running container is restarted there."""
        params: dict[str, Any] = {"target": target}
        if guest.kind == "lxc" and guest.running:
            params |= {"restart": True, "timeout": int(self._settings.shutdown_timeout)}
        elif guest.running:
            local = self.move_options(guest, avoid).local_disks
            params |= {"online": True, **({"with-local-disks": True} if local else {})}
        return self._started(f"{path_of(guest)}/migrate", avoid, **params)

    def shutdown(self, guest: Guest, timeout_s: int, avoid: str) -> TaskRef:
        return self._started(f"{path_of(guest)}/status/shutdown", avoid, timeout=timeout_s)

    def start(self, guest: Guest, avoid: str) -> TaskRef:
        return self._started(f"{path_of(guest)}/status/start", avoid)

    def onboot(self, guest: Guest, avoid: str) -> bool:
        with understanding(f"{path_of(guest)}/config"):
            return bool(int(self._api.get(f"{path_of(guest)}/config", avoid).get("onboot", 0)))

    def set_onboot(self, guest: Guest, on: bool, avoid: str) -> None:
        self._api.send("put", f"{path_of(guest)}/config", avoid, onboot=on)

    def _started(self, path: str, avoid: str, **params: Any) -> TaskRef:
        return started(self._api, "post", path, avoid, **params)

    # ---- tasks ---------------------------------------------------------------------------------------------------

    def find_task(self, kind: str, guest: int, since: float, avoid: str) -> TaskRef | None:
        """Our own newest one; the token is part of the UPID."""
        with understanding("/cluster/tasks"):
            found = [
                (int(row["starttime"]), row["upid"])
                for row in self._api.get("cluster/tasks", avoid)
                if (row["type"], row["id"]) == (kind, str(guest))
                and row["starttime"] >= since - CLOCK_SKEW_S
                and f":{self._settings.api.token_id}:" in row["upid"]
            ]
        return TaskRef(max(found)[1]) if found else None

    def task(self, ref: TaskRef, avoid: str) -> TaskState:
        with understanding("/nodes/NODE/tasks/UPID/status"):
            return task_state(self._api.get(f"nodes/{ref.upid.split(':')[1]}/tasks/{ref.upid}/status", avoid))


def started(api: Proxmox, method: str, path: str, avoid: str, **params: Any) -> TaskRef:
    """The task that an order has started. An answer without one leaves it uncertain whether anything happened."""
    upid = api.send(method, path, avoid, **params)
    if not isinstance(upid, str) or not upid.startswith("UPID:"):
        raise Uncertain(f"Proxmox VE answered {path} without naming a task")
    return TaskRef(upid)


def backed_up(settings: ClusterSettings) -> tuple[int, ...]:
    """The guests that must have a backup: critical ones, and every member of a guest group."""
    members = [guest for group in settings.groups for guest in group.guests]
    return tuple(sorted({*settings.backups.critical, *members}))


# ---- rows ----------------------------------------------------------------------------------------------------------


def membership(rows: Sequence[Row], votes: Votes) -> Membership:
    found = [row for row in rows if row["type"] == "cluster"]
    if not found:
        raise Refused("this node belongs to no Proxmox VE cluster", "`pvecm status` on it")
    members = [row for row in rows if row["type"] == "node"]
    return Membership(
        cluster=found[0]["name"],
        quorate=_true(found[0]["quorate"]),
        members=tuple(Member(row["name"], _true(row["online"]), votes.nodes[row["name"]]) for row in members),
        quorum=votes.quorum,
        qdevice_votes=votes.qdevice,
        config_version=int(found[0]["version"]),
    )


def guests(rows: Sequence[Row]) -> tuple[Guest, ...]:
    return tuple(_guest(row) for row in rows if row.get("type") in ("qemu", "lxc"))


def _guest(row: Row) -> Guest:
    """A guest on a node that publishes nothing has no memory in its row: unless it runs, it needs none."""
    running = row["status"] == "running"
    return Guest(
        id=int(row["vmid"]),
        name=row.get("name", ""),
        kind=row["type"],
        node=row["node"],
        status=row["status"],
        memory=int(row["maxmem"] if running else row.get("maxmem", 0)),
        ha=row.get("hastate", ""),
        lock=row.get("lock", ""),
        template=_true(row.get("template", 0)),
    )


def ha(manager: Row, current: Sequence[Row]) -> Ha:
    """Maintenance mode counts from the request on. Without `armed-state` (pve-ha-manager before 5.1.3) HA is armed."""
    status, lrm = manager["manager_status"], manager.get("lrm_status", {})
    modes = {node: str(row.get("mode", "")) for node, row in lrm.items()}
    reached = {node for node, state in status.get("node_status", {}).items() if state == "maintenance"}
    wanted = {node for node, request in status.get("node_request", {}).items() if _true(request.get("maintenance", 0))}
    picked_up = {node for node, mode in modes.items() if mode == "maintenance"}
    armed = {row["armed-state"] for row in current if "armed-state" in row}
    return Ha(
        manager=status.get("master_node", ""),
        maintenance=frozenset(reached | wanted | picked_up),
        modes=modes,
        armed=armed.isdisjoint({"disarming", "disarmed"}),
    )


def storage_row(node: str, row: Row, paths: Mapping[str, str]) -> StorageRow:
    return StorageRow(
        node=node,
        storage=row["storage"],
        kind=row["type"],
        enabled=_true(row.get("enabled", 0)),
        active=_true(row.get("active", 0)),
        shared=_true(row.get("shared", 0)),
        path=paths.get(row["storage"], ""),
    )


def task_row(row: Row) -> TaskRow:
    return TaskRow(row["upid"], row["node"], row["type"], row["id"], row["user"], float(row["starttime"]))


def task_state(row: Row) -> TaskState:
    """Only "OK" and "WARNINGS: n" are good ends."""
    if row["status"] == "running":
        return TaskState(running=True)
    ended = str(row.get("exitstatus", "it left no exit status"))
    good = ended == "OK" or re.fullmatch(r"WARNINGS: \d+", ended)
    return TaskState(running=False, error="" if good else ended)


def backup(storage: str, row: Row) -> Backup:
    verified = row.get("verification", {}).get("state")
    return Backup(
        guest=int(row["vmid"]),
        storage=storage,
        made_at=float(row["ctime"]),
        size=int(row["size"]),
        verified=None if verified is None else verified == "ok",
        protected=_true(row.get("protected", 0)),
        volid=row["volid"],
        notes=str(row.get("notes", "")),
    )


def newest(backups: Iterable[Backup], at_most: int) -> tuple[Backup, ...]:
    """Newest first, no more than so many of each guest."""
    kept: dict[int, list[Backup]] = {}
    for found in sorted(backups, key=lambda found: -found.made_at):
        kept.setdefault(found.guest, []).append(found)
    return tuple(found for of_one in kept.values() for found in of_one[:at_most])


def move(guest: Guest, answer: Row, others: Sequence[str]) -> Move:
    """VMs and containers spell the same fields differently. Where PVE lists no allowed nodes (a running VM, up to 8),
    those are meant that it does not forbid. It allows nodes even where a device or a CD binds the guest."""
    plain = {name.replace("-", "_"): value for name, value in answer.items()}
    why_not = {node: _reasons(why) for node, why in plain.get("not_allowed_nodes", {}).items()}
    allowed = plain.get("allowed_nodes", [node for node in others if node not in why_not])
    disks = [disk["volid"] for disk in plain.get("local_disks", ()) if not _is_cd(disk)]
    images = [disk["volid"] for disk in plain.get("local_disks", ()) if _is_cd(disk)]
    if bound := _bound(plain, images) if guest.running else "":
        allowed, why_not = [], {node: "; ".join(filter(None, (bound, why_not.get(node)))) for node in others}
    return Move(
        guest=guest.id,
        allowed=tuple(node for node in allowed if node in others),
        why_not=why_not,
        local_disks=tuple(disks),
        local_devices=(*map(str, plain.get("local_resources", ())), *(f"CD {image}" for image in images)),
    )


def _is_cd(disk: Row) -> bool:
    """A CD image is listed as a disk, but never moves along; a cloud-init drive does, though it is a CD-ROM."""
    return _true(disk.get("cdrom", 0)) and not disk["volid"].endswith("-cloudinit")


def _bound(plain: Row, images: Sequence[str]) -> str:
    """What keeps a running guest where it is, or "". A mapped device does, unless PVE calls it live-migratable."""
    mapped = plain.get("mapped_resource_info", {})
    devices = sorted({*plain.get("local_resources", ()), *plain.get("mapped_resources", ()), *mapped})
    fixed = [name for name in devices if not _true(mapped.get(name, {}).get("live-migration", 0))]
    reasons = [f"uses local devices: {', '.join(fixed)}"] if fixed else []
    return "; ".join([*reasons, "has a CD-ROM on local storage; eject it"] if images else reasons)


def _reasons(why: Row) -> str:
    """{"unavailable_storages": ["local-zfs"]} -> "unavailable storages: local-zfs"."""
    return "; ".join(f"{name.replace('_', ' ').replace('-', ' ')}: {_listed(value)}" for name, value in why.items())


def _listed(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_listed(item) for item in value)
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values())
    return str(value)


def path_of(guest: Guest) -> str:
    return f"nodes/{guest.node}/{guest.kind}/{guest.id}"


def _true(value: Any) -> bool:
    """Perl's booleans: 1, 0, "1", "0", "", or JSON's own."""
    return value not in (0, "0", "", None, False)


@contextmanager
def understanding(path: str) -> Iterator[None]:
    """Rows that do not have what is needed are an error in words, not a stack trace."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Refused(f"Proxmox VE answered {path} in a shape that is not understood ({error!r})") from error
