"""A small Ceph on the same nodes: OSDs that go down with them, placement groups that recover, flags of the OSD map."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cluster.facts import Ceph, CephPool
from sandbox.faults import Kind
from sandbox.model.core import Core, Denied, What
from sandbox.model.machines import Machines, Node
from sandbox.model.trouble import Trouble

NOT_HERE = "binary not installed: /usr/bin/ceph-mon"
POOL = "guests"
OSD_START = 15.0
"""Seconds from boot to OSDs that are up."""


@dataclass(slots=True)
class Host:
    """A node's OSDs. `recovers_at`: when its copies are whole again; None while they are whole, or away."""

    up: bool = True
    counts: bool = True
    recovers_at: float | None = None
    turn: int = 0


class CephState:
    """`by`: flag -> who set it."""

    def __init__(self, core: Core, trouble: Trouble, machines: Machines) -> None:
        self.core, self.trouble, self.machines = core, trouble, machines
        spec = core.spec.ceph
        names = (spec.nodes or tuple(machines.all)) if spec else ()
        self.hosts = {name: Host() for name in names}
        self.by: dict[str, str] = {}

    # what can be seen -------------------------------------------------------------------------------------------
    def status(self, asked: str) -> Ceph:
        """`ceph status`, as the API of that node tells it."""
        if asked not in self.hosts:
            raise Denied(NOT_HERE)
        spec = self.core.spec.ceph
        assert spec is not None
        up, counted = sum(h.up for h in self.hosts.values()), sum(h.counts for h in self.hosts.values())
        monitors = frozenset(self.hosts)
        quorum = frozenset(name for name in monitors if self.machines.all[name].lit)
        return Ceph(
            checks=self._checks(),
            pgs=self._pgs(spec.pgs),
            osds=len(self.hosts) * spec.osds,
            osds_up=up * spec.osds,
            osds_in=counted * spec.osds,
            monitors=monitors,
            quorum=quorum,
            flags=frozenset(self.by),
            pools=(CephPool(POOL, len(self.hosts), spec.min_size),),
            managed=bool(quorum),
        )

    def counts(self) -> tuple[int, ...]:
        """What changes by itself between two changes of the model's version."""
        return tuple(self._pgs(self.core.spec.ceph.pgs).values()) if self.core.spec.ceph and not self.clean else ()

    @property
    def clean(self) -> bool:
        return all(host.up and host.recovers_at is None for host in self.hosts.values())

    # what happens -----------------------------------------------------------------------------------------------
    def flag(self, name: str, on: bool, by: str) -> None:
        if on == (name in self.by):
            return
        if on:
            self.by[name] = by
        else:
            del self.by[name]
        self.core.note(What.CEPH_FLAG, by=by, text=f"{name} {'on' if on else 'off'}")

    def node_dark(self, node: Node) -> None:
        host = self.hosts.get(node.name)
        if host:
            host.up, host.recovers_at, host.turn = False, None, host.turn + 1
            turn = host.turn
            self.core.later(self.core.timings.osd_out, lambda: self._out(host, turn))
            self.core.version += 1

    def node_booted(self, node: Node) -> None:
        host = self.hosts.get(node.name)
        if host:
            turn = host.turn
            self.core.later(OSD_START, lambda: self._back(host, turn))

    def reconsider(self) -> None:
        """Recovery began to stand still, or goes on: whoever recovers now takes its whole time from here."""
        for host in self.hosts.values():
            if host.up and host.recovers_at is not None:
                self._recover(host)
        self.core.version += 1

    # how --------------------------------------------------------------------------------------------------------
    def _pgs(self, total: int) -> dict[str, int]:
        if any(not host.up for host in self.hosts.values()):
            return {"active+undersized+degraded": total}
        left = [self._left(host) for host in self.hosts.values() if host.recovers_at is not None]
        sick = math.ceil(total * max(left, default=0.0))
        found = {"active+clean": total - sick, "active+recovering+degraded": sick}
        return {state: count for state, count in found.items() if count}

    def _left(self, host: Host) -> float:
        """The part of its recovery that is still to do, 0..1; at least a little until its very end."""
        left = ((host.recovers_at or 0.0) - self.core.now) / self.core.timings.recover
        return min(max(left, 0.01), 1.0)

    def _checks(self) -> dict[str, str]:
        checks: dict[str, str] = {}
        if down := [name for name, host in self.hosts.items() if not host.up]:
            checks["OSD_DOWN"] = f"{len(down)} host(s) with OSDs down"
        if not self.clean:
            checks["PG_DEGRADED"] = "Degraded data redundancy"
        if self.by:
            checks["OSDMAP_FLAGS"] = f"{','.join(sorted(self.by))} flag(s) set"
        if warns := self.trouble.has(Kind.CEPH_WARNS):
            checks[warns.text or "MON_CLOCK_SKEW"] = "clock skew detected on mon.pve2"
        return checks

    def _out(self, host: Host, turn: int) -> None:
        if host.turn == turn and not host.up and "noout" not in self.by:
            host.counts = False
            self.core.note(What.OSDS_OUT)

    def _back(self, host: Host, turn: int) -> None:
        if host.turn == turn:
            host.up = host.counts = True
            self._recover(host)

    def _recover(self, host: Host) -> None:
        stuck = self.trouble.has(Kind.CEPH_STUCK)
        lasts = math.inf if stuck else self.core.takes(self.core.timings.recover)
        host.recovers_at, host.turn = self.core.now + lasts, host.turn + 1
        turn = host.turn
        if not stuck:
            self.core.later(lasts, lambda: self._recovered(host, turn))
        self.core.version += 1

    def _recovered(self, host: Host, turn: int) -> None:
        if host.turn == turn:
            host.recovers_at = None
