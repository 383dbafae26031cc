"""Every brick and every self-heal daemon runs, by `volume status` of every peer. A dead daemon is invisible in heal
info: nothing pending now, and nothing heals later."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.facts import Brick, Topic, Volume, VolumeStatus
from cluster.gates._common import ALWAYS, MINUTES_S, listed
from cluster.gates._pool import Place, Pool, heals, place, place_of, pool_of, statuses
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

DAEMON_OPTIONS = ("cluster.self-heal-daemon", "cluster.disperse-self-heal-daemon")
OFF = frozenset({"off", "no", "false", "disable", "0"})


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    pool = pool_of(world, now)
    wrong: dict[str, list[str]] = {}
    for asked, volume, status in statuses(pool, now):
        for why in _wrong(pool, volume, status):
            wrong.setdefault(why, []).append(asked)
    evidence = {"bricks": sum(len(volume.bricks) for volume in pool.volumes), "wrong": wrong}
    if not wrong:
        return Passed(evidence)
    what = listed(f"{why} (by {listed(nodes)})" for why, nodes in wrong.items())
    return Blocked(what, evidence, _hint(pool))


def _wrong(pool: Pool, volume: Volume, status: VolumeStatus) -> Iterator[str]:
    """A brick of a node that the asked one takes for disconnected is left out, not listed as offline."""
    online: dict[Place, bool] = {}
    for row in status.rows:
        if not row.daemon:
            at = place(row.name, row.host_uuid)
            online[at] = row.online and online.get(at, True)
    for brick in volume.bricks:
        if not online.get(place_of(brick), False):
            yield f"brick {brick.name} is {'offline' if place_of(brick) in online else 'not listed'}"
    if heals(volume):
        yield from _daemons(pool, volume, status)


def _daemons(pool: Pool, volume: Volume, status: VolumeStatus) -> Iterator[str]:
    if any(volume.options.get(option, "on").lower() in OFF for option in DAEMON_OPTIONS):
        yield f"self-heal is switched off for {volume.name}"
        return
    up = {row.host_uuid for row in status.rows if row.daemon and row.online}
    for uuid in _hosts(volume.bricks):
        if uuid not in up:
            yield f"no self-heal daemon on {pool.node(uuid)} for {volume.name}"


def _hosts(bricks: tuple[Brick, ...]) -> list[str]:
    return list(dict.fromkeys(brick.host_uuid for brick in bricks))


def _hint(pool: Pool) -> str:
    """Starting with force starts only what does not run."""
    names = " or ".join(volume.name for volume in pool.volumes)
    return f"`gluster volume status {names}`; `gluster volume start {names} force` starts what is missing"


GATE = Gate(
    name="gluster-processes",
    doc="Does every brick and every self-heal daemon run, by every peer's `volume status`?",
    phases=ALWAYS - {GatePhase.WATCH},
    reads=frozenset({Topic.GLUSTER, Topic.PROCESSES}),
    max_age=MINUTES_S,
    overridable=False,
    check=check,
)
