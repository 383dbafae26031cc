"""What the stand-in says of storages, and of the backups on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.facts import Backup, StorageRow
from sandbox.answers.ask import GIB, Ask, Row
from sandbox.model import Denied
from sandbox.rescue import content_of as held_by


def node_storages(ask: Ask) -> list[Row]:
    return [
        {
            "storage": row.storage,
            "type": row.kind,
            "content": content_of(row),
            "active": int(row.active),
            "enabled": int(row.enabled),
            "shared": int(row.shared),
            "total": 1000 * GIB if row.active else 0,
            "used": 400 * GIB if row.active else 0,
            "avail": ask.model.archives.room(row.storage) if row.active else 0,
        }
        for row in storages(ask, ask.target)
        if ask.values.get("content") in (None, *content_of(row).split(","))
    ]


def storage_config(ask: Ask) -> list[Row]:
    """storage.cfg is one for the cluster: what any node says of itself will do."""
    return [
        {"storage": row.storage, "type": row.kind, "content": content_of(row), "shared": int(row.shared)}
        | ({"path": row.path} if row.path else {})
        for row in storages(ask, ask.node)
    ]


def storages(ask: Ask, node: str) -> Sequence[StorageRow]:
    rows = ask.model.storages(ask.now, node)
    return [row for row in rows if ask.may(f"/storage/{row.storage}", "Datastore.Audit", "Datastore.AllocateSpace")]


def content_of(row: StorageRow) -> str:
    return ",".join(held_by(row.kind))


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
        "format": _format(backup),
        "ctime": int(backup.made_at),
        "size": backup.size,
        "protected": int(backup.protected),
    } | ({"notes": backup.notes} if backup.notes else {})
    if backup.verified is None:
        return row
    return row | {"verification": {"state": "ok" if backup.verified else "failed", "upid": ""}}


def _format(backup: Backup) -> str:
    """As PVE calls it: by the ending of a vzdump file, or by what a backup server keeps."""
    name = backup.volid.partition(":")[2]
    if "vzdump-" in name:
        return "tar.zst" if "-lxc-" in name else "vma.zst"
    return "pbs-ct" if "/ct/" in name else "pbs-vm"


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /nodes/{node}/storage": node_storages,
    "GET /nodes/{node}/storage/{storage}/content": storage_content,
    "GET /storage": storage_config,
}
