"""apt on the nodes: what waits, what dist-upgrade does to the node, and apt's own troubles."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from cluster.api import UnitState
from cluster.facts import Package, PackagePlan
from sandbox.faults import Fault, Kind
from sandbox.model.core import Core, What
from sandbox.model.machines import Node
from sandbox.model.same import KEPT
from sandbox.model.trouble import Trouble
from sandbox.spec import PackageSpec

APT_ERROR = 100
QUICK = 5.0
"""Seconds after which apt gives up when it cannot even begin."""

TROUBLES = {
    Kind.APT_LOCKED: "another process holds apt's lock (/var/lib/dpkg/lock-frontend)",
    Kind.APT_401: "the repository answers 401: this node has no valid subscription",
    Kind.DPKG_BROKEN: 'dpkg was interrupted, run "dpkg --configure -a" on the node',
}


@dataclass(slots=True)
class Unit:
    """A transient unit that runs dist-upgrade; `boot_id` of the node it began on."""

    name: str
    started: float
    exit: int | None = None
    tail: str = ""
    trouble: str = ""

    def state(self) -> UnitState:
        return UnitState(began=True, exit=self.exit, tail=self.tail, trouble=self.trouble)


class Packages:
    """`restart_gluster`: what happens to a node's bricks when glusterfs-server is unpacked."""

    def __init__(self, core: Core, trouble: Trouble) -> None:
        self.core, self.trouble = core, trouble
        self.pending: dict[str, tuple[PackageSpec, ...]] = {n.name: core.spec.packages for n in core.spec.nodes}
        self.units: dict[str, dict[str, Unit]] = {n.name: {} for n in core.spec.nodes}
        self.restart_gluster: Callable[[Node], None] = lambda _: None

    def plan(self, node: str) -> PackagePlan:
        pending = self.pending[node]
        vital = self.trouble.has(Kind.REMOVES_VITAL, node)
        return _plan(pending, ((vital.text or "proxmox-ve"),) if vital and pending else ())

    def busy(self, node: str) -> str:
        """Who runs apt there, or ""."""
        if self.trouble.has(Kind.APT_LOCKED, node):
            return "unattended-upgr (pid 4711)"
        return next((unit.name for unit in self.units[node].values() if unit.exit is None), "")

    def start(self, node: Node, name: str, by: str, detail: dict[str, object]) -> None:
        unit = self.units[node.name][name] = Unit(name, self.core.now)
        self.core.note(What.UPGRADE, node.name, by=by, text=name, detail=detail)
        kind = next((kind for kind in TROUBLES if self.trouble.has(kind, node.name)), None)
        if kind:
            self.core.later(QUICK, lambda: self._end(node, unit, APT_ERROR, TROUBLES[kind]))
            return
        lasts = self.core.takes(self.core.timings.upgrade)
        self.core.later(lasts / 2, lambda: self._half_way(node, unit))
        if not self.trouble.has(Kind.UPGRADE_HANGS, node.name):
            self.core.later(lasts, lambda: self._done(node, unit))

    def node_dark(self, node: Node) -> None:
        """A dist-upgrade that runs dies with its node and leaves dpkg in the middle."""
        for unit in self.units[node.name].values():
            if unit.exit is None:
                self._end(node, unit, 255, "the node went down while dist-upgrade ran")
                self.trouble.begin(Fault(Kind.DPKG_BROKEN, node=node.name))

    def newer(self, node: str, package: str) -> None:
        """The mirror has a newer version of something: what was planned is no longer what would be done."""
        names = [p.name for p in self.pending[node]]
        rows = tuple(replace(p, new=p.new + "+1") if p.name == package else p for p in self.pending[node])
        more = () if package in names else (PackageSpec(package, "1.0-1", "1.0-2"),)
        self.pending[node] = rows + more

    def _half_way(self, node: Node, unit: Unit) -> None:
        if unit.exit is None and any(p.name == "glusterfs-server" for p in self.pending[node.name]):
            self.restart_gluster(node)

    def _done(self, node: Node, unit: Unit) -> None:
        if unit.exit is not None:
            return
        if self.trouble.has(Kind.UPGRADE_FAILS, node.name):
            self._end(node, unit, APT_ERROR, "")
            return
        for kernel in (p.kernel for p in self.pending[node.name] if p.kernel):
            node.kernels.append(kernel)
            node.boot_kernel = kernel
        count, self.pending[node.name] = len(self.pending[node.name]), ()
        self._end(node, unit, 0, "", f"{count} upgraded, 0 newly installed, 0 to remove and 0 not upgraded.")

    def _end(self, node: Node, unit: Unit, code: int, trouble: str, tail: str = "") -> None:
        if unit.exit is None:
            unit.exit, unit.trouble = code, trouble
            unit.tail = tail or trouble or "E: Sub-process /usr/bin/dpkg returned an error code (1)"
            self.core.note(What.UPGRADED, node.name, text=str(code))


@lru_cache(KEPT)
def _plan(pending: tuple[PackageSpec, ...], removes: tuple[str, ...]) -> PackagePlan:
    lines = [f"{p.name} {p.old} {p.new}" for p in pending] + [f"remove {name}" for name in removes]
    return PackagePlan(
        checksum=hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
        upgrades=tuple(Package(p.name, p.old, p.new) for p in pending),
        removes=removes,
        new_kernel=next((p.kernel for p in pending if p.kernel), ""),
        restarts_gluster=any(p.name == "glusterfs-server" for p in pending),
    )
