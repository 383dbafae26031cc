"""What the commands about the rota ask first: which rota, whom, in whose clock, and may this person change it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from commands.api import Desk, Typed, Wrong
from commands.finding import did_you_mean
from oncall.settings import Rota
from workflows.roles import may_operate
from workflows.site import Watchers

_USER = re.compile(r"<@(\w+)(?:\|[^>]*)?>")


def watchers_of(desk: Desk) -> Watchers:
    if desk.watchers is None:
        text = "the settings have no section `oncall`, so nobody is on call"
        raise Wrong(f"{text}: an outage mentions the operators, and rings nobody.")
    return desk.watchers


def rota_in(watchers: Watchers, words: Sequence[str]) -> tuple[Rota, list[str]]:
    """The rota that is named, else the only one; and the other words."""
    rotas = {rota.name: rota for rota in watchers.settings.rotas}
    named = [word for word in words if word in rotas]
    if not rotas:
        raise Wrong("the settings have no rota, so there is nothing to change.")
    if not named and len(rotas) > 1:
        raise Wrong(f"there is more than one rota; name the one you mean: {', '.join(rotas)}.")
    chosen = rotas[named[0]] if named else next(iter(rotas.values()))
    rest = list(words)
    if named:
        rest.remove(named[0])
    return chosen, rest


def is_person(watchers: Watchers, word: str) -> bool:
    return bool(_USER.fullmatch(word)) or word.lstrip("@") in watchers.settings.people


def person_called(watchers: Watchers, word: str, usage: str) -> str:
    """A mention, or the name that the settings give. Raises Wrong."""
    user, known = _USER.fullmatch(word), list(watchers.settings.people)
    name = watchers.name_of(user[1]) if user else word.lstrip("@")
    if name in watchers.settings.people:
        return name
    if user:
        raise Wrong(f"{word} is not among the people of the settings, so nobody could wake them: {', '.join(known)}.")
    raise Wrong(f'nobody is called "{word}"{did_you_mean(word, known)}. Type `{usage}`.')


def clock_of(watchers: Watchers, typed: Typed, rota: Rota) -> ZoneInfo:
    """Whoever types a time means the clock on their own wall; strangers mean the rota's."""
    name = watchers.name_of(typed.by)
    return ZoneInfo(watchers.settings.people[name].zone if name else rota.zone)


def must_be_allowed(desk: Desk, typed: Typed, names: Sequence[str], deed: str) -> None:
    """Operators of any cluster, or one of these people themselves."""
    if watchers_of(desk).name_of(typed.by) in names:
        return
    if not any(may_operate(typed.by, managed.people, desk.chat) for managed in desk.clusters.values()):
        raise Wrong(f"only operators, or {' or '.join(names) or 'whoever it is about'}, may {deed}.")
