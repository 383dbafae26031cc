"""Maintenance modes: asked for, picked up, reached - each some seconds after the other - and what the HA manager does
with its guests meanwhile. Nothing stops two nodes from being in maintenance mode at once (proxmox.md §3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.facts import Ha
from sandbox.faults import Kind
from sandbox.model.core import Core, What
from sandbox.model.guests import Guests, Vm
from sandbox.model.machines import Machines, Node, Power
from sandbox.model.trouble import Trouble


@dataclass(slots=True)
class Mode:
    """`asked`: the last request. `visible`: the manager's status shows it. `lrm`: the node's own mode."""

    asked: bool = False
    visible: bool = False
    lrm: str = "active"
    reached: bool = False
    by: str = ""
    turn: int = 0


class HaManager:
    def __init__(self, core: Core, trouble: Trouble, machines: Machines, guests: Guests) -> None:
        self.core, self.trouble, self.machines, self.guests = core, trouble, machines, guests
        self.modes = {name: Mode() for name in machines.all}

    def status(self) -> Ha:
        """As /cluster/ha/status tells it; a node that is off keeps the mode it had."""
        return Ha(
            manager=self.manager(),
            maintenance=frozenset(name for name, mode in self.modes.items() if mode.visible),
            modes={name: mode.lrm for name, mode in self.modes.items()},
            armed=not self.trouble.has(Kind.HA_DISARMED),
        )

    def manager(self) -> str:
        """The node that is HA master: here always the first that is online."""
        return next((node.name for node in self.machines.all.values() if node.online), "")

    def open_to(self, node: str) -> bool:
        """Does the manager put guests there?"""
        return self.machines.all[node].power is Power.UP and not self.modes[node].asked

    def request(self, node: str, on: bool, by: str, detail: dict[str, object]) -> None:
        """`ha-manager crm-command node-maintenance`: queued, whatever becomes of it. Ignored while disarmed."""
        mode = self.modes[node]
        self.core.note(What.MAINTENANCE_ON if on else What.MAINTENANCE_OFF, node, by=by, detail=detail)
        if self.trouble.has(Kind.HA_DISARMED) or self.trouble.has(Kind.MAINTENANCE_IGNORED, node) or mode.asked == on:
            return
        mode.asked, mode.by, mode.turn = on, by if on else "", mode.turn + 1
        if on:
            self._enter(node, mode.turn)
        else:
            self._leave(node, mode.turn)

    def _enter(self, node: str, turn: int) -> None:
        timings, mode = self.core.timings, self.modes[node]

        def seen() -> None:
            mode.visible = True

        def mode_set() -> None:
            mode.lrm = "maintenance"

        self._then(node, turn, timings.maintenance_request, seen)
        self._then(node, turn, timings.maintenance_mode, mode_set)
        self._then(node, turn, timings.maintenance_reached, lambda: self._reached(node))

    def _leave(self, node: str, turn: int) -> None:
        timings, mode = self.core.timings, self.modes[node]

        def gone() -> None:
            mode.visible, mode.lrm, mode.reached = False, "active", False
            self.core.note(What.MAINTENANCE_LEFT, node)

        self._then(node, turn, timings.maintenance_mode, gone)
        self._then(node, turn, timings.ha_back, lambda: self._bring_back(node))

    def _then(self, node: str, turn: int, delay: float, act: Callable[[], None]) -> None:
        """Later, unless somebody asked for something else meanwhile."""

        def due() -> None:
            if self.modes[node].turn == turn:
                act()

        self.core.later(self.core.takes(delay), due)

    def _reached(self, node: str) -> None:
        self.modes[node].reached = True
        self.core.note(What.MAINTENANCE_REACHED, node)
        self._empty(node, self.modes[node].turn)

    def _empty(self, node: str, turn: int) -> None:
        """Move its running guests under HA away; look again each round, until none is left."""
        mode = self.modes[node]
        left = [vm for vm in self.guests.on(node) if vm.ha and vm.running and not self.guests.stuck(vm)]
        if mode.turn != turn or not left or not self.machines.all[node].lit:
            return
        for vm in left:
            self._send_away(vm)
        self.core.later(self.core.timings.ha_round, lambda: self._empty(node, turn))

    def _send_away(self, vm: Vm) -> None:
        target = self.guests.place(vm)
        if target and not vm.lock:
            vm.home = vm.home or vm.node
            self.guests.ha_move(vm, target)

    def _bring_back(self, node: str) -> None:
        """What it sent away comes back at once: the manager knows nothing of heals."""
        for vm in self.guests.all.values():
            if vm.home == node and self.machines.all[node].power is Power.UP:
                vm.home = ""
                if vm.running and vm.spec.failback:
                    self.guests.ha_move(vm, node)

    def api_back(self, node: Node) -> None:
        """A node that is not in maintenance mode any more gets its guests back when it can take them."""
        if not self.modes[node.name].asked:
            self._bring_back(node.name)
