"""`roundsman check`, Slack's part: both tokens, the scopes, and every cluster's channel."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from bot import credentials
from bot.settings import Settings, SlackSettings
from bot.slackchat import TIMEOUT_S, Refused, failure
from cluster.checks import CheckLine
from workflows.site import ChatDown

MANIFEST = Path(__file__).parents[1] / "deploy" / "slack-manifest.yaml"
INVITE = "type /invite @roundsman in that channel"


def check_slack(settings: Settings) -> Iterator[CheckLine]:
    """One line for each thing Slack must grant. Never raises for what Slack answers or fails to answer."""
    yield from _bot_token(settings.slack)
    yield _app_token(settings.slack)
    for cluster in settings.clusters:
        yield _channel(settings.slack, cluster.name, cluster.channel)


def _bot_token(slack: SlackSettings) -> Iterator[CheckLine]:
    subject = "bot token"
    try:
        answer = _call(slack, slack.bot_token.get_secret_value(), "auth.test")
    except ChatDown as down:
        yield _missing(slack, subject, down, f"put the app's bot token into {credentials.SLACK_BOT}")
        return
    yield CheckLine(True, subject, f"{answer['user']} in {answer['team']}", "")
    yield from _scopes(answer.headers)


def _scopes(headers: dict[str, Any]) -> Iterator[CheckLine]:
    """Slack lists what a token may do in a header of every answer."""
    granted = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    if granted is None:
        return
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    wanted = set(manifest["oauth_config"]["scopes"]["bot"])
    missing = sorted(wanted - {scope.strip() for scope in str(granted).split(",")})
    remedy = f"add {', '.join(missing)} under OAuth & Permissions, and install the app again" if missing else ""
    yield CheckLine(not missing, "bot scopes", f"{len(wanted) - len(missing)} of {len(wanted)} granted", remedy)


def _app_token(slack: SlackSettings) -> CheckLine:
    subject = "app token"
    try:
        _call(slack, slack.app_token.get_secret_value(), "apps.connections.open")
    except ChatDown as down:
        remedy = f"make an app-level token with connections:write, and put it into {credentials.SLACK_APP}"
        return _missing(slack, subject, down, remedy)
    return CheckLine(True, subject, "Socket Mode opens", "")


def _channel(slack: SlackSettings, cluster: str, channel: str) -> CheckLine:
    subject = f"channel of {cluster}"
    try:
        found = _call(slack, slack.bot_token.get_secret_value(), "conversations.info", channel=channel)["channel"]
    except ChatDown as down:
        return _missing(slack, subject, down, INVITE)
    name = f"#{found.get('name', channel)}"
    if not found.get("is_member"):
        return CheckLine(False, subject, f"the bot is not in {name}", INVITE)
    return CheckLine(True, subject, f"the bot is in {name}", "")


def _missing(slack: SlackSettings, subject: str, down: ChatDown, remedy: str) -> CheckLine:
    """Only Slack's own no is mended in Slack; silence is mended on the way there."""
    return CheckLine(
        False, subject, str(down), remedy if isinstance(down, Refused) else f"let this host reach {slack.api_url}"
    )


def _call(slack: SlackSettings, token: str, method: str, **ask: str) -> Any:
    client = WebClient(token, base_url=slack.api_url, timeout=TIMEOUT_S, retry_handlers=[])
    try:
        return client.api_call(method, params=ask)
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise failure(method, error) from error
