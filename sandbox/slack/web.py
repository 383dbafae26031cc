"""The Web API over HTTP: tokens, bodies, rate limits, planted faults, and answers in Slack's own words.

A refusal comes with HTTP 200 and ok: false; only a rate limit (429) and Slack's own troubles (5xx) have other codes.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.slack.ask import Ask
from sandbox.slack.faults import Fault, Faults, Kind
from sandbox.slack.lines import cut
from sandbox.slack.methods import Method, Methods
from sandbox.slack.state import Manifest, Plain, Refusal

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

TIERS: Mapping[str, int] = {
    "apps.connections.open": 50,
    "chat.postMessage": 60,
    "chat.update": 50,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "reactions.add": 50,
    "reactions.get": 50,
    "reactions.remove": 20,
    "conversations.history": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    "conversations.list": 20,
    "users.info": 100,
    "users.list": 20,
    "usergroups.list": 20,
    "usergroups.users.list": 20,
    "usergroups.users.update": 20,
    "dnd.info": 50,
}
"""Slack's published tiers, in calls a minute of each method; chat.postMessage is "about one a second"."""


@dataclass(frozen=True, slots=True)
class Tokens:
    bot: str = "xoxb-local"
    app: str = "xapp-local"


@dataclass(slots=True)
class Limits:
    """Calls a minute that each method takes; a method that is not named takes any number."""

    a_minute: Mapping[str, int] = field(default_factory=dict)
    _calls: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def rest(self, method: str, now: float) -> float:
        """Seconds until this call would be taken; 0: it is taken, and counts."""
        most = self.a_minute.get(method)
        if most is None:
            return 0.0
        calls = self._calls[method]
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= most:
            return calls[0] + 60 - now
        calls.append(now)
        return 0.0


class WebApi:
    """`calls` counts what was asked, whatever came of it."""

    def __init__(self, methods: Methods, manifest: Manifest, tokens: Tokens, limits: Limits, faults: Faults) -> None:
        self.calls: dict[str, int] = defaultdict(int)
        self._methods = methods
        self._manifest = manifest
        self._tokens = tokens
        self._limits = limits
        self._faults = faults

    async def handle(self, request: web.Request) -> web.Response:
        """GET or POST /api/METHOD."""
        name = request.match_info["method"]
        self.calls[name] += 1
        if trouble := await self._trouble(request, name):
            return trouble
        try:
            answer = {"ok": True, **await self._call(request, name)}
        except Refusal as no:
            answer = {"ok": False, "error": no.code, **no.more}
        if self._faults.take(Kind.CUT, name):
            cut(request.transport)
        return _json(_warned(request, answer))

    async def _trouble(self, request: web.Request, name: str) -> web.Response | None:
        """What keeps the call from being made at all: a planted fault, or too many calls."""
        if delay := self._faults.take(Kind.DELAY, name):
            await asyncio.sleep(delay.seconds)
        if self._faults.take(Kind.LOSE, name):
            cut(request.transport)
            return web.Response(status=500)
        if self._faults.take(Kind.BROKEN, name):
            return web.Response(status=500, text="internal server error")
        planted = self._faults.take(Kind.LIMIT, name)
        rest = planted.seconds if planted else self._limits.rest(name, time.monotonic())
        return _limited(rest) if rest else None

    async def _call(self, request: web.Request, name: str) -> Plain:
        args = await _arguments(request)
        method = self._methods.table.get(name)
        if method is None:
            raise Refusal("unknown_method", req_method=name)
        self._admit(method, request, args)
        if refuse := self._faults.take(Kind.REFUSE, name):
            raise _planted(refuse)
        return method.do(Ask(await _with_json(request, args) if method.json else args))

    def _admit(self, method: Method, request: web.Request, args: Mapping[str, str]) -> None:
        """The right token, in the right place, with one of the scopes. Raises Refusal."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        token = bearer or ("" if method.app_level else args.get("token", ""))
        if not token:
            raise Refusal("not_authed")
        if token not in (self._tokens.bot, self._tokens.app):
            raise Refusal("invalid_auth")
        if token != (self._tokens.app if method.app_level else self._tokens.bot):
            raise Refusal("not_allowed_token_type")
        if method.scopes and not set(method.scopes) & set(self._manifest.scopes):
            raise Refusal("missing_scope", needed=method.scopes[0], provided=",".join(self._manifest.scopes))


async def _arguments(request: web.Request) -> dict[str, str]:
    """Query and form together."""
    args = dict(request.query)
    if request.content_type in FORMS:
        args |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    return args


async def _with_json(request: web.Request, args: dict[str, str]) -> Plain:
    if request.content_type != "application/json" or request.method != "POST":
        return dict(args)
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        raise Refusal("invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal("json_not_object")
    return {**args, **body}


def _planted(fault: Fault) -> Refusal:
    return Refusal(fault.word or "fatal_error")


def _limited(rest: float) -> web.Response:
    seconds = str(max(1, math.ceil(rest)))
    return _json({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": seconds})


def _warned(request: web.Request, answer: Plain) -> Plain:
    """JSON without a charset is taken, and grumbled about."""
    if request.content_type == "application/json" and request.charset is None and request.method == "POST":
        metadata = answer.get("response_metadata", {})
        warnings = {**metadata, "warnings": ["missing_charset"]}
        return {**answer, "warning": "missing_charset", "response_metadata": warnings}
    return answer


def _json(answer: Plain, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(answer, status=status, headers=headers)
