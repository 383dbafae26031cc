"""A night lived faster. The bot and its libraries live by the clock on the wall: an order expires after ten real
seconds, evidence is too old after thirty. So time itself is left alone; what a night's machines, faults and people take
is shorter, all in proportion, and with it the bot's own pace and patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from base.settings import seconds
from cluster.settings import Window
from sandbox.faults import Fault, faults_from
from sandbox.scenario import Cue, Scenario
from sandbox.simpagers import ONCALL
from sandbox.spec import ClusterSpec, Timings
from workflows.settings import Limits

NO_DURATION = ("heal_factor", "heal_climb", "spread")
RATES = ("entries_s", "restore_mib", "backup_mib")
LEAST_LIMIT_S = 60.0
"""Real adapters need some seconds for what a model does in none, many on a busy machine; no limit gets shorter."""
MACHINES = ("approval_valid", "drain", "upgrade", "reboot", "brick_back", "guests_back", "restore", "serving")
LEAST_FOR_MACHINES_S = 360.0
"""These limits stay longer than what the bot itself knows of machines, such as that a node which still answers five
minutes after its reboot does not reboot; and an approval outlives what it allows."""
WINDOW_S = 120.0
"""Windows open and close at whole minutes, however fast the night is."""
AT_LEISURE = 20.0
"""At this speed the bot looks once a second; faster nights are looked at more often, slower ones not."""
SHORTEST_LOOK_S = 0.1


def at_speed(scenario: Scenario, speed: float, now: float) -> Scenario:
    """The same night, beginning at `now` (epoch seconds, UTC) and lived `speed` times as fast."""
    return replace(
        scenario,
        start=now,
        lasts=scenario.lasts / speed + LEAST_FOR_MACHINES_S,
        fixed_delay=scenario.fixed_delay / speed,
        spec=_spec(scenario, speed, now),
        oncall=None if scenario.oncall is None else _patience({**ONCALL, **scenario.oncall}, speed),
        faults=tuple(_fault(fault, speed) for fault in faults_from(scenario.faults)),
        cues=tuple(_cue(cue, speed) for cue in scenario.cues),
    )


def sooner(scenario: Scenario, most: float) -> Scenario:
    """The same night for somebody who sits before it: what comes hours after something else comes `most` seconds after
    it, and what follows that keeps its distance. A night at its speed already."""
    faults = faults_from(scenario.faults)
    late = [fault.delay for fault in faults if fault.after and fault.delay > most]
    spare = min(late, default=most) - most
    return replace(scenario, faults=tuple(_earlier(fault, spare if fault.delay > most else 0.0) for fault in faults))


def _earlier(fault: Fault, spare: float) -> Fault:
    return replace(fault, delay=fault.delay - spare) if fault.after else fault


def least_look(speed: float) -> float:
    """Seconds between two looks of the bot's at a cluster that lives so fast."""
    return min(1.0, max(SHORTEST_LOOK_S, AT_LEISURE / speed))


def duration(value: float) -> str:
    """As the settings file writes it."""
    return f"{value:.3f}s"


def limits(settings: Mapping[str, Any], speed: float) -> dict[str, str]:
    """The bot's patience in proportion. `settings`: the scenario's own keys of the cluster's section."""
    plain: dict[str, float] = Limits.model_validate(settings.get("limits", {})).model_dump()
    least = dict.fromkeys(plain, LEAST_LIMIT_S) | dict.fromkeys(MACHINES, LEAST_FOR_MACHINES_S) | {"watch": 0.0}
    if settings.get("windows"):
        least["gates"] += WINDOW_S
    patience = {name: max(value / speed, least[name]) for name, value in plain.items()}
    patience["hold"] += LEAST_FOR_MACHINES_S  # so much longer a fast night lasts: its holds page no more often for it
    return {name: duration(value) for name, value in patience.items()}


LEAST_RING_S = 6.0
"""A telephone rings for real seconds, and so long is it waited for an answer at least."""
OF_PEOPLE = dict.fromkeys(("wait", "pause", "test_wait"), LEAST_RING_S) | {"stale_after": LEAST_FOR_MACHINES_S}
"""Whoever has an outage waits for machines, and says nothing meanwhile."""


def _patience(section: Any, speed: float) -> Any:
    """The waits of a section `oncall` in proportion, wherever they stand."""
    if isinstance(section, Mapping):
        return {
            key: duration(max(seconds(value) / speed, OF_PEOPLE[key])) if key in OF_PEOPLE else _patience(value, speed)
            for key, value in section.items()
        }
    return [_patience(value, speed) for value in section] if isinstance(section, list) else section


def _spec(scenario: Scenario, speed: float, now: float) -> ClusterSpec:
    spec = scenario.spec
    settings = {**spec.settings}
    if scenario.oncall is not None:
        settings["outages"] = {"settle": duration(max(300 / speed, LEAST_RING_S)), **settings.get("outages", {})}
    if windows := settings.get("windows"):
        settings["windows"] = [_window(row, scenario.start, now, speed) for row in windows]
    return replace(spec, timings=_timings(spec.timings, speed), settings=settings)


def _timings(timings: Timings, speed: float) -> Timings:
    factors = dict.fromkeys(NO_DURATION, 1.0) | dict.fromkeys(RATES, speed)
    return Timings(**{name: value * factors.get(name, 1 / speed) for name, value in asdict(timings).items()})


def _cue(cue: Cue, speed: float) -> Cue:
    at = None if cue.at is None else cue.at / speed
    return replace(cue, at=at, after=cue.after / speed, lasts=cue.lasts / speed)


def _fault(fault: Fault, speed: float) -> Fault:
    lasts = None if fault.lasts is None else fault.lasts / speed
    amount = fault.amount / speed if fault.kind == "line" else fault.amount  # how late a command arrives
    return replace(fault, at=fault.at / speed, delay=fault.delay / speed, lasts=lasts, amount=amount)


def _window(row: Mapping[str, Any], start: float, now: float, speed: float) -> dict[str, Any]:
    """The window where it would open and close in this night; the settings know whole minutes only."""
    window = Window.model_validate(row)
    night = datetime.fromtimestamp(start, UTC)
    opens = _next(window.start, night) - night
    closes = _next(window.end, night + opens) - night
    present = datetime.fromtimestamp(now, UTC) + timedelta(seconds=59)
    return {
        "start": f"{present + opens / speed:%H:%M}",
        "end": f"{present + closes / speed + timedelta(minutes=1):%H:%M}",
    }


def _next(clock: str, after: datetime) -> datetime:
    hours, minutes = (int(part) for part in clock.split(":"))
    at = after.replace(hour=0, minute=0) + timedelta(hours=hours, minutes=minutes)
    return at if at >= after else at + timedelta(days=1)
