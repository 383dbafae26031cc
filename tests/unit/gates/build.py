"""A healthy cluster of three nodes, and one thing bent at a time.

vmstore is replica 3, a brick on each node. router-a (101) runs on pve1, router-b (102) and db (103) on pve2, web (104)
on pve3; of the routers one must run. Where a story names no node, pve2 is the one that would be taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cluster.facts import (
    Backup,
    Brick,
    BrickHeal,
    BrickProcess,
    Capacity,
    Gluster,
    Guest,
    Ha,
    Machines,
    Member,
    Membership,
    Move,
    NodeStatus,
    Package,
    PackagePlan,
    PathTest,
    Peer,
    PeerView,
    Read,
    Reading,
    StorageRow,
    Unread,
    Volume,
    VolumeStatus,
    WaysIn,
)
from cluster.gates import all_gates, ask
from cluster.settings import ClusterSettings
from cluster.world import (
    ApprovalSeen,
    Blocked,
    GatePhase,
    OnCallSeen,
    OwnChanges,
    Passed,
    PersonSeen,
    Unknown,
    Verdict,
    World,
)

NOW = datetime(2026, 1, 10, 23, 0, tzinfo=UTC).timestamp()  # a Saturday
HOUR, DAY = 3600.0, 86400.0
GIB = 1 << 30
NODES = ("pve1", "pve2", "pve3")
CHECKSUM = "5eed" * 16
DEAD = "Transport endpoint is not connected"
MALFORMED = f"Failed to process entries completely. ({DEAD})totalNumberOfEntries0"
READS = 3


def settings(**changes: Any) -> ClusterSettings:
    plain = {
        "name": "lab",
        "channel": "C0LAB",
        "nodes": {node: {"address": node, "host_key": "ssh-ed25519 AAAA"} for node in NODES},
        "api": {"token_id": "roundsman@pve!bot", "token": "not-a-secret"},
        "ssh": {"key_file": "/dev/null"},
        "groups": [{"name": "routers", "guests": [101, 102]}],
        "paths": [
            {"name": "direct", "guests": [101, 102]},
            {"name": "lte", "kind": "jump", "jumps": [{"address": "lte.example", "host_key": "ssh-ed25519 AAAB"}]},
        ],
    }
    return ClusterSettings.model_validate(plain | changes)


def healthy(**changes: Any) -> World:
    """`changes`: of the settings."""
    return World(settings(**changes), machines(), OwnChanges(), Read(approved(), NOW), CHECKSUM, Read(watched(), NOW))


def watched() -> OnCallSeen:
    """Alice is on call, proven yesterday, and Bob stands behind her."""
    alice = PersonSeen("alice", True, ("voice",), NOW - DAY)
    return OnCallSeen((alice,), ("bob",), NOW + 8 * HOUR, (), 30 * DAY)


def machines() -> Machines:
    return Machines(
        membership=Read(membership(), NOW),
        guests=Read(guests(), NOW),
        ha=Read(Ha("pve1", frozenset(), dict.fromkeys(NODES, "active"), armed=True), NOW),
        capacity=Read(tuple(Capacity(node, 64 * GIB) for node in NODES), NOW),
        storages=Read(tuple(storage(node) for node in NODES), NOW),
        tasks=Read((), NOW),
        backups=Read((backup(101), backup(102)), NOW),
        moves=Read((Move(102, ("pve1", "pve3"), {}), Move(103, ("pve1", "pve3"), {})), NOW),
        nodes={node: Read(status(node), NOW) for node in NODES},
        packages=Read(PackagePlan("plan", (Package("pve-manager", "8.4.1", "8.4.5"),), ()), NOW),
        gluster=Read(gluster(volume()), NOW),
        processes=Read(NODES, NOW),
        serving=Read((), NOW),
        rules=Read((), NOW),
        ceph=Read(None, NOW),
        replication=Read((), NOW),
        paths=Read(ways(), NOW),
    )


def ways(*dead: tuple[str, str], **changes: Any) -> WaysIn:
    """Every path to every node answers, but for (path, node) in `dead`; node "" = to none."""
    tests = tuple(path_test(path, node, dead) for path in ("direct", "lte") for node in NODES)
    return replace(WaysIn(tests), **changes)


def path_test(path: str, node: str, dead: Iterable[tuple[str, str]]) -> PathTest:
    why = "it says nothing" if {(path, node), (path, "")} & set(dead) else ""
    return PathTest(path, node, NOW, why, why, 0.1, None if why else NOW)


def membership(
    quorum: int = 2, qdevice: int = 0, offline: Iterable[str] = (), nodes: Iterable[str] = NODES
) -> Membership:
    members = tuple(Member(node, node not in tuple(offline), 1) for node in nodes)
    return Membership("lab", True, members, quorum, qdevice, config_version=7)


def guests() -> tuple[Guest, ...]:
    return (
        Guest(101, "router-a", "qemu", "pve1", "running", 2 * GIB),
        Guest(102, "router-b", "qemu", "pve2", "running", 2 * GIB),
        Guest(103, "db", "qemu", "pve2", "running", 8 * GIB),
        Guest(104, "web", "qemu", "pve3", "running", 4 * GIB),
    )


def status(node: str) -> NodeStatus:
    units = ("corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm", "glusterd")
    kernel = "6.8.12-4-pve"
    return NodeStatus(
        node,
        CHECKSUM,
        f"boot-of-{node}",
        10 * DAY,
        kernel,
        kernel,
        dict.fromkeys(units, "active"),
        corosync_version=7,
        gluster_mounts=("/mnt/pve/vmstore",),
    )


def storage(node: str) -> StorageRow:
    return StorageRow(node, "vmstore", "dir", enabled=True, active=True, shared=True, path="/mnt/pve/vmstore")


def backup(guest: int, age: float = 6 * HOUR) -> Backup:
    return Backup(guest, "pbs", NOW - age, 4 * GIB, verified=True)


def approved() -> ApprovalSeen:
    return ApprovalSeen(("U0CAROL",), (), 1, NOW + HOUR, bound="d1", present="d1")


# ---- Gluster -----------------------------------------------------------------------------------------------------


def uuid(node: str) -> str:
    return f"uuid-of-{node}"


def brick(node: str, path: str = "/srv/brick", arbiter: bool = False) -> Brick:
    return Brick(f"{node}:{path}", uuid(node), arbiter)


def volume(
    bricks: tuple[Brick, ...] | None = None, replica: int = 3, kind: str = "Replicate", **changes: Any
) -> Volume:
    """`options` use underscores nowhere: they are Gluster's own names."""
    whole = bricks if bricks is not None else tuple(brick(node) for node in NODES)
    return replace(Volume("vmstore", kind, True, replica, 0, whole), **changes)


def gluster(*volumes: Volume, nodes: Iterable[str] = NODES) -> Gluster:
    peers = tuple(nodes)
    return Gluster(tuple(view(node, peers, volumes) for node in peers), READS, 5.0)


def view(node: str, peers: tuple[str, ...], volumes: tuple[Volume, ...]) -> PeerView:
    return PeerView(
        node,
        uuid(node),
        Read(tuple(Peer(uuid(peer), "localhost" if peer == node else peer, True, 3) for peer in peers), NOW),
        Read(volumes, NOW),
        {v.name: tuple(Read(tuple(map(healed, v.bricks)), NOW) for _ in range(READS)) for v in volumes},
        {v.name: Read(VolumeStatus(v.name, processes(v, peers)), NOW) for v in volumes},
    )


def healed(one: Brick) -> BrickHeal:
    return BrickHeal(one.name, one.host_uuid, "Connected", 0, 0, 0, 0)


def processes(volume: Volume, peers: Iterable[str]) -> tuple[BrickProcess, ...]:
    bricks = tuple(BrickProcess(one.name, one.host_uuid, online=True, daemon=False) for one in volume.bricks)
    return bricks + tuple(BrickProcess(peer, uuid(peer), online=True, daemon=True) for peer in peers)


# ---- bending one thing -------------------------------------------------------------------------------------------


def with_(world: World, at: float = NOW, **topics: Any) -> World:
    """Other values for whole topics: `with_(world, tasks=(...))`."""
    read: dict[str, Any] = {
        name: value if isinstance(value, Unread) else Read(value, at) for name, value in topics.items()
    }
    return replace(world, machines=replace(world.machines, **read))


def with_own(world: World, **changes: Any) -> World:
    return replace(world, own=replace(world.own, **changes))


def with_guest(world: World, guest_id: int, **changes: Any) -> World:
    return with_(world, guests=tuple(replace(g, **changes) if g.id == guest_id else g for g in guests_of(world)))


def drained(world: World) -> World:
    """Nothing is left on pve2."""
    return with_guest(with_guest(world, 102, node="pve3"), 103, node="pve3")


def at(phase: GatePhase) -> World:
    """Healthy as it is at that moment of pve2's way."""
    return drained(healthy()) if phase in (GatePhase.UPGRADE, GatePhase.REBOOT) else healthy()


def guests_of(world: World) -> tuple[Guest, ...]:
    assert isinstance(world.machines.guests, Read)
    return world.machines.guests.value


def with_node(world: World, node: str, reading: Reading[NodeStatus] | None = None, **changes: Any) -> World:
    """The helper's word on one node."""
    changed = reading or Read(replace(status(node), **changes), NOW)
    return replace(world, machines=replace(world.machines, nodes={**world.machines.nodes, node: changed}))


def with_gluster(*volumes: Volume, nodes: Iterable[str] = NODES, **changes: Any) -> World:
    return with_(healthy(**changes), gluster=gluster(*volumes, nodes=nodes))


def gluster_of(world: World) -> Gluster:
    assert isinstance(world.machines.gluster, Read)
    return world.machines.gluster.value


def with_view(world: World, node: str, **changes: Any) -> World:
    """What one peer says."""
    pool = gluster_of(world)
    views = tuple(replace(v, **changes) if v.node == node else v for v in pool.views)
    return with_(world, gluster=replace(pool, views=views))


def view_of(world: World, node: str) -> PeerView:
    return next(v for v in gluster_of(world).views if v.node == node)


def with_peer(world: World, seen_by: Iterable[str], peer: str, **changes: Any) -> World:
    """How some peers see another one in `pool list`."""
    for node in seen_by:
        pool = view_of(world, node).pool
        assert isinstance(pool, Read)
        rows = tuple(replace(row, **changes) if row.uuid == uuid(peer) else row for row in pool.value)
        world = with_view(world, node, pool=Read(rows, NOW))
    return world


def with_heal(
    world: World, node: str, by: Iterable[str] = NODES, reads: Iterable[int] = range(READS), **changes: Any
) -> World:
    """What some peers say of the brick on `node`, in some of the reads. `gone=True`: they leave it out."""
    for asked in by:
        answers = list(view_of(world, asked).heal["vmstore"])
        for place in reads:
            answers[place] = Read(tuple(_rows(answers[place], node, changes)), NOW)
        world = with_view(world, asked, heal={"vmstore": tuple(answers)})
    return world


def _rows(answer: Reading[tuple[BrickHeal, ...]], node: str, changes: Mapping[str, Any]) -> Iterable[BrickHeal]:
    assert isinstance(answer, Read)
    for row in answer.value:
        if row.host_uuid != uuid(node):
            yield row
        elif not changes.get("gone"):
            yield replace(row, **changes)


def with_status(world: World, by: Iterable[str] = NODES, **changes: Any) -> World:
    """What some peers say in `volume status`."""
    for node in by:
        said = view_of(world, node).status["vmstore"]
        assert isinstance(said, Read)
        world = with_view(world, node, status={"vmstore": Read(replace(said.value, **changes), NOW)})
    return world


# ---- asking ------------------------------------------------------------------------------------------------------


def verdict(
    gate: str, world: World, phase: GatePhase = GatePhase.PREFLIGHT, node: str = "pve2", now: float = NOW
) -> Verdict:
    return ask(next(g for g in all_gates() if g.name == gate), world, node, phase, now)


def assert_passed(found: Verdict, note: str = "") -> None:
    assert isinstance(found, Passed), found
    assert found.note == note


def assert_blocked(found: Verdict, reason: str, hint: str = "") -> None:
    """`hint`: words that must be in it."""
    assert isinstance(found, Blocked), found
    assert found.reason == reason
    assert hint in found.hint


def assert_unknown(found: Verdict, reason: str, hint: str = "") -> None:
    assert isinstance(found, Unknown), found
    assert found.reason == reason
    assert hint in found.hint
