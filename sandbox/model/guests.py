"""The guests: where they are, what moves, stops and starts them, and what a node takes down with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from cluster.facts import Guest, Move, Serving
from sandbox.faults import Fault, Kind
from sandbox.model.core import HA, Core, Denied, What
from sandbox.model.machines import Machines, Node, Power
from sandbox.model.same import same_guest
from sandbox.model.tasks import ROOT, Tasks
from sandbox.model.trouble import Trouble
from sandbox.spec import GIB, GuestSpec

NO_QUORUM = "cluster not ready - no quorum?"
QUEUED = 1.0
"""A hamigrate task ends after so many seconds: it only asks the HA manager."""


@dataclass(slots=True)
class Vm:
    """`status`: running or stopped. `shown`: what pvestatd published last. `home`: where the HA manager brings it back
    to; `asked`: what it is to make of the guest. `resume`: it starts again with its node. `died_at`: since when it is
    stuck on an I/O error. `disks`, `unused`: slot -> volume id. `changes` of its configuration; `bare`: a failed
    restore left nothing of that."""

    spec: GuestSpec
    node: str
    status: str
    onboot: bool
    lock: str = ""
    ha: str = ""
    home: str = ""
    shown: str = ""
    resume: bool = False
    dying: bool = False
    died_at: float | None = None
    stopped_by: str = ""
    started_at: float = -math.inf
    asked: str = "started"
    moves: int = field(default=0)
    disks: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    networks: list[str] = field(default_factory=lambda: ["net0"])
    changes: int = 0
    bare: bool = False

    @property
    def id(self) -> int:
        return self.spec.id

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def healthy(self) -> bool:
        return self.running and self.died_at is None

    @property
    def volume(self) -> str:
        """The storage of its first disk."""
        return self.disks[min(self.disks)].partition(":")[0] if self.disks else ""

    @property
    def wanted(self) -> str:
        """What the HA manager was asked for; "" for a guest that is not under HA."""
        return self.asked if self.ha else ""

    @property
    def qmp(self) -> str:
        """QEMU's own word: a guest that got EIO is paused, though its process runs."""
        return "io-error" if self.running and self.died_at is not None else self.status


class Guests:
    """`image_ok(guest, volume)`: can it be read and written?  `writes()`: told when the number of writers changed.
    `open_to(node)`: does the HA manager put guests there? `moved(guest, source, target)`: told of it."""

    def __init__(self, core: Core, trouble: Trouble, machines: Machines, tasks: Tasks) -> None:
        self.core, self.trouble, self.machines, self.tasks = core, trouble, machines, tasks
        self.all = {spec.id: _born(spec) for spec in core.spec.guests}
        self.image_ok: Callable[[int, str], bool] = lambda *_: True
        self.writes: Callable[[], None] = lambda: None
        self.open_to: Callable[[str], bool] = lambda _: True
        self.moved: Callable[[int, str, str], None] = lambda *_: None

    # what can be seen -------------------------------------------------------------------------------------------
    def listing(self) -> tuple[Guest, ...]:
        """/cluster/resources: for a node that is down it goes on showing what was published last."""
        return tuple(self._row(vm) for vm in self.all.values())

    def move(self, guest: int) -> Move:
        """PVE's answer to "can it migrate?"; it knows nothing of memory and of maintenance modes."""
        vm = self.get(guest)
        if not self.machines.quorate():
            raise Denied(NO_QUORUM)
        others = [node.name for node in self.machines.all.values() if node.online and node.name != vm.node]
        why = self.stays(vm)
        disks = tuple(disk for disk in vm.disks.values() if self.local(disk))
        return Move(guest, () if why else tuple(others), {name: why for name in others if why}, disks)

    def stays(self, vm: Vm) -> str:
        fault = self.trouble.has(Kind.CANNOT_MOVE, str(vm.id))
        return vm.spec.stays or (fault.text or "local resource hostpci0" if fault else "")

    def local(self, volid: str) -> bool:
        """It lies on a storage that only its node has."""
        return volid.partition(":")[0] in ("local", "local-lvm")

    def serves(self, guest: int) -> Serving:
        """What its health probe finds, whichever it is."""
        vm = self.get(guest)
        if self.trouble.has(Kind.PROBE_SILENT, str(guest)):
            return Serving(guest, None, "its health probe could not be asked")
        ill = self.trouble.has(Kind.NOT_SERVING, str(guest))
        starting = self.core.now < vm.started_at + self.core.timings.serve
        if vm.healthy and not ill and not starting:
            return Serving(guest, True, "it answers")
        return Serving(guest, False, (ill.text if ill else "") or "its health probe gets no answer")

    def get(self, guest: int) -> Vm:
        if guest not in self.all:
            raise Denied(f"Configuration file 'nodes/-/qemu-server/{guest}.conf' does not exist")
        return self.all[guest]

    def writing(self, volume: str) -> list[int]:
        return [vm.id for vm in self.all.values() if vm.healthy and vm.volume == volume]

    def on(self, node: str) -> list[Vm]:
        return [vm for vm in self.all.values() if vm.node == node]

    # acts ---------------------------------------------------------------------------------------------------------
    def migrate(self, guest: int, target: str, user: str) -> str:
        """Start a migration. Under HA the task only queues the request, and says OK to it."""
        vm = self.get(guest)
        self._may_act(vm)
        if target == vm.node:
            raise Denied("target is local node.", 400)
        if target not in self.machines.all:
            raise Denied("no such cluster node", 500)
        if vm.ha:
            if vm.ha != "error":  # then the request is taken, and never followed
                vm.ha = "migrate"
                self.core.later(self.core.takes(self.core.timings.ha_queue), lambda: self.ha_move(vm, target))
            return self.tasks.start("hamigrate", vm.node, guest, user, QUEUED)
        if self.stays(vm):
            raise Denied(f"can't migrate VM {guest}: {self.stays(vm)}")
        if not self.machines.all[target].online:
            raise Denied(f"target node {target} is offline", 595)
        return self._begin_move(vm, target, _kind(vm, "migrate"), user)

    def shutdown(self, guest: int, timeout: float, user: str, by: str) -> str:
        vm = self.get(guest)
        self._may_act(vm)
        if vm.ha:
            vm.ha, vm.asked = "request_stop", "stopped"
        hangs = self.trouble.has(Kind.SHUTDOWN_HANGS, str(guest))
        lasts = timeout if hangs else self.core.takes(self.core.timings.shutdown)
        kind = "hastop" if vm.ha else _kind(vm, "shutdown")
        return self.tasks.start(kind, vm.node, guest, user, lasts, lambda: self._stopped(vm, by, bool(hangs)))

    def start(self, guest: int, user: str) -> str:
        vm = self.get(guest)
        self._may_act(vm)
        vm.asked = "started"
        if vm.ha == "error":  # the request is taken, and never followed
            return self.tasks.start("hastart", vm.node, guest, user, QUEUED)
        kind = "hastart" if vm.ha else _kind(vm, "start")
        lasts = self.core.takes(self.core.timings.start)
        return self.tasks.start(kind, vm.node, guest, user, lasts, lambda: self._started(vm, user))

    def stops(self, vm: Vm, by: str) -> None:
        """It is off now."""
        vm.status, vm.died_at, vm.dying, vm.stopped_by = "stopped", None, False, by
        vm.ha = "stopped" if vm.ha else ""
        self.core.note(What.GUEST_STOPPED, vm.node, guest=vm.id, by=by)
        self.writes()

    def io_error(self, guest: int) -> None:
        """Its write failed: it is lost from now on, and people will see it some time later."""
        vm = self.all[guest]
        if not vm.dying:
            vm.dying = True
            self.core.later(self.core.timings.eio_kills, lambda: self._dies(vm))

    # what nodes do to their guests ----------------------------------------------------------------------------------
    def node_going_down(self, node: Node) -> None:
        """Published once more while they still run; then they are shut down, those under HA frozen."""
        for vm in self.on(node.name):
            vm.shown, vm.resume = vm.qmp, vm.healthy and vm.wanted == "started"

    def node_dark(self, node: Node) -> None:
        for vm in self.on(node.name):
            if node.orderly is False:
                vm.shown, vm.resume = vm.qmp, False
            if vm.running:
                self.stops(vm, node.down_by)
            if vm.ha and vm.wanted != "stopped":
                vm.ha = "freeze" if node.orderly else "fence"
        if not node.orderly:
            self.core.later(self.core.timings.ha_recover, lambda: self._recover(node))

    def api_back(self, node: Node) -> None:
        """`startall`: guests with onboot start at once, before any heal; frozen ones under HA likewise."""
        mine = [vm for vm in self.on(node.name) if not vm.running and not vm.spec.template]
        for vm in mine:
            vm.ha = vm.wanted
        starting = [vm for vm in mine if vm.resume or (vm.onboot and not vm.ha)]
        lasts = self.core.timings.start * (len(starting) + 1)
        self.tasks.start("startall", node.name, "", ROOT, lasts)
        for place, vm in enumerate(starting, 1):
            self.core.later(self.core.timings.start * place, lambda vm=vm: self._starts_with(vm, node))  # type: ignore[misc]

    # the HA manager --------------------------------------------------------------------------------------------------
    def ha_move(self, vm: Vm, target: str) -> None:
        """A queued request comes to its turn; one that cannot be followed is dropped without a word. A stopped guest
        moves as it is."""
        if vm.lock or vm.node == target or self.stays(vm) or not self.open_to(target):
            vm.ha = "started" if vm.running else "stopped"
            return
        vm.ha = "migrate"
        self._begin_move(vm, target, _kind(vm, "migrate"), ROOT)

    def ha_start(self, vm: Vm) -> None:
        """A queued request to start comes to its turn."""
        if vm.ha == "request_start" and not vm.running:
            self._started(vm, HA)

    def place(self, vm: Vm) -> str:
        """Where the HA manager would put it: the open node with the fewest guests; "" if there is none."""
        names = [n for n in self.machines.all if n != vm.node and self.open_to(n) and self._by_rules(vm, n)]
        return min(names, key=lambda name: (len(self.on(name)), name), default="")

    def _by_rules(self, vm: Vm, node: str) -> bool:
        """The HA manager's own rules: kept apart from a guest that is there, or bound to other nodes."""
        sid = self._row(vm).sid
        there = {self._row(other).sid for other in self.on(node) if other.ha and other.running}
        mine = [rule for rule in self.core.spec.rules if sid in rule.resources]
        crowded = any(rule.apart and there & set(rule.resources) for rule in mine)
        return not crowded and all(rule.apart or not rule.strict or node in rule.nodes for rule in mine)

    def fenceable(self) -> list[str]:
        """Nodes that hold a watchdog because they run guests under HA."""
        return sorted({vm.node for vm in self.all.values() if vm.ha and vm.running})

    # how --------------------------------------------------------------------------------------------------------------
    def _row(self, vm: Vm) -> Guest:
        spec, lock = vm.spec, self.lock(vm)
        status = vm.qmp if self.machines.all[vm.node].api else (vm.shown or vm.qmp)
        ha = stuck.text if (stuck := self.stuck(vm)) else vm.ha
        return same_guest(vm.id, spec.name, spec.kind, vm.node, status, spec.memory, ha, lock, spec.template)

    def stuck(self, vm: Vm) -> Fault | None:
        """HA has given it up, or was told to ignore it, and so leaves it where it is."""
        return self.trouble.has(Kind.HA_STUCK, str(vm.id)) if vm.ha else None

    def lock(self, vm: Vm) -> str:
        fault = self.trouble.has(Kind.GUEST_LOCKED, str(vm.id))
        return fault.text or "backup" if fault else vm.lock

    def _may_act(self, vm: Vm) -> None:
        if not self.machines.quorate():
            raise Denied(NO_QUORUM)
        if not self.machines.all[vm.node].api:
            raise Denied(f"{vm.node}: No route to host", 595)
        if self.lock(vm):
            raise Denied(f"VM is locked ({self.lock(vm)})")

    def _begin_move(self, vm: Vm, target: str, kind: str, user: str) -> str:
        timings = self.core.timings
        vm.lock, vm.moves = "migrate", vm.moves + 1
        disks = 0.0 if vm.spec.volume else timings.copy_gib
        lasts = self.core.takes(timings.migrate + (timings.migrate_gib + disks) * vm.spec.memory / GIB)
        again = vm.spec.kind == "lxc" and vm.running
        if again:
            self.stops(vm, user)  # a container has no live migration
        end = partial(self._moved, vm, target, again, user)
        return self.tasks.start(kind, vm.node, vm.id, user, lasts, end, lambda: _unlock(vm))

    def _moved(self, vm: Vm, target: str, again: bool, user: str) -> str:
        ended = self._arrives(vm, target)
        if again:
            self._started(vm, user)
        return ended

    def _arrives(self, vm: Vm, target: str) -> str:
        _unlock(vm)
        if vm.ha:
            vm.ha = "started" if vm.running else "stopped"
        if self.trouble.take(Kind.MIGRATE_FAILS, str(vm.id)):
            return "migration aborted"
        if self.trouble.take(Kind.MIGRATE_LIES, str(vm.id)):
            return "OK"
        if self.machines.all[target].power is not Power.UP:
            return f"migration aborted: can't connect to {target}"
        source, vm.node = vm.node, target
        self.core.note(What.GUEST_MOVED, target, guest=vm.id)
        self.moved(vm.id, source, target)
        self._weigh(target)
        return "OK"

    def _stopped(self, vm: Vm, by: str, hangs: bool) -> str:
        if hangs:
            return "VM quit/powerdown failed - got timeout"
        if vm.running:
            self.stops(vm, by)
        return "OK"

    def _started(self, vm: Vm, by: str) -> str:
        if vm.healthy and not vm.dying:
            return "already running"
        if self.trouble.has(Kind.START_FAILS, str(vm.id)) or not vm.disks or not self.image_ok(vm.id, vm.volume):
            self.core.note(What.START_FAILED, vm.node, guest=vm.id)
            return "start failed: QEMU exited with code 1"
        vm.status, vm.died_at, vm.dying, vm.stopped_by = "running", None, False, ""
        vm.started_at = self.core.now
        if self.core.timings.serve:
            self.core.later(self.core.timings.serve, lambda: None)  # its probe answers differently from then on
        vm.ha = "started" if vm.ha else ""
        self.core.note(What.GUEST_STARTED, vm.node, guest=vm.id, by=by)
        self._weigh(vm.node)
        self.writes()
        return "OK"

    def _starts_with(self, vm: Vm, node: Node) -> None:
        if vm.node == node.name and not vm.running and node.power is Power.UP:
            self._started(vm, "")

    def _recover(self, node: Node) -> None:
        """The node is fenced by now: its guests under HA start elsewhere."""
        for vm in self.on(node.name) if not node.lit and self.machines.quorate() else ():
            target = self.place(vm) if vm.ha == "fence" else ""
            if target:
                vm.node = target
                self._started(vm, HA)

    def _dies(self, vm: Vm) -> None:
        if vm.dying and vm.running:
            vm.died_at = self.core.now
            self.core.note(What.GUEST_DIED, vm.node, guest=vm.id, text="io-error")
            self.writes()

    def _weigh(self, node: str) -> None:
        used = sum(vm.spec.memory for vm in self.on(node) if vm.running)
        if used > self.machines.all[node].spec.memory:
            self.core.note(What.OVERCOMMITTED, node)


def _born(spec: GuestSpec) -> Vm:
    ha = "" if not spec.ha else "started" if spec.status == "running" else "stopped"
    slot = "rootfs" if spec.kind == "lxc" else "scsi0"
    image = f"{spec.volume}:{spec.id}/vm-{spec.id}-disk-0.raw" if spec.volume else f"local-lvm:vm-{spec.id}-disk-0"
    return Vm(spec, spec.node, spec.status, spec.onboot, spec.lock, ha, asked=ha or "started", disks={slot: image})


def _unlock(vm: Vm) -> None:
    vm.lock = ""


def _kind(vm: Vm, verb: str) -> str:
    """PVE's name for a task: qmstart, vzstart, qmigrate, vzmigrate ..."""
    if vm.spec.kind == "lxc":
        return f"vz{verb}"
    return "qmigrate" if verb == "migrate" else f"qm{verb}"
