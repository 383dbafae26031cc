"""`/oncall` and `/oncall week`: who is on call, until when, and who next."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import nothing_else
from commands.shifts import watchers_of
from oncall.copies import copies
from oncall.settings import DAY
from workflows import messages_oncall as messages


def now(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    nothing_else(words, "/oncall", [])
    duty = watchers_of(desk).duty()
    if not duty.rotas:
        raise Wrong("the settings have no rota: policies page people by name.")
    lines = [messages.who_is_on_call(duty, rota, desk.now) for rota in duty.rotas]
    return Reply("\n".join([*lines, *messages.rota_notes(duty, copies(desk.store))]))


def week(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    nothing_else(words, "/oncall week", [])
    duty = watchers_of(desk).duty()
    return Reply(messages.week(duty, desk.now, desk.now + 7 * DAY, copies(desk.store)))


COMMANDS = (
    Command("/oncall", "", "/oncall", "who is on call in each rota, until when, and who next.", now),
    Command("/oncall", "week", "/oncall week", "the next seven days as a table, with gaps.", week),
)
"""`/oncall` alone is the question that everybody has; what else there is, `/oncall help` shows."""
