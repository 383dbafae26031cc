"""Pushover over real HTTP: a receipt is kept, polled no faster than allowed, cancelled; and every way it says no."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from oncall.pagers import Page, Pager, PagerError, State, all_pagers
from oncall.settings import PagerSettings, Person
from sandbox.clock import VirtualClock
from sandbox.phones import APP_TOKEN, PhonesInThread
from sandbox.slack import Fault, Kind


@pytest.fixture
def pushover(pagers: dict[str, Pager]) -> Pager:
    return pagers["pushover"]


def test_a_push_rings_until_it_is_acknowledged(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    receipt = pushover.send(page)
    phones.expect.assert_paged("bob", "pushover", says="Outage of cluster lab: guest 101: router1 does not answer")
    assert pushover.state(receipt).state is State.WAITING
    phones.wind(65)
    assert phones.pushes_to("bob")[0].rings(page.at + 65) == 3

    phones.tap("bob")
    answered = pushover.state(receipt)
    assert (answered.state, answered.at) == (State.ACKNOWLEDGED, page.at + 65)
    phones.wind(600)
    assert phones.pushes_to("bob")[0].rings(page.at + 665) == 3


def test_it_is_an_emergency_and_leads_to_the_thread(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    pushover.send(page)
    phones.expect.assert_paged("bob", "pushover")
    [push] = phones.pushes_to("bob")
    assert (push.retry, push.expire, push.tags[:10]) == (30, 3600, "roundsman-")


def test_a_receipt_is_asked_for_every_five_seconds_at_most(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    """What comes between is told from what was seen last: the company's `faults` would name a poll that is too fast."""
    receipt = pushover.send(page)
    phones.expect.assert_paged("bob", "pushover")
    assert pushover.state(receipt).state is State.WAITING
    phones.tap("bob")
    phones.wind(4.9)
    assert pushover.state(receipt).state is State.WAITING
    phones.wind(0.1)
    assert pushover.state(receipt).state is State.ACKNOWLEDGED
    assert pushover.state(receipt).state is State.ACKNOWLEDGED


def test_a_push_that_nobody_answers_expires(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    receipt = pushover.send(page)
    phones.expect.assert_paged("bob", "pushover")
    phones.wind(3600)
    assert pushover.state(receipt).state is State.EXPIRED
    assert "nobody tapped" in pushover.state(receipt).why


def test_it_stops_when_somebody_else_has_it(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    receipt = pushover.send(page)
    phones.expect.assert_paged("bob", "pushover")
    phones.wind(10)
    pushover.cancel(receipt)
    assert phones.pushes_to("bob")[0].quiet(page.at + 10) == page.at + 10
    pushover.cancel(receipt)


# ---- a crash in the middle of sending --------------------------------------------------------------------------------


def test_a_push_whose_receipt_was_lost_is_silenced_and_sent_again(
    phones: PhonesInThread, pushover: Pager, page: Page
) -> None:
    """Else it would ring on for an hour after somebody has acknowledged, and nobody could stop it."""
    phones.plant(Fault(Kind.CUT, "POST /1/messages.json"))
    with pytest.raises(PagerError) as cut:
        pushover.send(page)
    assert not cut.value.permanent
    phones.expect.assert_paged("bob", "pushover")

    assert pushover.find(page) is None
    pushover.send(page)
    phones.expect.assert_paged("bob", "pushover")
    first, second = phones.pushes_to("bob")
    assert (first.quiet(page.at + 60), second.quiet(page.at + 60)) == (page.at, None)


def test_a_push_that_never_arrived_is_known_to_be_missing(
    phones: PhonesInThread, pushover: Pager, page: Page, next_page: Page
) -> None:
    """Only this page's tag is asked about: another page to the same person rings on."""
    pushover.send(next_page)
    phones.expect.assert_paged("bob", "pushover")
    phones.plant(Fault(Kind.LOSE, "POST /1/messages.json"))
    with pytest.raises(PagerError, match="Pushover did not answer: ConnectionError"):
        pushover.send(page)
    assert pushover.find(page) == ""
    assert phones.pushes_to("bob")[0].quiet(page.at) is None


# ---- every no --------------------------------------------------------------------------------------------------------


def refused(pushover: Pager, page: Page) -> tuple[str, bool]:
    with pytest.raises(PagerError) as no:
        pushover.send(page)
    assert APP_TOKEN not in str(no.value)
    assert page.person.pushover.get_secret_value() not in str(no.value)
    return str(no.value), no.value.permanent


def test_a_wrong_user_key_is_permanent(pushover: Pager, page: Page) -> None:
    nobody = page.person.model_copy(update={"pushover": SecretStr("u" + "9" * 29)})
    said = refused(pushover, replace(page, person=nobody))
    assert said == (
        "Pushover refused: HTTP 400 user identifier is not a valid user, group, or subscribed user key",
        True,
    )


def test_a_wrong_token_is_permanent(settings: PagerSettings, page: Page, clock: VirtualClock) -> None:
    assert settings.pushover is not None
    wrong = settings.pushover.model_copy(update={"token": SecretStr("a" + "9" * 29)})
    pager = all_pagers(settings.model_copy(update={"pushover": wrong}), "", clock)["pushover"]
    assert refused(pager, page) == ("Pushover refused: HTTP 400 application token is invalid", True)


def test_a_quota_that_is_used_up_is_permanent(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    """It is a 429, but it lasts until the next month: the next rung must not wait for it."""
    phones.pushes.over_quota = True
    assert refused(pushover, page) == ("Pushover refused: HTTP 429 application has exceeded its quota", True)


def test_trouble_at_pushover_is_not_permanent(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    phones.plant(Fault(Kind.BROKEN, "POST /1/messages.json"))
    assert refused(pushover, page) == ("Pushover refused: HTTP 503", False)


def test_a_service_that_hangs_is_given_up_in_time(
    phones: PhonesInThread, settings: PagerSettings, page: Page, clock: VirtualClock
) -> None:
    phones.plant(Fault(Kind.DELAY, "POST /1/messages.json", seconds=30.0))
    brief = all_pagers(settings.model_copy(update={"timeout": 0.2}), "", clock)["pushover"]
    assert refused(brief, page) == ("Pushover did not answer: ReadTimeout", False)


def test_nobody_at_that_address(settings: PagerSettings, page: Page, clock: VirtualClock) -> None:
    assert settings.pushover is not None
    nowhere = settings.pushover.model_copy(update={"url": "http://127.0.0.1:9/1/"})
    pager = all_pagers(settings.model_copy(update={"pushover": nowhere}), "", clock)["pushover"]
    assert refused(pager, page) == ("Pushover did not answer: ConnectionError", False)
    with pytest.raises(PagerError) as silent:
        pager.state("r1")
    assert APP_TOKEN not in f"{silent.value!r} {silent.value.__cause__!r}"


def test_a_text_that_is_too_long_is_cut(phones: PhonesInThread, pushover: Pager, page: Page) -> None:
    pushover.send(replace(page, title="t" * 400, text="x" * 5000, link="https://x/" + "y" * 600))
    told = phones.expect.assert_paged("bob", "pushover")
    assert len(told.text) == 250 + len(": ") + 1024


# ---- who can be reached, and check -----------------------------------------------------------------------------------


def test_somebody_without_a_key_cannot_be_reached(pushover: Pager, people: dict[str, Person]) -> None:
    assert pushover.reaches(people["bob"]) == ""
    assert pushover.reaches(Person(slack="U0ALICE")) == "no Pushover user key"


def test_check_asks_without_ringing(pushover: Pager, people: dict[str, Person]) -> None:
    lines = list(pushover.check({"bob": people["bob"], "eve": Person(slack="U0EVE")}))
    assert [(line.ok, line.subject, line.text) for line in lines] == [
        (True, "pushover bob", "Pushover knows the key, devices: 1; nothing was rung")
    ]


def test_check_tells_what_to_mend(pushover: Pager) -> None:
    eve = Person(slack="U0EVE", pushover=SecretStr("u" + "9" * 29))
    [line] = pushover.check({"eve": eve})
    assert not line.ok
    assert line.remedy == "check ROUNDSMAN_PUSHOVER_TOKEN, and this person's ROUNDSMAN_PUSHOVER_USER_... key"
