"""Every sentence about the rota: who is on call, until when, who next; hand-offs, gaps, stand-ins, and what to type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from oncall.copies import Copy
from oncall.duty import Duty
from oncall.rota import Gap, Shift
from oncall.settings import OnCallSettings, Person
from oncall.wall import shown
from workflows.messages import bullets, host, span
from workflows.roles import mention

NOBODY = "nobody"
FILL_IT = "`/oncall override @user from WHEN until WHEN` fills it"

Tell = Callable[[float], str]
"""How an instant is told to whoever reads it."""


def day_at(when: float) -> str:
    """A day and a time that Slack shows in each reader's own zone, with UTC as the fallback."""
    return f"<!date^{int(when)}^{{date_short_pretty}} {{time}}|{datetime.fromtimestamp(when, UTC):%a %d %b %H:%M} UTC>"


def in_zone(zone: ZoneInfo) -> Tell:
    """For a table: "Mon 02 Mar 09:00" on that zone's clock."""
    return lambda when: f"{shown(zone, when):%a %d %b %H:%M}"


def user(people: Mapping[str, Person], name: str) -> str:
    return mention([people[name].slack]) if name in people else host(name)


def why(by: str, clean: Callable[[str], str] = host) -> str:
    """What put somebody on call, in words: oncall.rota.Shift.by."""
    kind, _, who = by.partition(":")
    match kind:
        case "layer":
            return f"layer {clean(who)}"
        case "override":
            return f"ordered by {mention([who])}"
    return "the calendar"


# ---- /oncall -------------------------------------------------------------------------------------------------------


def who_is_on_call(duty: Duty, rota: str, now: float) -> str:
    """One rota: who, until when, and who next."""
    people, here = duty.settings.people, duty.all_on_call(rota, now)
    after = duty.next_shift(rota, now)
    then = f"; then {user(people, after.person)} from {day_at(after.start)}" if after else ""
    if not here:
        return f"🕳️ *{rota}*: nobody is on call{then}. {_woken_instead(duty.settings)}"
    beside = [f"{user(people, shift.person)} until {day_at(shift.end)}" for shift in here[1:]]
    added = f", beside them {', '.join(beside)}" if beside else ""
    end = duty.until(rota, now)
    until = f"until {day_at(end)}" if end else "for as long as the plan goes"
    return f"📟 *{rota}*: {user(people, here[0].person)} {until} ({why(here[0].by)}){added}{then}."


def _woken_instead(settings: OnCallSettings) -> str:
    last = mention([settings.people[name].slack for name in settings.last_resort if name in settings.people])
    return f"Whoever is the last resort would be woken: {last}."


def calendar_notes(rota: str, copy: Copy | None, tell: Tell = day_at, clean: Callable[[str], str] = host) -> list[str]:
    """What is to be said wherever a rota with a calendar is shown; never where the calendar is."""
    if copy is None or not (copy.good_at or copy.down_since):
        return [f"The calendar of {rota} was not read yet."]
    notes = []
    if copy.down_since:
        last = (
            f"its last good copy, of {tell(copy.good_at)}, is used" if copy.good_at else "there is no good copy of it"
        )
        notes.append(f"The calendar of {rota} is down since {tell(copy.down_since)} ({clean(copy.why)}); {last}.")
    if copy.doubts:
        notes.append(f"In the calendar of {rota}: {clean('; '.join(copy.doubts))}.")
    return notes


def rota_notes(duty: Duty, copies: Mapping[str, Copy]) -> list[str]:
    rotas = [rota.name for rota in duty.settings.rotas if rota.calendar]
    return [f"⚠️ {note}" for name in rotas for note in calendar_notes(name, copies.get(name))]


def table(duty: Duty, rota: str, start: float, end: float, clean: Callable[[str], str] = host) -> list[str]:
    """A line for each shift and gap, on the clock of the rota's zone, in columns."""
    zone = next(ZoneInfo(found.zone) for found in duty.settings.rotas if found.name == rota)
    tell, rows = in_zone(zone), duty.table(rota, start, end)
    names = [_name(row, clean) for row in rows]
    wide = max((len(name) for name in names), default=0)
    lines = [
        f"{tell(row.start)} - {tell(row.end)}  {name:<{wide}}  {_cause(row, clean)}"
        for row, name in zip(rows, names, strict=True)
    ]
    return [line.rstrip() for line in lines]


def _name(row: Shift | Gap, clean: Callable[[str], str]) -> str:
    if isinstance(row, Gap):
        return NOBODY
    return f"{'+ ' if row.beside else ''}{clean(row.person)}"


def _cause(row: Shift | Gap, clean: Callable[[str], str]) -> str:
    if isinstance(row, Gap):
        return "gap"
    return "override" if row.by.startswith("override:") else why(row.by, clean)


def week(duty: Duty, start: float, end: float, copies: Mapping[str, Copy]) -> str:
    parts = []
    for rota in duty.settings.rotas:
        lines = table(duty, rota.name, start, end)
        parts.append(f"📅 *{rota.name}* (times in {rota.zone})\n```\n{chr(10).join(_few(lines))}\n```")
    return "\n".join([*parts, *rota_notes(duty, copies)])


MOST_LINES = 25
"""So many shifts of one rota in one message; who wants more has a shell."""


def _few(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"and {more} more: roundsman rota prints them all"] if more > 0 else lines


# ---- stand-ins ------------------------------------------------------------------------------------------------------


def overridden(people: Mapping[str, Person], by: str, rota: str, name: str, start: float, end: float, add: bool) -> str:
    beside = " beside whoever is on call" if add else ""
    return f"📟 *{rota}*: {user(people, name)} is on call{beside} from {day_at(start)} until {day_at(end)} ({why(by)})."


def back_to_plan(people: Mapping[str, Person], by: str, rota: str, name: str, start: float, end: float) -> str:
    who = f"{user(people, name)} no longer stands in" if name else "the plan counts again"
    return f"📟 *{rota}*: {who} from {day_at(start)} until {day_at(end)} ({why(by)})."


def swapped(people: Mapping[str, Person], by: str, rota: str, one: Shift, other: Shift) -> str:
    lines = [
        f"{user(people, new)} instead of {user(people, old.person)} from {day_at(old.start)} until {day_at(old.end)}"
        for old, new in ((one, other.person), (other, one.person))
    ]
    return f"🔀 *{rota}*: two shifts are swapped ({why(by)}).\n{bullets(lines)}"


# ---- hand-offs and gaps ----------------------------------------------------------------------------------------------


def handed_off(duty: Duty, rota: str, gone: Sequence[str], come: Sequence[str], at: float) -> str:
    """In the channel. `gone`, `come`: who is no longer, and who is now."""
    people = duty.settings.people
    off = f" {_all(people, gone)} {_be(gone)} off." if gone else ""
    if not duty.on_call(rota, at):
        return f"🕳️ *{rota}*: nobody is on call any more.{off} {_woken_instead(duty.settings)}\n*Hint:* {FILL_IT}."
    if not come:
        here = [shift.person for shift in duty.all_on_call(rota, at)]
        return f"🔁 *{rota}*:{off} {_all(people, here)} {_be(here, 'stays', 'stay')} on call."
    return f"🔁 *{rota}*: {_all(people, come)} {_be(come)} on call now{_until(duty, rota, at)}.{off}"


def you_are_on(duty: Duty, rota: str, at: float) -> str:
    """To whoever comes on, alone."""
    text = f"📟 You are on call for *{rota}* now{_until(duty, rota, at)}."
    return f"{text}\n*Hint:* `/oncall test` rings you once, so that both of us know that it works."


def you_are_off(duty: Duty, rota: str, come: Sequence[str]) -> str:
    """To whoever goes off, alone."""
    people = duty.settings.people
    then = f"{_all(people, come)} {_be(come, 'has', 'have')} it now" if come else "nobody has taken over"
    return f"👋 You are off call for *{rota}*; {then}."


def gaps_ahead(duty: Duty, gaps: Sequence[Gap], now: float) -> str:
    """The first one, and how many more there are in the time that is looked at."""
    gap, more = gaps[0], len(gaps) - 1
    text = f"🕳️ *{gap.rota}*: nobody is on call from {day_at(gap.start)} until {day_at(gap.end)}"
    ahead = f", in {span(gap.start - now)}" if gap.start > now else ""
    rest = f", and {more} more gap{'s' if more > 1 else ''} until {day_at(gaps[-1].end)}" if more else ""
    return f"{text}{ahead}{rest}. {_woken_instead(duty.settings)}\n*Hint:* {FILL_IT}."


def nobody_on_call(rotas: Sequence[str]) -> str:
    """What the outage says that this is; it may be spoken."""
    return f"nobody is on call in {' or '.join(rotas)}; /oncall override fills it"


def _until(duty: Duty, rota: str, at: float) -> str:
    end = duty.until(rota, at)
    return f" until {day_at(end)}" if end else ""


def _all(people: Mapping[str, Person], names: Sequence[str]) -> str:
    return " and ".join(user(people, name) for name in names)


def _be(names: Sequence[str], one: str = "is", more: str = "are") -> str:
    return one if len(names) == 1 else more
