"""`/oncall test`: ring somebody now, to prove that they can be woken."""

from __future__ import annotations

import hashlib
import re

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, did_you_mean, must_operate
from store.api import AuditRow, RunRow
from workflows.pager_test import PAGER_TEST
from workflows.site import Watchers

USAGE = "/oncall test [@user]"


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    if desk.watchers is None:
        raise Wrong("the settings have no section `oncall`, so nobody is on call.")
    name = _person(desk.watchers, typed, rest)
    if desk.watchers.settings.people[name].slack != typed.by:
        must_operate(desk, typed, managed, "ring somebody else for a test")
    mark = hashlib.sha256(f"test {typed.source}".encode()).hexdigest()[:8]
    args = {"cluster": managed.name, "person": name}
    run = RunRow(f"test-{name}-{mark}", PAGER_TEST, managed.name, args, "active", desk.now, typed.by, desk.now)
    desk.store.start_run(run, AuditRow(desk.now, run.id, managed.name, typed.by, "pager test", {"person": name}))
    return Reply(f"🔔 A drill: {name} is rung now, in every way that a night would (`{run.id}`).")


def _person(watchers: Watchers, typed: Typed, words: list[str]) -> str:
    if len(words) > 1:
        raise Wrong(f"name one person: `{USAGE}`.")
    known = list(watchers.settings.people)
    if not words:
        if name := watchers.name_of(typed.by):
            return name
        raise Wrong(f"you are not among the people of the settings; name one: {', '.join(known)}.")
    user = re.fullmatch(r"<@(\w+)(?:\|[^>]*)?>", words[0])
    name = watchers.name_of(user[1]) if user else words[0].lstrip("@")
    if name not in watchers.settings.people:
        raise Wrong(f'nobody is called "{words[0]}"{did_you_mean(words[0], known)}. Type `{USAGE}`.')
    return name


COMMANDS = (
    Command("/oncall", "test", USAGE, "a drill: rings you (operators: anybody) now, as a night would.", handle),
)
