"""Every condition a node must meet before it is touched: one file each, found by looking into this folder.

A gate is pure: `check(world, node, phase, now) -> Verdict`. What all gates share is done here: evidence that was not
read, or that is too old, is *unknown*; a gate that breaks is *unknown*; an override counts only where one is allowed.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from cluster.facts import Reading, Topic
from cluster.gates._common import Settled, not_down, status_of, untold
from cluster.telling import short_span
from cluster.world import Gate, GatePhase, Opinion, Passed, Unknown, Verdict, World

log = logging.getLogger(__name__)


@cache
def all_gates() -> tuple[Gate, ...]:
    """Those that nobody can override first, then by name."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    gates: list[Gate] = [import_module(f"{__name__}.{name}").GATE for name in names]
    return tuple(sorted(gates, key=lambda gate: (gate.overridable, gate.name)))


def topics(phase: GatePhase) -> frozenset[Topic]:
    """What a survey must read so that every gate of this phase can answer."""
    return _topics(all_gates(), phase)


@cache
def _topics(gates: tuple[Gate, ...], phase: GatePhase) -> frozenset[Topic]:
    return frozenset[Topic]().union(*(gate.reads for gate in gates if phase in gate.phases))


def judge(world: World, node: str, phase: GatePhase, now: float, overrides: Mapping[str, str]) -> tuple[Opinion, ...]:
    """Every gate of this phase. `overrides`: gate -> who and why; it opens only what may be overridden."""
    gates = _asked(all_gates(), phase, world.settings.gluster.enabled)
    told = not _untold(world, *_strictest(gates), now)
    return tuple(_opinion(gate, world, node, phase, now, overrides, told) for gate in gates if gate.asked(world))


@cache
def _strictest(gates: tuple[Gate, ...]) -> tuple[frozenset[Topic], float]:
    """All that these gates read, and how old it may be for whichever wants it youngest: nearly always all of it is, and
    none of them has to look for itself."""
    reading = [gate for gate in gates if gate.reads]
    topics = frozenset[Topic]().union(*(gate.reads for gate in reading))
    return topics, min((gate.max_age for gate in reading), default=0.0)


@cache
def _asked(gates: tuple[Gate, ...], phase: GatePhase, gluster: bool) -> tuple[Gate, ...]:
    """A cluster that has no Gluster at all, by its settings, is not asked about it."""
    return tuple(gate for gate in gates if phase in gate.phases and (gluster or Topic.GLUSTER not in gate.reads))


def _opinion(
    gate: Gate, world: World, node: str, phase: GatePhase, now: float, overrides: Mapping[str, str], told: bool
) -> Opinion:
    verdict = ask(gate, world, node, phase, now, told=told)
    waived = gate.overridable and not isinstance(verdict, Passed)
    return Opinion(gate.name, verdict, now, overrides.get(gate.name, "") if waived else "")


def ask(gate: Gate, world: World, node: str, phase: GatePhase, now: float, *, told: bool = False) -> Verdict:
    """One gate's verdict. Never raises: a gate that cannot answer is unknown, and unknown blocks. `told`: that all it
    reads was read, and lately, is known already."""
    try:
        if not told and (why := _untold(world, gate.reads, gate.max_age, now)):
            return Unknown(why)
        return gate.check(world, node, phase, now)
    except Settled as settled:
        return settled.verdict
    except Exception as fault:
        log.exception("gate '%s': asked -> unknown (it broke before %s of %s)", gate.name, phase, node)
        hint = "this is a fault in Roundsman; its log has the trace"
        return Unknown(f"the gate itself broke ({type(fault).__name__})", hint=hint)


def _untold(world: World, reads: frozenset[Topic], limit: float, now: float) -> str:
    """Why these topics do not count as told, or "". In order, so that the first reason is always the same."""
    for topic in sorted(reads):
        for what, reading in _readings(world, topic):
            if why := untold(reading, what, now, limit):
                return why
    return ""


def _readings(world: World, topic: Topic) -> Sequence[tuple[str, Reading[Any]]]:
    """A topic is read when all of it is read: the helper's word of every node that we have not taken down."""
    if topic is not Topic.NODES:
        return ((topic, getattr(world.machines, topic)),)
    return [(f"status of {name}", status_of(world, name)) for name in not_down(world)]


def table() -> str:
    """All gates as a Markdown table, for the documentation."""
    return "\n".join(
        [
            "| gate | what it asks | when | evidence | override |",
            "| --- | --- | --- | --- | --- |",
            *map(_row, all_gates()),
        ]
    )


def _row(gate: Gate) -> str:
    when = ", ".join(phase.value for phase in GatePhase if phase in gate.phases)
    age = f"at most {short_span(gate.max_age)} old" if gate.max_age else "the clock"
    override = "by an approver" if gate.overridable else "never"
    return f"| `{gate.name}` | {gate.doc} | {when} | {age} | {override} |"
