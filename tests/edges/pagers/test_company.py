"""The telephone company itself is as strict as Twilio: what it would refuse must not pass here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import pytest
import requests

from sandbox.phones import ACCOUNT, CALLER, TOKEN, Habit, PhonesInThread
from sandbox.phones.company import BROKEN, signature
from sandbox.phones.twiml import BadTwiml, parse


class Elsewhere:
    """An address with TwiML. `posts`: path, form and whether the signature was right."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.posts: list[tuple[str, dict[str, str], bool]] = []
        self.url = ""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    place = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            wanted = signature(TOKEN, "POST", place.url + self.path, form)
            place.posts.append((self.path, form, self.headers["X-Twilio-Signature"] == wanted))
            found = place.pages.get(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write((found or "").encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        place.url = f"http://127.0.0.1:{server.server_port}"
        yield place
        server.shutdown()


def order(phones: PhonesInThread, **form: str) -> requests.Response:
    bob = phones.company.subscribers["bob"].phone
    url = f"{phones.url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    return requests.post(url, data={"To": bob, "From": CALLER, **form}, auth=(ACCOUNT, TOKEN), timeout=5)


def test_it_fetches_twiml_goes_where_that_leads_and_tells_the_end(phones: PhonesInThread, elsewhere: Elsewhere) -> None:
    elsewhere.pages |= {
        "/first": "<Response><Say>One</Say><Redirect>/second</Redirect><Say>never</Say></Response>",
        "/second": '<Response><Gather numDigits="1" action="key"><Say>Two</Say></Gather></Response>',
        "/key": "<Response><Say>Three</Say><Hangup/></Response>",
        "/end": "ok",
    }
    phones.will("bob", Habit(answers=3, presses="5", after=2))
    order(phones, Url=f"{elsewhere.url}/first", StatusCallback=f"{elsewhere.url}/end")
    phones.wind(30)
    phones.expect.assert_paged("bob", "voice")
    [call] = phones.calls("bob")
    assert (call.said, call.status) == (["One", "Two", "Three"], "completed")
    assert [(path, form.get("Digits", ""), form["CallStatus"], good) for path, form, good in elsewhere.posts] == [
        ("/first", "", "in-progress", True),
        ("/second", "", "in-progress", True),
        ("/key", "5", "in-progress", True),
        ("/end", "", "completed", True),
    ]


@pytest.mark.parametrize("page", ["", "this is not XML", "<Response><Shout>x</Shout></Response>"])
def test_an_address_without_twiml_ends_the_call(phones: PhonesInThread, elsewhere: Elsewhere, page: str) -> None:
    elsewhere.pages["/x"] = page
    phones.will("bob", Habit(answers=3))
    order(phones, Url=f"{elsewhere.url}/x")
    phones.wind(30)
    phones.expect.assert_paged("bob", "voice")
    assert phones.calls("bob")[0].said == [BROKEN]
    assert len(phones.company.faults) == 1
    phones.company.faults.clear()


GOOD = "<Response><Say>x</Say></Response>"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Twiml": GOOD, "To": "0152"}, 21211),
        ({"Twiml": GOOD, "From": "+4930000000"}, 21210),
        ({"Twiml": GOOD, "Timeout": "0"}, 21205),
        ({"Twiml": GOOD, "Timeout": "soon"}, 21205),
        ({}, 21205),
        ({"Twiml": GOOD, "Url": "http://x.example"}, 21205),
        ({"Twiml": f"<Response><Say>{'x' * 4000}</Say></Response>"}, 21240),
        ({"Twiml": "<Response><Say>x</Response>"}, 12100),
    ],
)
def test_an_order_that_twilio_would_refuse(phones: PhonesInThread, form: dict[str, str], code: int) -> None:
    answer = order(phones, **form)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("<Reply/>", "the root must be <Response>"),
        ("<Response>loose<Say>x</Say></Response>", "text stands loose in <Response>"),
        ("<Response><Say/></Response>", "<Say> must hold text, and only text"),
        ('<Response><Say tone="x">y</Say></Response>', "<Say> has no attribute tone"),
        ('<Response><Pause length="-1"/></Response>', "length='-1' is not a whole number above 0"),
        ('<Response><Pause length="²"/></Response>', "length='²' is not a whole number above 0"),
        ("<Response><Gather><Hangup/></Gather></Response>", "<Hangup> cannot stand in a <Gather>"),
        ('<Response><Gather input="speech"/></Response>', "<Gather> takes keys only, here"),
        ('<Response><Gather numDigits="2"/></Response>', "<Gather> takes one key, here"),
        ('<Response><Redirect method="PUT">/x</Redirect></Response>', "method 'PUT' is neither GET nor POST"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>', "this is not XML"),
    ],
)
def test_twiml_is_read_strictly(document: str, why: str) -> None:
    with pytest.raises(BadTwiml, match=f"^{why.replace('(', '.').replace(')', '.')}"):
        parse(document)


def test_a_page_that_nobody_expected_is_told(phones: PhonesInThread) -> None:
    order(phones, Twiml=GOOD)
    phones.wind(2)
    with pytest.raises(AssertionError, match="pages that nobody expected: bob by voice"):
        phones.expect.assert_nobody_paged()
    with pytest.raises(AssertionError, match="alice was not paged by voice; open are: bob by voice"):
        phones.expect.assert_paged("alice", "voice")
    phones.expect.assert_paged("bob", "voice")
