"""Nothing is left to heal: on every brick of `volume info`, by the word of every peer, several times in a row.

A brick counts as healed only if it is listed, its status is exactly Connected, and every counter is there and 0.
Measured: a dead brick has no counters at all, and a sum that takes them for 0 reads a dead brick as healed. "Possibly
healing" with nothing pending blocks too: a heal holds its lock right now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.facts import BrickHeal, Read, Topic
from cluster.gates._common import ALWAYS, FRESH_S, listed
from cluster.gates._pool import Answer, Pool, heal_answers, pool_of
from cluster.gluster import IMAGE
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World

CONNECTED = "Connected"
STATUS_CHARS = 80
"""So much of a brick's status is shown: a dead one has prose there."""

Faults = dict[tuple[str, str], dict[str, str]]
"""(volume, brick) -> peer -> what that peer said of the brick last."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    pool = pool_of(world, now)
    answers, unread, few = heal_answers(world, pool, now)
    silent = unread or few
    faults = _faults(answers)
    evidence = {"answers": len(answers), "silent": list(silent), "faults": _plain(faults)}
    volume = next((volume for volume, _ in faults), pool.volumes[0].name)
    hint = f"`gluster volume heal {volume} info summary` on every node; `/upgrade why` shows the curve"
    if faults:
        if _idle(answers):
            hint += f"; `gluster volume heal {volume}`, which is harmless, makes the self-heal daemons look at once"
        asked = [view.node for view in pool.views]
        what = listed(_told(brick, said, asked) for (_, brick), said in faults.items())
        return Blocked(f"{what}{_images(world, pool, answers)}", evidence, hint)
    return Unknown(listed(silent), evidence, hint) if silent else Passed(evidence)


def _idle(answers: Sequence[Answer]) -> bool:
    """Something is pending, every brick is there, and none says that anything may be healed right now."""
    rows = [row for answer in dict.fromkeys(answers) for row in answer.rows.values()]
    there = all(row and row.status == CONNECTED and row.possibly_healing == 0 for row in rows)
    return there and any(row.pending for row in rows if row)


def _faults(answers: Sequence[Answer]) -> Faults:
    faults: Faults = {}
    for answer in dict.fromkeys(answers):
        for brick, why in _wrong(answer):
            faults.setdefault((answer.volume.name, brick), {})[answer.node] = why
    return faults


def _wrong(answer: Answer) -> Iterator[tuple[str, str]]:
    for brick, row in answer.rows.items():
        if why := "not listed" if row is None else _why_not_healed(row):
            yield brick, why
    for stranger in answer.strangers:
        yield stranger, "listed twice, or no brick of the volume"


def _why_not_healed(row: BrickHeal) -> str:
    """What keeps this brick from being healed, in words; "" if nothing does."""
    if row.status != CONNECTED:
        return f"not connected ({row.status[:STATUS_CHARS]})"
    if row.total == row.pending == row.possibly_healing == row.split_brain == 0:
        return ""
    counts = {"pending": row.pending, "possibly healing": row.possibly_healing, "in split-brain": row.split_brain}
    if row.total is None or None in counts.values():
        return "connected, but its counters are missing"
    if any(counts.values()):
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "pending")
    return f"{row.total} entries" if row.total else ""


def _told(brick: str, said: dict[str, str], asked: Sequence[str]) -> str:
    """Who says what; peers that see nothing where others do are named, for somebody is wrong."""
    words = dict.fromkeys(said.values())
    what = " or ".join(words)
    others = [node for node in asked if node not in said]
    return f"{brick}: {what}" + (f" (by {listed(said)}, but not by {listed(others)})" if others else "")


def _images(world: World, pool: Pool, answers: Sequence[Answer]) -> str:
    """Which guests' images are among the entries, as far as their names tell; members of guest groups first."""
    gluster = world.machines.gluster
    found: dict[tuple[str, int], list[str]] = {}
    for brick, names in gluster.value.entries.items() if isinstance(gluster, Read) else ():
        for match in filter(None, map(IMAGE.search, names)):
            bricks = found.setdefault((match[0], int(match[1])), [])
            bricks += [] if brick in bricks else [brick]
    grouped = {guest for group in world.settings.groups for guest in group.guests}
    order = sorted(found, key=lambda image: (image[1] not in grouped, image))
    told = [f"{_image(world, *image)} {_where(pool, answers, found[image])}" for image in order]
    return f"; {listed(told)}" if told else ""


def _image(world: World, image: str, guest_id: int) -> str:
    guests = world.machines.guests
    found = [guest.name for guest in guests.value if guest.id == guest_id] if isinstance(guests, Read) else []
    groups = [group.name for group in world.settings.groups if guest_id in group.guests]
    member = f" ({listed(f'group {name}' for name in groups)})" if groups else ""
    return f"{image} of {found[0] if found else f'guest {guest_id}'}{member}"


def _where(pool: Pool, answers: Sequence[Answer], bricks: Sequence[str]) -> str:
    """ "heals on pve2: 14 pending": by the bricks that list it, and the count of the one that lists most."""
    hosts = {brick.name: pool.node(brick.host_uuid) for volume in pool.volumes for brick in volume.bricks}
    rows = [row for answer in answers for name, row in answer.rows.items() if row and name in bricks]
    most = max(rows, key=lambda row: row.total or 0, default=None)
    where = listed(sorted(hosts.get(brick, brick) for brick in bricks))
    if most and most.split_brain and most.split_brain == most.total:
        return f"is split on {where}"
    return f"heals on {where}: {(most.total if most else None) or 'an unknown number of'} pending"


def _plain(faults: Faults) -> dict[str, dict[str, str]]:
    return {f"{volume} {brick}": said for (volume, brick), said in faults.items()}


GATE = Gate(
    name="heal",
    doc="Is every brick connected and fully healed, by every peer's word, several times in a row?",
    phases=ALWAYS,
    reads=frozenset({Topic.GLUSTER}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
