"""What our own runs take down just now, read off their journals: it is no outage, anything else in those minutes is.

A run that holds has lost its grip: from then on what is down is down for everybody. Only guests that it has shut down
itself stay its own business until they are started again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from cluster.detector import Doing
from store.api import Entry, RunRow, Store
from workflows.phases import UPGRADE, Phase, phase_of
from workflows.picture import picture

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
    shown = picture(run, entries)
    stopped = frozenset(guest for node in shown.nodes for guest in _stopped(node.node, entries))
    if shown.state in ("holding", "paused") or shown.dry_run:
        return Doing(guests=stopped)
    down = frozenset(node.node for node in shown.nodes if _rebooting(node.node, entries, now))
    moving = frozenset(guest for node in shown.nodes for guest in _moving(node.node, entries))
    healing = any(_phase(node.node, entries) in HEALS for node in shown.nodes)
    return Doing(down, stopped | moving, healing)


def _both(one: Doing, other: Doing) -> Doing:
    return Doing(one.nodes | other.nodes, one.guests | other.guests, one.storage or other.storage)


def _rebooting(node: str, entries: Sequence[Entry], now: float) -> bool:
    """From the moment the reboot may have been sent until a while after its bricks are back, or its services: not for
    as long as it heals, for it could die in these hours."""
    down, back_at = False, -inf
    for entry, phase, detail in _of_node(node, entries):
        if phase is Phase.REBOOT and not detail:
            down = entry.kind == "intent" or (entry.kind == "result" and _word(entry) in SENT)
        elif down and (phase is Phase.RELEASE or (phase in BACK and entry.kind == "result" and _word(entry) == "saw")):
            down, back_at = False, entry.at
    return down or 0.0 <= now - back_at < SETTLES_S


def _stopped(node: str, entries: Sequence[Entry]) -> frozenset[int]:
    """Shut down by us, and not yet running again."""
    stopped: set[int] = set()
    for entry, phase, detail in _of_node(node, entries):
        guest, _, act = detail.partition(".")
        if phase is Phase.STOP and guest.isdigit() and act == "":
            stopped.add(int(guest))
        elif phase is Phase.RETURN and act == "running.wait" and entry.kind == "result" and _word(entry) == "saw":
            stopped.discard(int(guest))
    return frozenset(stopped)


def _moving(node: str, entries: Sequence[Entry]) -> frozenset[int]:
    moving: set[int] = set()
    for entry, phase, detail in _of_node(node, entries):
        guest, _, act = detail.partition(".")
        if phase is not Phase.MOVE or not guest.isdigit():
            continue
        if act == "end.wait" and entry.kind == "result":
            moving.discard(int(guest))
        elif act != "said":
            moving.add(int(guest))
    return frozenset(moving)


def _phase(node: str, entries: Sequence[Entry]) -> Phase | None:
    """The last phase that the journal knows of this node; None once it is done with."""
    last: Phase | None = None
    for entry in entries:
        if entry.key == node and entry.kind == "result":
            return None
        last = phase_of(entry.key, node) or last
    return last


def _of_node(node: str, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Phase, str]]:
    """Its entries with their phase and the rest of the key: "pve2.move.101.end.wait#2" -> "101.end.wait"."""
    for entry in entries:
        phase = phase_of(entry.key, node)
        if phase is not None:
            rest = entry.key[len(node) + 1 :].partition(".")[2]
            yield entry, phase, rest.split("#")[0]


def _word(entry: Entry) -> Any:
    return entry.value[0] if isinstance(entry.value, list) and entry.value else None
