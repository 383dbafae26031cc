"""Twilio's Calls API: Basic authentication, its error codes, its JSON."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from sandbox.phones.company import ACCOUNT, CALLER, TOKEN, Call, Company
from sandbox.phones.twiml import MOST_CHARACTERS, BadTwiml, parse

NUMBER = re.compile(r"\+[1-9]\d{6,14}")


class TwilioError(Exception):
    """`code`: Twilio's own number for the reason."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class TwilioApi:
    def __init__(self, company: Company) -> None:
        self._company = company

    async def account(self, request: web.Request) -> web.Response:
        self._admit(request)
        return web.json_response({"sid": ACCOUNT, "status": "active", "type": "Full"})

    async def create(self, request: web.Request) -> web.Response:
        self._admit(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self._judge(form)
        return web.json_response(_shown(self._company.order(form)), status=201)

    async def list(self, request: web.Request) -> web.Response:
        """Newest first."""
        self._admit(request)
        to, most = request.query.get("To"), int(request.query.get("PageSize", "50"))
        found = [call for call in reversed(self._company.calls) if to in (None, call.to)]
        return web.json_response({"calls": [_shown(call) for call in found[:most]], "page": 0, "page_size": most})

    async def one(self, request: web.Request) -> web.Response:
        return web.json_response(_shown(self._known(request)))

    async def update(self, request: web.Request) -> web.Response:
        call = self._known(request)
        status = str((await request.post()).get("Status", ""))
        if status not in ("completed", "canceled"):
            raise TwilioError(400, 21218, "Invalid ApplicationSid or Status")
        if call.over:
            raise TwilioError(400, 21220, "Call is not in-progress. Cannot redirect.")
        await self._company.hang_up(call, "canceled" if status == "canceled" else "completed")
        return web.json_response(_shown(call))

    # ------------------------------------------------------------------------------------------------------------

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        wanted = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.match_info["account"] != ACCOUNT or not hmac.compare_digest(given, wanted):
            raise TwilioError(401, 20003, "Authenticate")

    def _known(self, request: web.Request) -> Call:
        self._admit(request)
        call = self._company.call(request.match_info["sid"])
        if call is None:
            raise TwilioError(404, 20404, f"The requested resource {request.path} was not found")
        return call

    def _judge(self, form: Mapping[str, str]) -> None:
        somebody = self._company.whose(form.get("To", ""))
        if not NUMBER.fullmatch(form.get("To", "")) or (somebody and somebody.habit.line == "refused"):
            raise TwilioError(400, 21211, "The 'To' number is not a valid phone number.")
        if form.get("From") != CALLER:
            raise TwilioError(400, 21210, "'From' phone number not verified")
        if not form.get("Timeout", "60").isdigit() or not 1 <= int(form.get("Timeout", "60")) <= 600:
            raise TwilioError(400, 21205, "Timeout is not a number of seconds up to 600")
        if bool(form.get("Twiml")) == bool(form.get("Url")):
            raise TwilioError(400, 21205, "Url or Twiml, and only one of them, must be given")
        if form.get("Twiml"):
            _judge_twiml(form["Twiml"])


def _judge_twiml(document: str) -> None:
    if len(document) > MOST_CHARACTERS:
        raise TwilioError(400, 21240, f"Twiml is longer than {MOST_CHARACTERS} characters")
    try:
        parse(document)
    except BadTwiml as bad:
        raise TwilioError(400, 12100, f"Document parse failure: {bad}") from None


def _shown(call: Call) -> dict[str, Any]:
    times = {"date_created": _time(call.created), "end_time": _time(call.ended) if call.ended else None}
    start = _time(call.created) if call.status not in ("queued", "ringing") else None
    who = {"sid": call.sid, "account_sid": ACCOUNT, "to": call.to, "from": call.caller}
    return {**who, "status": call.status, "direction": "outbound-api", **times, "start_time": start}


def _time(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(at), UTC))


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except TwilioError as no:
        more = f"https://www.twilio.com/docs/errors/{no.code}"
        said = {"code": no.code, "message": str(no), "more_info": more, "status": no.status}
        return web.json_response(said, status=no.status)
    return answer
