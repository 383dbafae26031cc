"""The maintenance window, in its own time zone; it may cross midnight, and then belongs to the day it began on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cluster.gates._common import TAKING
from cluster.settings import Window
from cluster.telling import short_span
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    windows = world.settings.windows
    evidence = {"windows": [window.model_dump(mode="json") for window in windows], "now": now}
    if not windows or any(is_open(window, now) for window in windows):
        return Passed(evidence)
    coming = sorted((begin, window.zone) for window in windows for begin in begins(window, now) if begin > now)
    return Blocked(f"outside of the maintenance windows; {_next(coming, now)}", evidence)


def _next(coming: Sequence[tuple[float, str]], now: float) -> str:
    if not coming:
        return "none of them ever opens"
    opens, zone = coming[0]
    when = f"{datetime.fromtimestamp(opens, ZoneInfo(zone)):%a %H:%M} {zone}"
    return f"the next opens {when}, in {short_span(opens - now)}"


def is_open(window: Window, now: float) -> bool:
    """By the clock on the wall there, so that a window of 22:00 to 06:00 is that in winter and in summer."""
    local = datetime.fromtimestamp(now, ZoneInfo(window.zone))
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    clock = f"{local:%H:%M}"
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    return (today in window.days and clock >= window.start) or (yesterday in window.days and clock < window.end)


def begins(window: Window, now: float) -> Iterator[float]:
    """When it opens during the week to come, seconds since the epoch."""
    zone = ZoneInfo(window.zone)
    today = datetime.fromtimestamp(now, zone).date()
    for day in (today + timedelta(days=n) for n in range(8)):
        if DAYS[day.weekday()] in window.days:
            yield _at(day, window.start, zone)


def _at(day: date, clock: str, zone: ZoneInfo) -> float:
    """Sums of a zoned datetime go by its wall clock, so that 24:00 is midnight on the days of a changing clock too."""
    hours, minutes = map(int, clock.split(":"))
    return (datetime.combine(day, time(), zone) + timedelta(hours=hours, minutes=minutes)).timestamp()


GATE = Gate(
    name="window",
    doc="Is it within a maintenance window of the settings (none = at any time)?",
    phases=TAKING,
    reads=frozenset(),
    max_age=0.0,
    overridable=True,
    check=check,
)
