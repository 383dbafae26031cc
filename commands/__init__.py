"""One file per thing a person can say; found by discovery; help is generated from them."""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from commands.api import Command, Desk, Reply, Typed, Wrong
from store.api import CommandRow
from workflows.acknowledging import alive
from workflows.alerts import open_outages
from workflows.site import ChatDown


@cache
def all_commands() -> tuple[Command, ...]:
    """Every COMMANDS of every file in this folder, longest words first, so that the most exact one is taken."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    commands = [command for module in modules for command in getattr(module, "COMMANDS", ())]
    return tuple(sorted(commands, key=lambda command: (command.slash, -len(command.words), command.words)))


def slashes() -> tuple[str, ...]:
    """The slash commands that the Slack app must know."""
    return tuple(sorted({command.slash for command in all_commands()}))


def answer(desk: Desk, row: CommandRow) -> Reply:
    """Work one saved command. Idempotent: the row's id is the source of everything it writes."""
    reply = _worked(desk, row)
    alive(desk.store, desk.watchers, open_outages(desk.store), row.user, row.id, desk.now)
    return reply


def _worked(desk: Desk, row: CommandRow) -> Reply:
    typed = Typed(row.slash, row.text, row.user, row.channel, row.id)
    words = row.text.split()
    try:
        command = _meant(row.slash, words)
        return command.handle(desk, typed, words[len(command.words.split()) :])
    except Wrong as wrong:
        return Reply(f"⚠️ {wrong}")
    except ChatDown as down:
        return Reply(f"⚠️ Slack did not say who may do this ({down}). Nothing was done; type it again in a minute.")


def _meant(slash: str, words: list[str]) -> Command:
    mine = [command for command in all_commands() if command.slash == slash]
    said = [word.lower() for word in words]
    for command in mine:
        if said[: len(command.words.split())] == command.words.split() and (
            command.words or command.takes_words or not words
        ):
            return command
    verbs = [command.words for command in mine if command.words]
    close = get_close_matches(said[0] if said else "", verbs, n=1)
    meant = f' (did you mean "{close[0]}"?)' if close else f": use one of {', '.join(sorted(verbs))}"
    raise Wrong(f'unknown word "{words[0] if words else ""}" after {slash}{meant}. `{slash} help` shows everything.')


def help_text(slash: str = "") -> str:
    lines = [f"`{c.usage}` {c.doc}" for c in _in_reading_order() if slash in ("", c.slash)]
    return "\n".join(lines)


def table() -> str:
    """The same as a Markdown table, for docs/commands.md."""
    rows = [f"| `{c.usage.replace('|', chr(92) + '|')}` | {c.doc} |" for c in _in_reading_order()]
    return "\n".join(["| what you type | what it does |", "| --- | --- |", *rows])


def _in_reading_order() -> list[Command]:
    return sorted(all_commands(), key=lambda command: (command.slash, command.usage))
