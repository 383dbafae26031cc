"""Waiting for a node, for the storage or for somebody's word may take hours, and the gates are asked only afterwards:
what people live on is looked after in between. A guest group that falls below what must run is a page at once, whatever
the run waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cluster.api import ClusterError
from cluster.gates import ask, guest_groups
from cluster.world import Blocked, GatePhase, Passed, World
from engine.port import Look, Waiting
from workflows import messages, messages_meanwhile
from workflows.phases import AnyPhase, Phase

if TYPE_CHECKING:
    from workflows.wheel import Wheel

GROUPS_EVERY_S = 15.0
"""So often guest groups are looked at, at most: it costs a node's word and a few requests to the API."""

SETTLE_S = 60.0
"""So long it is looked at, at the end, whether groups that fell are back."""
GROUPS, WHO_SERVES = "enough members of every guest group to serve", "the guests, by serving"
SOMEBODY = "somebody to say how it goes on"


def wait(
    w: Wheel,
    phase: Phase,
    probe: Callable[[Look], Any],
    timeout: float,
    *,
    why: str,
    who: str,
    detail: str = "",
    hint: str = "",
    goes_on: tuple[float, float] | None = None,
) -> Any:
    """As `Wheel.wait`. When groups fell or are back, that is said, and the wait goes on: its `since` and its deadline
    stay, however often that happens. `goes_on`: since, and the seconds left, of a wait that is not over."""
    base = w.key(phase, detail)
    since, left = goes_on or (0.0, timeout)
    while True:
        match w.until(base, partial(_look, w, probe, since), left, why=why, who=who):
            case ["saw", {"value": value}]:
                return value
            case ["saw", {"groups": groups} as told]:
                since, left, w.fallen = told["since"], told.get("left", timeout), groups
                _changed(w, w.key(phase), why)
            case ["saw", value]:  # as a version wrote it that looked after nothing meanwhile
                return value
            case answer:
                w.in_vain(base, timeout, why, answer, hint)
                since, left = 0.0, timeout


def held(w: Wheel, base: str, key: str, probe: Callable[[Look], Any], *, why: str, who: str) -> Any:
    """As `Run.until`, for a hold or a pause (`base`: its name), as long as those may last. While redundancy is reduced
    because of us, groups are looked after, unless they are what it is about: that was told."""
    looks = w.reduced and f"{guest_groups.GATE.name}:" not in why
    since, left = 0.0, w.site.managed.limits.hold
    while True:
        beside = partial(_beside, w, probe, since) if looks else probe
        answer = w.run.until(w.numbered(key), beside, left, why=why, who=who)
        if not isinstance(answer, dict):
            return answer
        since, left, w.fallen = answer["since"], answer["left"], answer["groups"]
        _changed(w, base, SOMEBODY)


def _beside(w: Wheel, probe: Callable[[Look], Any], since: float, at: Look) -> Any:
    seen = probe(at)
    return _grouped(w, seen, since, at) if isinstance(seen, Waiting) else seen


def _look(w: Wheel, probe: Callable[[Look], Any], since: float, at: Look) -> Any:
    """{"value"}: what is waited for; {"groups", "since", "left"}: which groups are down now, if that changed, and the
    seconds that are left; else Waiting."""
    seen = _probed(probe, replace(at, since=since) if since else at)
    return _grouped(w, seen, since, at) if isinstance(seen, Waiting) else {"value": seen}


def _grouped(w: Wheel, seen: Waiting, since: float, at: Look) -> Any:
    looked = float((at.last or {}).get("groups_at", 0.0))
    if not w.site.managed.groups or 0.0 <= at.now - looked < GROUPS_EVERY_S:
        return Waiting(seen.seen, {**seen.detail, "groups_at": looked})
    down = groups_down(w)
    if down is not None and bool(down) != bool(w.fallen):
        return {"groups": down, "since": since or at.since, "left": max(at.deadline - at.now, 0.0)}
    return Waiting(seen.seen, {**seen.detail, "groups_at": at.now})


def _probed(probe: Callable[[Look], Any], at: Look) -> Any:
    """A machine that does not answer keeps nobody from looking after the groups."""
    try:
        return probe(at)
    except ClusterError as silent:
        return Waiting(f"could not look: {messages.host(str(silent))}")


def groups_down(w: Wheel) -> list[str] | None:
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


def settle(w: Wheel, phase: AnyPhase) -> None:
    """After the last wait: groups that serve again end their alarm, and nobody is woken for them any more. Those that
    do not keep it."""
    if w.fallen and w.tried(phase, partial(_serving, w), SETTLE_S, why=GROUPS, who=WHO_SERVES, detail="groups"):
        w.fallen = []
        _back(w, w.key(phase), waits=False)


def _serving(w: Wheel, _: Look) -> Any:
    down = groups_down(w)
    return True if down == [] else Waiting("; ".join(down or ["nobody says which guests serve"]))


def _changed(w: Wheel, base: str, why: str) -> None:
    if w.fallen:
        _fell(w, base, why)
    else:
        _back(w, base, waits=True)


def _fell(w: Wheel, base: str, why: str) -> None:
    name, reasons = w.numbered(f"{base}.groups"), w.fallen
    alarmed = w.alarm(f"{name}.alarm", name, "; ".join(reasons), lambda: True)
    w.fallen_alarm = name if alarmed else ""
    said = w.numbered(f"{base}.groups.said")
    w.run.say(said, lambda: messages_meanwhile.groups_fell(w.site.managed, w.node, why, reasons, not alarmed))


def _back(w: Wheel, base: str, *, waits: bool) -> None:
    if w.fallen_alarm:
        w.all_clear(f"{w.fallen_alarm}.clear", w.fallen_alarm)
    w.run.say(w.numbered(f"{base}.groups.back.said"), lambda: messages_meanwhile.groups_back(w.node, waits))
