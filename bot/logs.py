"""The log: one grammar for all lines, JSON or console, and no secret in any of them.

Secrets are taken out of the finished line, so that they cannot come in by a traceback, a library or a log argument. A
traceback shows no variables: a secret that is broken over two lines of a table would not be found.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

import structlog

from base.visible import visible

TOKENS = re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{4,}|(?<=PVEAPIToken=)[^\s\"']+|(?<=ticket=)[0-9a-zA-Z_-]{8,}")
HIDDEN = "(secret)"
LEAST_SECRET = 6
"""A shorter "secret" would take ordinary words out of the log."""
QUIET = {
    "slack_sdk.web": logging.CRITICAL,  # every failed call is told once, by us, in a sentence
    "slack_sdk.socket_mode": logging.WARNING,
    "slack_bolt": logging.WARNING,
    "apscheduler": logging.WARNING,
    "paramiko": logging.CRITICAL,  # what breaks a line is raised, and told in a sentence
    "urllib3": logging.WARNING,
    "alembic": logging.WARNING,
    "apprise": logging.CRITICAL,  # a page that was not delivered is told once, by us, without its URL
}


def scrubber(secrets: Iterable[str]) -> Callable[[str], str]:
    """Takes these values, and whatever has the shape of a token, out of a text."""
    known = sorted((re.escape(secret) for secret in secrets if len(secret) >= LEAST_SECRET), key=len, reverse=True)
    values = re.compile("|".join(known)) if known else None
    return lambda text: TOKENS.sub(HIDDEN, values.sub(HIDDEN, text) if values else text)


class Scrubbed(logging.Formatter):
    """Wraps a formatter; `secrets` are the values from the settings."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner, self._scrub = inner, scrubber(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(self._inner.format(record))


def hush() -> None:
    """Libraries tell in a log what is raised and told in a sentence anyway; paramiko with a traceback."""
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)


def _console(colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _steers_nothing(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """JSON escapes what machines said; a console would obey it."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in line.items()}


def set_up(style: str, secrets: Iterable[str], stream: TextIO = sys.stderr) -> None:
    """`style`: "json" or "console". Replaces whatever handlers the root logger had."""
    stamps: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if style == "json"
        else [_steers_nothing, _console(stream.isatty())]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=stamps,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *shown,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Scrubbed(formatter, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    hush()
