"""What must hold between the settings of the section `oncall`, beyond what each one says for itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from base.spelling import meant
from bot.credentials import own_variable
from bot.settings_file import Place, Problem
from bot.settings_rules import bad_zone
from oncall.calendar import INSTALLS, available
from oncall.settings import Hours, Layer, OnCallSettings, Person, Policy, Rota
from oncall.wall import minutes, wall

EVERYBODY, ROTA = "everybody", "rota:"
YEARS = range(1970, 2200)
"""A year beyond is a slip of the finger."""
SHORTEST_REFRESH_S = 60.0

Found = Iterator[Problem]


def broken_oncall_rules(oncall: OnCallSettings) -> Found:
    """Every broken rule, with its place in the file."""
    for problem in _each(oncall):
        yield Problem(("oncall", *problem.place), problem.text)


def _each(oncall: OnCallSettings) -> Found:
    people = list(oncall.people)
    yield from _alike([("people", name) for name in people], people, "person")
    taken: dict[str, str] = {}
    for name, person in oncall.people.items():
        if taken.setdefault(person.slack, name) != name:
            yield Problem(("people", name, "slack"), f"is the Slack user of {taken[person.slack]} too")
        yield from _below(("people", name), _person(name, person))
    yield from _alike([("rotas", n, "name") for n in range(len(oncall.rotas))], [r.name for r in oncall.rotas], "rota")
    for n, rota in enumerate(oncall.rotas):
        yield from _below(("rotas", n), _rota(rota, people))
    for n, policy in enumerate(oncall.policies):
        if policy.name in [other.name for other in oncall.policies[:n]]:
            yield Problem(("policies", n, "name"), "is the name of another policy too")
        yield from _below(("policies", n), _policy(policy, oncall))
    yield from _known(("last_resort",), oncall.last_resort, people)
    if oncall.channel and not re.fullmatch(r"[CG][A-Z0-9]+", oncall.channel):
        yield Problem(("channel",), "is not a channel id (C...); Slack shows it at the end of the channel's About page")


def _below(place: Place, problems: Iterable[Problem]) -> Found:
    return (Problem((*place, *problem.place), problem.text) for problem in problems)


def _alike(places: Sequence[Place], names: Sequence[str], what: str) -> Found:
    """Their secrets would come from the same variable."""
    marks = [own_variable("", name) for name in names]
    for n, place in enumerate(places):
        if marks[n] in marks[:n]:
            yield Problem(place, f"is too like another {what}'s name: capitals, - and _ make no difference")


def _known(place: Place, named: Sequence[str], known: Sequence[str]) -> Found:
    for n, name in enumerate(named):
        if name not in known:
            yield Problem((*place, n), _unknown(name, known))


def _unknown(name: str, known: Sequence[str]) -> str:
    return f'"{name}" is not among oncall.people{_meant(name, known)}'


def _meant(name: str, known: Sequence[str]) -> str:
    return meant(name, known, f"; known are {', '.join(known)}")


# ---- people and rotas ----------------------------------------------------------------------------------------------


def _person(name: str, person: Person) -> Found:
    if name == EVERYBODY or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", name):
        yield Problem((), 'must be a short name of letters, digits, - and _, and not "everybody"')
    if not re.fullmatch(r"[UW][A-Z0-9]+", person.slack):
        yield Problem(("slack",), "is not a Slack user id (U...); a profile's menu has Copy member ID")
    if person.phone and not re.fullmatch(r"\+[1-9]\d{6,14}", person.phone):
        yield Problem(("phone",), "is not a number in full, such as +4930123456")
    yield from bad_zone(("zone",), person.zone)
    yield from _below(("night",), _hours(person.night))


def _hours(hours: Hours) -> Found:
    for key, text in (("start", hours.start), ("end", hours.end)):
        yield from _readable((key,), minutes, text)
    if hours.start == hours.end:
        yield Problem(("end",), "is the same as start: hours of no time")


def _readable(place: Place, read: Callable[[str], object], text: str) -> Found:
    try:
        read(text)
    except ValueError as error:
        yield Problem(place, str(error))


def _rota(rota: Rota, people: Sequence[str]) -> Found:
    yield from bad_zone(("zone",), rota.zone)
    if not rota.layers and rota.calendar is None:
        yield Problem(("layers",), "is empty, and there is no calendar: nobody would ever be on call")
    if rota.user_group and not re.fullmatch(r"S[A-Z0-9]+", rota.user_group):
        yield Problem(("user_group",), "is not the id of a Slack user group (S...)")
    names = [layer.name for layer in rota.layers if layer.name]
    for n, layer in enumerate(rota.layers):
        if names.count(layer.name) > 1:
            yield Problem(("layers", n, "name"), "is the name of another layer of this rota too")
        yield from _below(("layers", n), _layer(layer, people))
    if rota.calendar:
        if not available():
            yield Problem(("calendar",), f"needs packages that are not installed: {INSTALLS}")
        for said, name in rota.calendar.names.items():
            if name not in people:
                yield Problem(("calendar", "names", said), _unknown(name, people))
        if rota.calendar.refresh < SHORTEST_REFRESH_S:
            yield Problem(("calendar", "refresh"), "is shorter than a minute: whoever serves the calendar would mind")


def _layer(layer: Layer, people: Sequence[str]) -> Found:
    yield from _known(("people",), layer.people, people)
    if layer.turn == "hours" and layer.hours < 1:
        yield Problem(("hours",), "must be at least 1, for turn: hours asks how many")
    if layer.turn != "hours" and layer.hours:
        yield Problem(("hours",), f"means nothing with turn: {layer.turn}; write turn: hours, or leave it away")
    dates = [*_date("start", layer.start), *(_date("end", layer.end) if layer.end else ())]
    yield from dates
    if not dates and layer.end and wall(layer.end) <= wall(layer.start):
        yield Problem(("end",), "is not after start: a layer of no time")
    if layer.window:
        yield from _below(("window",), _hours(layer.window))


def _date(key: str, text: str) -> Found:
    try:
        found: datetime = wall(text)
    except ValueError as error:
        yield Problem((key,), str(error))
        return
    if found.year not in YEARS:
        yield Problem((key,), f"is in the year {found.year}: a slip of the finger?")


# ---- policies ------------------------------------------------------------------------------------------------------


def _policy(policy: Policy, oncall: OnCallSettings) -> Found:
    for n, rung in enumerate(policy.rungs):
        for place, who in enumerate(rung.who):
            if trouble := _not_who(who, oncall):
                yield Problem(("rungs", n, "who", place), trouble)
        if rung.wait <= 0:
            yield Problem(("rungs", n, "wait"), "must be longer than nothing: nobody answers in no time")
        for key in ("how", "night"):
            for place, how in enumerate(getattr(rung, key)):
                if how in _unset(oncall):
                    yield Problem(("rungs", n, key, place), f"needs the section oncall.pagers.{_unset(oncall)[how]}")


def _unset(oncall: OnCallSettings) -> dict[str, str]:
    """Ways to ring that need a section of their own which is not there -> that section."""
    pagers = oncall.pagers
    sections = {"pushover": ("pushover", pagers.pushover), "voice": ("twilio", pagers.twilio)}
    return {how: name for how, (name, section) in sections.items() if section is None}


def _not_who(who: str, oncall: OnCallSettings) -> str:
    rotas = [ROTA + rota.name for rota in oncall.rotas]
    if who == EVERYBODY or who in oncall.people or who in rotas:
        return ""
    if not who.startswith(ROTA):
        return _unknown(who, [*oncall.people, EVERYBODY, *rotas])
    return f'"{who}" is not a rota{_meant(who, rotas)}'
