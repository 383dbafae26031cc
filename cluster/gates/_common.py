"""What gates share: the moments they are asked at, evidence that must have been read, and words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

from cluster import ways
from cluster.facts import Guest, NodeStatus, Read, Reading, Serving, StorageRow, Unread
from cluster.guest_settings import GuestGroup
from cluster.world import GatePhase, Unknown, Verdict, World

T = TypeVar("T")

EMPTYING = frozenset({GatePhase.PREFLIGHT, GatePhase.ASK, GatePhase.MAINTENANCE})
"""Guests still run on the node."""
TAKING = EMPTYING | {GatePhase.UPGRADE, GatePhase.REBOOT}
"""All moments before something is taken from the cluster."""
ALWAYS = frozenset(GatePhase)

FRESH_S = 30.0
"""Membership, Gluster and guest groups: DESIGN section 5, invariant 2."""
MINUTES_S = 300.0
"""What only a person or an upgrade changes: settings of storages, services, locks; and `volume status`."""
QUARTER_S = 900.0
"""Backups: listing them is slow, and a quarter of an hour is nothing to their age."""
CLOCK_SLACK_S = 1.0
"""Evidence from the future by more than this means that the clock jumped: its age is unknown."""
AHEAD_S = 3600.0
"""What another machine stamped (a backup, a sync) further ahead of now than this was stamped by a clock that is wrong:
it would count as young for as long as that clock is ahead, however old it is."""

WORLDS = 8
"""So many are judged at the same time, each by many gates: one for each thread that advances runs."""

MIB = 1 << 20


class Settled(Exception):
    """A helper reached the verdict already: nothing that the gate could still look at would change it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def untold(reading: Reading[T], what: str, now: float, limit: float) -> str:
    """Why this does not count as told, in a sentence; "" if it was read within the last `limit` seconds."""
    if not isinstance(reading, Read):
        return f"{what} not read: {reading.why}"
    age = now - reading.at
    if age > limit:
        return f"{what}: evidence is {age:.0f} s old, limit {limit:.0f} s"
    if age < -CLOCK_SLACK_S:
        return f"{what}: evidence is stamped {-age:.0f} s ahead of now; the clock jumped"
    return ""


def told(reading: Reading[T], what: str, now: float, limit: float) -> T:
    """The value, if it was read within the last `limit` seconds; else it is settled: unknown."""
    if why := untold(reading, what, now, limit):
        raise Settled(Unknown(why))
    return value(reading)


def value(reading: Reading[T]) -> T:
    """The value of a topic that the gate declares to read, so that its age was judged already."""
    if not isinstance(reading, Read):
        raise Settled(Unknown(f"not read: {reading.why}"))
    return reading.value


# ---- nodes -------------------------------------------------------------------------------------------------------


def not_down(world: World) -> list[str]:
    """Every node of the settings but those that this run is rebooting right now."""
    return [name for name in world.settings.nodes if name not in world.own.down]


NOT_ASKED = Unread("it was not asked", 0.0)


def status_of(world: World, node: str) -> Reading[NodeStatus]:
    """The helper's word on a node."""
    return world.machines.nodes.get(node, NOT_ASKED)


@lru_cache(maxsize=WORLDS)
def online(world: World) -> frozenset[str]:
    return frozenset(member.node for member in value(world.machines.membership).members if member.online)


def elsewhere(world: World, node: str) -> frozenset[str]:
    """Nodes that can take guests: online, not this one, and not in maintenance mode."""
    return online(world) - value(world.machines.ha).maintenance - {node}


# ---- guests ------------------------------------------------------------------------------------------------------


def runs_on(world: World, node: str) -> list[Guest]:
    return [
        guest for guest in value(world.machines.guests) if guest.node == node and guest.running and not guest.template
    ]


ILL = frozenset({"error", "fence", "recovery"})
"""HA states in which "running" is not to be believed."""


def members_up(world: World, group: GuestGroup) -> list[Guest]:
    """Members that run, are healthy to HA, and lie on a node that is online: a dead node's guests stay "running" in
    the listing (proxmox.md section 1, fact 7)."""
    there = online(world)
    guests = value(world.machines.guests)
    return [g for g in guests if g.id in group.guests and g.running and g.ha not in ILL and g.node in there]


def serving(world: World, group: GuestGroup) -> list[Guest]:
    """Members that are up, and whose health probe passed where they have one: unknown is not serving."""
    return [guest for guest in members_up(world, group) if not why_not_serving(world, group, guest.id)]


def why_not_serving(world: World, group: GuestGroup, member: int) -> str:
    """What the member's health probe found wrong, in words; "" if it passed or there is none."""
    if member not in group.health:
        return ""
    rows: tuple[Serving, ...] = value(world.machines.serving)
    return ways.why_not_serving(rows, group, member)


# ---- storages ----------------------------------------------------------------------------------------------------


def mounted(world: World, row: StorageRow) -> bool:
    """Whether the storage's path lies on a Gluster mount of its node."""
    status = status_of(world, row.node)
    mounts = status.value.gluster_mounts if isinstance(status, Read) else ()
    return any(row.path == mount or row.path.startswith(f"{mount}/") for mount in mounts)


def on_gluster(world: World) -> list[StorageRow]:
    """Rows of the storages that lie on Gluster: on one node's mount, and so on every node, mounted there or not."""
    rows = value(world.machines.storages)
    names = {row.storage for row in rows if row.kind == "glusterfs" or mounted(world, row)}
    return [row for row in rows if row.storage in names]


# ---- words -------------------------------------------------------------------------------------------------------


def named(guest: Guest) -> str:
    return f"{guest.name} ({guest.id})"


def listed(words: Iterable[object], most: int = 5) -> str:
    """ "a, b, c"; a long list is cut, and says so."""
    every = [str(word) for word in words]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
