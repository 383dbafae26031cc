"""What the stand-in says of the cluster as a whole: members, guests, tasks, permissions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.facts import Guest, StorageRow
from sandbox.answers.ask import Ask, Row
from sandbox.answers.nodes import node_state, uptime
from sandbox.answers.storage import content_of, storages
from sandbox.answers.tasks import sees, task_row
from sandbox.model.machines import Node


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
        rows += [_storage_resource(row) for name in ask.model.machines.all for row in storages(ask, name)]
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
        "status": node_state(node),
        "maxmem": node.spec.memory,
        "hastate": "maintenance" if mode.reached else "online",
        "uptime": uptime(ask, node),
    }


def _storage_resource(row: StorageRow) -> Row:
    return {
        "id": f"storage/{row.node}/{row.storage}",
        "type": "storage",
        "storage": row.storage,
        "node": row.node,
        "status": "available" if row.active else "unknown",
        "shared": int(row.shared),
        "plugintype": row.kind,
        "content": content_of(row),
    }


def cluster_tasks(ask: Ask) -> list[Row]:
    return [task_row(task) for task in ask.model.tasks.all.values() if sees(ask, task)]


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


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /version": version,
    "GET /access/permissions": permissions,
    "GET /cluster/status": cluster_status,
    "GET /cluster/resources": cluster_resources,
    "GET /cluster/tasks": cluster_tasks,
    "GET /cluster/options": cluster_options,
    "GET /cluster/config/qdevice": qdevice,
    "GET /cluster/backup-info/not-backed-up": not_backed_up,
}
