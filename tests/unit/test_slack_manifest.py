"""The app that an admin pastes into Slack asks for what the bot uses, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import yaml

from commands import slashes
from sandbox.slack.methods import Methods

ROOT = Path(__file__).parents[2]
BOT = "\n".join(path.read_text() for path in (ROOT / "bot").glob("*.py"))
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "slack-manifest.yaml").read_text())


def test_every_slash_command_is_there_with_a_hint_and_no_other() -> None:
    rows = MANIFEST["features"]["slash_commands"]
    assert sorted(row["command"] for row in rows) == sorted(slashes())
    assert all(row["should_escape"] and row["usage_hint"] and len(row["description"]) <= 100 for row in rows)


def test_the_events_are_those_that_somebody_listens_to() -> None:
    """One that nobody takes is never acknowledged, and Slack sends it again and again."""
    listened = re.findall(r'@app\.event\("(\w+)"\)', BOT)
    assert sorted(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == sorted(listened)


def test_the_scopes_are_those_of_the_methods_that_are_called() -> None:
    table = Methods(Mock(), Mock(), Mock(), Mock(), Mock(), ()).table
    called = {name for name in re.findall(r'"(\w+(?:\.\w+)+)"', BOT) if name in table}
    wanted = {scope for name in called for scope in table[name].scopes} | {"commands", "app_mentions:read"}
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == wanted
