"""GlusterFS as each node's own glusterd tells it: peers, volumes, heal counts, processes."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from cluster.facts import Brick, BrickHeal, Peer, Volume, VolumeStatus
from sandbox.faults import Kind
from sandbox.model.core import Away, Core, Denied, What
from sandbox.model.machines import Machines, Node
from sandbox.model.replication import BrickState, Pace, ReplicaSet
from sandbox.model.same import same_brick_heal, same_brick_process, same_peer
from sandbox.model.trouble import Trouble
from sandbox.spec import VolumeSpec

CONNECTED = "Connected"
NOT_CONNECTED = "Failed to process entries completely. (Transport endpoint is not connected)totalNumberOfEntries0"
"""As the summary has it: no count, and the text of one inside of the status."""
SELF = "localhost"
DAEMON = ":self-heal daemon"
NO_DAEMON = "Connection failed. Please check if gluster daemon is operational."
LOCKED = "Another transaction is in progress for {volume}. Please try again after some time."
TIMED_OUT = "Error : Request timed out"
STATUS_BLIND, STATUS_LOCK = 20.0, 180.0
"""After a power cut, `volume status` hangs if asked within the first; then the volume stays locked for the second."""
BRICK_LAGS = ((20.0, 3.0), (35.0, 16.0), (60.0, 32.0))
LONGEST_LAG = 63.0
"""glusterd up -> brick up, by how long the node was off: its peers' retries double (gluster.md §4)."""
IN_CLUSTER = 3
NAMESPACE = uuid.UUID("6d6f6465-6c20-4000-8000-676c75737465")


def brick_lag(off: float) -> float:
    """How long after its glusterd a brick comes back, for a node that was off for so long."""
    return next((lag for limit, lag in BRICK_LAGS if off <= limit), LONGEST_LAG)


@dataclass(slots=True)
class VolumeState:
    spec: VolumeSpec
    facts: Volume
    sets: list[ReplicaSet]
    locked_until: float = 0.0
    summary: tuple[BrickHeal, ...] = ()
    summed_at: tuple[int, float] = (-1, 0.0)

    @property
    def whole(self) -> bool:
        return all(one.whole for one in self.sets)


@dataclass(slots=True)
class Daemon:
    """A node's glusterd. `down_at`: since when its bricks are away. `turn` tells one restart from the next."""

    uuid: str
    up: bool = True
    bricks: bool = True
    down_at: float = 0.0
    turn: int = 0


class Gluster:
    """`writing()`: guests that write now, per volume; `io_error(guest)`: what a failed write does to a guest."""

    def __init__(self, core: Core, trouble: Trouble, machines: Machines) -> None:
        self.core, self.trouble, self.machines = core, trouble, machines
        self.writing: Callable[[str], list[int]] = lambda _: []
        self.io_error: Callable[[int], None] = lambda _: None
        self.daemons = {name: Daemon(str(uuid.uuid5(NAMESPACE, name))) for name in machines.all}
        self.volumes = {spec.name: self._born(spec) for spec in core.spec.volumes}
        self.unhealed_since: float | None = None
        self.cut_at: dict[str, float] = {}
        self.renewed: set[int] = set()
        """Guests with a new image beside the split one."""
        self.pieces: set[int] = set()
        """Guests of whose split image a shard alone is torn: Gluster names that by the image's gfid, and no image."""
        self._lost: dict[str, set[int]] = {name: set() for name in self.volumes}
        self._torn: dict[str, set[int]] = {name: set() for name in self.volumes}

    # what glusterd on a node says -------------------------------------------------------------------------------
    def pool(self, asked: str) -> tuple[Peer, ...]:
        """A peer calls itself localhost, and lists itself last."""
        self._listening(asked)
        others = [name for name in self.daemons if name != asked]
        peers = [same_peer(self.daemons[n].uuid, n, self._thinks_connected(asked, n), IN_CLUSTER) for n in others]
        return (*peers, same_peer(self.daemons[asked].uuid, SELF, True, IN_CLUSTER))

    def volume_info(self, asked: str) -> tuple[Volume, ...]:
        self._listening(asked)
        return tuple(volume.facts for volume in self.volumes.values())

    def heal(self, asked: str, volume: str) -> tuple[BrickHeal, ...]:
        """`heal info summary`: one row for each brick, without numbers where the brick cannot be asked."""
        self._listening(asked)
        state = self._volume(volume)
        at = (self.core.version, self.core.now if self.unhealed_since is not None else 0.0)
        if state.summed_at != at:  # every peer tells the same, and while all is whole nothing changes by itself
            state.summed_at = at
            state.summary = tuple(self._row(one, brick) for one in state.sets for brick in one.bricks.values())
        return state.summary

    def entries(self, asked: str, volume: str) -> dict[str, tuple[str, ...]]:
        """`heal info`: brick -> names of what it lists, images of guests first."""
        totals = {row.brick: row.total or 0 for row in self.heal(asked, volume)}
        named: dict[str, tuple[str, ...]] = {}
        for one in self._volume(volume).sets:
            guests = sorted({*one.split, *one.writers()} - {0})
            images = [self._entry(guest) for guest in guests]
            for brick in one.bricks:
                more = (f"/snippets/{n}" for n in itertools.count())
                named[brick] = tuple(itertools.islice(itertools.chain(images, more), totals[brick]))
        return {brick: names for brick, names in named.items() if names}

    def _entry(self, guest: int) -> str:
        image = f"/images/{guest}/vm-{guest}-disk-0.raw"
        return shard_of(image) if guest in self.pieces else image

    def volume_status(self, asked: str, volume: str) -> VolumeStatus:
        """`volume status`: takes the cluster's lock, leaves out the nodes that its glusterd does not see."""
        self._listening(asked)
        state = self._volume(volume)
        self._lock(state)
        seen = [name for name in self.daemons if name == asked or self._connected(asked, name)]
        bricks = [brick for one in state.sets for brick in one.bricks.values() if brick.node in seen]
        rows = [
            same_brick_process(brick.name, self.daemons[brick.node].uuid, brick.up, daemon=False) for brick in bricks
        ]
        rows += [
            same_brick_process(name + DAEMON, self.daemons[name].uuid, self._shd(name), daemon=True) for name in seen
        ]
        tasks = ("Rebalance (in progress)",) if self.trouble.has(Kind.REBALANCE) else ()
        return VolumeStatus(volume, tuple(rows), tasks)

    def heals_itself(self, node: str) -> str:
        """What the node helper's own guard finds, asked on its node: "" = all healed, else what is not."""
        try:
            for volume in self.volumes:
                rows = self.heal(node, volume)
                bad = next((row for row in rows if not row.healed), None)
                if bad:
                    return f"{volume} is not healed: {bad.brick} {bad.status}, {bad.total} entries"
        except (Denied, Away) as no:
            return f"heal state unknown: {no}"
        return ""

    # what is true -----------------------------------------------------------------------------------------------
    @property
    def whole(self) -> bool:
        return all(volume.whole for volume in self.volumes.values())

    def image_ok(self, guest: int, volume: str) -> bool:
        if volume not in self.volumes:
            return True
        one = self._home(guest, volume)
        return one.writable and (guest not in one.split or guest in self.renewed)

    # what happens -----------------------------------------------------------------------------------------------
    def node_dark(self, node: Node) -> None:
        if not node.orderly:
            self.cut_at[node.name] = self.core.now
            for lag in (STATUS_BLIND, self.core.timings.peer_lag):
                self.core.later(lag, lambda: None)  # answers change then
        self._stop(node.name)

    def node_booted(self, node: Node) -> None:
        off = self.core.now - (self.daemons[node.name].down_at or self.core.now)
        turn = self.daemons[node.name].turn
        self.core.later(self.core.timings.glusterd, lambda: self._start(node.name, turn, off))

    def restart(self, node: Node) -> None:
        """What glusterfs-server's postinst does: glusterd and with it all bricks go down, and come back late."""
        self._stop(node.name)
        turn = self.daemons[node.name].turn
        self.core.later(self.core.timings.glusterd, lambda: self._start(node.name, turn, self.core.timings.glusterd))

    def stop_bricks(self, node: str) -> None:
        daemon = self.daemons[node]
        if daemon.bricks:
            daemon.bricks = False
            self.core.note(What.BRICKS_DOWN, node)
            self._each_brick(node, ReplicaSet.down)

    def start_bricks(self, node: str) -> None:
        daemon = self.daemons[node]
        if daemon.up and not daemon.bricks and not self.trouble.has(Kind.BRICK_DOWN, node):
            daemon.bricks = True
            self.core.note(What.BRICKS_UP, node)
            self._each_brick(node, ReplicaSet.up)

    def wipe(self, node: str, entries: float) -> None:
        work = self.core.timings.heal_base + entries
        self._each_brick(node, lambda one, brick: one.wipe(brick, entries, work))

    def tear(self, volume: str, guest: int = 0, piece: bool = False) -> None:
        """The image of that guest; 0: of the first that writes. `piece`: a shard of it alone."""
        one = self._home(guest, volume) if guest else self._volume(volume).sets[0]
        images = [guest] if guest else self.writing(volume)[:1]
        self.renewed -= set(images)
        self.pieces = self.pieces | set(images) if piece else self.pieces - set(images)
        one.tear(images)
        self.look()

    def choose(self, volume: str, guest: int) -> None:
        """One side of its image was taken as the good one: the other is healed from it."""
        self._home(guest, volume).split.discard(guest)
        self.look()

    def mend(self, volume: str) -> None:
        for one in self._volume(volume).sets:
            one.split.clear()
        self.look()

    def reconsider(self) -> None:
        """A self-heal daemon or the speed of heals changed."""
        for volume in self.volumes.values():
            for one in volume.sets:
                one.reconsider()
        self.look()

    def look(self) -> None:
        """After each change: is all whole, and which images has somebody just lost?"""
        if self.whole != (self.unhealed_since is None):
            self.unhealed_since = None if self.whole else self.core.now
            if self.unhealed_since is None:
                self.core.note(What.HEALED)
        for name, volume in self.volumes.items():
            self._look_at(name, volume)
        self.core.version += 1

    # how --------------------------------------------------------------------------------------------------------
    def _born(self, spec: VolumeSpec) -> VolumeState:
        names = spec.nodes or tuple(self.machines.all)
        path = f"/srv/{spec.name}/brick"
        arbiter = [spec.arbiters and i % spec.replica == spec.replica - 1 for i in range(len(names))]
        bricks = [BrickState(f"{node}:{path}{_nth(names, i)}", node, bool(arbiter[i])) for i, node in enumerate(names)]
        sets = [self._set(spec, bricks[i : i + spec.replica], i) for i in range(0, len(bricks), spec.replica)]
        facts = Volume(
            name=spec.name,
            kind="Replicate" if len(sets) == 1 else "Distributed-Replicate",
            started=True,
            replica=spec.replica,
            arbiters=spec.arbiters,
            bricks=tuple(Brick(b.name, self.daemons[b.node].uuid, b.arbiter) for b in bricks),
            options=dict(spec.options),
        )
        return VolumeState(spec, facts, sets)

    def _set(self, spec: VolumeSpec, bricks: list[BrickState], first: int) -> ReplicaSet:
        timings = self.core.timings
        return ReplicaSet(
            bricks,
            Pace(timings.heal_base, timings.heal_factor, timings.heal_climb, timings.entries_s),
            now=lambda: self.core.now,
            later=lambda seconds, act: self.core.later(seconds, lambda: self._then_look(act)),
            speed=self._speed,
            writers=lambda: self._writers(spec, first // spec.replica),
        )

    def _writers(self, spec: VolumeSpec, number: int) -> list[int]:
        """The guests whose images lie on the set of this number."""
        guests, sets = self.writing(spec.name), self._sets(spec)
        return [guest for guest in guests if guest % sets == number] if sets > 1 else guests

    def _then_look(self, act: Callable[[], None]) -> None:
        act()
        self.look()

    def _sets(self, spec: VolumeSpec) -> int:
        return len(spec.nodes or self.machines.all) // spec.replica

    def _home(self, guest: int, volume: str) -> ReplicaSet:
        state = self.volumes[volume]
        return state.sets[guest % self._sets(state.spec)]

    def _volume(self, name: str) -> VolumeState:
        if name not in self.volumes:
            raise Denied(f"Volume {name} does not exist")
        return self.volumes[name]

    def _speed(self) -> float:
        if self.trouble.has(Kind.HEAL_STUCK) or not any(self._shd(name) for name in self.daemons):
            return 0.0
        slow = self.trouble.has(Kind.HEAL_SLOW)
        return (slow.amount or 0.1) if slow else 1.0

    def _shd(self, node: str) -> bool:
        return self.daemons[node].up and not self.trouble.has(Kind.SHD_DOWN, node)

    def _listening(self, asked: str) -> None:
        if not self._answers(asked):
            raise Denied(NO_DAEMON)
        if self.trouble.has(Kind.NOT_XML, asked):
            raise Denied("the answer is not XML: no element found: line 1, column 0")

    def _answers(self, node: str) -> bool:
        return self.daemons[node].up and not self.trouble.has(Kind.GLUSTERD_DOWN, node)

    def _connected(self, a: str, b: str) -> bool:
        cut = self.trouble.has(Kind.PEER_CUT, a) or self.trouble.has(Kind.PEER_CUT, b)
        return self._answers(b) and not cut

    def _thinks_connected(self, a: str, b: str) -> bool:
        """After a power cut nobody closed the connection: for a while it still counts as one."""
        stale = self.core.now < self.cut_at.get(b, -1e9) + self.core.timings.peer_lag
        return stale or self._connected(a, b)

    def _lock(self, volume: VolumeState) -> None:
        now = self.core.now
        if self.trouble.has(Kind.VOLUME_LOCKED) or now < volume.locked_until:
            raise Denied(LOCKED.format(volume=volume.spec.name))
        if any(now - at < STATUS_BLIND and not self.daemons[node].up for node, at in self.cut_at.items()):
            volume.locked_until = now + STATUS_LOCK
            self.core.later(STATUS_LOCK, lambda: None)  # its end is a change: answers kept until then are void
            self.core.version += 1
            raise Denied(TIMED_OUT)

    def _row(self, one: ReplicaSet, brick: BrickState) -> BrickHeal:
        host = self.daemons[brick.node].uuid
        if not brick.up or not self._answers(brick.node):
            return same_brick_heal(brick.name, "-", NOT_CONNECTED, None, None, None, None)
        listed, split = one.pending(brick.name), len(one.split)
        under_way = 1 if listed and one.healing(brick.name) else 0
        return same_brick_heal(brick.name, host, CONNECTED, listed - under_way, split, under_way, listed + split)

    def _stop(self, node: str) -> None:
        daemon = self.daemons[node]
        daemon.up, daemon.down_at, daemon.turn = False, self.core.now, daemon.turn + 1
        self.stop_bricks(node)
        self.reconsider()

    def _start(self, node: str, turn: int, off: float) -> None:
        daemon = self.daemons[node]
        if daemon.turn != turn or not self.machines.all[node].lit:
            return
        daemon.up = True
        self.core.later(self.core.takes(brick_lag(off)), lambda: self._bricks_follow(node, turn))
        self.reconsider()

    def _bricks_follow(self, node: str, turn: int) -> None:
        if self.daemons[node].turn == turn:
            self.start_bricks(node)

    def _each_brick(self, node: str, act: Callable[[ReplicaSet, str], None]) -> None:
        for volume in self.volumes.values():
            for one in volume.sets:
                for name in [brick.name for brick in one.bricks.values() if brick.node == node]:
                    act(one, name)
        self.look()

    def _look_at(self, name: str, volume: VolumeState) -> None:
        torn = {guest for one in volume.sets for guest in one.split}
        if torn - self._torn[name]:
            self.core.note(What.SPLIT_BRAIN, text=name, detail={"guests": sorted(torn)})
        self._torn[name] = torn
        lost = {guest for guest in self.writing(name) if not self.image_ok(guest, name)}
        for guest in sorted(lost - self._lost[name]):
            self.core.note(What.IMAGES_LOST, guest=guest, text=name)
            self.io_error(guest)
        self._lost[name] = lost


def gfid_of(image: str) -> str:
    """Gluster's own name of a file; the same in every night."""
    return str(uuid.uuid5(NAMESPACE, image))


def shard_of(image: str) -> str:
    """The one that is torn with it, or alone."""
    return f"/.shard/{gfid_of(image)}.7"


def _nth(names: tuple[str, ...], i: int) -> str:
    """A node's second brick of a volume is called brick2."""
    before = names[:i].count(names[i])
    return str(before + 1) if before else ""
