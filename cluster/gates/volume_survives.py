"""The volume goes on without this node: replica sets counted one by one, with Gluster's own rules of quorum.

Client quorum (`cluster.quorum-type`): "auto" is the default of replica 3 and arbiter volumes, "none" that of replica 2.
A dispersed volume has `disperse.quorum-count`.
Server quorum (`cluster.server-quorum-type server`) counts peers, with bricks or without, and kills every brick.
"""

from __future__ import annotations

from math import ceil

from cluster.facts import Brick, Topic, Volume
from cluster.gates._common import FRESH_S, TAKING, Settled, listed
from cluster.gates._pool import Pool, heals, pool_of, sets
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    pool = pool_of(world, now)
    uuid = pool.uuid(node)
    if uuid is None:
        return Passed({"peer": False})
    evidence = {volume.name: _sets_left(volume, uuid) for volume in pool.volumes}
    for volume in pool.volumes:
        if why := _server_quorum(pool, volume) or _why_not(volume, uuid):
            return Blocked(f"{volume.name} cannot lose {node}: {why}", evidence, _hint(volume))
    return Passed(evidence, "; ".join(note for volume in pool.volumes if (note := _note(volume, node, uuid))))


def _left(bricks: tuple[Brick, ...], uuid: str) -> list[Brick]:
    return [brick for brick in bricks if brick.host_uuid != uuid]


def _sets_left(volume: Volume, uuid: str) -> list[list[str]]:
    return [[brick.name for brick in _left(bricks, uuid)] for bricks in sets(volume)]


# ---- quorum of the servers -----------------------------------------------------------------------------------------


def _server_quorum(pool: Pool, volume: Volume) -> str:
    if volume.options.get("cluster.server-quorum-type", "none") != "server":
        return ""
    peers, ratio = len(pool.views), volume.options.get("cluster.server-quorum-ratio")
    needed = ceil(peers * _percent(ratio) / 100) if ratio else peers // 2 + 1
    if peers - 1 >= needed:
        return ""
    return f"server quorum needs {needed} of {peers} peers, {peers - 1} would be left, and it stops every brick"


def _percent(ratio: str) -> float:
    try:
        return float(ratio.removesuffix("%"))
    except ValueError:
        raise Settled(Unknown(f"cluster.server-quorum-ratio is {ratio!r}, which is no percentage")) from None


# ---- quorum of the clients -----------------------------------------------------------------------------------------


def _why_not(volume: Volume, uuid: str) -> str:
    for number, bricks in enumerate(sets(volume), start=1):
        left = _left(bricks, uuid)
        if len(left) < len(bricks) and (why := _set_lost(volume, bricks, left)):
            return f"set {number} ({listed(brick.name for brick in bricks)}) {why}"
    return ""


def _set_lost(volume: Volume, bricks: tuple[Brick, ...], left: list[Brick]) -> str:
    """Why the set is out of order with only `left` of its `bricks`; "" if it goes on."""
    if not heals(volume):
        return "has no other copy of its files"
    if volume.disperse:
        lost = len(bricks) - len(left)
        return f"would lose {lost} bricks and bears {_bears(volume)}" if lost > _bears(volume) else ""
    if all(brick.arbiter for brick in left):
        return "would have no copy of the data left"
    return _client_quorum(volume, bricks, left)


def _client_quorum(volume: Volume, bricks: tuple[Brick, ...], left: list[Brick]) -> str:
    match volume.options.get("cluster.quorum-type", "auto" if volume.replica > 2 else "none"):
        case "none":
            return ""
        case "auto":
            half = 2 * len(left) == len(bricks) and bricks[0] in left
            if 2 * len(left) > len(bricks) or half:
                return ""
            first = f", or half with {bricks[0].name}" if len(bricks) % 2 == 0 else ""
            return f"would have {len(left)} of {len(bricks)} bricks, and its quorum is more than half{first}"
        case "fixed":
            needed = _fixed(volume)
            return f"would have {len(left)} bricks, and its quorum is {needed}" if len(left) < needed else ""
        case other:
            raise Settled(Unknown(f"cluster.quorum-type of {volume.name} is {other!r}, which nobody here knows"))


def _fixed(volume: Volume) -> int:
    count = volume.options.get("cluster.quorum-count", "")
    if not count.isdecimal() or not int(count):
        raise Settled(Unknown(f"cluster.quorum-type of {volume.name} is fixed, and its quorum-count is {count!r}"))
    return int(count)


def _bears(volume: Volume) -> int:
    """How many bricks of a dispersed set may be missing. `disperse.quorum-count` wants more of them for a write than
    its files could be read from; 0, its default, wants no more."""
    count = volume.options.get("disperse.quorum-count", "0")
    if not count.isdecimal():
        raise Settled(Unknown(f"disperse.quorum-count of {volume.name} is {count!r}, which is no number"))
    return min(volume.redundancy, volume.disperse - int(count))


# ---- words ---------------------------------------------------------------------------------------------------------


def _note(volume: Volume, node: str, uuid: str) -> str:
    """Said where one more failure loses data or stops the volume."""
    if not heals(volume) or all(len(_left(bricks, uuid)) == len(bricks) for bricks in sets(volume)):
        return ""
    if volume.disperse:
        lost = max(len(bricks) - len(_left(bricks, uuid)) for bricks in sets(volume))
        return f"no spare brick of {volume.name} left while {node} is down" if lost == _bears(volume) else ""
    copies = min(sum(not brick.arbiter for brick in _left(bricks, uuid)) for bricks in sets(volume))
    return f"ONE copy of {volume.name} left while {node} is down" if copies == 1 else ""


def _hint(volume: Volume) -> str:
    return f"`gluster volume info {volume.name}` shows its sets and options; replica 3 or an arbiter survives a node"


GATE = Gate(
    name="volume-survives",
    doc="Does every volume keep a copy and its quorum with that node gone, replica sets counted?",
    phases=TAKING,
    reads=frozenset({Topic.GLUSTER}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
