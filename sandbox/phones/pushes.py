"""Pushover: messages with a receipt, which ring again and again until somebody taps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.phones.company import Company, Paged, Subscriber

APP_TOKEN = "aLOCAL" + "0" * 24
POLL_S = 5.0
RETRY_LEAST, EXPIRE_MOST = 30, 10_800
MOST_TITLE, MOST_TEXT = 250, 1024


@dataclass(slots=True)
class Push:
    """Seconds; times since the epoch, None = not yet."""

    receipt: str
    person: str
    title: str
    text: str
    tags: str
    at: float
    retry: float
    expire: float
    acknowledged: float | None = None
    cancelled: float | None = None

    def quiet(self, now: float) -> float | None:
        """When it stopped ringing, None while it rings."""
        ends = [at for at in (self.acknowledged, self.cancelled) if at is not None]
        ends += [self.at + self.expire] if now >= self.at + self.expire else []
        return min(ends, default=None)

    def rings(self, now: float) -> int:
        """So many times it rang until now."""
        return 1 + math.floor(((self.quiet(now) or now) - self.at) / self.retry)


class PushApi:
    def __init__(self, company: Company, clock: Callable[[], float], paged: Callable[[Paged], None]) -> None:
        self.pushes: list[Push] = []
        self.over_quota = False
        """This application has sent all its messages of the month."""
        self._company, self._clock, self._paged = company, clock, paged
        self._polled: dict[str, float] = {}
        self._count = itertools.count(1)

    async def send(self, request: web.Request) -> web.Response:
        form = await _form(request)
        if (no := self._wrong(form)) or (no := self._wrong_message(form)):
            return no
        if self.over_quota:
            return _refused("application has exceeded its quota", status=429)
        somebody = self._user(form["user"])
        assert somebody is not None
        times = (self._clock(), float(form["retry"]), float(form["expire"]))
        words = (form.get("title", ""), form["message"], form.get("tags", ""))
        push = Push(f"r{next(self._count):0>29}", somebody.name, *words, *times)
        self.pushes.append(push)
        self._paged(Paged(push.at, push.person, "pushover", f"{push.title}: {push.text}"))
        return _good(receipt=push.receipt)

    async def validate(self, request: web.Request) -> web.Response:
        form = await _form(request)
        return self._wrong(form) or _good(devices=["phone"], group=0)

    async def receipt(self, request: web.Request) -> web.Response:
        push, now = self._push(request.match_info["receipt"]), self._clock()
        if request.query.get("token") != APP_TOKEN or push is None:
            return _refused("receipt not found; may be invalid or expired", status=404)
        if now - self._polled.get(push.receipt, float("-inf")) < POLL_S:
            self._company.faults.append(f"receipt {push.receipt} was asked for again within {POLL_S:.0f} s")
        self._polled[push.receipt] = now
        tapped = push.acknowledged
        who = self._company.subscribers[push.person].pushover if tapped else ""
        state = {"acknowledged": int(tapped is not None), "acknowledged_at": int(tapped or 0), "acknowledged_by": who}
        end = push.at + push.expire
        return _good(**state, last_delivered_at=int(push.at), expired=int(now >= end), expires_at=int(end))

    async def cancel(self, request: web.Request) -> web.Response:
        push = self._push(request.match_info["receipt"])
        if (await _form(request)).get("token") != APP_TOKEN or push is None:
            return _refused("receipt not found; may be invalid or expired", status=404)
        self._stop(push)
        return _good()

    async def cancel_by_tag(self, request: web.Request) -> web.Response:
        if (await _form(request)).get("token") != APP_TOKEN:
            return _refused("application token is invalid", token="invalid")
        tag, now = request.match_info["tag"], self._clock()
        ringing = [push for push in self.pushes if tag in push.tags.split(",") and push.quiet(now) is None]
        for push in ringing:
            self._stop(push)
        return _good(canceled=len(ringing))

    def acknowledge(self, receipt: str) -> None:
        """The person taps. Too late once it is quiet."""
        push = self._push(receipt)
        if push is not None and push.quiet(self._clock()) is None:
            push.acknowledged = self._clock()

    # ------------------------------------------------------------------------------------------------------------

    def _stop(self, push: Push) -> None:
        if push.quiet(self._clock()) is None:
            push.cancelled = self._clock()

    def _push(self, receipt: str) -> Push | None:
        return next((push for push in self.pushes if push.receipt == receipt), None)

    def _user(self, key: str) -> Subscriber | None:
        return next((one for one in self._company.subscribers.values() if one.pushover == key), None)

    def _wrong(self, form: Mapping[str, str]) -> web.Response | None:
        if form.get("token") != APP_TOKEN:
            return _refused("application token is invalid", token="invalid")
        if self._user(form.get("user", "")) is None:
            return _refused("user identifier is not a valid user, group, or subscribed user key", user="invalid")
        return None

    def _wrong_message(self, form: Mapping[str, str]) -> web.Response | None:
        retry, expire = form.get("retry", ""), form.get("expire", "")
        if form.get("priority") != "2":
            return _refused("only emergency priority is known here", priority="invalid")
        if not retry.isdigit() or int(retry) < RETRY_LEAST:
            return _refused(f"retry must be at least {RETRY_LEAST}", retry="invalid")
        if not expire.isdigit() or not 0 < int(expire) <= EXPIRE_MOST:
            return _refused(f"expire must be at most {EXPIRE_MOST}", expire="invalid")
        if not form.get("message") or len(form["message"]) > MOST_TEXT or len(form.get("title", "")) > MOST_TITLE:
            return _refused("message is blank or too long", message="invalid")
        return None


async def _form(request: web.Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.post()).items()}


def _good(**more: Any) -> web.Response:
    return web.json_response({"status": 1, "request": "local", **more})


def _refused(word: str, status: int = 400, **which: str) -> web.Response:
    return web.json_response({**which, "errors": [word], "status": 0, "request": "local"}, status=status)
