"""Somebody can be woken: on call now and until the watch after the run is over, proven by a drill, and not alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cluster.gates._common import MINUTES_S, listed, told
from cluster.telling import short_span
from cluster.world import Blocked, Gate, GatePhase, OnCallSeen, Passed, PersonSeen, Verdict, World

DRILL = "`/oncall test`, answered, proves it"


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    assert world.on_call is not None  # else it is not asked
    seen = told(world.on_call, "who is on call", now, MINUTES_S)
    evidence = {
        "first": [person.name for person in seen.first],
        "others": list(seen.others),
        "until": seen.until,
        "proven": {person.name: person.proven_at for person in seen.first},
    }
    if faults := list(_faults(seen, now)):
        return Blocked(
            "; ".join(fault for fault, _ in faults), evidence, "; ".join(filter(None, (h for _, h in faults)))
        )
    return Passed(evidence, "; ".join(_notes(seen)))


def _faults(seen: OnCallSeen, now: float) -> Iterator[tuple[str, str]]:
    """Each with its remedy."""
    if not seen.first:
        yield "nobody is on call", "`/oncall override @user until WHEN` puts somebody on call"
    for rota, start, end in seen.gaps:
        yield (
            f"nobody is on call in {rota} {_when(start, now)}, for {short_span(end - start)}",
            "`/oncall override @user from WHEN until WHEN` fills it",
        )
        break
    if not seen.others:
        yield "nobody else can be woken if they do not answer", "add a rung with a second person to the policy"
    for person in seen.first:
        if person.night and not person.rings:
            yield f"it is night for {person.name}, and the first page would make no noise", "add a way that rings"
    if seen.first and not any(_proven(person, seen, now) for person in seen.first):
        names = listed(person.name for person in seen.first)
        yield f"no pager of {names} was proven within {short_span(seen.proof_age)}", DRILL


def _proven(person: PersonSeen, seen: OnCallSeen, now: float) -> bool:
    return person.proven_at is not None and now - person.proven_at <= seen.proof_age


def _notes(seen: OnCallSeen) -> Iterator[str]:
    for person in seen.first:
        if person.quiet:
            yield f"{person.name}: {person.quiet}"
        if person.night:
            yield f"it is night for {person.name}, a page rings by {listed(person.rings)}"


def _when(start: float, now: float) -> str:
    return "now" if start <= now else f"from {datetime.fromtimestamp(start, UTC):%a %H:%M} UTC"


GATE = Gate(
    name="on-call",
    doc="Is somebody on call until the watch is over, was their pager proven lately, and is there a second person?",
    phases=frozenset({GatePhase.PREFLIGHT, GatePhase.ASK}),
    reads=frozenset(),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
    asked=lambda world: world.on_call is not None,
)
