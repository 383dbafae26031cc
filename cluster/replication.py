"""ZFS replication, as Proxmox VE's API tells it: every job is known to the node that its guest lives on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.facts import ReplicationJob
from cluster.proxmox import Proxmox
from cluster.pve import Each, understanding
from cluster.settings import ClusterSettings


class ReplicationApi:
    def __init__(self, api: Proxmox, settings: ClusterSettings, each: Each) -> None:
        self._api, self._settings, self._each = api, settings, each

    def read(self, avoid: str) -> tuple[ReplicationJob, ...]:
        """Every job that is switched on. How it went is known to the node of its guest alone, so every node is asked if
        there is any job; one silent node leaves all unread."""
        if not self._api.get("cluster/replication", avoid):
            return ()

        def ask(node: str) -> Any:
            return self._api.get(f"nodes/{node}/replication", avoid)

        with understanding("/nodes/NODE/replication"):
            answers = zip(self._settings.nodes, self._each(ask, self._settings.nodes), strict=True)
            return tuple(
                job(row, node) for node, rows in answers for row in rows if row.get("disable", 0) in (0, "0", None)
            )

    def run_now(self, one: ReplicationJob, avoid: str) -> None:
        """Asked for, not done: the scheduler takes it up within a minute. Twice is harmless."""
        self._api.send("post", f"nodes/{one.source}/replication/{one.id}/schedule_now", avoid)


def job(row: Mapping[str, Any], node: str) -> ReplicationJob:
    return ReplicationJob(
        id=row["id"],
        guest=int(row["guest"]),
        source=row.get("source", node),
        target=row["target"],
        fail_count=int(row.get("fail_count", 0)),
        error=" ".join(str(row.get("error") or "").split()),
        last_sync=float(row.get("last_sync", 0)),
        last_try=float(row.get("last_try", 0)),
        running=bool(row.get("pid")),
    )
