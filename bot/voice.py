"""The phone's way back: Twilio posts the key that was pressed, and gets TwiML to go on with.

What arrives is believed only with Twilio's signature, which needs the account's token. The call is known by its id, or
by run and key of the page in the address: a crash may have lost the id, and the person who presses 1 must be heard all
the same. A press that arrives twice, replayed or not, counts once: its order is written under the call's id.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, urlsplit

from bot.http import Answer, Request, Route, in_thread
from oncall.pagers._twiml import asked_again, said
from oncall.pagers.voice import KEY_PATH
from oncall.settings import TwilioSettings
from store.api import PageRow, RunRow, Store
from workflows.acknowledging import take
from workflows.alerts import OUTAGE
from workflows.site import Watchers

ACKNOWLEDGE = "1"
MOST_FIELDS = 100
MOST_FIELD = 200
"""Characters of a field; Twilio's are a tenth as long."""
PORTS: Mapping[str, str] = {"https": ":443", "http": ":80"}

log = logging.getLogger(__name__)


class VoiceHook:
    """`watchers` may be asked by any thread. `clock`: seconds since the epoch. `landed` is told of each
    acknowledgement. Blocks for as long as the store does."""

    def __init__(
        self,
        store: Store,
        watchers: Watchers,
        twilio: TwilioSettings,
        public_url: str,
        clock: Callable[[], float],
        landed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._watchers, self._twilio, self._clock, self._landed = store, watchers, twilio, clock, landed
        self._public_url = public_url.rstrip("/")

    @property
    def routes(self) -> list[Route]:
        return [Route("POST", KEY_PATH, in_thread(self._posted))]

    def _posted(self, request: Request) -> Answer:
        try:
            form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            return Answer(400, "this is not a form\n")
        return self.key_pressed(request.path, request.headers.get("x-twilio-signature", ""), form)

    def key_pressed(self, path: str, signed: str, form: Mapping[str, str]) -> Answer:
        """A POST to KEY_PATH. `path`: with its query, byte by byte as it was asked for;
        `signed`: X-Twilio-Signature.

        1. Who asks: 403 without the right signature.
        2. About which call: 404 if we never made it.
        3. The key: 1 acknowledges; anything else is asked again, in the same call.
        """
        if not self._signed(path, signed, form):
            log.warning("voice: a request with a bad signature was refused")
            return Answer(403, "the signature is not Twilio's\n")
        page = self._page(path, form.get("CallSid", ""))
        run = self._store.run(page.run_id) if page else None
        if page is None or run is None:
            log.warning("voice: key press of unknown call '%s'", form.get("CallSid", "")[:MOST_FIELD])
            return Answer(404, "no such call\n")
        if form.get("Digits", "").strip() != ACKNOWLEDGE:
            return _spoken(asked_again(self._twilio.voice, f"{self._public_url}{path}"))
        return _spoken(said(self._twilio.voice, self._take(run, page, form.get("CallSid", "") or page.receipt)))

    def _take(self, run: RunRow, page: PageRow, sid: str) -> str:
        """What the phone says. The page first: an acknowledged call is not hung up when all the others stop."""
        if run.state != "active":
            return "It is over already. Thank you."
        now, person = self._clock(), self._watchers.settings.people.get(page.person)
        self._store.page(replace(page, state="acknowledged", receipt=sid, error="", changed_at=now))
        who = person.slack if person else page.person
        take(self._store, self._watchers, run, who, "voice", f"{run.id} {sid}", now)
        self._landed()
        log.info("voice: page '%s' of run '%s': %s -> acknowledged (key 1)", page.key, run.id, page.state)
        return "Acknowledged. Thank you. It is yours now." if run.workflow == OUTAGE else "Acknowledged. Thank you."

    def _page(self, path: str, sid: str) -> PageRow | None:
        if found := self._store.page_of(sid):
            return found
        query = parse_qs(urlsplit(path).query)
        run_id, key = query.get("run", [""])[0], query.get("key", [""])[0]
        return next((page for page in self._store.pages(run_id) if page.key == key and page.how == "voice"), None)

    def _signed(self, path: str, given: str, form: Mapping[str, str]) -> bool:
        """Twilio signs the address as it was told it; of a standard port it is not sure whether it belongs there."""
        token = self._twilio.token.get_secret_value()
        told = given.encode(errors="replace")
        good = (signature(token, url, form) for url in _spellings(self._public_url, path))
        return bool(token) and any(hmac.compare_digest(wanted.encode(), told) for wanted in good)


def _spoken(twiml: str) -> Answer:
    return Answer(200, twiml, "text/xml")


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """Over the address and, by name, each field's name and value (twilio.com/docs/usage/security, read 2026-11)."""
    fields = "".join(f"{name}{form[name]}" for name in sorted(form))
    return b64encode(hmac.digest(token.encode(), (url + fields).encode(errors="replace"), hashlib.sha1)).decode()


def _spellings(public_url: str, path: str) -> Iterator[str]:
    yield public_url + path
    parts = urlsplit(public_url)
    port = PORTS.get(parts.scheme, "")
    if parts.netloc.endswith(port):
        yield parts._replace(netloc=parts.netloc.removesuffix(port)).geturl() + path
    elif parts.port is None:
        yield parts._replace(netloc=parts.netloc + port).geturl() + path
