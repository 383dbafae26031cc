"""`/oncall override`: somebody stands in, comes beside, or steps back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from base.settings import seconds
from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import did_you_mean
from commands.shifts import clock_of, is_person, must_be_allowed, person_called, rota_in, watchers_of
from oncall.settings import DAY
from oncall.when import NotATime, moment
from store.api import AuditRow, ShiftOverrideRow
from workflows import messages_oncall as messages

USAGE = "/oncall override @user [add] [from WHEN] until WHEN | for 4h [ROTA]"
CANCEL = "/oncall override cancel [@user] [from WHEN] [until WHEN] [ROTA]"
KEYWORDS = ("from", "until", "for", "add")
LONGEST_S = 400 * DAY


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` until `end` (epoch seconds); `end` None: not said."""

    start: float
    end: float | None
    add: bool = False


def parse(words: Sequence[str], now: float, zone: ZoneInfo, usage: str) -> Stretch:
    """What follows the person. Times of day are on the clock of `zone`; an end is looked for after the start. What was
    stays as it was: nothing begins before now."""
    parts = _parts(words, usage)
    if "until" in parts and "for" in parts:
        raise Wrong(f"say either `until WHEN` or `for 4h`, not both. Type `{usage}`.")
    start = max(_time(parts["from"], now, zone), now) if "from" in parts else now
    end = _time(parts["until"], start, zone) if "until" in parts else None
    if "for" in parts:
        end = start + _length(parts["for"])
    if end is not None and not start < end <= start + LONGEST_S:
        raise Wrong("that ends before it begins, or is over already, or lasts longer than 400 days.")
    return Stretch(start, end, "add" in parts)


def _parts(words: Sequence[str], usage: str) -> dict[str, list[str]]:
    """Keyword -> the words that follow it."""
    parts: dict[str, list[str]] = {}
    for word in words:
        said = word.lower()
        if said in KEYWORDS and said not in parts:
            parts[said] = []
        elif parts and list(parts)[-1] != "add":
            parts[list(parts)[-1]].append(word)
        else:
            raise Wrong(f'unknown argument "{word}"{did_you_mean(word, [*KEYWORDS])}. Type `{usage}`.')
    return parts


def _time(words: list[str], now: float, zone: ZoneInfo) -> float:
    try:
        found, rest = moment(words, now, zone)
    except NotATime as error:
        raise Wrong(str(error)) from error
    if rest:
        raise Wrong(str(NotATime(rest)))
    return found


def _length(words: list[str]) -> float:
    try:
        return seconds(" ".join(words))
    except ValueError as error:
        raise Wrong(f"`for`: {error}.") from error


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    watchers = watchers_of(desk)
    if not words:
        raise Wrong(f"say who stands in, and until when: `{USAGE}`.")
    rota, rest = rota_in(watchers, words)
    zone = clock_of(watchers, typed, rota)
    name = person_called(watchers, rest[0] if rest else "", USAGE)
    stretch = parse(rest[1:], desk.now, zone, USAGE)
    if stretch.end is None:
        raise Wrong(f"say until when: `until 18:00` or `for 4h`. Type `{USAGE}`.")
    must_be_allowed(desk, typed, [name], f"put {name} on call")
    kind = "add" if stretch.add else "replace"
    _write(
        desk, typed, ShiftOverrideRow(0, rota.name, kind, name, "", stretch.start, stretch.end, *_signed(desk, typed))
    )
    people, by = watchers.settings.people, f"override:{typed.by}"
    return Reply(messages.overridden(people, by, rota.name, name, stretch.start, stretch.end, stretch.add), True)


def cancel(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    """A stand-in steps back, or all overrides of a stretch are void; the plan counts again."""
    watchers = watchers_of(desk)
    rota, rest = rota_in(watchers, words)
    name = person_called(watchers, rest[0], CANCEL) if rest and is_person(watchers, rest[0]) else ""
    stretch = parse(rest[1:] if name else rest, desk.now, clock_of(watchers, typed, rota), CANCEL)
    rows = [row for row in desk.store.shift_overrides(stretch.start) if row.rota == rota.name and row.person]
    rows = [row for row in rows if not name or row.person == name]
    if not rows:
        raise Wrong(f"*{rota.name}* has no override{f' of {name}' if name else ''} from then on; nothing to cancel.")
    about = sorted({row.person for row in rows})
    must_be_allowed(desk, typed, about if len(about) == 1 else [], "cancel that")
    end = stretch.end or max(row.end for row in rows)
    _write(desk, typed, ShiftOverrideRow(0, rota.name, "replace", "", name, stretch.start, end, *_signed(desk, typed)))
    people, by = watchers.settings.people, f"override:{typed.by}"
    return Reply(messages.back_to_plan(people, by, rota.name, name, stretch.start, end), True)


def _signed(desk: Desk, typed: Typed) -> tuple[str, float, str]:
    return typed.by, desk.now, typed.source


def _write(desk: Desk, typed: Typed, row: ShiftOverrideRow) -> None:
    """The same typing twice is once."""
    detail = {name: getattr(row, name) for name in ("rota", "kind", "person", "instead", "start", "end")}
    desk.store.override_shift([row], AuditRow(desk.now, "", "", typed.by, "override of a shift", detail))


COMMANDS = (
    Command(
        "/oncall",
        "override",
        USAGE,
        "operators, or whoever stands in: on call for a while instead of whom the plan names, or beside them (`add`).",
        handle,
    ),
    Command(
        "/oncall",
        "override cancel",
        CANCEL,
        "operators, or whoever stands in: the plan counts again, or that stand-in steps back.",
        cancel,
    ),
)
