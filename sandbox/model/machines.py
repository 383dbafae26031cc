"""The nodes themselves: power, boots, kernels, membership and quorum, each with the lag that it really has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from cluster.facts import Member
from sandbox.faults import Kind
from sandbox.model.core import Core, What
from sandbox.model.same import same_member
from sandbox.model.trouble import Trouble
from sandbox.spec import NodeSpec

DAY = 86400.0


class Power(Enum):
    """`UP` also while it boots its last services: ssh answers, the API may not yet."""

    UP = "up"
    GOING_DOWN = "going down"
    DARK = "dark"


@dataclass(slots=True)
class Node:
    """`online`: what corosync's members say of it, which lags. `boots`: how often it booted in this night."""

    spec: NodeSpec
    boot_id: str
    booted_at: float
    kernel: str
    boot_kernel: str
    power: Power = Power.UP
    api: bool = True
    online: bool = True
    orderly: bool = True
    dark_since: float | None = None
    down_by: str = ""
    boots: int = 0
    kernels: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def lit(self) -> bool:
        """It computes: up, or not yet down."""
        return self.power is not Power.DARK


Hook = Callable[[Node], None]


class Machines:
    """`going_down`, `dark`, `booted`, `api_back`: what the other parts of the model do at these moments.
    `fence()`: the nodes that hold a watchdog."""

    def __init__(self, core: Core, trouble: Trouble) -> None:
        self.core, self.trouble = core, trouble
        self.all = {spec.name: self._born(spec) for spec in core.spec.nodes}
        self.going_down: Hook = _nothing
        self.dark: Hook = _nothing
        self.booted: Hook = _nothing
        self.api_back: Hook = _nothing
        self.fence: Callable[[], list[str]] = list
        total = sum(spec.votes for spec in core.spec.nodes) + core.spec.qdevice_votes
        self.quorum = total // 2 + 1
        self._was_quorate = True

    def _born(self, spec: NodeSpec) -> Node:
        boot_kernel = spec.boot_kernel or spec.kernel
        node = Node(spec, self.core.uuid(), self.core.start - 40 * DAY, spec.kernel, boot_kernel)
        node.kernels = list(dict.fromkeys((spec.kernel, boot_kernel)))
        return node

    # membership -----------------------------------------------------------------------------------------------
    def members(self) -> tuple[Member, ...]:
        return tuple(same_member(node.name, node.online, node.spec.votes) for node in self.all.values())

    def quorate(self) -> bool:
        votes = sum(node.spec.votes for node in self.all.values() if node.online)
        return votes + self.core.spec.qdevice_votes >= self.quorum

    # power ----------------------------------------------------------------------------------------------------
    def reboot(self, node: Node, by: str) -> None:
        """An orderly reboot, from the command on."""
        if self.trouble.has(Kind.NEVER_REBOOTS, node.name):
            return
        node.power, node.down_by, node.orderly = Power.GOING_DOWN, by, True
        self.going_down(node)
        boot_id = node.boot_id
        self.core.later(self.core.takes(self.core.timings.going_down), lambda: self._off(node, boot_id))

    def cut(self, node: Node, comes_back: bool) -> None:
        """Power is gone at once; nothing is closed."""
        if node.lit:
            node.orderly = False
            self._go_dark(node)
            if comes_back:
                self.light(node)

    def light(self, node: Node) -> None:
        """Power is on, or the firmware begins to boot."""
        if not node.lit:
            boots = node.boots
            self.core.later(self.core.takes(self.core.timings.boot), lambda: self._boot(node, boots))

    def _off(self, node: Node, boot_id: str) -> None:
        if not node.lit or node.boot_id != boot_id:
            return
        self._go_dark(node)
        if not self.trouble.has(Kind.STAYS_DOWN, node.name):
            self.light(node)

    def _go_dark(self, node: Node) -> None:
        node.power, node.api, node.dark_since = Power.DARK, False, self.core.now
        self.core.note(What.DARK, node.name, by=node.down_by, text="" if node.orderly else "power cut")
        self.dark(node)
        boots = node.boots
        self.core.later(self.core.timings.member_lag, lambda: self._missed(node, boots))

    def _missed(self, node: Node, boots: int) -> None:
        if not node.lit and node.boots == boots:
            node.online = False
            self._count_votes()

    def _boot(self, node: Node, boots: int) -> None:
        if node.lit or node.boots != boots:
            return
        if not self.trouble.has(Kind.OLD_KERNEL, node.name):
            node.kernel = node.boot_kernel
        node.boot_id, node.booted_at, node.boots = self.core.uuid(), self.core.now, node.boots + 1
        node.power, node.online = Power.UP, True
        self.core.note(What.BOOTED, node.name, text=node.kernel)
        node.dark_since, node.down_by = None, ""
        self._count_votes()
        self.booted(node)
        boot_id = node.boot_id
        self.core.later(self.core.timings.api_lag, lambda: self._api(node, boot_id))

    def _api(self, node: Node, boot_id: str) -> None:
        if node.power is Power.UP and node.boot_id == boot_id:
            node.api = True
            self.core.note(What.API_BACK, node.name)
            self.api_back(node)

    # quorum ---------------------------------------------------------------------------------------------------
    def _count_votes(self) -> None:
        quorate = self.quorate()
        if quorate == self._was_quorate:
            return
        self._was_quorate = quorate
        self.core.note(What.QUORUM_BACK if quorate else What.QUORUM_LOST)
        if not quorate:
            self.core.later(self.core.timings.watchdog, self._watchdog)

    def _watchdog(self) -> None:
        """Nodes with guests under HA do not go on without quorum (proxmox.md §1.6)."""
        for name in self.fence() if not self.quorate() else ():
            node = self.all[name]
            if node.lit:
                self.core.note(What.FENCED, name)
                self.cut(node, comes_back=True)


def _nothing(_: Node) -> None:
    """Until the model is wired."""
