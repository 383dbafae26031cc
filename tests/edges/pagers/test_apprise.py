"""Any Apprise URL: delivered or not is all that it says, and no sentence holds a URL."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from pydantic import SecretStr

from oncall.pagers import Delivery, Page, Pager, PagerError, State
from oncall.pagers import apprise as module
from oncall.pagers.apprise import parses
from oncall.settings import Person
from sandbox.phones import PhonesInThread
from sandbox.slack import Fault, Kind


@pytest.fixture
def apprise(pagers: dict[str, Pager]) -> Pager:
    return pagers["apprise"]


def to(page: Page, *urls: str) -> Page:
    return replace(page, person=page.person.model_copy(update={"apprise": tuple(SecretStr(url) for url in urls)}))


def test_a_message_is_delivered_and_nothing_more_is_known(phones: PhonesInThread, apprise: Pager, page: Page) -> None:
    assert apprise.send(page) == ""
    told = phones.expect.assert_paged(
        "bob", "apprise", says="Outage of cluster lab: guest 101: router1 does not answer"
    )
    assert told.text.endswith("\nhttps://slack.example/archives/C0LAB/p1")
    assert not apprise.acknowledges
    assert apprise.state("") == Delivery(State.WAITING)
    assert apprise.find(page) is None
    apprise.cancel("")


def test_one_url_that_takes_it_is_enough(phones: PhonesInThread, apprise: Pager, page: Page) -> None:
    assert apprise.send(to(page, "json://127.0.0.1:9/x", phones.sink("bob"))) == ""
    phones.expect.assert_paged("bob", "apprise")


def test_a_failure_names_the_service_and_no_url(apprise: Pager, page: Page) -> None:
    with pytest.raises(PagerError) as no:
        apprise.send(to(page, "json://user:hunter22@127.0.0.1:9/s3cr3t", "no such url"))
    assert str(no.value) == "not delivered by JSON, a URL that does not parse; Apprise does not say why"
    assert not no.value.permanent


def test_a_service_in_trouble_is_asked_once(phones: PhonesInThread, apprise: Pager, page: Page) -> None:
    """No retry of its own: the ladder goes on instead."""
    phones.plant(Fault(Kind.BROKEN, "POST /apprise/bob"))
    with pytest.raises(PagerError):
        apprise.send(page)


def test_check_says_that_it_only_parses(apprise: Pager, people: dict[str, Person]) -> None:
    [line] = apprise.check({"bob": people["bob"], "eve": Person(slack="U0EVE")})
    assert (line.ok, line.subject) == (True, "apprise bob")
    assert line.text == "the URLs parse (JSON); only /oncall test proves that they work"


def test_who_can_be_reached(apprise: Pager, people: dict[str, Person]) -> None:
    assert apprise.reaches(people["bob"]) == ""
    assert apprise.reaches(Person(slack="U0EVE")) == "no Apprise URL"


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://host", "mailto://", "twilio://AC:x@+1/+2"])
def test_what_does_not_parse(url: str) -> None:
    assert not parses(url)


class Dripping:
    """A service that is never silent for long and never done: a byte of a header now and then."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"json://127.0.0.1:{self._socket.getsockname()[1]}/s3cr3t"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # whoever asked has given up, or the test is over
            line, _ = self._socket.accept()
            with line:
                line.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not self.over.wait(0.05):
                    line.sendall(b"x")

    def close(self) -> None:
        self.over.set()
        self._socket.close()


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    made = Dripping()
    yield made
    made.close()


def test_a_service_that_drips_holds_nobody_up(
    apprise: Pager, page: Page, dripping: Dripping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE_S", 0.3)
    with pytest.raises(PagerError, match="not delivered by JSON"):
        apprise.send(to(page, dripping.url))


def test_a_name_server_that_says_nothing_holds_nobody_up(
    apprise: Pager, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, asked, given_up = threading.Event(), list[str](), list[str]()

    def silent(host: str, *more: object, **named: object) -> list[object]:
        asked.append(host)
        given_up.extend([] if over.wait(5.0) else [host])
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(module, "WHOLE_S", 0.3)
    with pytest.raises(PagerError, match="not delivered by JSON"):
        apprise.send(to(page, "json://mute.example/s3cr3t"))
    over.set()
    assert (asked, given_up) == (["mute.example"], [])


def test_beside_a_service_that_drips_the_others_are_told(
    phones: PhonesInThread, apprise: Pager, page: Page, dripping: Dripping
) -> None:
    assert apprise.send(to(page, dripping.url, phones.sink("bob"))) == ""
    phones.expect.assert_paged("bob", "apprise")
