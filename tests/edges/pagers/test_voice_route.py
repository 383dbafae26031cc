"""The phone's way back as the world meets it: the bot's own HTTP server, and whatever is posted there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from bot.voice import VoiceHook, signature
from oncall.pagers.voice import KEY_PATH
from tests.edges.pagers.test_night import answering
from tests.unit.bot.test_voice_hook import KEY, RUN, SID, TOKEN, Line
from tests.waiting import PATIENCE_S

QUERY = f"?run={RUN}&key={KEY}"
FORM = {"CallSid": SID, "Digits": "1", "From": "+15005550006", "Speech": "ä + b & c"}


class Door:
    """A bot that is being called back."""

    url = ""
    line: Line

    def post(self, form: dict[str, str], signed: str | None = None, query: str = QUERY) -> requests.Response:
        good = signature(TOKEN, f"{self.url}{KEY_PATH}{query}", form)
        headers = {"X-Twilio-Signature": good if signed is None else signed}
        return requests.post(f"{self.url}{KEY_PATH}{query}", data=form, headers=headers, timeout=PATIENCE_S)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()

    def hook(url: str) -> VoiceHook:
        door.line, door.url = Line(url), url
        return door.line.hook

    with answering(hook):
        yield door


def test_a_key_that_twilio_posts_is_taken(door: Door) -> None:
    answer = door.post(FORM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert "Acknowledged. Thank you." in answer.text
    assert len(door.line.orders()) == 1


def test_the_signature_is_over_the_address_byte_by_byte(door: Door) -> None:
    """A server that tidies the address up (%2F may as well be written /) would never find the signature right."""
    assert door.post(FORM, query=f"{QUERY}&more=a%2Fb%3Fc").status_code == 200


@pytest.mark.parametrize("signed", ["", "nonsense"])
def test_without_the_signature_it_is_forbidden(door: Door, signed: str) -> None:
    answer = door.post(FORM, signed)
    assert (answer.status_code, answer.text) == (403, "the signature is not Twilio's\n")
    assert door.line.orders() == []


def test_an_unknown_call_is_not_found(door: Door) -> None:
    assert door.post(FORM | {"CallSid": "CA" + "9" * 32}, query="?run=x&key=y").status_code == 404


def test_looking_at_the_address_does_nothing(door: Door) -> None:
    assert requests.get(f"{door.url}{KEY_PATH}{QUERY}", timeout=PATIENCE_S).status_code == 405


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=1&" * 200], ids=["no text", "too many fields"])
def test_what_is_no_form_is_refused(door: Door, body: bytes) -> None:
    answer = requests.post(f"{door.url}{KEY_PATH}", data=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.text) == (400, "this is not a form\n")


def test_a_body_of_megabytes_is_refused(door: Door) -> None:
    answer = requests.post(f"{door.url}{KEY_PATH}", data=b"a=" + b"x" * (2 << 20), timeout=PATIENCE_S)
    assert answer.status_code == 413
