"""What machines said, as frozen values. Every reading carries the time it was read (seconds since the epoch, UTC).

A reading is `Read` or `Unread`: a gate that needs an unread one answers *unknown*. Nothing here has a default that
could stand in for an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from base.record import record

T = TypeVar("T")


@record
class Read(Generic[T]):
    value: T
    at: float


@record
class Unread:
    """No answer, and why, in a sentence a person can act on."""

    why: str
    at: float


Reading = Read[T] | Unread


class Topic(StrEnum):
    """What can be asked of a cluster. A gate names the topics it reads; a survey reads only those that are asked."""

    MEMBERSHIP = "membership"  # corosync: votes, quorum, who is online
    GUESTS = "guests"  # every VM and container, where and in which state
    HA = "ha"  # manager, maintenance modes, armed or not
    CAPACITY = "capacity"  # memory of each node
    STORAGES = "storages"  # every storage on every node
    TASKS = "tasks"  # running tasks on every node
    BACKUPS = "backups"  # newest backups of the guests in `backups.critical`
    MOVES = "moves"  # of each guest on the node: can it move, and where to
    NODES = "nodes"  # the helper's word on every node
    PACKAGES = "packages"  # what dist-upgrade would do on the node
    GLUSTER = "gluster"  # every peer's view, read several times
    PROCESSES = "processes"  # with it, `volume status` by every peer, which takes the cluster's lock
    SERVING = "serving"  # health probes of the members of guest groups
    RULES = "rules"  # the HA manager's rules: which guests it keeps apart, which nodes it may choose
    CEPH = "ceph"  # health checks, placement groups, OSDs and monitors, where there is a Ceph
    REPLICATION = "replication"  # ZFS replication: every job of every node
    PATHS = "paths"  # every path to every node, and what it depends on


# ---- Proxmox VE --------------------------------------------------------------------------------------------------


@record
class Member:
    node: str
    online: bool
    votes: int


@record
class Membership:
    """From /cluster/status and `pvecm status`. `quorum` = votes needed. `config_version` = corosync.conf's."""

    cluster: str
    quorate: bool
    members: tuple[Member, ...]
    quorum: int
    qdevice_votes: int
    config_version: int


def tool_of(kind: str) -> str:
    return "pct" if kind == "lxc" else "qm"


@record
class Guest:
    """A VM ("qemu") or container ("lxc"). `memory` in bytes, as configured. `ha`: HA state, "" if not under HA."""

    id: int
    name: str
    kind: str
    node: str
    status: str
    memory: int
    ha: str = ""
    lock: str = ""
    template: bool = False

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def under_ha(self) -> bool:
        """The HA manager moves, stops and starts it; one that it is told to ignore it does not touch."""
        return self.ha not in ("", "ignored")

    @property
    def sid(self) -> str:
        """HA's name for it."""
        return f"{'ct' if self.kind == 'lxc' else 'vm'}:{self.id}"

    @property
    def tool(self) -> str:
        """The command of a node that steers it."""
        return tool_of(self.kind)


@record
class Ha:
    """`maintenance`: nodes for which maintenance mode is requested or reached. `modes`: node -> LRM mode."""

    manager: str
    maintenance: frozenset[str]
    modes: Mapping[str, str]
    armed: bool


@record
class Capacity:
    """Bytes of memory of a node."""

    node: str
    memory: int


@record
class StorageRow:
    node: str
    storage: str
    kind: str
    enabled: bool
    active: bool
    shared: bool
    path: str = ""


@record
class TaskRow:
    """A running task. `kind`: vzdump, qmigrate, hamigrate, startall ... `guest`: its id as text, may be empty."""

    upid: str
    node: str
    kind: str
    guest: str
    user: str
    started: float


@dataclass(frozen=True, slots=True)
class Backup:
    """`verified`: None where nobody verifies (vzdump), else what the backup server found. `size` in bytes. `node`: the
    only one that can read it; "" = every node."""

    guest: int
    storage: str
    made_at: float
    size: int
    verified: bool | None = None
    protected: bool = False
    volid: str = ""
    notes: str = ""
    node: str = ""


@record
class Move:
    """PVE's own answer to "can this guest migrate?". `why_not`: node -> reason, in PVE's words."""

    guest: int
    allowed: tuple[str, ...]
    why_not: Mapping[str, str]
    local_disks: tuple[str, ...] = ()
    local_devices: tuple[str, ...] = ()


@record
class Serving:
    """One health probe's answer. `serves` None: it could not be asked, which is not serving. `said`: in words."""

    guest: int
    serves: bool | None
    said: str


@record
class HaRule:
    """One rule that is switched on. `kind`: "resource-affinity" (`apart` True: keep these apart) or "node-affinity"
    (`nodes`, and no others if `strict`). `resources`: HA's names, such as "vm:101"."""

    name: str
    kind: str
    resources: frozenset[str]
    apart: bool = False
    nodes: frozenset[str] = frozenset()
    strict: bool = False


@record
class CephPool:
    """`size`: copies (or chunks) that every object has; with fewer than `min_size` of them the pool stops."""

    name: str
    size: int
    min_size: int


@record
class Ceph:
    """`checks`: name of a health check -> its summary; muted ones too, for nobody said that they are harmless.
    `pgs`: state of placement groups -> how many. `monitors`: all of them; `quorum`: those that take part.
    `flags`: those of the OSD map that are set, such as "noout". `managed`: a manager (mgr) is active; without one `pgs`
    stays as it was last counted, whatever happens since (measured on Ceph 16.2)."""

    checks: Mapping[str, str]
    pgs: Mapping[str, int]
    osds: int
    osds_up: int
    osds_in: int
    monitors: frozenset[str]
    quorum: frozenset[str]
    flags: frozenset[str]
    pools: tuple[CephPool, ...]
    managed: bool


@record
class ReplicationJob:
    """One job of ZFS replication. Times in seconds since the epoch; 0: never. `error`: its last one, or ""."""

    id: str
    guest: int
    source: str
    target: str
    fail_count: int
    error: str
    last_sync: float
    last_try: float
    running: bool = False


# ---- the node helper's word ------------------------------------------------------------------------------------


@record
class NodeStatus:
    """`roundsman-helper status`. `uptime` in seconds of the node's own clock; `checksum` of the helper's own file.

    `kernel` runs now, `boot_kernel` would be booted next (pins respected). `services`: unit -> active state.
    """

    node: str
    checksum: str
    boot_id: str
    uptime: float
    kernel: str
    boot_kernel: str
    services: Mapping[str, str]
    corosync_version: int
    dpkg_broken: str = ""
    apt_busy: str = ""
    clock: float = 0.0
    gluster_mounts: tuple[str, ...] = ()


@record
class Package:
    name: str
    old: str
    new: str


@record
class PackagePlan:
    """What `apt-get -s dist-upgrade` would do; `checksum` binds an approval to it.

    `new_kernel`: the kernel that it brings and that would boot next (a pinned one keeps it away), or "".
    """

    checksum: str
    upgrades: tuple[Package, ...]
    removes: tuple[str, ...]
    new_kernel: str = ""
    restarts_gluster: bool = False

    @property
    def empty(self) -> bool:
        return not self.upgrades and not self.removes


# ---- GlusterFS ---------------------------------------------------------------------------------------------------


@record
class Peer:
    """`state` 3 = in cluster. `connected` is what counts: a disconnected peer still says "Peer in Cluster"."""

    uuid: str
    host: str
    connected: bool
    state: int


@record
class Brick:
    name: str  # "pve1:/srv/brick", as volume info has it
    host_uuid: str
    arbiter: bool = False


@record
class Volume:
    """One volume of `volume info`. Bricks in order: each `replica` consecutive ones are one replica set."""

    name: str
    kind: str
    started: bool
    replica: int
    arbiters: int
    bricks: tuple[Brick, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    disperse: int = 0
    redundancy: int = 0


@record
class BrickHeal:
    """One brick's row of `heal info summary`. None where the answer has no number: never read it as 0."""

    brick: str
    host_uuid: str
    status: str
    pending: int | None
    split_brain: int | None
    possibly_healing: int | None
    total: int | None

    @property
    def healed(self) -> bool:
        return self.status == "Connected" and self.total == 0 and not self.pending and self.split_brain == 0


@record
class BrickProcess:
    """One row of `volume status`: a brick, or a self-heal daemon (`daemon`)."""

    name: str
    host_uuid: str
    online: bool
    daemon: bool


@record
class VolumeStatus:
    volume: str
    rows: tuple[BrickProcess, ...]
    tasks: tuple[str, ...] = ()  # rebalance, replace-brick ... that are in progress


@record
class PeerView:
    """What one peer's glusterd says. `heal`: volume -> the answers of consecutive reads, oldest first."""

    node: str
    uuid: str
    pool: Reading[tuple[Peer, ...]]
    volumes: Reading[tuple[Volume, ...]]
    heal: Mapping[str, tuple[Reading[tuple[BrickHeal, ...]], ...]]
    status: Mapping[str, Reading[VolumeStatus]]


@record
class Gluster:
    """All peers' views. `reads` = how many consecutive heal reads were wanted of each peer, `gap` seconds apart; the
    first round that is not healed is the last."""

    views: tuple[PeerView, ...]
    reads: int
    gap: float
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # brick -> names of entries, bounded

    @property
    def at(self) -> float:
        """When the first of the peers was asked what it knows of the pool. Heal reads and `volume status` have stamps
        of their own, and are judged by them."""
        return min((reading.at for view in self.views for reading in (view.pool, view.volumes)), default=0.0)


@record
class HealProgress:
    """The cheap question, asked on one node: brick -> entries to go, None where no number came. `split_brain`: how many
    split entries the brick with the most of them lists (each copy lists the same ones). `healing`: of how many of its
    entries a brick says that they may be healed right now, the most of all bricks. `volumes`: those with entries."""

    asked: str
    pending: Mapping[str, int | None]
    split_brain: int
    healing: int
    volumes: tuple[str, ...]
    down: tuple[str, ...] = ()

    @property
    def healed(self) -> bool:
        return bool(self.pending) and not self.down and all(n == 0 for n in self.pending.values())


# ---- the ways in -------------------------------------------------------------------------------------------------


@record
class PathTest:
    """One path tried to one node, for what it is needed for. `ssh`, `api`: why that did not work, "" = it did.

    `latency`: seconds, of the slower of the two. `answered_at`: when both last worked, None: not since the start.
    """

    path: str
    node: str
    at: float
    ssh: str
    api: str
    latency: float
    answered_at: float | None = None
    hint: str = ""
    """What to type or change, if that is known."""

    @property
    def alive(self) -> bool:
        return not self.ssh and not self.api

    @property
    def why(self) -> str:
        """What fails for both fails for one reason, as a rule."""
        return self.ssh or self.api


@record
class PathDrill:
    """What a drill found while the path `cut` was left alone: `usual`: node -> (why calls went wrong, or "", seconds);
    `alone`: each other path by itself."""

    cut: str
    usual: Mapping[str, tuple[str, float]]
    alone: tuple[PathTest, ...]


@record
class WaysIn:
    """What is known of the ways in. `depends`: path -> what it goes through: a guest's id, or a node's name -> how that
    is known. `detours`: node -> path, where it was last talked to over another path than the first. `home`: the guest
    or node of this cluster in which the bot itself runs, and how that is known; None: none was found."""

    tests: tuple[PathTest, ...]
    depends: Mapping[str, Mapping[int | str, str]] = field(default_factory=dict)
    detours: Mapping[str, str] = field(default_factory=dict)
    home: tuple[int | str, str] | None = None


def processes_of(gluster: Reading[Gluster]) -> Reading[tuple[str, ...]]:
    """The topic PROCESSES, out of a Gluster reading for which `volume status` was to be asked: as old as its oldest
    answer."""
    if isinstance(gluster, Unread):
        return gluster
    views = gluster.value.views
    oldest = min((status.at for view in views for status in view.status.values()), default=gluster.at)
    return Read(tuple(view.node for view in views), oldest)


# ---- a survey ----------------------------------------------------------------------------------------------------

NOT_ASKED = Unread("not asked for", 0.0)


@record
class Machines:
    """One survey of a cluster: every topic that was asked, read or unread."""

    membership: Reading[Membership] = NOT_ASKED
    guests: Reading[tuple[Guest, ...]] = NOT_ASKED
    ha: Reading[Ha] = NOT_ASKED
    capacity: Reading[tuple[Capacity, ...]] = NOT_ASKED
    storages: Reading[tuple[StorageRow, ...]] = NOT_ASKED
    tasks: Reading[tuple[TaskRow, ...]] = NOT_ASKED
    backups: Reading[tuple[Backup, ...]] = NOT_ASKED
    moves: Reading[tuple[Move, ...]] = NOT_ASKED
    nodes: Mapping[str, Reading[NodeStatus]] = field(default_factory=dict)
    packages: Reading[PackagePlan] = NOT_ASKED
    gluster: Reading[Gluster] = NOT_ASKED
    processes: Reading[tuple[str, ...]] = NOT_ASKED
    """The peers that were asked for their `volume status`; what each said is part of its view."""
    serving: Reading[tuple[Serving, ...]] = NOT_ASKED
    rules: Reading[tuple[HaRule, ...]] = NOT_ASKED
    ceph: Reading[Ceph | None] = NOT_ASKED
    """None: no node has Ceph."""
    replication: Reading[tuple[ReplicationJob, ...]] = NOT_ASKED
    paths: Reading[WaysIn] = NOT_ASKED
