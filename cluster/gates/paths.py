"""Every other node can be reached over enough live paths, one of which depends on nothing of this very cluster: in 2017
both routers died, and with them the only way in."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import TAKING, listed, not_down, value
from cluster.reach import Reach, reach
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

PATHS_S = 180.0
"""Paths are tried every minute, and a dead one takes its time to show."""


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    ways, required = value(world.machines.paths), world.settings.paths_required
    gone = world.own.down | {node}
    found = reach(world.settings, ways, [other for other in not_down(world) if other != node], gone)
    evidence = {other: {"live": list(r.live), "count": r.count, "why": dict(r.why)} for other, r in found.items()}
    if few := {other: r for other, r in found.items() if r.count < required}:
        return Blocked(_few(few, required), evidence, _remedy(world))
    if bound := [other for other, r in found.items() if not r.free]:
        reason = f"every live path to {listed(bound)} goes through this very cluster, and dies with it"
        return Blocked(reason, evidence, "a jump host on another line, in `paths` of the settings, is a way that stays")
    return Passed(evidence)


def _few(few: dict[str, Reach], required: int) -> str:
    """Of the node with the fewest; the others are named."""
    worst = min(few, key=lambda other: few[other].count)
    there = few[worst]
    live = f" ({', '.join(there.live)})" if there.live else ""
    shared = "; they share a dependency and count once" if there.count < len(there.live) else ""
    dead = "".join(f"; {path}: {why}" for path, why in there.why.items())
    more = f", and no better to {listed(other for other in few if other != worst)}" if len(few) > 1 else ""
    return f"{there.count} of {required} live paths to {worst}{live}{more}{shared}{dead}"


def _remedy(world: World) -> str:
    if len(world.settings.ways) < world.settings.paths_required:
        return "add a second way in to `paths` in the settings, or set `paths_required: 1` if one must do"
    return f"`/paths {world.settings.name}` shows all of them"


GATE = Gate(
    name="paths",
    doc="Are there `paths_required` live paths to every other node, one of them through nothing of this cluster?",
    phases=TAKING,
    reads=frozenset({Topic.PATHS}),
    max_age=PATHS_S,
    overridable=True,
    check=check,
)
