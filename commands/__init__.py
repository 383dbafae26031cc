"""One file per thing a person can say; found by discovery; help is generated from them."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module

from base.spelling import nearest
from commands.api import Command, Desk, Reply, Typed, Wrong
from store.api import CommandRow
from workflows.acknowledging import alive
from workflows.alerts import open_outages
from workflows.site import ChatDown

HELP = ("help", "--help", "-h", "?")
"""After any slash command: what can be typed there."""


@cache
def all_commands() -> tuple[Command, ...]:
    """Every COMMANDS of every file in this folder, as people read them: those without words of their own first, then
    as they stand in the files."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    commands = [command for module in modules for command in getattr(module, "COMMANDS", ())]
    return tuple(sorted(commands, key=lambda command: (command.slash, bool(command.words))))


def slashes() -> tuple[str, ...]:
    """The slash commands that the Slack app must know."""
    return tuple(dict.fromkeys(command.slash for command in all_commands()))


def answer(desk: Desk, row: CommandRow) -> Reply:
    """Work one saved command. Idempotent: the row's id is the source of everything it writes."""
    reply = _worked(desk, row)
    alive(desk.store, desk.watchers, open_outages(desk.store), row.user, row.id, desk.now)
    return reply


def _worked(desk: Desk, row: CommandRow) -> Reply:
    typed = Typed(row.slash, row.text, row.user, row.channel, row.id)
    words = row.text.split()
    if _asks_for_help(row.slash, words):
        return Reply(help_text(row.slash))
    try:
        command = _meant(row.slash, words)
        return command.handle(desk, typed, words[len(command.words.split()) :])
    except Wrong as wrong:
        return Reply(f"⚠️ {wrong}")
    except ChatDown as down:
        return Reply(f"⚠️ Slack did not say who may do this ({down}). Nothing was done; type it again in a minute.")


def words_after(slash: str) -> list[str]:
    """What may follow, such as "status" and "retry"."""
    return [command.words for command in _of(slash) if command.words]


def _asks_for_help(slash: str, words: Sequence[str]) -> bool:
    """Or says nothing where something must be said."""
    if not words:
        return not any(command.alone for command in _of(slash) if not command.words)
    return len(words) == 1 and words[0].lower() in HELP


def _of(slash: str) -> list[Command]:
    return [command for command in all_commands() if command.slash == slash]


def _meant(slash: str, words: list[str]) -> Command:
    """Of those that fit the most exact one."""
    said = [word.lower() for word in words]
    for command in sorted(_of(slash), key=lambda command: -len(command.words)):
        if said[: len(command.words.split())] == command.words.split() and (
            command.words or command.takes_words or not words
        ):
            return command
    verbs = {command.words: command.words for command in _of(slash) if command.words}
    verbs |= {word: command.words for command in _of(slash) for word in command.meant}
    near = nearest(said[0], verbs)
    known = ", ".join(dict.fromkeys(verbs.values()))
    meant = f' (did you mean "{verbs[near]}"?)' if near else f" (known: {known})"
    raise Wrong(f'unknown word "{words[0]}" after {slash}{meant}. `{slash} help` shows everything.')


def help_text(slash: str) -> str:
    """All of one slash command, and which others there are: a new admin knows one of them."""
    lines = [f"`{command.usage}` {command.doc}" for command in _of(slash)]
    others = ", ".join(f"`{other} help`" for other in slashes() if other != slash)
    return "\n".join([*lines, f"There is more: {others}."])


def table() -> str:
    """The same as a Markdown table, for docs/commands.md."""
    rows = [f"| `{c.usage.replace('|', chr(92) + '|')}` | {c.doc} |" for c in all_commands()]
    return "\n".join(["| what you type | what it does |", "| --- | --- |", *rows])
