"""The HA manager's rules (Proxmox VE 9), as its API tells them, and what it was asked to make of a guest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cluster.facts import Guest, HaRule
from cluster.proxmox import Proxmox, TooOld
from cluster.pve import understanding


class HaApi:
    def __init__(self, api: Proxmox) -> None:
        self._api = api

    def rules(self, avoid: str) -> tuple[HaRule, ...]:
        """Those that are switched on. Before Proxmox VE 9 there are none: its groups keep nothing apart."""
        try:
            rows = self._api.get("cluster/ha/rules", avoid)
        except TooOld:
            return ()
        with understanding("/cluster/ha/rules"):
            return tuple(rule(row) for row in rows if row.get("disable", 0) in (0, "0", None))

    def request(self, guest: Guest, avoid: str) -> str:
        """The state that HA was asked for: started, stopped ...; "" for a guest that is not under HA."""
        with understanding("/cluster/ha/status/current"):
            rows: Iterable[Mapping[str, Any]] = self._api.get("cluster/ha/status/current", avoid)
            found = [row for row in rows if row["type"] == "service" and row.get("sid") == guest.sid]
            return str(found[0]["request_state"]) if found else ""


def rule(row: Mapping[str, Any]) -> HaRule:
    """A rule of a kind that is not known binds nothing. A node may carry a priority: "pve1:2"."""
    return HaRule(
        name=row["rule"],
        kind=str(row.get("type", "")),
        resources=frozenset(_words(row.get("resources", ""))),
        apart=row.get("type") == "resource-affinity" and row.get("affinity") == "negative",
        nodes=frozenset(word.partition(":")[0] for word in _words(row.get("nodes", ""))),
        strict=row.get("strict", 0) not in (0, "0", "", None, False),
    )


def _words(listed: str) -> list[str]:
    return listed.replace(",", " ").replace(";", " ").split()
