"""`/oncall swap`: two people trade a shift of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.shifts import clock_of, is_person, must_be_allowed, person_called, rota_in, watchers_of
from oncall.duty import FAR_S, Duty
from oncall.rota import Shift
from oncall.settings import DAY, Rota
from oncall.when import NotATime, moment
from store.api import AuditRow, ShiftOverrideRow
from workflows import messages_oncall as messages
from workflows.site import Watchers

USAGE = "/oncall swap @a [DAY] @b [DAY] [ROTA]"
LONGEST_S = 31 * DAY
"""Of a turn that goes on for longer, only so much is swapped: a rota of one person ends nowhere."""


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    watchers = watchers_of(desk)
    rota, rest = rota_in(watchers, words)
    one, other = _done(desk, typed) or _meant(desk, typed, watchers, rota, rest)
    if one[0].person == other[0].person:
        raise Wrong(f"that is {one[0].person} twice; name two people. Type `{USAGE}`.")
    must_be_allowed(desk, typed, [one[0].person, other[0].person], "swap their shifts")
    _write(desk, typed, one, other)
    whole = [replace(pieces[0], end=pieces[-1].end) for pieces in (one, other)]
    return Reply(messages.swapped(watchers.settings.people, f"override:{typed.by}", rota.name, *whole), True)


def _meant(
    desk: Desk, typed: Typed, watchers: Watchers, rota: Rota, words: Sequence[str]
) -> tuple[list[Shift], list[Shift]]:
    """The two turns, each in its pieces."""
    zone, duty = clock_of(watchers, typed, rota), watchers.duty()
    found = []
    for half in _halves(watchers, words):
        name = person_called(watchers, half[0], USAGE)
        try:
            since, left = moment(half[1:], desk.now, zone) if half[1:] else (desk.now, [])
        except NotATime as error:
            raise Wrong(str(error)) from error
        if left:
            raise Wrong(f'"{" ".join(left)}" is too much. Type `{USAGE}`.')
        found.append(_turn(duty, rota.name, name, max(since, desk.now)))
    return found[0], found[1]


def _done(desk: Desk, typed: Typed) -> tuple[list[Shift], list[Shift]] | None:
    """What this very typing has swapped already: a crash came before the answer."""
    rows = [row for row in desk.store.shift_overrides(0.0) if row.source.startswith(f"{typed.source}/")]
    shifts = [Shift(row.rota, row.instead, row.start, row.end, "") for row in rows]
    one = [shift for shift in shifts if shift.person == shifts[0].person]
    return (one, [shift for shift in shifts if shift not in one]) if shifts else None


def _halves(watchers: Watchers, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Each begins with a person, and may go on with a day."""
    places = [place for place, word in enumerate(words) if place == 0 or is_person(watchers, word)]
    if len(places) != 2:
        raise Wrong(f"name the two who swap, each with the day if it is not their next shift: `{USAGE}`.")
    return list(words[: places[1]]), list(words[places[1] :])


def _turn(duty: Duty, rota: str, name: str, since: float) -> list[Shift]:
    """Their next turn: all its nights, and also the rest of it after another layer has had its say in between."""
    rows = [shift for shift in duty.shifts(rota, since, since + FAR_S) if not shift.beside]
    own = next((shift for shift in rows if shift.person == name), None)
    if own is None:
        raise Wrong(f"{name} has no shift of *{rota}* from then on; `/oncall week` shows who has.")
    alike = [shift for shift in rows if shift.by == own.by and own.start <= shift.start < own.start + LONGEST_S]
    turn = list(takewhile(lambda shift: shift.person == name, alike))
    return [replace(own, start=max(own.start, since)), *turn[1:]]


def _write(desk: Desk, typed: Typed, one: list[Shift], other: list[Shift]) -> None:
    """All in one transaction; the same typing twice is once."""
    pairs = [(old, other[0].person) for old in one] + [(old, one[0].person) for old in other]
    rows = [
        ShiftOverrideRow(
            0, old.rota, "replace", new, old.person, old.start, old.end, typed.by, desk.now, f"{typed.source}/{place}"
        )
        for place, (old, new) in enumerate(pairs)
    ]
    detail = {"rota": one[0].rota, "shifts": [[old.person, old.start, old.end] for old, _ in pairs]}
    desk.store.override_shift(rows, AuditRow(desk.now, "", "", typed.by, "swap of shifts", detail))


COMMANDS = (
    Command(
        "/oncall",
        "swap",
        USAGE,
        "operators, or one of the two: they trade their next shifts, or those of a day.",
        handle,
    ),
)
