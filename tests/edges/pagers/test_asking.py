"""One request to a paging service, whatever answers: in time, within bounds, never elsewhere, no secret in an error."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from oncall.pagers import Page, Pager, PagerError, all_pagers
from oncall.pagers._http import MOST_BYTES, ask
from oncall.settings import PagerSettings
from sandbox.phones import ACCOUNT, CALLER

Say = Callable[[BaseHTTPRequestHandler], None]


class Oddity:
    """A server that answers as a test says. `asked`: paths that were asked for."""

    url = ""
    say: Say

    def __init__(self) -> None:
        self.asked: list[str] = []


@pytest.fixture
def odd() -> Iterator[Oddity]:
    oddity = Oddity()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            oddity.asked.append(self.path)
            oddity.say(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        oddity.url = f"http://127.0.0.1:{server.server_port}"
        yield oddity
        server.shutdown()


def answering(status: int, body: bytes, **headers: str) -> Say:
    def say(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return say


def get(odd: Oddity, timeout: float = 20.0) -> tuple[int, dict[str, object]]:
    answer = ask("The service", "GET", f"{odd.url}/x", timeout, {"token": "s3cr3t"})
    return answer.status, dict(answer.data)


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"[1, 2]", b'"text"', b"\xff\xfe", b'{"cut": '])
def test_what_is_no_object_is_nothing(odd: Oddity, body: bytes) -> None:
    odd.say = answering(200, body)
    assert get(odd) == (200, {})


def test_no_redirect_is_followed(odd: Oddity) -> None:
    """It would carry the token to whoever is named there."""
    odd.say = answering(302, b"", Location="/elsewhere")
    assert get(odd) == (302, {})
    assert odd.asked == ["/x?token=s3cr3t"]


DRIPS, DRIP_S = 100, 0.05


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" " * (1 << 14)),
    ],
    ids=["in its headers", "in a body of known length", "in one without", "in large drops"],
)
def test_an_answer_that_drips_is_given_up(odd: Oddity, begin: bytes, drop: bytes) -> None:
    """It is never silent for long, and would hold the ladder up for as long as it likes: here for some seconds."""
    ended, over = [], threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):  # the other side has given up: what is tested
            handler.wfile.write(begin)
            for _ in range(DRIPS):
                over.wait(DRIP_S)
                handler.wfile.write(drop)
            ended.append(True)

    odd.say = drip
    with pytest.raises(PagerError, match="The service did not answer: ReadTimeout") as late:
        get(odd, timeout=0.3)
    assert (ended, late.value.permanent) == ([], False)
    over.set()


def test_an_answer_of_megabytes_is_given_up(odd: Oddity) -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(MOST_BYTES // 1000 + 1000):
                handler.wfile.write(b"x" * 1000)
        except OSError:
            return  # the other side has given up: what is tested

    odd.say = flood
    with pytest.raises(PagerError, match="its answer does not end"):
        get(odd)


def test_a_line_that_breaks_tells_no_address(odd: Oddity) -> None:
    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.close()

    odd.say = broken
    with pytest.raises(PagerError) as cut:
        get(odd)
    assert str(cut.value) == "The service did not answer: ConnectionError"
    assert cut.value.__cause__ is None
    assert not cut.value.permanent


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (404, True), (408, False), (429, False), (500, False)])
def test_what_lasts_and_what_does_not(odd: Oddity, status: int, permanent: bool) -> None:
    odd.say = answering(status, b"{}")
    assert ask("The service", "GET", odd.url, 20.0, {}).permanent is permanent


# ---- a service that answers 200 with something else ------------------------------------------------------------------

ODDITIES = [b"{}", b'{"status": 1}', b'{"status": 1, "receipt": 7, "devices": "x", "acknowledged": 1}', b'{"calls": 7}']
ODDITIES += [b'{"calls": [{}, {"from": 1, "date_created": null}]}', b'{"status": null, "sid": null, "canceled": "x"}']


def pager_of(odd: Oddity, how: str) -> Pager:
    section = {
        "pushover": {"url": f"{odd.url}/1/"},
        "twilio": {"account": ACCOUNT, "caller": CALLER, "url": f"{odd.url}/"},
    }
    return all_pagers(PagerSettings.model_validate(section), "", time.monotonic)[how]


@pytest.mark.parametrize("body", [b'{"status": 1}', b'{"status": 1, "sid": null, "receipt": null}', b'{"code": 20429}'])
@pytest.mark.parametrize("how", ["pushover", "voice"])
def test_a_page_of_which_a_service_names_no_receipt_is_tried_again(
    odd: Oddity, page: Page, how: str, body: bytes
) -> None:
    """Nobody could see that it never rang, hear that it was answered, or call it off."""
    odd.say = answering(200, body)
    with pytest.raises(PagerError) as no:
        pager_of(odd, how).send(page)
    assert not no.value.permanent


@pytest.mark.parametrize("body", ODDITIES)
@pytest.mark.parametrize("how", ["pushover", "voice"])
def test_whatever_a_service_says_it_is_an_answer_or_a_pager_error(
    odd: Oddity, page: Page, how: str, body: bytes
) -> None:
    """A step of a ladder that broke on it would hold the whole outage up."""
    odd.say = answering(200, body)
    pager = pager_of(odd, how)
    person = {"bob": page.person}
    acts: list[Callable[[], object]] = [
        lambda: pager.send(page),
        lambda: pager.find(page),
        lambda: pager.state("r1"),
        lambda: pager.cancel("r1"),
        lambda: list(pager.check(person)),
    ]
    for act in acts:
        with contextlib.suppress(PagerError):
            act()
