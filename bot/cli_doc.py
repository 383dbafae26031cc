"""The help of every shell command as Markdown, for docs/commands.md."""

from __future__ import annotations

from collections.abc import Iterator

import click

from bot.cli import main


def pages() -> str:
    return "\n".join(_pages())


def _pages() -> Iterator[str]:
    top = click.Context(main, info_name="roundsman")
    yield _help(main, top)
    for name, command in sorted(main.commands.items()):
        yield f"\n### roundsman {name}\n"
        yield _help(command, click.Context(command, info_name=name, parent=top))


def _help(command: click.Command, context: click.Context) -> str:
    """At a fixed width: the terminal of whoever generates the page must not show in it."""
    context.terminal_width = 100
    return f"```\n{command.get_help(context)}\n```"
