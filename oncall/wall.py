"""Clocks on walls: from what a clock shows in a zone to the instant that is meant, over every change of the clocks."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def instant(zone: ZoneInfo, wall: datetime) -> float:
    """The first instant (epoch seconds) at which the clock of `zone` shows `wall` or later; `wall` has no zone.

    So a time that exists twice is its first one, and a time that the clocks leap over is the moment of the leap: a
    hand-off at 02:30 in a night without 02:30 happens when the clock leaps from 02:00 to 03:00.
    """
    early, late = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return early if early <= late else _leap(zone, int(late), int(early))


def _leap(zone: ZoneInfo, before: int, after: int) -> float:
    """The second in which the clock leaps, between an instant before it and one at or after it."""
    old = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return float(after)


def _offset(zone: ZoneInfo, at: int) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()


def shown(zone: ZoneInfo, at: float) -> datetime:
    """What the clock of `zone` shows at that instant, without its zone."""
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)


def time_of_day(zone: ZoneInfo, day: date, minutes: int) -> float:
    """The instant of so many minutes after midnight on that day's clock; 1440 is the midnight after it."""
    return instant(zone, datetime.combine(day, time()) + timedelta(minutes=minutes))


def minutes(text: str) -> int:
    """ "22:30" -> 1350; "24:00" -> 1440. Raises ValueError."""
    hour, colon, minute = text.partition(":")
    if not (colon and len(hour) == len(minute) == 2 and hour.isdecimal() and minute.isdecimal()):
        raise ValueError(f"{text!r} is not a time of day, such as 22:30")
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > 1440:
        raise ValueError(f"{text!r} is not a time of day, such as 22:30")
    return found


def wall(text: str) -> datetime:
    """ "2026-03-02T09:00" -> that time on a wall's clock. Raises ValueError with a sentence."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text):
        raise ValueError(f"{text!r} is not a date and a time of day, such as 2026-03-02T09:00 (without a zone)")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not in any calendar: {error}") from None
