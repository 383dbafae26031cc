"""`/upgrade help`, and `/upgrade` alone."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    from commands import help_text  # generated from all commands, of which this is one

    return Reply(help_text(typed.slash))


COMMANDS = (
    Command("/upgrade", "help", "/upgrade help", "shows this.", handle),
    Command("/upgrade", "", "/upgrade", "shows this.", handle),
)
