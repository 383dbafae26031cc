"""A fresh, restorable backup of the guests that matter, and not on the volume that may be what is lost."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.facts import Backup, Topic
from cluster.gates._common import AHEAD_S, QUARTER_S, listed, on_gluster, value
from cluster.telling import short_span
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    newest = _newest_of_each(world, now)
    evidence = {str(guest): _shown(row) if row else None for guest, row in newest.items()}
    wrong = _wrong(world, newest, now)
    if not wrong:
        return Passed(evidence)
    what = listed(f"guest {guest}: {why}" for guest, why in wrong.items())
    reason = f"{len(wrong)} of {len(newest)} guests have no fresh backup outside of Gluster; {what}"
    return Blocked(reason, evidence, f"`/backup now {next(iter(wrong))}` makes one")


def stale(world: World, now: float) -> list[int]:
    """The guests whose backup is missing, too old, or not as the settings want it."""
    return list(_wrong(world, _newest_of_each(world, now), now))


def _newest_of_each(world: World, now: float) -> dict[int, Backup | None]:
    rows = value(world.machines.backups)
    inside = frozenset(world.settings.backups.on_gluster) | {row.storage for row in on_gluster(world)}
    return {guest: _newest([r for r in rows if r.guest == guest], inside, world, now) for guest in _wanted(world)}


def _wrong(world: World, newest: Mapping[int, Backup | None], now: float) -> dict[int, str]:
    limit = world.settings.backups.max_age
    return {guest: why for guest, row in newest.items() if (why := _why_not(row, now, limit))}


def _shown(row: Backup) -> dict[str, object]:
    return {"volid": row.volid or row.storage, "verified": row.verified, "protected": row.protected}


def _wanted(world: World) -> list[int]:
    grouped = (guest for group in world.settings.groups for guest in group.guests)
    return sorted({*world.settings.backups.critical, *grouped})


def _newest(rows: list[Backup], inside: frozenset[str], world: World, now: float) -> Backup | None:
    """An empty file, one that failed its verification, or one on the volume itself restores nothing. Nor counts one
    that is not verified or not protected, where the settings want that. One that is stamped ahead of now comes last."""
    settings = world.settings.backups
    good = [
        row
        for row in rows
        if row.size > 0
        and row.verified is not False
        and row.storage not in inside
        and (row.verified or not settings.verified)
        and (row.protected or not settings.protected)
    ]
    return max(good, key=lambda row: (row.made_at <= now + AHEAD_S, row.made_at), default=None)


def _why_not(row: Backup | None, now: float, limit: float) -> str:
    if row is None:
        return "none that would restore"
    age = now - row.made_at
    if age < -AHEAD_S:
        return f"the only one is stamped {short_span(-age)} ahead of now"
    return f"the newest is {short_span(age)} old, limit {short_span(limit)}" if age > limit else ""


GATE = Gate(
    name="backups",
    doc="Does every critical guest, and every member of a guest group, have a fresh backup outside of the volume?",
    phases=frozenset({GatePhase.PREFLIGHT, GatePhase.ASK}),
    reads=frozenset({Topic.BACKUPS, Topic.STORAGES, Topic.NODES}),
    max_age=QUARTER_S,
    overridable=True,
    check=check,
)
