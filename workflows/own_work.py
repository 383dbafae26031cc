"""What our own runs take down just now, read off their journals: it is no outage, anything else in those minutes is.

A run that holds has lost its grip: from then on what is down is down for everybody. Only guests that it has shut down
itself stay its own business until they are started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from cluster.detector import Doing
from store.api import Entry, RunRow, Store
from workflows.phases import UPGRADE, Phase
from workflows.picture import GONE, Step, by_node, nodes_of, state_of, wait_of

HEALS = frozenset({Phase.UPGRADE, Phase.BRICKS, Phase.HEAL, Phase.REBOOT, Phase.PROOF, Phase.REJOIN, Phase.RELEASE})
"""Phases in which a copy of the storage is away, or catches up."""
BACK = frozenset({Phase.BRICKS, Phase.REJOIN})
"""Phases whose end shows that a rebooted node is there again."""
SETTLES_S = 180.0
"""A booted node's API and guests come some minutes after its bricks."""
SENT = frozenset({"did", "unclear"})
"""Ends of an act that may have gone out."""


def own_work(store: Store, cluster: str, now: float) -> Doing:
    """Of all active runs of this cluster. `now`: seconds since the epoch."""
    doing = Doing()
    for run in store.runs(cluster=cluster, state="active", workflow=UPGRADE):
        doing = _both(doing, of_run(run, store.entries(run.id), now))
    return doing


def of_run(run: RunRow, entries: Sequence[Entry], now: float) -> Doing:
    ways = by_node(nodes_of(run, entries), entries)
    stopped = frozenset(guest for way in ways.values() for guest in _stopped(way))
    if state_of(run, wait_of(run)) in ("holding", "paused") or run.args.get("dry_run"):
        return Doing(guests=stopped)
    down = frozenset(node for node, way in ways.items() if _rebooting(way, now))
    moving = frozenset(guest for way in ways.values() for guest in _moving(way))
    healing = any(_phase(way) in HEALS for way in ways.values())
    return Doing(down, stopped | moving, healing)


def _both(one: Doing, other: Doing) -> Doing:
    return Doing(one.nodes | other.nodes, one.guests | other.guests, one.storage or other.storage)


def _rebooting(way: Sequence[Step], now: float) -> bool:
    """From the moment the reboot may have been sent until a while after its bricks are back, or its services: not for
    as long as it heals, for it could die in these hours."""
    down, back_at = False, -inf
    for entry, phase, detail in way:
        if phase is Phase.REBOOT and not detail:
            down = entry.kind == "intent" or (entry.kind == "result" and _word(entry) in SENT)
        elif down and (phase is Phase.RELEASE or (phase in BACK and entry.kind == "result" and _word(entry) == "saw")):
            down, back_at = False, entry.at
    return down or 0.0 <= now - back_at < SETTLES_S


def _stopped(way: Sequence[Step]) -> frozenset[int]:
    """Shut down by us, and not yet running again."""
    stopped: set[int] = set()
    for entry, phase, detail in way:
        guest, _, act = detail.partition(".")
        if phase is Phase.STOP and guest.isdigit() and act == "":
            stopped.add(int(guest))
        elif entry.value == ["saw", GONE] or (
            phase is Phase.RETURN and act == "running.wait" and entry.kind == "result" and _word(entry) == "saw"
        ):
            stopped.discard(int(guest))
    return frozenset(stopped)


def _moving(way: Sequence[Step]) -> frozenset[int]:
    moving: set[int] = set()
    for entry, phase, detail in way:
        guest, _, act = detail.partition(".")
        if phase is not Phase.MOVE or not guest.isdigit():
            continue
        if act == "end.wait" and entry.kind == "result":
            moving.discard(int(guest))
        elif act in ("", "began", "end.wait"):
            moving.add(int(guest))
    return frozenset(moving)


def _phase(way: Sequence[Step]) -> Phase | None:
    """The last phase that the journal knows of this node; None once it is done with."""
    last: Phase | None = None
    for step in way:
        if step.last:
            return None
        last = step.phase or last
    return last


def _word(entry: Entry) -> Any:
    return entry.value[0] if isinstance(entry.value, list) and entry.value else None
