"""A rota that people keep in a calendar: iCalendar text -> who is on call when. Pure; fetching it is the bot's work.

Recurrences, edited and cancelled occurrences are the work of icalendar and recurring-ical-events (the extra `ical`).
What a calendar can hold is not for us to choose: a series of every minute is refused before it is worked out, and since
a rule that never matches still costs ten seconds, the bot works a calendar out in a process that it can end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

from oncall.rota import Event
from oncall.settings import Feed, Person
from oncall.wall import instant, time_of_day

LARGEST_BYTES = 5_000_000
"""A calendar of this size takes 12 s and 180 MB to work out; nobody's rota is larger."""
MOST_STEPS = 30_000
"""A series of every day reaches back eighty years with these; one of every minute three weeks."""
MOST_A_STEP = 24
MOST_EVENTS = 5_000
MOST_DOUBTS = 5
STEP_S = {
    "SECONDLY": 1,
    "MINUTELY": 60,
    "HOURLY": 3600,
    "DAILY": 86400,
    "WEEKLY": 7 * 86400,
    "MONTHLY": 28 * 86400,
    "YEARLY": 365 * 86400,
}
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What a series that is not as it should be raises in the libraries; it must not take the others with it."""


class CalendarError(Exception):
    """The calendar as a whole cannot be used; str() is half a sentence without its address."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a calendar says. `doubts`: what in it could not be used, as half sentences."""

    events: tuple[Event, ...]
    doubts: tuple[str, ...] = ()


INSTALLS = "in Roundsman's folder, `.venv/bin/pip install --require-hashes -r deploy/requirements.lock`"
"""As docs/install.md has it: the extra `ical` is part of that list."""


def available() -> bool:
    """Whether the extra `ical` is installed."""
    return find_spec("icalendar") is not None and find_spec("recurring_ical_events") is not None


def names_of(people: Mapping[str, Person], feed: Feed) -> dict[str, str]:
    """What a calendar may call people -> what the settings call them."""
    return {key: key for key in people} | {p.name: key for key, p in people.items() if p.name} | feed.names


def read(text: bytes, names: Mapping[str, str], zone: ZoneInfo, start: float, end: float) -> Reading:
    """All that a calendar says for [start, end), with the true starts and ends of its events.

    `zone` is meant where the calendar names none: whole days, and times without a zone. Raises CalendarError.
    """
    if len(text) > LARGEST_BYTES:
        raise CalendarError(f"it is larger than {LARGEST_BYTES // 1_000_000} MB: no rota is")
    reader = _Reader(_Names(names), zone, start, end)
    for series in _series(text):
        reader.take(series)
        if len(reader.events) > MOST_EVENTS:
            raise CalendarError(f"it has more than {MOST_EVENTS} shifts: no rota has")
    return Reading(tuple(sorted(reader.events, key=lambda e: (e.start, e.end, e.person))), _some(reader.doubts))


def _some(doubts: Iterable[str]) -> tuple[str, ...]:
    found = list(dict.fromkeys(doubts))
    more = [f"and {len(found) - MOST_DOUBTS} more"] if len(found) > MOST_DOUBTS else []
    return (*found[:MOST_DOUBTS], *more)


def _series(text: bytes) -> Iterator[Any]:
    """One calendar for each UID: an event and the edits of its occurrences belong together."""
    import icalendar

    try:
        whole = icalendar.Calendar.from_ical(text)
    except UNREADABLE:
        raise CalendarError("it is not a calendar (text/calendar, as in .ics files)") from None
    groups: dict[str, list[Any]] = {}
    for number, event in enumerate(whole.walk("VEVENT")):
        groups.setdefault(str(event.get("UID", number)), []).append(event)
    for events in groups.values():
        single = icalendar.Calendar(whole)
        for event in events:
            single.add_component(event)
        yield single


class _Reader:
    """Collects what the series say."""

    def __init__(self, names: _Names, zone: ZoneInfo, start: float, end: float) -> None:
        self._names, self._zone, self._start, self._end = names, zone, start, end
        self.events: list[Event] = []
        self.doubts: list[str] = []

    def take(self, series: Any) -> None:
        title = _title(series.subcomponents[0])
        try:
            for event in series.subcomponents:
                _judge(event, self._end)
            self.events += list(self._events(self._occurrences(series)))
        except CalendarError as error:
            self.doubts.append(f'"{title}" is left out: {error}')
        except UNREADABLE:
            self.doubts.append(f'"{title}" is left out: its dates or its repetition cannot be read')

    def _occurrences(self, series: Any) -> Sequence[Any]:
        """A day more on both sides: a whole day has no zone of its own."""
        import recurring_ical_events

        first, last = (datetime.fromtimestamp(at, UTC) for at in (self._start, self._end))
        day = timedelta(days=1)
        found: Sequence[Any] = recurring_ical_events.of(series).between(first - day, last + day)
        return found

    def _events(self, occurrences: Sequence[Any]) -> Iterator[Event]:
        for event in occurrences:
            start, end = (self._at(event[key]) for key in ("DTSTART", "DTEND"))
            outside = start >= self._end or end <= self._start or start >= end
            if outside or str(event.get("STATUS", "")).upper() == "CANCELLED":
                continue
            person, doubt = self._names.person(event)
            if doubt:
                self.doubts.append(doubt)
            else:
                yield Event(person, start, end)

    def _at(self, value: Any) -> float:
        when = value.dt
        if not isinstance(when, datetime):
            return time_of_day(self._zone, when, 0)
        return instant(self._zone, when) if when.tzinfo is None else when.timestamp()


def _title(event: Any) -> str:
    return " ".join(str(event.get("SUMMARY", "")).split())[:60] or "an event without a title"


# ---- what is refused before it is worked out ------------------------------------------------------------------------


def _judge(event: Any, end: float) -> None:
    """Raises CalendarError."""
    for key in ("DTSTART", "DTEND"):
        value = event.get(key)
        zone = value.params.get("TZID") if value else None
        if zone and isinstance(value.dt, datetime) and value.dt.tzinfo is None:
            raise CalendarError(f"its time zone {zone} is not known")
    rules = event.get("RRULE", ())
    for rule in rules if isinstance(rules, list) else [rules] if rules else ():
        _refuse_endless_work(rule, event["DTSTART"].dt, end)


def _refuse_endless_work(rule: Any, start: date, end: float) -> None:
    step = STEP_S.get(str(rule.get("FREQ", [""])[0]).upper(), 0) * int(rule.get("INTERVAL", [1])[0])
    if step < 1:
        raise CalendarError("its repetition cannot be read")
    length = end - datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()
    each = 1
    for part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        each *= max(len(rule.get(part, ())), 1)
    if length / step > MOST_STEPS or each > MOST_A_STEP:
        raise CalendarError("it repeats more often than any shift would")


# ---- names ----------------------------------------------------------------------------------------------------------


class _Names:
    """Whom an event means: its title, if that names one person; else those who are invited."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._known = {said.casefold(): key for said, key in names.items()}
        self._longest_first = sorted(self._known, key=len, reverse=True)

    def person(self, event: Any) -> tuple[str, str]:
        """(the person, "") or ("", why nobody can be meant)."""
        found = self._in_title(_title(event)) or self._invited(event)
        if len(found) == 1:
            return found.pop(), ""
        many = f"several people of the settings ({', '.join(sorted(found))})" if found else "nobody in the settings"
        return "", f'"{_title(event)}" names {many}'

    def _in_title(self, title: str) -> set[str]:
        """People whose name stands in it as whole words; "Ann Lee" is not "Ann" as well."""
        rest, found = title.casefold(), set[str]()
        for said in self._longest_first:
            rest, count = re.subn(rf"(?<!\w){re.escape(said)}(?!\w)", "\n", rest)
            if count:
                found.add(self._known[said])
        return found

    def _invited(self, event: Any) -> set[str]:
        invited = event.get("ATTENDEE", [])
        found = set[str]()
        for guest in invited if isinstance(invited, list) else [invited]:
            if str(guest.params.get("PARTSTAT", "")).upper() == "DECLINED":
                continue
            for said in (str(guest).removeprefix("mailto:").removeprefix("MAILTO:"), str(guest.params.get("CN", ""))):
                if said.casefold() in self._known:
                    found.add(self._known[said.casefold()])
        return found
