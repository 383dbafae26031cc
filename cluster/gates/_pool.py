"""What the peers of a Gluster pool say, read from every one of them and compared. Bricks are matched by host UUID and
path, for host names differ by who is asked (gluster.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from cluster.facts import Brick, BrickHeal, PeerView, Volume, VolumeStatus
from cluster.gates._common import FRESH_S, MINUTES_S, WORLDS, Settled, listed, told, untold, value
from cluster.world import Blocked, Unknown, World


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Every peer's view, and the volumes that must be healed, on which all views agree. `names`: UUID -> node. Like a
    world it is one of its kind, so that what several gates ask of it is worked out once."""

    views: tuple[PeerView, ...]
    volumes: tuple[Volume, ...]
    names: Mapping[str, str]

    def node(self, uuid: str) -> str:
        """The peer's name, or its UUID if nobody asked it."""
        return self.names.get(uuid, uuid)

    def uuid(self, node: str) -> str | None:
        """None: the node is no peer."""
        return next((view.uuid for view in self.views if view.node == node), None)


def pool_nodes(world: World) -> tuple[str, ...]:
    """The nodes that are peers, by the settings; none if there is no Gluster."""
    gluster = world.settings.gluster
    return (gluster.nodes or tuple(world.settings.nodes)) if gluster.enabled else ()


@lru_cache(maxsize=WORLDS)
def pool_of(world: World, now: float) -> Pool:
    """Every peer answered for itself, just now, and all know the same volumes. Else it is settled."""
    views = value(world.machines.gluster).views
    if unasked := sorted(frozenset(pool_nodes(world)) - {view.node for view in views}):
        hint = "`gluster.nodes` in the settings names the peers, if not every node is one"
        raise Settled(Unknown(f"Gluster on {listed(unasked)} was not asked", hint=hint))
    for view in views:
        _must_have_answered(view, now)
    for view in views[1:]:
        if view.volumes != views[0].volumes and _shapes(view) != _shapes(views[0]):
            reason = f"{view.node} and {views[0].node} do not know the same volumes and bricks"
            raise Settled(Blocked(reason, hint=f"compare `gluster volume info` on {view.node} and {views[0].node}"))
    return Pool(views, _wanted(world, value(views[0].volumes)), {view.uuid: view.node for view in views})


def _must_have_answered(view: PeerView, now: float) -> None:
    told(view.pool, f"pool list of {view.node}", now, FRESH_S)
    told(view.volumes, f"volume info of {view.node}", now, FRESH_S)
    if not view.uuid:
        raise Settled(Unknown(f"{view.node} did not tell its own UUID"))


def _shapes(view: PeerView) -> dict[str, tuple[object, ...]]:
    """What must be the same whoever is asked."""
    volumes = value(view.volumes)
    return {v.name: (v.kind, v.started, v.replica, v.disperse, tuple(map(place_of, v.bricks))) for v in volumes}


def _wanted(world: World, volumes: tuple[Volume, ...]) -> tuple[Volume, ...]:
    names = world.settings.gluster.volumes or tuple(volume.name for volume in volumes)
    found = {volume.name: volume for volume in volumes}
    if not names:
        raise Settled(Blocked("the Gluster pool has no volume", hint="no Gluster at all: `gluster.enabled: false`"))
    for name in names:
        if name not in found:
            hint = f"`gluster.volumes` in the settings names it; the pool has {listed(found) or 'none'}"
            raise Settled(Blocked(f"there is no volume {name}", hint=hint))
        _must_be_whole(found[name])
    return tuple(found[name] for name in names)


def _must_be_whole(volume: Volume) -> None:
    if not volume.started:
        hint = f"`gluster volume start {volume.name}`, or leave it out of `gluster.volumes` in the settings"
        raise Settled(Blocked(f"volume {volume.name} is stopped", hint=hint))
    if not volume.bricks or len(volume.bricks) % set_size(volume):
        reason = f"volume info lists {len(volume.bricks)} bricks of {volume.name}: no whole sets of {set_size(volume)}"
        raise Settled(Unknown(reason))


# ---- bricks ------------------------------------------------------------------------------------------------------


def set_size(volume: Volume) -> int:
    """Bricks that hold the same files: so many consecutive ones."""
    return max(volume.disperse or volume.replica, 1)


def heals(volume: Volume) -> bool:
    """A plain distributed volume has one copy of everything, and nothing to heal from."""
    return set_size(volume) > 1


def sets(volume: Volume) -> list[tuple[Brick, ...]]:
    size = set_size(volume)
    return [volume.bricks[n : n + size] for n in range(0, len(volume.bricks), size)]


Place = tuple[str, str]
"""Host UUID and path: what makes a brick the same whoever is asked."""


@lru_cache(maxsize=4096)
def place(name: str, host_uuid: str) -> Place:
    """A brick that is down has "-" for its host's UUID; then its name must be that of volume info."""
    return ("", name) if host_uuid in ("", "-") else (host_uuid, name.rpartition(":")[2])


def place_of(brick: Brick) -> Place:
    return place(brick.name, brick.host_uuid)


# ---- heal info summary, read several times from every peer ---------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One peer's answer: brick -> its row, None where the answer leaves it out. `strangers`: rows about no brick of the
    volume. It equals only itself."""

    node: str
    volume: Volume
    rows: Mapping[str, BrickHeal | None]
    strangers: tuple[str, ...] = ()


@lru_cache(maxsize=WORLDS)
def heal_answers(world: World, pool: Pool, now: float) -> tuple[tuple[Answer, ...], tuple[str, ...], tuple[str, ...]]:
    """All answers of all peers, oldest first; in words what was not answered; and who was asked too few times, as all
    are while something is to be healed. Only the last answer has to be fresh: those before it show that it is stable.
    A peer that says the same again has its answer there again; nearly always all say the same, and it is matched with
    the bricks once."""
    answers: list[Answer] = []
    unread: list[str] = []
    few: list[str] = []
    for volume in filter(heals, pool.volumes):
        places = {brick.name: place_of(brick) for brick in volume.bricks}
        said: tuple[BrickHeal, ...] = ()
        rows, strangers = _matched(places, said)
        for view in pool.views:
            readings = view.heal.get(volume.name, ())
            (few if readings else unread).extend(_too_few(world, view, volume, len(readings)))
            answer = None
            for number, reading in enumerate(readings, start=1):
                limit = FRESH_S if number == len(readings) else inf
                if why := untold(reading, f"heal of {volume.name} by {view.node}", now, limit):
                    unread.append(why)
                    continue
                if value(reading) != said:
                    said, answer = value(reading), None
                    rows, strangers = _matched(places, said)
                answer = answer or Answer(view.node, volume, rows, strangers)
                answers.append(answer)
    return tuple(answers), tuple(unread), tuple(few)


def _too_few(world: World, view: PeerView, volume: Volume, times: int) -> list[str]:
    wanted = max(value(world.machines.gluster).reads, world.settings.gluster.reads)
    return [f"{view.node} was asked {times} of {wanted} times how {volume.name} heals"] if times < wanted else []


def _matched(
    places: Mapping[str, Place], rows: tuple[BrickHeal, ...]
) -> tuple[Mapping[str, BrickHeal | None], tuple[str, ...]]:
    """Brick -> its row; and the strangers. Of two rows about the same brick one is a stranger: neither may hide the
    other."""
    found: dict[Place, BrickHeal] = {}
    strangers = [row.brick for row in rows if found.setdefault(place(row.brick, row.host_uuid), row) is not row]
    known = {name: found.pop(where, None) or found.pop(("", name), None) for name, where in places.items()}
    return known, (*strangers, *(row.brick for row in found.values()))


# ---- volume status -------------------------------------------------------------------------------------------------


def statuses(pool: Pool, now: float) -> Iterator[tuple[str, Volume, VolumeStatus]]:
    """`volume status` of every volume by every peer. It takes the cluster's lock, so "ask again" is a usual answer; and
    it is given one at a time, so that of a large pool the first one may be minutes old by the end. All that it tells
    beside the youngest heal reads is who would heal later, and what a person began."""
    for view in pool.views:
        for volume in pool.volumes:
            reading = view.status.get(volume.name)
            if reading is None:
                raise Settled(Unknown(f"{view.node} was not asked for the status of {volume.name}"))
            yield view.node, volume, told(reading, f"status of {volume.name} by {view.node}", now, MINUTES_S)
