"""Waiting for the storage: every brick connected again, then nothing left to heal. Only the cheap question is asked
here; the gates of the next act ask every peer, several times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.facts import HealProgress
from engine.port import Look, Waiting
from workflows import meanwhile, messages
from workflows.phases import Phase
from workflows.wheel import Wheel

CURVE_POINTS = 60
"""So many points of the heal curve are kept for drawing."""


def healed(w: Wheel, after: str) -> None:
    """`after`: "upgrade", "reboot" or "putback"; part of the keys."""
    if not w.site.managed.gluster.enabled:
        return
    limits = w.site.managed.limits
    about = w.key(Phase.HEAL, after)
    if bricks := w.read(Phase.HEAL, lambda: _whole(w), "asking whether the storage is healed", f"{after}.asked"):
        w.say(Phase.HEAL, f"{after}.whole", lambda: messages.still_healed(w.node, bricks))
        return
    w.say(Phase.HEAL, after, lambda: messages.heal_begins(w.node, about))
    meanwhile.wait(
        w,
        Phase.BRICKS,
        lambda at: _bricks(w, at),
        limits.brick_back,
        why="every brick to be connected again",
        who="glusterd, by starting its bricks (the lag grows with the time the node was off)",
        detail=after,
    )
    found = _follow_heal(w, after)
    w.say(Phase.HEAL, f"{after}.over", lambda: messages.healed(w.node, found["took"], found["bricks"]))


def _follow_heal(w: Wheel, after: str) -> Mapping[str, Any]:
    """Until nothing is pending. A split brain never heals by itself, so it holds as soon as nothing else is left."""
    while True:
        found: Mapping[str, Any] = meanwhile.wait(
            w,
            Phase.HEAL,
            lambda at: _heal(w, at),
            w.site.managed.limits.heal,
            why="the storage to be fully healed",
            who="the self-heal daemons, by healing",
            detail=after,
        )
        if not found["split_brain"]:
            return found
        w.hold(w.key(Phase.HEAL, after), messages.split_brain(found["split_brain"]), messages.SPLIT_BRAIN_HINT)


def _whole(w: Wheel) -> int:
    """How many bricks are healed, if all are; else 0."""
    progress = w.site.cluster.heal_progress(w.node)
    return len(progress.pending) if progress.healed and not progress.split_brain else 0


def _bricks(w: Wheel, at: Look) -> Any:
    progress = w.site.cluster.heal_progress(w.node)
    if progress.pending and not progress.down and None not in progress.pending.values():
        return len(progress.pending)
    return Waiting(messages.heal_state(progress), _detail(progress, at))


def _heal(w: Wheel, at: Look) -> Any:
    progress = w.site.cluster.heal_progress(w.node)
    found = {"took": at.now - at.since, "bricks": len(progress.pending), "split_brain": progress.split_brain}
    if progress.healed and not progress.split_brain:
        return found
    if progress.split_brain and not progress.down and _only_split(progress):
        return found
    return Waiting(messages.heal_state(progress), _detail(progress, at))


def _only_split(progress: HealProgress) -> bool:
    """Every entry that is left is one of the split ones: each is listed by at most every brick."""
    left = list(progress.pending.values())
    return None not in left and all((count or 0) <= progress.split_brain for count in left)


def _detail(progress: HealProgress, at: Look) -> dict[str, Any]:
    """What the bars and the curve are drawn from; the curve goes on from the look before, as long as that is known."""
    total = sum(count or 0 for count in progress.pending.values())
    curve = [*(at.last or {}).get("curve", []), [at.now, total]]
    return {
        "pending": dict(progress.pending),
        "down": list(progress.down),
        "split_brain": progress.split_brain,
        "curve": curve[-CURVE_POINTS:],
    }
