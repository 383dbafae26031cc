"""A cluster of the sandbox, as the tests of this room look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cluster.facts import Guest
from sandbox.clock import VirtualClock
from sandbox.direct import SimCluster
from sandbox.model import Event, Model, What
from sandbox.spec import ClusterSpec, Timings, managed_settings

EVENING = 1_772_488_800.0


class Evening:
    """One cluster from the start of the evening on, driven over its direct face."""

    def __init__(self, spec: ClusterSpec, *faults: Mapping[str, Any], seed: int = 1, **more: Any) -> None:
        self.clock = VirtualClock(EVENING)
        self.model = Model(spec, seed, EVENING, faults)
        self.cluster = SimCluster(self.model, managed_settings(spec), self.clock, **more)

    def later(self, seconds: float) -> None:
        """Time passes; nobody does anything."""
        self.clock.sleep(seconds)
        self.model.advance(self.clock.now)

    def reboot(self, node: str) -> None:
        """As the bot does it: for this boot, and not later than in ten seconds."""
        status = self.cluster.node_status(node)
        self.cluster.reboot(node, status.boot_id, status.uptime + 10.0)

    def upgrade(self, node: str, unit: str = "run.upgrade") -> None:
        plan = self.model.plan(self.clock.now, node)
        self.cluster.upgrade(node, unit, plan.checksum, self.cluster.node_status(node).uptime + 10.0)

    def guest(self, guest: int) -> Guest:
        return next(row for row in self.cluster.guests() if row.id == guest)

    def online(self, node: str) -> bool:
        return next(m.online for m in self.model.membership(self.clock.now).members if m.node == node)

    def pending(self, avoid: str = "") -> int:
        """Entries to go, as anybody but `avoid` tells; of the brick that lists most."""
        return max(count or 0 for count in self.cluster.heal_progress(avoid).pending.values())

    def happened(self, what: What, about: str | int = "") -> list[Event]:
        return [e for e in self.model.events if e.what is what and about in ("", e.node, e.guest)]


def with_timings(spec: ClusterSpec, **timings: float) -> ClusterSpec:
    return replace(spec, timings=replace(Timings(), **timings))


def with_one_path(spec: ClusterSpec) -> ClusterSpec:
    """Nothing is tried again over another path: a line that breaks leaves it unclear what became of the order."""
    return replace(spec, settings={**spec.settings, "paths": [{"name": "direct"}], "paths_required": 1})
