"""Whether everybody whom a policy pages can be reached in that way; and what of the section `oncall` is secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from bot import credentials
from bot.settings_file import Place, Problem
from oncall.pagers import Pager, all_pagers
from oncall.pagers.apprise import parses
from oncall.settings import OnCallSettings, Rung

EVERYBODY, ROTA = "everybody", "rota:"
REMEDIES: Mapping[str, Callable[[str], str]] = {
    "pushover": lambda name: f"set {credentials.own_variable(credentials.PUSHOVER_USER, name)}",
    "apprise": lambda name: f"set {credentials.own_variable(credentials.APPRISE, name)}",
    "voice": lambda name: f"set oncall.people.{name}.phone",
}
LEAST_PART = 6
"""A shorter part of a URL is an ordinary word (bot/logs.py leaves those alone, too)."""


def broken_pager_rules(oncall: OnCallSettings, needed: bool) -> Iterator[Problem]:
    """`needed`: whether secrets must be there; without them nobody can tell who lacks one."""
    yield from _urls(oncall)
    pagers = all_pagers(oncall.pagers, "", lambda: 0.0)
    judged = {how: pager for how, pager in pagers.items() if needed or how == "voice"}
    for n, policy in enumerate(oncall.policies):
        for m, rung in enumerate(policy.rungs):
            yield from _rung(oncall, judged, rung, ("oncall", "policies", n, "rungs", m))
    for n, name in enumerate(oncall.last_resort if needed else ()):
        yield from _last_resort(oncall, pagers, name, ("oncall", "last_resort", n))


def oncall_secrets(oncall: OnCallSettings | None) -> Iterator[str]:
    """What must never stand in a log: an address that is a secret is so in its parts, too."""
    if oncall is None:
        return
    for service in (oncall.pagers.pushover, oncall.pagers.twilio):
        if service:
            yield service.token.get_secret_value()
    for person in oncall.people.values():
        yield person.pushover.get_secret_value()
        for url in person.apprise:
            yield from _parts(url.get_secret_value())
    for rota in oncall.rotas:
        if rota.calendar:
            yield rota.calendar.url.get_secret_value()


def _parts(url: str) -> Iterator[str]:
    """The whole, and all that stands between its marks but the kind of service: tokens, passwords, addresses."""
    yield url
    rest = url.partition("://")[2]
    for part in re.split(r"[/?&=:@#]+", rest):
        if len(part) >= LEAST_PART:
            yield from {part, unquote(part)}


def _urls(oncall: OnCallSettings) -> Iterator[Problem]:
    """Told by the variable and the URL's place in it, never by the URL."""
    for name, person in oncall.people.items():
        variable, count = credentials.own_variable(credentials.APPRISE, name), len(person.apprise)
        for number, url in enumerate(person.apprise, 1):
            if not parses(url.get_secret_value()):
                which = f"URL {number} of {count} in {variable}" if count > 1 else f"the URL in {variable}"
                text = f"{which} is none that Apprise knows; `apprise -vv` with it says more"
                yield Problem(("oncall", "people", name, "apprise"), text)


def _rung(oncall: OnCallSettings, pagers: Mapping[str, Pager], rung: Rung, place: Place) -> Iterator[Problem]:
    """One problem for each way and person, at the first place that uses it."""
    for key in ("how", "night"):
        for n, how in enumerate(getattr(rung, key)):
            if how not in pagers or (key == "night" and how in rung.how):
                continue
            for name in _people(oncall, rung):
                if lacks := pagers[how].reaches(oncall.people[name]):
                    yield Problem((*place, key, n), f"cannot reach {name}: {lacks}; {REMEDIES[how](name)}")


def _people(oncall: OnCallSettings, rung: Rung) -> list[str]:
    """Everybody whom this rung may page at some time, and of whom the settings know."""
    named: list[str] = []
    for who in rung.who:
        named += oncall.people if who == EVERYBODY else _of_rota(oncall, who) if who.startswith(ROTA) else [who]
    return [name for name in dict.fromkeys(named) if name in oncall.people]


def _of_rota(oncall: OnCallSettings, who: str) -> Iterator[str]:
    for rota in oncall.rotas:
        if rota.name == who.removeprefix(ROTA):
            yield from (name for layer in rota.layers for name in layer.people)
            yield from rota.calendar.names.values() if rota.calendar else ()


def _last_resort(oncall: OnCallSettings, pagers: Mapping[str, Pager], name: str, place: Place) -> Iterator[Problem]:
    person = oncall.people.get(name)
    if person and all(pager.reaches(person) for pager in pagers.values()):
        ways = " or ".join(REMEDIES[how](name) for how in pagers if how in REMEDIES)
        yield Problem(place, f"nothing rings for {name}, who is to be woken when nobody else is: {ways}")
