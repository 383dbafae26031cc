"""The hours after the last node: the routers of 2017 died long after the last reboot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from cluster.world import GatePhase, OwnChanges
from engine.port import Look, Waiting
from workflows import messages
from workflows.judging import judge_now
from workflows.wheel import Wheel

TWICE = 2
"""A gate must be seen shut so many looks in a row: one look may meet a lock or a slow answer."""


def watch(wheel: Wheel, nodes: Sequence[str]) -> None:
    """Gates and guest groups until the time is over, a person aborts, or a new run of this cluster takes over."""
    run, site = wheel.run, wheel.site
    if not site.managed.limits.watch:
        return
    began = run.step("watch.began", site.clock)
    over = began + site.managed.limits.watch
    now = began
    for n in count(1):
        seen = run.until(
            f"watch.good#{n}",
            lambda at: _shut(wheel, nodes[0], at),
            over - now,
            why="watching after the last node",
            who="time, or a new run of this cluster",
        )
        if seen is None:
            run.say("watch.over", lambda: messages.watch_over(site.managed.limits.watch))
            return
        if seen["reasons"] is None:
            run.say("watch.ended", messages.watch_taken_over)
            return
        run.say(
            f"watch.trouble#{n}",
            lambda seen=seen: messages.watch_trouble(site.managed, seen["reasons"], seen["at"] - began),  # type: ignore[misc]
        )
        good = run.until(
            f"watch.again#{n}",
            lambda at: _open(wheel, nodes[0], at),
            max(over - seen["at"], 0.0),
            why="gates to open again",
            who="the cluster, or a person",
        )
        if good is None:
            return
        run.say(f"watch.better#{n}", messages.watch_good_again)
        now = good["at"]


def _reasons(wheel: Wheel, node: str) -> list[str]:
    return judge_now(wheel.site, wheel.run.id, node, GatePhase.WATCH, OwnChanges(), None, "").reasons


def _shut(wheel: Wheel, node: str, at: Look) -> Any:
    if _ended(wheel):
        return {"reasons": None}
    reasons = _reasons(wheel, node)
    times = int((at.last or {}).get("times", 0)) + 1 if reasons else 0
    if times >= TWICE:
        return {"reasons": reasons, "at": at.now}
    return Waiting("; ".join(reasons) or "all gates are open", {"times": times, "watching": True})


def _open(wheel: Wheel, node: str, at: Look) -> Any:
    reasons = _reasons(wheel, node)
    return Waiting("; ".join(reasons), {"watching": True}) if reasons else {"at": at.now}


def _ended(wheel: Wheel) -> bool:
    """A newer run of the cluster watches from now on; or a person aborted, which ends a watch and nothing else."""
    rows = wheel.site.store.runs(cluster=wheel.site.managed.name, state="active")
    mine = next((row for row in rows if row.id == wheel.run.id), None)
    newer = mine is not None and any(row.created_at > mine.created_at for row in rows)
    return newer or wheel.ordered() is not None
