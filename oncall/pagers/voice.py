"""A telephone call by Twilio: reads the outage out, twice, and takes a key press.

The text travels with the order for the call, so the phone speaks even while nobody can reach this bot. The key press
comes back over `http.public_url` (bot/voice.py); without that the phone rings and cannot acknowledge, and it says so.
An answered call is no acknowledgement: a voicemail answers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from oncall.pagers import Checked, Delivery, Page, Pager, PagerError, State, Surroundings
from oncall.pagers._http import Answer, ask, receipt_in
from oncall.pagers._twiml import announcement
from oncall.settings import Person, TwilioSettings

SERVICE = "Twilio"
KEY_PATH = "/voice/key"
"""Where the key press arrives, below the public address; with run and key of the page in its query."""
SKEW_S = 5.0
"""Our clock and Twilio's, whose times are whole seconds. More would rather take an older call for this one."""
OVER_ALREADY = (21220, 20404)
"""Twilio's codes for hanging up a call that has ended, or that is not known any more."""
ENDS = {
    "completed": Delivery(State.EXPIRED, "it was answered, by a person or a voicemail, and no key was pressed"),
    "busy": Delivery(State.FAILED, "the line was busy"),
    "no-answer": Delivery(State.EXPIRED, "nobody answered"),
    "canceled": Delivery(State.EXPIRED, "the call was cancelled"),
    "failed": Delivery(State.FAILED, "the call could not be put through"),
}


class Voice:
    how = "voice"

    def __init__(self, settings: TwilioSettings, timeout: float, public_url: str) -> None:
        self._settings, self._timeout, self._public_url = settings, timeout, public_url.rstrip("/")

    @property
    def acknowledges(self) -> bool:
        return bool(self._public_url)

    @property
    def warning(self) -> str:
        lacking = "voice: http.public_url is not set; the phone rings and speaks, but no key press can acknowledge"
        return "" if self.acknowledges else lacking

    def reaches(self, person: Person) -> str:
        return "" if person.phone else "no phone number"

    def send(self, page: Page) -> str:
        query = urlencode({"run": page.run_id, "key": page.key})
        action = f"{self._public_url}{KEY_PATH}?{query}" if self._public_url else ""
        spoken = announcement(page, self._settings.voice, action)
        call = {"To": page.person.phone, "From": self._settings.caller, "Twiml": spoken}
        ring = f"{max(self._settings.ring, 1.0):.0f}"
        return receipt_in(SERVICE, self._ask("POST", "Calls", Timeout=ring, **call), "sid")

    def find(self, page: Page) -> str | None:
        """Of the calls to this number since the page was written, the one made next to that: a later one is another
        page's. Not asked by StartTime, which a call that is still queued has not got."""
        calls = self._ask("GET", "Calls", To=page.person.phone, PageSize="20").get("calls")
        if not isinstance(calls, list):
            raise PagerError("Twilio's list of calls cannot be read", permanent=False)
        since = page.at - SKEW_S
        ours = [c for c in calls if c.get("from") == self._settings.caller and _made_at(c) >= since]
        return str(min(ours, key=lambda call: abs(_made_at(call) - page.at)).get("sid", "")) if ours else ""

    def state(self, receipt: str) -> Delivery:
        status = self._ask("GET", f"Calls/{receipt}").get("status")
        return ENDS.get(str(status), Delivery(State.WAITING))

    def cancel(self, receipt: str) -> None:
        try:
            self._ask("POST", f"Calls/{receipt}", Status="completed")
        except Refusal as no:
            if no.code not in OVER_ALREADY:
                raise

    def check(self, people: Mapping[str, Person]) -> Iterator[Checked]:
        yield self._account()
        if self.warning:
            remedy = "set http.public_url to an address under which Twilio reaches this bot"
            yield Checked(False, "voice key press", self.warning.removeprefix("voice: "), remedy)

    def _account(self) -> Checked:
        try:
            status = self._ask("GET", "").get("status")
        except PagerError as error:
            remedy = "check oncall.pagers.twilio.account and ROUNDSMAN_TWILIO_TOKEN"
            return Checked(
                False, "voice", str(error), remedy if error.permanent else f"let this host reach {self._url}"
            )
        good = status == "active"
        return Checked(
            good, "voice", f"the account is {status}; nobody was called", "" if good else "see Twilio's console"
        )

    @property
    def _url(self) -> str:
        return self._settings.url

    def _ask(self, method: str, path: str, **fields: str) -> Mapping[str, Any]:
        account = self._settings.account
        below = f"/{path}" if path else ""
        url = f"{self._url}2010-04-01/Accounts/{account}{below}.json"
        auth = (account, self._settings.token.get_secret_value())
        answer = ask(SERVICE, method, url, self._timeout, fields, auth)
        if answer.good and answer.data:
            return answer.data
        raise Refusal(answer)


class Refusal(PagerError):
    """Twilio's no. `code`: its own number for the reason."""

    def __init__(self, answer: Answer) -> None:
        self.code = answer.data.get("code", 0)
        said = f"{self.code} {answer.data.get('message', '')}".strip()[:200] if self.code else ""
        super().__init__(f"Twilio refused: HTTP {answer.status} {said}".rstrip(), permanent=answer.permanent)


def make(around: Surroundings) -> Pager | None:
    twilio = around.settings.twilio
    return Voice(twilio, around.settings.timeout, around.public_url) if twilio else None


def _made_at(call: Mapping[str, Any]) -> float:
    try:
        return parsedate_to_datetime(str(call.get("date_created"))).timestamp()
    except ValueError:
        return 0.0
