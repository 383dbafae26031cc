"""Pushover's emergency priority: rings through Do Not Disturb until somebody taps, and tells who did.

Its rules (pushover.net/api, read 2026-11): a receipt is asked for at most every 5 seconds; an answer of 400 to 499
means that the same request never works; a text has at most 1,024 characters, a title 250.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oncall.pagers import Checked, Delivery, Page, Pager, PagerError, State, Surroundings
from oncall.pagers._http import Answer, ask, receipt_in
from oncall.pagers._speech import plain
from oncall.settings import Person, PushoverSettings

SERVICE = "Pushover"
EMERGENCY = "2"
POLL_S = 5.0
MOST_KEPT = 100
MOST_TITLE, MOST_TEXT, MOST_LINK = 250, 1024, 512
OVER_QUOTA = 429
"""The application has used up its messages of this month: another try is of no use before the next one."""


class Pushover:
    how = "pushover"
    acknowledges = True
    warning = ""

    def __init__(self, settings: PushoverSettings, timeout: float, clock: Callable[[], float]) -> None:
        self._settings, self._timeout, self._clock = settings, timeout, clock
        self._seen: dict[str, tuple[float, Delivery]] = {}

    def reaches(self, person: Person) -> str:
        return "" if person.pushover.get_secret_value() else "no Pushover user key"

    def send(self, page: Page) -> str:
        ring = {"priority": EMERGENCY, "retry": f"{self._settings.retry:.0f}", "expire": f"{self._settings.expire:.0f}"}
        words = {"title": plain(page.title)[:MOST_TITLE], "message": plain(page.text or page.title)[:MOST_TEXT]}
        where = {"url": page.link, "url_title": "The thread"} if 0 < len(page.link) <= MOST_LINK else {}
        user = {"user": page.person.pushover.get_secret_value(), "tags": tag(page), "timestamp": f"{page.at:.0f}"}
        return receipt_in(SERVICE, self._ask("POST", "messages", **ring, **words, **where, **user), "receipt")

    def find(self, page: Page) -> str | None:
        """Pushover cannot be asked for a message, but it can be told to stop one: what rings under this page's tag is
        silenced, for its receipt is lost and nobody could cancel it later; it is then sent again."""
        return None if self._ask("POST", f"receipts/cancel_by_tag/{tag(page)}").get("canceled") else ""

    def state(self, receipt: str) -> Delivery:
        """Asked for sooner than Pushover allows, it is what was seen last."""
        at, seen = self._seen.get(receipt, (float("-inf"), Delivery(State.WAITING)))
        if seen.state is State.WAITING and not 0 <= self._clock() - at < POLL_S:
            seen = _delivery(self._ask("GET", f"receipts/{receipt}"))
            kept = [*self._seen.items()][-MOST_KEPT:]
            self._seen = {**dict(kept), receipt: (self._clock(), seen)}
        return seen

    def cancel(self, receipt: str) -> None:
        self._ask("POST", f"receipts/{receipt}/cancel")

    def check(self, people: Mapping[str, Person]) -> Iterator[Checked]:
        for name, person in people.items():
            if not self.reaches(person):
                yield self._checked(name, person)

    def _checked(self, name: str, person: Person) -> Checked:
        subject = f"pushover {name}"
        try:
            answer = self._ask("POST", "users/validate", user=person.pushover.get_secret_value())
        except PagerError as error:
            remedy = "check ROUNDSMAN_PUSHOVER_TOKEN, and this person's ROUNDSMAN_PUSHOVER_USER_... key"
            return Checked(False, subject, str(error), remedy if error.permanent else _reach(self._settings.url))
        devices = answer.get("devices")
        count = len(devices) if isinstance(devices, list) else 0
        return Checked(True, subject, f"Pushover knows the key, devices: {count}; nothing was rung")

    def _ask(self, method: str, path: str, **fields: str) -> Mapping[str, Any]:
        fields = {"token": self._settings.token.get_secret_value(), **fields}
        answer = ask(SERVICE, method, f"{self._settings.url}{path}.json", self._timeout, fields)
        if answer.good and answer.data.get("status") == 1:
            return answer.data
        raise _refusal(answer)


def make(around: Surroundings) -> Pager | None:
    settings = around.settings
    return Pushover(settings.pushover, settings.timeout, around.clock) if settings.pushover else None


def tag(page: Page) -> str:
    """Under which a page can be silenced whose receipt was lost. Safe in an address."""
    return "roundsman-" + hashlib.sha256(f"{page.run_id}\n{page.key}".encode()).hexdigest()[:24]


def _delivery(receipt: Mapping[str, Any]) -> Delivery:
    if receipt.get("acknowledged") == 1:
        at = receipt.get("acknowledged_at")
        return Delivery(State.ACKNOWLEDGED, at=float(at) if isinstance(at, int | float) else 0.0)
    if receipt.get("expired") == 1:
        return Delivery(State.EXPIRED, "Pushover has rung for as long as it may, and nobody tapped")
    return Delivery(State.WAITING)


def _refusal(answer: Answer) -> PagerError:
    """Pushover's own words name the parameter, never its value."""
    said = answer.data.get("errors")
    words = "; ".join(str(word) for word in said) if isinstance(said, list) else ""
    permanent = answer.permanent or answer.status == OVER_QUOTA
    return PagerError(f"Pushover refused: HTTP {answer.status} {words[:200]}".rstrip(), permanent=permanent)


def _reach(url: str) -> str:
    return f"let this host reach {url}"
