"""Slack's Web API, as the rest of the bot needs it: reads that are retried, posts that are never repeated blindly.

The SDK's default retry handler posts twice when the line breaks after Slack did the work. So the client for acts has no
retry handlers at all; who calls it looks the message up by its metadata before it posts again (bot/delivery.py).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.web import SlackResponse
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook import WebhookClient

from workflows.approvals import normalised
from workflows.site import ChatDown, Reaction

TIMEOUT_S = 10
"""Of one request. Slack answers in tenths of a second; whoever waits for longer is not waiting for an answer."""
GROUP_TTL_S = 60.0
"""A user group's members are asked again after this long. Whoever was removed may approve for as long, not longer."""
PAGES = 20
"""So many pages of 200 messages are looked through for a message that may have been posted."""
LONGEST_REST_S = 15.0
"""A read that Slack wants to see again only later than this fails instead: a gate must not wait on stale evidence."""
METADATA = "roundsman"
RATE_LIMITED = "ratelimited"
SECONDS_OF_SKEW = 3600.0
"""Our clock and Slack's may differ; a look-up starts this much before we wrote the message."""

log = logging.getLogger(__name__)

Blocks = Sequence[Mapping[str, Any]]


class Refused(ChatDown):
    """Slack answered and said no: nothing happened. `code` is Slack's word for it; `retry_after` seconds, or 0."""

    def __init__(self, sentence: str, code: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.code = code
        self.retry_after = retry_after


class Unsure(ChatDown):
    """No answer came: it may have happened."""


HINTS = {
    "invalid_auth": "check ROUNDSMAN_SLACK_BOT_TOKEN (xoxb-...) and ROUNDSMAN_SLACK_APP_TOKEN (xapp-...)",
    "not_allowed_token_type": "the bot token starts with xoxb-, the app token with xapp-; they may be swapped",
    "token_revoked": "install the app again and put the new token into ROUNDSMAN_SLACK_BOT_TOKEN",
    "account_inactive": "install the app again and put the new token into ROUNDSMAN_SLACK_BOT_TOKEN",
    "missing_scope": "compare the app's scopes with deploy/slack-manifest.yaml and install it again",
    "not_in_channel": "type /invite @roundsman in that channel",
    "channel_not_found": "check the channel's id in the settings; a private channel must invite the bot",
    "is_archived": "un-archive the channel, or name another one in the settings",
}


NO_ANSWER = ("fatal_error", "internal_error", "service_unavailable", "request_timeout")
"""Slack's words for "I do not know either": part of the work may have been done."""


def retry_after(headers: Mapping[str, Any]) -> float:
    """Seconds; 1 where Slack names none."""
    value = {name.lower(): value for name, value in headers.items()}.get("retry-after", "1")
    return float(value[0] if isinstance(value, list) else value)


def failure(method: str, error: Exception) -> ChatDown:
    """Whatever the SDK raises, as one of our two. Only Slack's own word for a reason is a refusal: HTTP 5xx, a broken
    line or a proxy's page say nothing about what Slack did."""
    response = getattr(error, "response", None)
    if not isinstance(response, SlackResponse | AsyncSlackResponse):
        why = getattr(error, "reason", "") or type(error).__name__  # urllib keeps what it met in `reason`
        return Unsure(f"Slack did not answer {method}: {why}")
    if response.status_code == 429:
        rest = retry_after(response.headers)
        return Refused(f"Slack refused {method}: too many calls, again in {rest:.0f} s", RATE_LIMITED, rest)
    said = response.data if isinstance(response.data, dict) else {}
    code = str(said.get("error", ""))
    if response.status_code >= 500 or code in NO_ANSWER or not re.fullmatch(r"[a-z0-9_]+", code):
        return Unsure(f"Slack did not answer {method}: HTTP {response.status_code} {code[:80]}".rstrip())
    needed = f", needed is {said.get('needed')}" if code == "missing_scope" else ""
    hint = f"; {HINTS[code]}" if code in HINTS else ""
    return Refused(f"Slack refused {method}: {code}{needed}{hint}", code)


class BriefRest(RateLimitErrorRetryHandler):
    """Rests as Slack asks and tries once more, unless that would take too long."""

    def _can_retry(self, *, response: HttpResponse | None = None, **rest: Any) -> bool:
        limited = super()._can_retry(response=response, **rest)
        return limited and response is not None and retry_after(response.headers) <= LONGEST_REST_S


class SlackChat:
    """`workflows.site.Chat`, and the acts of the bot's own edge. Safe to use from any thread; every call may block."""

    def __init__(self, token: str, api_url: str, clock: Callable[[], float]) -> None:
        again = [ConnectionErrorRetryHandler(), BriefRest(), ServerErrorRetryHandler()]
        self._reads = WebClient(token, base_url=api_url, timeout=TIMEOUT_S, retry_handlers=again)
        self._acts = WebClient(token, base_url=api_url, timeout=TIMEOUT_S, retry_handlers=[])
        self._clock = clock
        self._lock = threading.Lock()
        self._bot_user = ""
        self._groups: dict[str, tuple[float, frozenset[str]]] = {}
        self._links: dict[tuple[str, str], str] = {}
        self._directs: dict[str, str] = {}

    # reads ----------------------------------------------------------------------------------------------------

    @property
    def bot_user(self) -> str:
        if not self._bot_user:
            self.alive()
        return self._bot_user

    def alive(self) -> None:
        """auth.test: who we are, and the call that wakes sockets which look alive but carry nothing."""
        self._bot_user = str(self._read("auth.test")["user_id"])

    def reactions(self, channel: str, ts: str) -> tuple[Reaction, ...]:
        found = self._read("reactions.get", channel=channel, timestamp=ts, full=True)
        given: dict[str, set[str]] = {}
        for reaction in found.get("message", {}).get("reactions", ()):
            given.setdefault(normalised(reaction["name"]), set()).update(reaction["users"])
        return tuple(Reaction(name, tuple(sorted(users))) for name, users in given.items())

    def members(self, group: str) -> frozenset[str]:
        with self._lock:
            read_at, users = self._groups.get(group, (float("-inf"), frozenset()))
        if not 0 <= self._clock() - read_at < GROUP_TTL_S:
            users = frozenset(self._read("usergroups.users.list", usergroup=group)["users"])
            with self._lock:
                self._groups[group] = (self._clock(), users)
        return users

    def quiet(self, user: str) -> bool:
        """In a scheduled Do Not Disturb; a pause by hand is not shown to others (facts of Slack's dnd.info)."""
        answer = self._read("dnd.info", user=user)
        return bool(answer["dnd_enabled"]) and answer["next_dnd_start_ts"] <= self._clock() < answer["next_dnd_end_ts"]

    def link(self, channel: str, ts: str) -> str:
        """The address of a message; "" if Slack does not tell, for a link is never worth a failure."""
        if (channel, ts) not in self._links:
            try:
                answer = self._read("chat.getPermalink", channel=channel, message_ts=ts)
            except ChatDown as down:
                log.warning("slack: no link to '%s' '%s': %s", channel, ts, down)
                return ""
            self._links[channel, ts] = str(answer["permalink"])
        return self._links[channel, ts]

    def find(self, channel: str, thread: str, run_id: str, key: str, since: float) -> str:
        """The ts of our message of this run and key, "" if it is not there. Raises ChatDown when that stays unknown."""
        method = "conversations.replies" if thread else "conversations.history"
        ask: dict[str, Any] = {"channel": channel, "limit": 200, "include_all_metadata": True}
        ask |= {"oldest": f"{since - SECONDS_OF_SKEW:.6f}"} | ({"ts": thread} if thread else {})
        for _ in range(PAGES):
            page = self._read(method, **ask)
            for message in page.get("messages", ()):
                if _ours(message, run_id, key):
                    return str(message["ts"])
            ask["cursor"] = (page.get("response_metadata") or {}).get("next_cursor", "")
            if not ask["cursor"]:
                return ""
        few = f"the message '{key}' was not found among the newest {PAGES * 200} and may be older"
        raise Refused(few, "not_among_newest")

    # acts -----------------------------------------------------------------------------------------------------

    def post(self, channel: str, thread: str, text: str, blocks: Blocks, run_id: str, key: str) -> str:
        """Post once, with its metadata. Returns its ts."""
        metadata = {"event_type": METADATA, "event_payload": {"run": run_id, "key": key}}
        ask: dict[str, Any] = {"channel": channel, "text": text, "metadata": metadata, "unfurl_links": False}
        if blocks:
            ask["blocks"] = list(blocks)
        if thread:
            ask["thread_ts"] = thread
        return str(self._act("chat.postMessage", **ask)["ts"])

    def update(self, channel: str, ts: str, text: str, blocks: Blocks) -> None:
        """Blocks are always sent, for an update with text alone removes them."""
        self._act("chat.update", channel=channel, ts=ts, text=text, blocks=list(blocks))

    def whisper(self, channel: str, thread: str, user: str, text: str) -> None:
        """Only `user` sees it, and only until the next reload."""
        ask: dict[str, Any] = {"thread_ts": thread} if thread else {}
        self._act("chat.postEphemeral", channel=channel, user=user, text=text, **ask)

    def open_direct(self, user: str) -> str:
        """The channel in which this user and the bot are alone. Asking for it twice gives the same one."""
        if user not in self._directs:
            found = _call(self._reads, "conversations.open", json={"users": user})
            self._directs[user] = str(found["channel"]["id"])
        return self._directs[user]

    def reply(self, response_url: str, channel: str, user: str, text: str, public: bool) -> None:
        """Answer a slash command at its own address (good for 5 answers in 30 minutes), else as a message."""
        if response_url and self._respond(response_url, text, public):
            return
        if public:
            self._act("chat.postMessage", channel=channel, text=text)
        else:
            self.whisper(channel, "", user, text)

    def _respond(self, response_url: str, text: str, public: bool) -> bool:
        hook = WebhookClient(response_url, timeout=TIMEOUT_S, retry_handlers=[])
        try:
            answer = hook.send(text=text, response_type="in_channel" if public else "ephemeral")
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            log.warning("slack: response_url: %s", failure("response_url", error))
            return False
        return answer.status_code == 200

    def set_members(self, group: str, users: Sequence[str]) -> None:
        """The whole list at once; Slack takes no empty one."""
        self._act("usergroups.users.update", usergroup=group, users=",".join(users))
        with self._lock:
            self._groups.pop(group, None)

    def react(self, channel: str, ts: str, emoji: str) -> None:
        """Pre-place an emoji. One that is there already is as good."""
        try:
            self._act("reactions.add", channel=channel, timestamp=ts, name=emoji)
        except Refused as no:
            if no.code != "already_reacted":
                raise

    # ----------------------------------------------------------------------------------------------------------

    def _read(self, method: str, **ask: Any) -> dict[str, Any]:
        return _call(self._reads, method, params=ask)

    def _act(self, method: str, **ask: Any) -> dict[str, Any]:
        return _call(self._acts, method, json=ask)


def _call(client: WebClient, method: str, **how: Any) -> dict[str, Any]:
    try:
        return dict(client.api_call(method, **how).data)  # type: ignore[arg-type]  # bytes are one admin method's
    except (SlackClientError, OSError, HTTPException, ValueError) as error:
        raise failure(method, error) from error


def _ours(message: Mapping[str, Any], run_id: str, key: str) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == METADATA and payload.get("run") == run_id and payload.get("key") == key
