"""`roundsman check` against a Slack on loopback that grants this and refuses that."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bot.check_slack import check_slack
from bot.settings import EXAMPLE, Settings, load
from cluster.checks import CheckLine
from tests.unit.example import HTTP_SECRETS, PAGER_SECRETS

ROOT = Path(__file__).parents[2]


class Workspace:
    """What this Slack answers to each method, and the scopes it names in its header."""

    def __init__(self) -> None:
        self.scopes: str | None = None
        self.url = ""
        self.answers: dict[str, dict[str, Any]] = {
            "auth.test": {"ok": True, "user": "roundsman", "team": "Example", "user_id": "U0BOT"},
            "apps.connections.open": {"ok": True, "url": "wss://example.org"},
            "conversations.info": {"ok": True, "channel": {"name": "berlin", "is_member": True}},
        }


@pytest.fixture
def slack() -> Iterator[Workspace]:
    workspace = Workspace()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(workspace.answers[self.path.rsplit("/", 1)[-1]]).encode()
            self.send_response(200)
            if workspace.scopes is not None:
                self.send_header("x-oauth-scopes", workspace.scopes)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        workspace.url = f"http://127.0.0.1:{server.server_port}/api/"
        yield workspace
        server.shutdown()


def lines(url: str) -> list[CheckLine]:
    return list(check_slack(settings(url)))


def settings(url: str) -> Settings:
    environ = {
        "ROUNDSMAN_SLACK_BOT_TOKEN": "xoxb-s3cr3t",
        "ROUNDSMAN_SLACK_APP_TOKEN": "xapp-s3cr3t",
        "ROUNDSMAN_PVE_TOKEN": "s3cr3t",
        "ROUNDSMAN_CALENDAR_BACKUP": "https://calendar.example/s3cr3t",
        **PAGER_SECRETS,
        **HTTP_SECRETS,
        "SLACK_API_URL": url,
    }
    return load(ROOT / EXAMPLE, environ)


def test_a_slack_that_grants_everything(slack: Workspace) -> None:
    assert [(line.ok, line.subject, line.text) for line in lines(slack.url)] == [
        (True, "bot token", "roundsman in Example"),
        (True, "app token", "Socket Mode opens"),
        (True, "channel of berlin", "the bot is in #berlin"),
        (True, "channel of office", "the bot is in #berlin"),
    ]


def test_a_missing_scope_is_named_with_where_to_add_it(slack: Workspace) -> None:
    slack.scopes = "app_mentions:read,channels:history,channels:read,chat:write,commands,dnd:read"
    [scopes] = [line for line in lines(slack.url) if line.subject == "bot scopes"]
    assert (scopes.ok, scopes.text) == (False, "6 of 14 granted")
    assert scopes.remedy == (
        "add groups:history, groups:read, im:history, im:write, reactions:read, reactions:write, usergroups:read, "
        "usergroups:write under OAuth & Permissions, and install the app again"
    )


def test_a_wrong_bot_token_is_told_with_the_variable_and_without_itself(slack: Workspace) -> None:
    slack.answers["auth.test"] = {"ok": False, "error": "invalid_auth"}
    first = lines(slack.url)[0]
    assert not first.ok
    assert first.text.startswith("Slack refused auth.test: invalid_auth")
    assert first.remedy == "put the app's bot token into ROUNDSMAN_SLACK_BOT_TOKEN"
    assert "s3cr3t" not in repr(lines(slack.url))


def test_a_channel_without_the_bot_says_what_to_type_there(slack: Workspace) -> None:
    slack.answers["conversations.info"] = {"ok": True, "channel": {"name": "berlin", "is_member": False}}
    last = lines(slack.url)[-1]
    assert (last.ok, last.text, last.remedy) == (
        False,
        "the bot is not in #berlin",
        "type /invite @roundsman in that channel",
    )


def test_a_slack_that_does_not_answer_is_one_line_each_and_no_traceback() -> None:
    found = lines("http://127.0.0.1:9/api/")
    assert [line.ok for line in found] == [False, False, False, False]
    assert found[0].text == "Slack did not answer auth.test: [Errno 111] Connection refused"
    assert {line.remedy for line in found} == {"let this host reach http://127.0.0.1:9/api/"}
