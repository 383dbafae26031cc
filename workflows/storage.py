"""Waiting for the storage: every brick connected again, then nothing left to heal. Only the cheap question is asked
here; the gates of the next act ask every peer, several times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from cluster.facts import HealProgress, Read, Topic
from engine.port import Look, Waiting
from workflows import meanwhile, messages, messages_meanwhile
from workflows.phases import Phase
from workflows.wheel import Wheel

CURVE_POINTS = 60
"""So many points of the heal curve are kept for drawing."""
STANDS_S = 1200.0
"""No new low for two rounds of the self-heal daemons (`cluster.heal-timeout`, 600 s by default): one that missed its
try has had another by then. Large images take longer, and count as one entry each meanwhile."""


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
        hint=messages_meanwhile.starts_bricks(w.site.managed, w.node),
    )
    found = _follow_heal(w, after)
    w.say(Phase.HEAL, f"{after}.over", lambda: messages.healed(w.node, found["took"], found["bricks"]))


def _follow_heal(w: Wheel, after: str) -> Mapping[str, Any]:
    """Until nothing is pending. A split brain never heals by itself, so it holds as soon as nothing else is left; of a
    heal that stands still people are told, once at each count: none but they may order anything."""
    stands: Mapping[str, Any] = {}
    goes_on: tuple[float, float] | None = None
    while True:
        found: Mapping[str, Any] = meanwhile.wait(
            w,
            Phase.HEAL,
            partial(_heal, w, stands),
            w.site.managed.limits.heal,
            why="the storage to be fully healed",
            who="the self-heal daemons, by healing",
            detail=after,
            goes_on=goes_on,
        )
        goes_on = None
        if "stands" in found:
            stands, goes_on = found["stands"], (found["since"], found["left"])
            w.say(Phase.HEAL, f"{after}.stands", partial(messages_meanwhile.heal_stands, w.node, stands))
        elif found["split_brain"]:
            w.hold(w.key(Phase.HEAL, after), messages.split_brain(found["split_brain"]), messages.SPLIT_BRAIN_HINT)
        else:
            return found


def _whole(w: Wheel) -> int:
    """How many bricks are healed, if all are; else 0."""
    progress = w.site.cluster.heal_progress(w.node)
    return len(progress.pending) if progress.healed and not progress.split_brain else 0


def _bricks(w: Wheel, at: Look) -> Any:
    progress = w.site.cluster.heal_progress(w.node)
    if progress.pending and not progress.down and None not in progress.pending.values():
        return len(progress.pending)
    return Waiting(messages.heal_state(progress), _detail(progress, at))


def _heal(w: Wheel, stands: Mapping[str, Any], at: Look) -> Any:
    """`stands`: what people were told last of a heal that stood still. The same again: {"stands", "since", "left"}."""
    progress = w.site.cluster.heal_progress(w.node)
    found = {"took": at.now - at.since, "bricks": len(progress.pending), "split_brain": progress.split_brain}
    if progress.healed and not progress.split_brain:
        return found
    if progress.split_brain and not progress.down and _only_split(progress):
        return found
    detail, state = _detail(progress, at, stands), messages.heal_state(progress)
    (low_at, _), idle, volumes = detail["low"], not progress.healing, list(progress.volumes)
    total, lasts = detail["curve"][-1][1], at.now - low_at
    if progress.down or lasts < STANDS_S:
        return Waiting(state, detail)
    if stands and total >= stands["total"] and (stands["idle"] or not idle):
        return Waiting(f"{state}; {messages_meanwhile.stood(lasts, volumes)}" if idle else state, detail)
    news = {"total": total, "idle": idle, "lasts": lasts, "state": state, "volumes": volumes, "names": _names(w)}
    kept = {"curve": detail["curve"], "low": detail["low"]}
    return {"stands": {**news, **kept}, "since": at.since, "left": max(at.deadline - at.now, 0.0)}


def _names(w: Wheel) -> list[str]:
    """Some of what is to be healed, as the bricks name it."""
    gluster = w.site.cluster.survey(frozenset({Topic.GLUSTER}), w.node).gluster
    named = gluster.value.entries.values() if isinstance(gluster, Read) else ()
    return sorted({messages.host(name) for names in named for name in names})


def _only_split(progress: HealProgress) -> bool:
    """Every entry that is left is one of the split ones: each is listed by at most every brick."""
    left = list(progress.pending.values())
    return None not in left and all((count or 0) <= progress.split_brain for count in left)


def _detail(progress: HealProgress, at: Look, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the bars and the curve are drawn from, and when it was as low as it is for the first time: they go on from
    the look before, as long as that is known, or from `before`."""
    last = at.last or before or {}
    total = sum(count or 0 for count in progress.pending.values())
    low = last.get("low", [at.now, total])
    return {
        "pending": dict(progress.pending),
        "down": list(progress.down),
        "split_brain": progress.split_brain,
        "curve": [*last.get("curve", []), [at.now, total]][-CURVE_POINTS:],
        "low": low if low[1] <= total else [at.now, total],
    }
