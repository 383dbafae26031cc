"""`/oncall test`: ring somebody now, to prove that they can be woken."""

from __future__ import annotations

import hashlib

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, must_operate
from commands.shifts import person_called, watchers_of
from store.api import AuditRow, RunRow
from workflows.pager_test import PAGER_TEST
from workflows.site import Watchers

USAGE = "/oncall test [@user]"


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    watchers = watchers_of(desk)
    name = _person(watchers, typed, rest)
    if watchers.settings.people[name].slack != typed.by:
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
    return person_called(watchers, words[0], USAGE)


COMMANDS = (
    Command("/oncall", "test", USAGE, "a drill: rings you (operators: anybody) now, as a night would.", handle),
)
