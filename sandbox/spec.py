"""What a simulated cluster is made of, as plain data: a scenario writes it, the model lives it.

Sizes in bytes, times in seconds (or as text with a unit: "10m"). `ClusterSpec.from_dict` reads the `cluster:` part of a
scenario and refuses every key that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from base.settings import seconds
from base.spelling import meant
from cluster.guest_settings import GuestGroup
from workflows.settings import ManagedCluster

GIB = 1 << 30
DAY = 86400.0

T = TypeVar("T")


class BadSpec(ValueError):
    """The scenario says something that no cluster can be; str() says what to write instead."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """`boot_kernel`: what the next boot takes, if a newer kernel is installed already ("" = the running one).
    `power_cycle`: the command of the settings; the sandbox runs none, it cycles its own node."""

    name: str
    memory: int = 64 * GIB
    kernel: str = "6.8.12-4-pve"
    boot_kernel: str = ""
    votes: int = 1
    power_cycle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestSpec:
    """`volume`: where its image lies ("" = local disk). `stays`: why it cannot migrate, in PVE's words; "" = it can.
    `disk`: its size. `agent`: a guest agent answers while it is well. `address`: of its network device, if Proxmox VE
    knows it. `failback`: HA brings it back after maintenance mode, as is usual; without it it stays where it is."""

    id: int
    name: str
    node: str
    kind: str = "qemu"
    memory: int = 2 * GIB
    ha: bool = False
    onboot: bool = True
    status: str = "running"
    lock: str = ""
    template: bool = False
    volume: str = "vmstore"
    stays: str = ""
    disk: int = 16 * GIB
    agent: bool = True
    address: str = ""
    failback: bool = True


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """`nodes`: one brick each, in order; () = every node once. Each `replica` consecutive bricks are a replica set, and
    with `arbiters` = 1 the last of each set holds names only."""

    name: str = "vmstore"
    replica: int = 3
    arbiters: int = 0
    nodes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackageSpec:
    """`kernel`: the release that this package brings, if it is a kernel."""

    name: str
    old: str
    new: str
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A storage beside those that every sandbox has (local, backup, and the volumes). `kind` nfs and pbs take backups,
    all others disks of guests."""

    name: str
    kind: str = "nfs"
    shared: bool = True


@dataclass(frozen=True, slots=True)
class CephSpec:
    """`nodes`: those with a monitor and OSDs; () = every node. Every placement group has a copy on each of them.
    `min_size`: copies of the pool below which it stops."""

    nodes: tuple[str, ...] = ()
    osds: int = 2  # of each node
    pgs: int = 128
    min_size: int = 2


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """A job of ZFS replication. `age`: how long ago it ran when the night begins; `every`: its schedule."""

    guest: int
    target: str
    age: float = 300.0
    every: float = 900.0


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule of the HA manager: `apart` keeps its resources ("vm:101") on different nodes; else `nodes` alone may have
    them, where it is `strict`."""

    name: str
    resources: tuple[str, ...]
    apart: bool = True
    nodes: tuple[str, ...] = ()
    strict: bool = True


@dataclass(frozen=True, slots=True)
class BackupSpec:
    """`age`: how old it is when the night begins."""

    guest: int
    age: float = 6 * 3600.0
    storage: str = "backup"
    size: int = 4 * GIB
    verified: bool | None = True
    protected: bool = False
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long things take, in seconds. The defaults are measured (proxmox.md §1, §3, §4; gluster.md §4) or those of a
    usual server."""

    going_down: float = 20.0  # from the reboot command until the node is dark: old uptime for about 20 s
    boot: float = 150.0  # dark until corosync and ssh are there
    api_lag: float = 8.0  # corosync says online, pveproxy refuses yet
    member_lag: float = 12.0  # a dark node still counts as online
    peer_lag: float = 21.0  # after a power cut `peer status` still says Connected
    maintenance_request: float = 8.0  # the manager's node_request
    maintenance_mode: float = 11.0  # the LRM's mode
    maintenance_reached: float = 20.0  # the manager's node_status
    ha_round: float = 10.0  # the HA manager looks again this often
    ha_queue: float = 12.0  # a queued HA migration begins to move
    ha_back: float = 29.0  # after maintenance mode went off, until HA guests are moved back
    ha_recover: float = 120.0  # a dead node is fenced and its HA guests start elsewhere
    watchdog: float = 42.0  # without quorum, until a node with HA guests resets itself
    migrate: float = 10.0  # a live migration, plus migrate_gib for each GiB of memory
    migrate_gib: float = 4.0
    shutdown: float = 15.0  # a guest
    start: float = 5.0  # a guest
    stop: float = 1.0  # a guest, by pulling its plug
    restore_mib: float = 60e6 / (1 << 20)  # MiB a second, of the restored disk
    backup_mib: float = 120e6 / (1 << 20)
    upgrade: float = 180.0  # dist-upgrade; glusterfs-server is unpacked half way through
    glusterd: float = 2.0  # from boot to glusterd
    heal_base: float = 20.0  # what the shortest heal takes
    heal_factor: float = 0.5  # heal time for each second that the brick was away
    heal_climb: float = 0.0  # part of the heal (0..1) in which the count still climbs
    entries_s: float = 0.2  # entries that a brick misses for each second away, beside one for each image in use
    spread: float = 0.0  # every duration varies by up to this part of itself (0.25: a quarter), from the seed
    copy_gib: float = 8.0  # a local disk that moves along, for each GiB of the guest's memory: disks have no size here
    serve: float = 0.0  # from a guest's start until its health probe passes
    replicate: float = 20.0  # one run of a replication job
    osd_out: float = 600.0  # an OSD that is down so long is marked out, unless noout is set
    recover: float = 60.0  # until the placement groups are clean again, after their OSDs are back
    eio_kills: float = 3.0  # from the first failed write to the guest's end (2017: hours)


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A whole cluster. `settings`: further keys of the cluster's section of the settings file (limits, windows ...);
    `keep_last`: storage -> how many backups of each guest its retention leaves, protected ones aside."""

    name: str = "lab"
    nodes: tuple[NodeSpec, ...] = ()
    guests: tuple[GuestSpec, ...] = ()
    volumes: tuple[VolumeSpec, ...] = (VolumeSpec(),)
    packages: tuple[PackageSpec, ...] = ()
    groups: tuple[GuestGroup, ...] = ()
    backups: tuple[BackupSpec, ...] = ()
    storages: tuple[StorageSpec, ...] = ()
    keep_last: Mapping[str, int] = field(default_factory=dict)
    ceph: CephSpec | None = None
    replicas: tuple[ReplicaSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    qdevice_votes: int = 0
    helper_checksum: str = "sandbox-helper"
    timings: Timings = Timings()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def node(self, name: str) -> NodeSpec:
        return next(n for n in self.nodes if n.name == name)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClusterSpec:
        """The `cluster:` part of a scenario; what it leaves out is as in `default_spec()`."""
        known = known_keys(cls, data, "cluster")
        spec = replace(default_spec(), **{key: _PARTS.get(key, _as_is)(value) for key, value in known.items()})
        return _checked(spec if "guests" in known else _dealt(spec))


def default_spec() -> ClusterSpec:
    """Three nodes, one replicated volume, two routers of which one must always run, a database, and a web server under
    HA; a new kernel waits on every node."""
    return ClusterSpec(
        nodes=_nodes(3),
        guests=(
            GuestSpec(101, "router-a", "pve1"),
            GuestSpec(102, "router-b", "pve2"),
            GuestSpec(103, "db", "pve3", memory=8 * GIB),
            GuestSpec(104, "web", "pve3", memory=4 * GIB, ha=True),
        ),
        packages=(
            PackageSpec("proxmox-kernel-6.8", "6.8.12-4", "6.8.12-9", kernel="6.8.12-9-pve"),
            PackageSpec("pve-manager", "8.4.1", "8.4.5"),
        ),
        groups=(GuestGroup(name="routers", guests=(101, 102)),),
        backups=(BackupSpec(101), BackupSpec(102)),
    )


GLUSTER_UPDATE = PackageSpec("glusterfs-server", "10.3-4", "10.3-5")
"""The package whose installation restarts glusterd and takes the node's bricks down (gluster.md §4)."""


def managed_settings(spec: ClusterSpec) -> ManagedCluster:
    """The settings a careful admin would write for this cluster; addresses are loopback, keys are not real."""
    machines: dict[str, Any] = {
        "nodes": {
            node.name: {
                "address": "127.0.0.1",
                "host_key": "ssh-ed25519 AAAA",
                "power_cycle": list(node.power_cycle),
            }
            for node in spec.nodes
        },
        "api": {"token_id": "roundsman@pve!bot", "token": "not-a-secret"},
        "ssh": {"key_file": "/dev/null"},
    }
    return ManagedCluster.model_validate({**machines, **settings_section(spec)})


def settings_section(spec: ClusterSpec) -> dict[str, Any]:
    """The cluster's section of the settings file, but for the keys that say how to reach its machines."""
    section: dict[str, Any] = {
        "name": spec.name,
        "channel": "C0LAB",
        "gluster": {"volumes": [volume.name for volume in spec.volumes], "enabled": bool(spec.volumes)},
        "groups": [group.model_dump(exclude_defaults=True) for group in spec.groups],
        "paths": _paths(spec),
        "people": {"operators": ["U0ALICE", "U0BOB"], "approvers": ["U0CAROL"]},
    }
    return {**section, **spec.settings}


def _paths(spec: ClusterSpec) -> list[dict[str, Any]]:
    """Two ways in, as a careful admin has them: directly, which is through the routers where there are some, and
    through a jump host on a line of its own."""
    known = {guest.id for guest in spec.guests}
    routers = [guest for group in spec.groups if group.name == "routers" for guest in group.guests if guest in known]
    jump = {"address": "198.51.100.7", "host_key": "ssh-ed25519 AAAB"}
    return [
        {"name": "direct", "kind": "direct", "guests": routers},
        {"name": "lte", "kind": "jump", "jumps": [jump]},
    ]


def in_seconds(value: float | str) -> float:
    """A duration as a scenario may write it: 90, or "90s", "10m", "4h"."""
    return seconds(value) if isinstance(value, str) else float(value)


def _as_is(value: Any) -> Any:
    return value


def _nodes(value: int | list[Any]) -> tuple[NodeSpec, ...]:
    """3 -> pve1..pve3; a list holds names or whole nodes."""
    if isinstance(value, int):
        return tuple(NodeSpec(f"pve{n}") for n in range(1, value + 1))
    return tuple(NodeSpec(row) if isinstance(row, str) else _one(NodeSpec, row) for row in value)


def _rows(cls: type[T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda rows: tuple(_one(cls, row) for row in rows)


def _one(cls: type[T], row: Mapping[str, Any]) -> T:
    known = known_keys(cls, row, cls.__name__)
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in known.items()})


def known_keys(cls: Any, row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The row, once every key of it is a field of that dataclass. Raises BadSpec."""
    names = [f.name for f in fields(cls)]
    for key in row:
        if key not in names:
            raise BadSpec(f'{where}: unknown key "{key}"{meant(key, names)}')
    return row


def _checked(spec: ClusterSpec) -> ClusterSpec:
    names = {node.name for node in spec.nodes}
    for guest in spec.guests:
        if guest.node not in names:
            raise BadSpec(f'guest {guest.id}: there is no node "{guest.node}"')
    for volume in spec.volumes:
        bricks = volume.nodes or tuple(node.name for node in spec.nodes)
        if not set(bricks) <= names or len(bricks) % volume.replica:
            raise BadSpec(f"volume {volume.name}: bricks on {', '.join(bricks)} make no whole sets of {volume.replica}")
    return spec


def _dealt(spec: ClusterSpec) -> ClusterSpec:
    """The usual guests on an unusual number of nodes: whoever has no node goes to the last one."""
    names = [node.name for node in spec.nodes]
    guests = tuple(g if g.node in names else replace(g, node=names[-1]) for g in spec.guests)
    return replace(spec, guests=guests)


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "nodes": _nodes,
    "guests": _rows(GuestSpec),
    "volumes": _rows(VolumeSpec),
    "packages": _rows(PackageSpec),
    "groups": lambda rows: tuple(GuestGroup(**row) for row in rows),
    "backups": _rows(BackupSpec),
    "storages": _rows(StorageSpec),
    "ceph": lambda row: _one(CephSpec, row or {}),
    "replicas": _rows(ReplicaSpec),
    "rules": _rows(RuleSpec),
    "timings": lambda row: Timings(**{k: in_seconds(v) for k, v in known_keys(Timings, row, "timings").items()}),
}
