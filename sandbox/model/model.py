"""The whole model behind one class: what the two faces (direct, real protocols) ask and order.

Every verb takes `now`, in model seconds since the epoch, does first what is due by then, and answers with the values of
`cluster.facts`. `Denied`: the machine said no. `Away`: it does not answer. Not made for threads: one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.api import UnitState
from cluster.facts import (
    Backup,
    BrickHeal,
    Capacity,
    Ceph,
    Guest,
    Ha,
    HaRule,
    Membership,
    Move,
    NodeStatus,
    PackagePlan,
    Peer,
    ReplicationJob,
    Serving,
    StorageRow,
    TaskRow,
    Volume,
    VolumeStatus,
)
from cluster.gluster import IMAGE
from sandbox.faults import Fault, Kind, faults_from
from sandbox.model.archives import Archives
from sandbox.model.ceph import CephState
from sandbox.model.core import SOMEBODY, US, Away, Core, Denied, Event, What
from sandbox.model.effects import wire_faults
from sandbox.model.gluster import Gluster
from sandbox.model.guests import Guests, Vm
from sandbox.model.ha import HaManager
from sandbox.model.machines import Machines, Node, Power
from sandbox.model.packages import Packages
from sandbox.model.replicas import Replicas
from sandbox.model.same import same_capacity, same_storage_row
from sandbox.model.tasks import Task, Tasks
from sandbox.model.trouble import Trouble
from sandbox.spec import ClusterSpec

OUR_USER = "roundsman@pve!bot"
SERVICES = ("corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm")
CONFIG_VERSION = 3
KEEPS_BACKUPS = ("pbs", "nfs")
"""Kinds of storages that take backups and no disks of guests."""


REFRESH_401 = (
    "{node}: the repository https://enterprise.proxmox.com/debian/pve answers 401 (Unauthorized): this node has no "
    "subscription for it (enable the pve-no-subscription repository, or add a key with `pvesubscription set KEY`)"
)
"""As the real helper words it, with its hint."""
AHEAD_S = 60.0
"""As the real helper has it: what expires later than this was made for another boot of the node."""


class Model:
    """`guard=False` takes away what the node helper checks by itself, so that tests can show what it is good for."""

    def __init__(
        self,
        spec: ClusterSpec,
        seed: int = 0,
        start: float = 0.0,
        faults: Sequence[Fault | Mapping[str, Any]] = (),
        guard: bool = True,
    ) -> None:
        self.spec, self.guard = spec, guard
        self.core = core = Core(spec, seed, start)
        self.trouble = Trouble(core)
        self.machines = Machines(core, self.trouble)
        self.tasks = Tasks(core)
        self.guests = Guests(core, self.trouble, self.machines, self.tasks)
        self.ha_manager = HaManager(core, self.trouble, self.machines, self.guests)
        self.packages = Packages(core, self.trouble)
        self.gluster = Gluster(core, self.trouble, self.machines)
        self.archives = Archives(core, self.trouble, self.machines, self.guests, self.tasks, self.gluster)
        self.ceph = CephState(core, self.trouble, self.machines)
        self.replicas = Replicas(core, self.trouble, self.machines, self.guests)
        self._kept_status: dict[str, tuple[int, dict[str, Any]]] = {}
        self._kept_listing: tuple[int, tuple[Guest, ...]] = (-1, ())
        self._wire()
        self.trouble.plan(faults_from(faults))

    # ---- time and record ---------------------------------------------------------------------------------------
    @property
    def events(self) -> list[Event]:
        """Everything that happened so far, in order."""
        return self.core.events

    @property
    def version(self) -> int:
        """Unchanged = every answer is as before, but for uptimes, and the counts of heals and of Ceph's recovery."""
        return self.core.version

    def advance(self, now: float) -> None:
        """Let happen what is due by `now`."""
        self.core.advance(now)

    def next_at(self) -> float | None:
        """When the next change is due that is known of now; None if the cluster is at rest."""
        return self.core.next_at()

    def later(self, now: float, delay: float, act: Callable[[], None]) -> None:
        """Do `act` so many seconds after `now`: a command that is late on its way."""
        self.core.advance(now)
        self.core.later(delay, act)

    def lost_word(self, text: str) -> None:
        """An answer that nobody hears any more: to a command that arrived late."""
        self.core.note(What.UNHEARD, text=text)

    # ---- who answers -------------------------------------------------------------------------------------------
    def node(self, name: str) -> Node:
        if name not in self.machines.all:
            raise Denied(f"no such cluster node '{name}'")
        return self.machines.all[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.machines.all)

    def api_answers(self, now: float, name: str) -> bool:
        """Does pveproxy of this node answer?"""
        self.core.advance(now)
        return self.node(name).api and not self.trouble.has(Kind.API_DOWN, name)

    def ssh_answers(self, now: float, name: str) -> bool:
        self.core.advance(now)
        return self.node(name).lit and not self.trouble.has(Kind.SSH_DOWN, name)

    def need_api(self, now: float, name: str) -> None:
        if not self.api_answers(now, name):
            raise Away(name, "Connection refused" if self.node(name).lit else "No route to host")

    def need_ssh(self, now: float, name: str) -> None:
        if not self.ssh_answers(now, name):
            raise Away(name, "ssh does not answer")

    # ---- what the API shows --------------------------------------------------------------------------------------
    def membership(self, now: float) -> Membership:
        self.core.advance(now)
        return Membership(
            cluster=self.spec.name,
            quorate=self.machines.quorate(),
            members=self.machines.members(),
            quorum=self.machines.quorum,
            qdevice_votes=self.spec.qdevice_votes,
            config_version=CONFIG_VERSION,
        )

    def listing(self, now: float) -> tuple[Guest, ...]:
        """/cluster/resources, stale for nodes that are down."""
        self.core.advance(now)
        version, rows = self._kept_listing
        if version != self.core.version:
            rows = self.guests.listing()
            self._kept_listing = (self.core.version, rows)
        return rows

    def guest(self, now: float, guest: int) -> Vm:
        """The guest as it really is."""
        self.core.advance(now)
        return self.guests.get(guest)

    def ha(self, now: float) -> Ha:
        self.core.advance(now)
        return self.ha_manager.status()

    def capacity(self, now: float) -> tuple[Capacity, ...]:
        """Of the nodes that publish something."""
        self.core.advance(now)
        live = [node for node in self.machines.all.values() if node.online and node.api]
        return tuple(same_capacity(node.name, node.spec.memory) for node in live)

    def storages(self, now: float, node: str) -> tuple[StorageRow, ...]:
        """Every storage as this node has it."""
        self.core.advance(now)
        rows = [("local", "dir", False, "/var/lib/vz"), ("backup", "pbs", True, "")]
        rows += [(volume, "dir", True, f"/mnt/pve/{volume}") for volume in self.gluster.volumes]
        rows += [(spec.name, spec.kind, spec.shared, f"/mnt/pve/{spec.name}") for spec in self.spec.storages]
        bad = self.trouble.has(Kind.STORAGE_INACTIVE, node)
        dead = (bad.text or "vmstore") if bad else ""
        return tuple(
            same_storage_row(node, name, kind, True, name != dead, shared, path) for name, kind, shared, path in rows
        )

    def backups(self, now: float) -> tuple[Backup, ...]:
        self.core.advance(now)
        return tuple(self.archives.all)

    def moves(self, now: float, node: str) -> tuple[Move, ...]:
        """PVE's answer for each guest of the node."""
        self.core.advance(now)
        return tuple(self.move(now, vm.id) for vm in self.guests.on(node) if not vm.spec.template)

    def move(self, now: float, guest: int) -> Move:
        self.core.advance(now)
        return self.guests.move(guest)

    def serving(self, now: float, guest: int) -> Serving:
        self.core.advance(now)
        return self.guests.serves(guest)

    def rules(self, now: float) -> tuple[HaRule, ...]:
        self.core.advance(now)
        return tuple(
            HaRule(
                rule.name,
                "resource-affinity" if rule.apart else "node-affinity",
                frozenset(rule.resources),
                rule.apart,
                frozenset(rule.nodes),
                rule.strict and not rule.apart,
            )
            for rule in self.spec.rules
        )

    # ---- other storages ----------------------------------------------------------------------------------------
    def ceph_status(self, now: float, node: str) -> Ceph:
        """As the API of this node tells it. Raises Denied where there is none."""
        self.need_api(now, node)
        return self.ceph.status(node)

    def ceph_flag(self, now: float, flag: str, on: bool, user: str = OUR_USER) -> None:
        self.core.advance(now)
        self.ceph.flag(flag, on, _who(user))

    def replication(self, now: float) -> tuple[ReplicationJob, ...]:
        self.core.advance(now)
        return self.replicas.listing()

    def replicate(self, now: float, job: str) -> None:
        self.core.advance(now)
        self.replicas.run_soon(job)

    def running_tasks(self, now: float, node: str) -> tuple[TaskRow, ...]:
        self.core.advance(now)
        rows = self.tasks.running(node)
        return tuple(TaskRow(t.upid, t.node, t.kind, t.guest, t.user, t.started) for t in rows)

    def task(self, now: float, upid: str) -> Task:
        """Raises Away while its node does not answer, Denied for one that never was."""
        self.core.advance(now)
        if upid not in self.tasks.all:
            raise Denied("no such task", 400)
        self.need_api(now, self.tasks.all[upid].node)
        return self.tasks.all[upid]

    def newest_task(self, now: float, kind: str, guest: int, since: float, user: str = OUR_USER) -> Task | None:
        self.core.advance(now)
        return self.tasks.newest(kind, guest, since, user)

    # ---- acts through the API ------------------------------------------------------------------------------------
    def migrate(self, now: float, guest: int, target: str, user: str = OUR_USER) -> str:
        """Returns a UPID whose OK says nothing yet: list the node again."""
        self.core.advance(now)
        return self.guests.migrate(guest, target, user)

    def shutdown(self, now: float, guest: int, timeout: float, user: str = OUR_USER) -> str:
        self.core.advance(now)
        return self.guests.shutdown(guest, timeout, user, _who(user))

    def start(self, now: float, guest: int, user: str = OUR_USER) -> str:
        self.core.advance(now)
        return self.guests.start(guest, user)

    def set_onboot(self, now: float, guest: int, on: bool, by: str = US) -> None:
        self.core.advance(now)
        vm = self.guests.get(guest)
        if vm.onboot != on:
            vm.onboot = on
            self.core.note(What.ONBOOT, vm.node, guest=guest, by=by, text="on" if on else "off")

    # ---- the node helper -----------------------------------------------------------------------------------------
    def status(self, now: float, name: str) -> NodeStatus:
        """The helper's `status`; but for the clocks it is worked out once for each version of the cluster."""
        self.need_ssh(now, name)
        node = self.node(name)
        version, kept = self._kept_status.get(name, (-1, {}))
        if version != self.core.version:
            kept = self._status_of(node)
            self._kept_status[name] = (self.core.version, kept)
        return NodeStatus(uptime=self.core.now - node.booted_at, clock=self.core.now, **kept)

    def plan(self, now: float, name: str) -> PackagePlan:
        """What `apt-get -s dist-upgrade` would do."""
        self.need_ssh(now, name)
        if self.trouble.has(Kind.REFRESH_401, name):
            raise Denied(REFRESH_401.format(node=name))
        return self.packages.plan(name)

    def maintenance(
        self, now: float, via: str, name: str, on: bool, not_after: float | None = None, *, by: str = US
    ) -> None:
        """Ask for maintenance mode of `name` on the node `via`; it is only queued. `not_after`: uptime of `via`."""
        self.need_ssh(now, via)
        if not_after is not None and self.guard:
            self._guard_time(self.node(via), not_after)
        self.ha_manager.request(self.node(name).name, on, by, self._standing(name))

    def upgrade(self, now: float, name: str, unit: str, checksum: str, not_after: float, guard: bool = True) -> None:
        """Start dist-upgrade as a unit, unless the helper's guards say no; starting it again is harmless."""
        self.need_ssh(now, name)
        node = self.node(name)
        if unit in self.packages.units[name]:
            return
        if guard and self.guard:
            self._guard_time(node, not_after)
            self._guard_heal(node)
            if checksum != self.packages.plan(name).checksum:
                self._refuse(node, "the package plan is not the approved one")
        self.packages.start(node, unit, US, self._standing(name))

    def unit(self, now: float, name: str, unit: str) -> UnitState:
        self.need_ssh(now, name)
        found = self.packages.units[name].get(unit)
        return found.state() if found else UnitState(began=False)

    def reboot(self, now: float, name: str, boot_id: str, not_after: float, guard: bool = True, by: str = US) -> None:
        """Reboot if this is still the boot that was approved, in time, and healed; all asked on the node itself."""
        self.need_ssh(now, name)
        node = self.node(name)
        if node.power is Power.GOING_DOWN:
            self._refuse(node, "a shutdown of this node is under way")
        if guard and self.guard:
            if boot_id != node.boot_id:
                self._refuse(node, f"this is boot {node.boot_id}, not {boot_id}")
            self._guard_time(node, not_after)
            self._guard_heal(node)
        self.core.note(What.REBOOT, name, by=by, detail=self._standing(name) | {"asked": boot_id})
        self.machines.reboot(node, by)

    def ha_state(self, now: float, via: str, guest: int, state: str, not_after: float) -> None:
        """Tell HA on the node `via` what to make of a guest. `not_after`: uptime of `via`."""
        self.need_ssh(now, via)
        if self.guard:
            self._guard_time(self.node(via), not_after)
        self.archives.ha_state(guest, state)

    def choose(self, now: float, name: str, volume: str, guest: int, brick: str, by: str = US) -> None:
        """One side of a split image is the good one from now on. The node itself refuses while the guest runs."""
        self.need_ssh(now, name)
        vm = self.guests.get(guest)
        if vm.status != "stopped":
            self._refuse(self.node(name), f"guest {guest} is not stopped")
        self.core.note(What.CHOSEN, name, guest=guest, by=by, text=brick)
        self.gluster.choose(volume, guest)

    # ---- gluster, as asked on a node -------------------------------------------------------------------------------
    def pool(self, now: float, asked: str) -> tuple[Peer, ...]:
        self.need_ssh(now, asked)
        return self.gluster.pool(asked)

    def volumes(self, now: float, asked: str) -> tuple[Volume, ...]:
        self.need_ssh(now, asked)
        return self.gluster.volume_info(asked)

    def heal(self, now: float, asked: str, volume: str) -> tuple[BrickHeal, ...]:
        """`heal info summary`."""
        self.need_ssh(now, asked)
        return self.gluster.heal(asked, volume)

    def entries(self, now: float, asked: str, volume: str) -> dict[str, tuple[str, ...]]:
        """`heal info`: brick -> names of entries; nothing for a brick that lists none."""
        self.need_ssh(now, asked)
        return self.gluster.entries(asked, volume)

    def images(self, now: float, asked: str, volume: str) -> dict[str, tuple[str, ...]]:
        """Of these only the images of guests, without their folders: what the node helper tells of very many."""
        named = self.entries(now, asked, volume)
        found = {brick: tuple(m[0] for name in names if (m := IMAGE.search(name))) for brick, names in named.items()}
        return {brick: names for brick, names in found.items() if names}

    def volume_status(self, now: float, asked: str, volume: str) -> VolumeStatus:
        self.need_ssh(now, asked)
        return self.gluster.volume_status(asked, volume)

    # ---- how -------------------------------------------------------------------------------------------------------
    def _status_of(self, node: Node) -> dict[str, Any]:
        name = node.name
        altered = self.trouble.has(Kind.HELPER_ALTERED, name)
        broken = self.trouble.has(Kind.DPKG_BROKEN, name)
        return {
            "node": name,
            "checksum": "altered" if altered else self.spec.helper_checksum,
            "boot_id": node.boot_id,
            "kernel": node.kernel,
            "boot_kernel": node.boot_kernel,
            "services": self._services(node),
            "corosync_version": CONFIG_VERSION - 1 if self.trouble.has(Kind.COROSYNC_OLD, name) else CONFIG_VERSION,
            "dpkg_broken": "dpkg was interrupted" if broken else "",
            "apt_busy": self.packages.busy(name),
            "gluster_mounts": tuple(f"/mnt/pve/{volume}" for volume in self.gluster.volumes),
        }

    def _services(self, node: Node) -> dict[str, str]:
        web = "active" if node.api else "activating"
        states = {name: web if name in ("pveproxy", "pvestatd") else "active" for name in SERVICES}
        states["glusterd"] = "active" if self.gluster.daemons[node.name].up else "inactive"
        failed = self.trouble.has(Kind.SERVICE_DOWN, node.name)
        return states | ({failed.text or "pvestatd": "failed"} if failed else {})

    def _standing(self, name: str) -> dict[str, Any]:
        """How things stood when we acted on this node: what the invariants are judged by."""
        others = [node for node in self.machines.all.values() if node.name != name]
        mode = {n: m.by for n, m in self.ha_manager.modes.items() if m.asked and n != name}
        return {
            "unhealed_since": self.gluster.unhealed_since,
            "down": {node.name: (node.down_by, node.dark_since) for node in others if node.power is not Power.UP},
            "maintenance": mode,
            "quorate": self.machines.quorate(),
            "running": [vm.id for vm in self.guests.all.values() if vm.healthy and vm.node != name],
            "boot_id": self.node(name).boot_id,
            "kernel": self.node(name).boot_kernel,
        }

    def _guard_time(self, node: Node, not_after: float) -> None:
        late = self.core.now - node.booted_at - not_after
        if late > 0:
            self._refuse(node, f"too late by {late:.0f} s")
        if late < -AHEAD_S:
            self._refuse(node, "made for another boot")

    def _guard_heal(self, node: Node) -> None:
        why = self.gluster.heals_itself(node.name)
        if why:
            self._refuse(node, why)

    def _refuse(self, node: Node, why: str) -> None:
        self.core.note(What.REFUSED, node.name, text=why)
        raise Denied(f"{node.name}: refused: {why}")

    def _wire(self) -> None:
        """Tell each part of the model what the others do when something happens."""
        self.core.on_event = self.trouble.heard
        self.machines.going_down = self.guests.node_going_down
        self.machines.dark = self._node_dark
        self.machines.booted = self._node_booted
        self.machines.api_back = self._api_back
        self.machines.fence = self.guests.fenceable
        self.guests.image_ok = self.gluster.image_ok
        self.guests.writes = self.gluster.look
        self.guests.open_to = self.ha_manager.open_to
        self.guests.moved = self.replicas.moved
        self.gluster.writing = self.guests.writing
        self.gluster.io_error = self.guests.io_error
        self.packages.restart_gluster = self.gluster.restart
        self.archives.holds = self._takes_disks
        wire_faults(self)

    def _takes_disks(self, node: str) -> dict[str, str]:
        """Storages of this node, by their kind, on which a guest's disk can be."""
        rows = self.storages(self.core.now, node)
        return {row.storage: row.kind for row in rows if row.active and row.kind not in KEEPS_BACKUPS}

    def _node_dark(self, node: Node) -> None:
        self.tasks.node_dark(node.name)
        self.packages.node_dark(node)
        self.guests.node_dark(node)
        self.gluster.node_dark(node)
        self.ceph.node_dark(node)

    def _node_booted(self, node: Node) -> None:
        self.gluster.node_booted(node)
        self.ceph.node_booted(node)

    def _api_back(self, node: Node) -> None:
        self.guests.api_back(node)
        self.ha_manager.api_back(node)


def _who(user: str) -> str:
    return US if user == OUR_USER else SOMEBODY
