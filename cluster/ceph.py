"""Ceph, as Proxmox VE's API tells it; a node without it says so with an error, which is an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.api import ClusterError, Refused
from cluster.facts import Ceph, CephPool
from cluster.proxmox import Proxmox
from cluster.pve import Each, understanding
from cluster.settings import ClusterSettings

NOT_HERE = ("binary not installed", "not initialized")
"""In what a node without Ceph answers, with status 500 (proxmox.md section 6); the second before `pveceph init`."""


class CephApi:
    def __init__(self, api: Proxmox, settings: ClusterSettings, each: Each) -> None:
        self._api, self._settings, self._each = api, settings, each
        self._known = ""
        """The node that answered last: it is asked first, and alone if it answers again."""

    def read(self, avoid: str) -> Ceph | None:
        """From a node that has it, the one under the knife last. None: every node says that it has none. A node that
        says nothing may have it, so its silence is raised, unless another one answers."""
        if self._known and self._known != avoid:
            try:
                return self._whole(self._known, self._status(self._known, avoid), avoid)
            except ClusterError:
                self._known = ""  # the others are asked
        nodes = [name for name in self._settings.nodes if name != avoid] or list(self._settings.nodes)
        answers = list(zip(nodes, self._each(lambda node: self._told(node, avoid), nodes), strict=True))
        for node, answer in answers:
            if isinstance(answer, Mapping):
                self._known = node
                return self._whole(node, answer, avoid)
        for _, answer in answers:
            if isinstance(answer, ClusterError):
                raise answer
        return self._alone(avoid) if avoid in self._settings.nodes else None

    def _alone(self, node: str) -> Ceph | None:
        """Of the one node that was not asked: if it has the only Ceph, everything on it goes down with that node."""
        answer = self._told(node, node)
        if isinstance(answer, ClusterError):
            raise answer
        return self._whole(node, answer, node) if answer else None

    def set_flag(self, flag: str, on: bool, avoid: str) -> None:
        """Setting what is set already is harmless."""
        self._api.send("put", f"cluster/ceph/flags/{flag}", avoid, value=on)

    def _whole(self, node: str, status: Mapping[str, Any], avoid: str) -> Ceph:
        with understanding("/nodes/NODE/ceph"):
            pools = self._api.get(f"nodes/{node}/ceph/pool", avoid)
            return ceph(status, self._api.get("cluster/ceph/flags", avoid), pools)

    def _status(self, node: str, avoid: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._api.get(f"nodes/{node}/ceph/status", avoid)
        return answer

    def _told(self, node: str, avoid: str) -> Mapping[str, Any] | ClusterError | None:
        """None: there is no Ceph on this node, by its own word."""
        try:
            return self._status(node, avoid)
        except ClusterError as error:
            return None if _has_none(error) else error


def _has_none(error: ClusterError) -> bool:
    return isinstance(error, Refused) and any(words in str(error) for words in NOT_HERE)


def ceph(status: Mapping[str, Any], flags: Sequence[Mapping[str, Any]], pools: Sequence[Mapping[str, Any]]) -> Ceph:
    """`ceph status` in JSON; up to Nautilus its OSD map lay one level deeper."""
    osds = status["osdmap"].get("osdmap", status["osdmap"])
    names = {monitor["name"] for monitor in status.get("monmap", {}).get("mons", ())}
    quorum = frozenset(status["quorum_names"])
    return Ceph(
        checks={name: _summary(check) for name, check in status["health"].get("checks", {}).items()},
        pgs={row["state_name"]: int(row["count"]) for row in status["pgmap"].get("pgs_by_state", ())},
        osds=int(osds["num_osds"]),
        osds_up=int(osds["num_up_osds"]),
        osds_in=int(osds["num_in_osds"]),
        monitors=frozenset(names or quorum | _unnamed(status, quorum)),
        quorum=quorum,
        flags=frozenset(row["name"] for row in flags if row.get("value") not in (0, "0", None, False)),
        pools=tuple(CephPool(row["pool_name"], int(row["size"]), int(row["min_size"])) for row in pools),
        managed=bool(status["mgrmap"]["available"]),
    )


def _summary(check: Mapping[str, Any]) -> str:
    return str(check.get("summary", {}).get("message", check.get("severity", "")))


def _unnamed(status: Mapping[str, Any], quorum: frozenset[str]) -> set[str]:
    """Newer releases only count the monitors: those that take no part stay without a name."""
    missing = int(status["monmap"]["num_mons"]) - len(quorum)
    return {f"monitor {number} of those without a name" for number in range(1, missing + 1)}
