"""Times as people type them into a chat: "18:00", "tomorrow 09:00", "mon 9:00", "2026-12-24 18:00", "4h"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from base.settings import seconds
from oncall.settings import WEEK
from oncall.wall import shown, time_of_day

FORMS = "`18:00`, `tomorrow 09:00`, `mon 09:00`, `2026-12-24 18:00`, or `4h` from now"
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")


class NotATime(Exception):
    """str() says what was typed and which forms are understood."""

    def __init__(self, words: Sequence[str]) -> None:
        said = " ".join(words[:2])
        super().__init__((f'"{said}" is no time' if said else "a time is missing") + f"; write {FORMS}.")


def moment(words: Sequence[str], now: float, zone: ZoneInfo) -> tuple[float, list[str]]:
    """The time at which the words begin (epoch seconds), and the words that follow it. Raises NotATime.

    A time of day alone is the next one on the clock of `zone`; a day alone is its first minute.
    """
    if not words:
        raise NotATime(words)
    first, rest = re.sub(r"(?<=\d)t(?=\d)", " ", words[0].lower()), list(words[1:])
    if (length := _length(first)) is not None:
        return now + length, rest
    if (minutes := _minutes(first)) is not None:
        return _next(minutes, now, zone), rest
    day, _, clock = first.partition(" ")
    found = _day(day, shown(zone, now).date())
    if found is None:
        raise NotATime(words)
    if clock:
        rest = [clock, *rest]
    minutes = _minutes(rest[0]) if rest else None
    if clock and minutes is None:
        raise NotATime(words)
    return time_of_day(zone, found, minutes or 0), rest if minutes is None else rest[1:]


def _length(word: str) -> float | None:
    try:
        return seconds(word)
    except ValueError:
        return None


def _minutes(word: str) -> int | None:
    """ "9:30" -> 570."""
    found = _CLOCK.fullmatch(word)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        return None
    return int(found[1]) * 60 + int(found[2])


def _next(minutes: int, now: float, zone: ZoneInfo) -> float:
    today = shown(zone, now).date()
    times = (time_of_day(zone, today + timedelta(days=n), minutes) for n in (0, 1, 2))
    return next(at for at in times if at > now)


def _day(word: str, today: date) -> date | None:
    """A weekday is the next one, never today: whoever means today types the time alone."""
    if word in ("today", "tomorrow"):
        return today + timedelta(days=word == "tomorrow")
    if word[:3] in WEEK and word in _NAMES:
        return today + timedelta(days=(WEEK.index(word[:3]) - today.weekday() - 1) % 7 + 1)
    try:
        return date.fromisoformat(word) if re.fullmatch(r"\d{4}-\d\d-\d\d", word) else None
    except ValueError:
        return None


_NAMES = {*WEEK, "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
