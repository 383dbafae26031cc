"""Waiting for a node or for the storage may take hours, and the gates are asked only afterwards: what people live on is
looked after in between. A guest group that falls below what must run is a page at once, whatever the run waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from cluster.api import ClusterError
from cluster.gates import ask, guest_groups
from cluster.world import Blocked, GatePhase, Passed, World
from engine.port import Look, Waiting
from workflows import messages, messages_meanwhile
from workflows.phases import Phase
from workflows.wheel import Wheel

GROUPS_EVERY_S = 15.0
"""So often guest groups are looked at, at most: it costs a node's word and a few requests to the API."""

SETTLE_S = 60.0
"""So long it is looked at, at the end, whether groups that fell are back."""
GROUPS, WHO_SERVES = "enough members of every guest group to serve", "the guests, by serving"


def wait(
    w: Wheel, phase: Phase, probe: Callable[[Look], Any], timeout: float, *, why: str, who: str, detail: str = ""
) -> Any:
    """As `Wheel.wait`. When groups fell or are back, that is said, and the wait goes on: its `since` and its deadline
    stay, however often that happens."""
    base, since, left = w.key(phase, detail), 0.0, timeout
    while True:
        match w.until(base, partial(_look, w, probe, since), left, why=why, who=who):
            case ["saw", {"value": value}]:
                return value
            case ["saw", {"groups": groups} as told]:
                since, left, w.fallen = told["since"], told.get("left", timeout), groups
                if w.fallen:
                    _fell(w, phase, why)
                else:
                    _back(w, phase, waits=True)
            case ["saw", value]:  # as a version wrote it that looked after nothing meanwhile
                return value
            case answer:
                w.in_vain(base, timeout, why, answer)
                since, left = 0.0, timeout


def _look(w: Wheel, probe: Callable[[Look], Any], since: float, at: Look) -> Any:
    """{"value"}: what is waited for; {"groups", "since", "left"}: which groups are down now, if that changed, and the
    seconds that are left; else Waiting."""
    seen = _probed(probe, replace(at, since=since) if since else at)
    if not isinstance(seen, Waiting):
        return {"value": seen}
    looked = float((at.last or {}).get("groups_at", 0.0))
    if not w.site.managed.groups or 0.0 <= at.now - looked < GROUPS_EVERY_S:
        return Waiting(seen.seen, {**seen.detail, "groups_at": looked})
    down = _down(w)
    if down is not None and bool(down) != bool(w.fallen):
        return {"groups": down, "since": since or at.since, "left": max(at.deadline - at.now, 0.0)}
    return Waiting(seen.seen, {**seen.detail, "groups_at": at.now})


def _probed(probe: Callable[[Look], Any], at: Look) -> Any:
    """A machine that does not answer keeps nobody from looking after the groups."""
    try:
        return probe(at)
    except ClusterError as silent:
        return Waiting(f"could not look: {messages.host(str(silent))}")


def _down(w: Wheel) -> list[str] | None:
    """Which groups have fallen below what must run, in words; None while nobody can say."""
    gate = guest_groups.GATE
    machines = w.site.cluster.survey(gate.reads, w.node)
    world = World(w.site.managed, machines, w.own, None, w.site.helper_checksum)
    match ask(gate, world, w.node, GatePhase.HEALED, w.site.clock()):
        case Blocked(reason, _, hint):
            return [messages.host(f"{reason} ({hint})" if hint else reason)]
        case Passed():
            return []
        case _:
            return None


def settle(w: Wheel, phase: Phase) -> None:
    """After the last wait: groups that serve again end their alarm, and nobody is woken for them any more. Those that
    do not keep it."""
    if w.fallen and w.tried(phase, partial(_serving, w), SETTLE_S, why=GROUPS, who=WHO_SERVES, detail="groups"):
        w.fallen = []
        _back(w, phase, waits=False)


def _serving(w: Wheel, _: Look) -> Any:
    down = _down(w)
    return True if down == [] else Waiting("; ".join(down or ["nobody says which guests serve"]))


def _fell(w: Wheel, phase: Phase, why: str) -> None:
    name, reasons = w.numbered(f"{w.key(phase)}.groups"), w.fallen
    alarmed = w.alarm(f"{name}.alarm", name, "; ".join(reasons), lambda: True)
    w.fallen_alarm = name if alarmed else ""
    w.say(phase, "groups", lambda: messages_meanwhile.groups_fell(w.site.managed, w.node, why, reasons, not alarmed))


def _back(w: Wheel, phase: Phase, *, waits: bool) -> None:
    if w.fallen_alarm:
        w.all_clear(f"{w.fallen_alarm}.clear", w.fallen_alarm)
    w.say(phase, "groups.back", lambda: messages_meanwhile.groups_back(w.node, waits))
