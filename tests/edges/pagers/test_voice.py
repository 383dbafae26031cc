"""Telephone calls over real HTTP: what is said, what comes of them, and every way in which Twilio says no."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from oncall.pagers import Delivery, Page, Pager, PagerError, State, all_pagers
from oncall.settings import PagerSettings, Person
from sandbox.clock import VirtualClock
from sandbox.phones import TOKEN, Habit, PhonesInThread
from sandbox.slack import Fault, Kind

ONE_OUTAGE = "Outage of cluster lab. guest 1 0 1: router 1 does not answer. and 2 more."


@pytest.fixture
def voice(pagers: dict[str, Pager]) -> Pager:
    return pagers["voice"]


@pytest.fixture
def deaf(settings: PagerSettings, clock: VirtualClock) -> Pager:
    """Without a public address."""
    return all_pagers(settings, "", clock)["voice"]


# ---- what is said ----------------------------------------------------------------------------------------------------


def test_the_outage_is_said_twice_with_what_to_press(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    phones.will("bob", Habit(answers=5))
    voice.send(page)
    phones.wind(60)
    phones.expect.assert_paged("bob", "voice")
    [call] = phones.calls("bob")
    assert call.said == [
        f"Hello Bob. This is Roundsman. {ONE_OUTAGE} To acknowledge, press 1.",
        f"Again. {ONE_OUTAGE} To acknowledge, press 1.",
        "No key was pressed, so this is not acknowledged.",
    ]
    assert call.status == "completed"


def test_without_a_public_address_it_says_that_no_key_counts(phones: PhonesInThread, deaf: Pager, page: Page) -> None:
    assert not deaf.acknowledges
    assert "http.public_url is not set" in deaf.warning
    phones.will("bob", Habit(answers=5, presses="1"))
    deaf.send(page)
    phones.wind(60)
    phones.expect.assert_paged("bob", "voice")
    [call] = phones.calls("bob")
    assert call.said[0].endswith("This phone cannot acknowledge. Please answer in Slack.")
    assert not any("press 1" in said for said in call.said)


def test_with_a_public_address_there_is_nothing_to_warn_of(voice: Pager) -> None:
    assert (voice.acknowledges, voice.warning) == (True, "")


def test_text_from_hosts_stays_text(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    phones.will("bob", Habit(answers=1))
    voice.send(replace(page, text='<Hangup/> & "<Say>boo</Say>" \x07 ]]> 💥'))
    phones.wind(60)
    phones.expect.assert_paged("bob", "voice")
    assert '<Hangup/> & "<Say>boo< Say>" ]]>' in phones.calls("bob")[0].said[0]


# ---- what comes of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("habit", "seconds", "state", "why"),
    [
        (Habit(), 10, State.WAITING, ""),
        (Habit(answers=2), 10, State.WAITING, ""),
        (Habit(), 40, State.EXPIRED, "nobody answered"),
        (Habit.voicemail(), 90, State.EXPIRED, "by a person or a voicemail, and no key was pressed"),
        (Habit(line="busy"), 10, State.FAILED, "the line was busy"),
        (Habit(line="dead"), 10, State.FAILED, "could not be put through"),
    ],
    ids=["rings", "talks", "no answer", "voicemail", "busy", "dead line"],
)
def test_an_answered_call_is_no_acknowledgement(
    phones: PhonesInThread, voice: Pager, page: Page, habit: Habit, seconds: float, state: State, why: str
) -> None:
    phones.will("bob", habit)
    sid = voice.send(page)
    phones.wind(seconds)
    if habit.line == "free":
        phones.expect.assert_paged("bob", "voice")
    found = voice.state(sid)
    assert found.state is state
    assert why in found.why


def test_it_stops_ringing_when_somebody_else_has_it(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    sid = voice.send(page)
    phones.wind(5)
    phones.expect.assert_paged("bob", "voice")
    voice.cancel(sid)
    [call] = phones.calls("bob")
    assert (call.status, call.ended) == ("completed", page.at + 5)
    voice.cancel(sid)
    voice.cancel("CA" + "9" * 32)


# ---- a crash in the middle of sending --------------------------------------------------------------------------------


def test_a_call_whose_order_was_cut_off_is_found_while_it_is_still_queued(
    phones: PhonesInThread, voice: Pager, page: Page
) -> None:
    phones.plant(Fault(Kind.CUT, "POST *Calls.json"))
    with pytest.raises(PagerError) as cut:
        voice.send(page)
    assert (str(cut.value), cut.value.permanent) == ("Twilio did not answer: ConnectionError", False)
    [call] = phones.calls("bob")
    assert call.status == "queued"
    assert voice.find(page) == call.sid
    phones.wind(40)
    phones.expect.assert_paged("bob", "voice")
    assert voice.state(call.sid) == Delivery(State.EXPIRED, "nobody answered")


def test_a_call_that_was_never_ordered_is_known_to_be_missing(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    phones.plant(Fault(Kind.LOSE, "POST *Calls.json"))
    with pytest.raises(PagerError):
        voice.send(page)
    assert voice.find(page) == ""


def test_the_call_of_an_earlier_rung_is_not_taken_for_this_one(
    phones: PhonesInThread, voice: Pager, page: Page, next_page: Page
) -> None:
    voice.send(page)
    phones.wind(300)
    phones.expect.assert_paged("bob", "voice")
    assert voice.find(next_page) == ""
    assert voice.find(page) == phones.calls("bob")[0].sid


def test_the_call_of_a_later_page_is_not_taken_for_this_one(
    phones: PhonesInThread, voice: Pager, page: Page, next_page: Page
) -> None:
    """The bot was away for minutes, and another outage has called the same person meanwhile."""
    with_lost_id = voice.send(page)
    phones.wind(300)
    voice.send(next_page)
    phones.wind(40)
    phones.expect.assert_paged("bob", "voice")
    phones.expect.assert_paged("bob", "voice")
    assert voice.find(page) == with_lost_id


def test_the_call_to_somebody_else_is_not_taken_for_this_one(
    phones: PhonesInThread, voice: Pager, page: Page, people: dict[str, Person]
) -> None:
    voice.send(replace(page, person=people["alice"], name="alice"))
    phones.wind(10)
    phones.expect.assert_paged("alice", "voice")
    assert voice.find(page) == ""


# ---- every no --------------------------------------------------------------------------------------------------------


def refused(voice: Pager, page: Page) -> tuple[str, bool]:
    with pytest.raises(PagerError) as no:
        voice.send(page)
    assert TOKEN not in str(no.value)
    return str(no.value), no.value.permanent


def test_a_number_that_is_refused_is_permanent(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    phones.will("bob", Habit(line="refused"))
    expected = "Twilio refused: HTTP 400 21211 The 'To' number is not a valid phone number."
    assert refused(voice, page) == (expected, True)


def test_a_wrong_token_is_permanent(settings: PagerSettings, page: Page, clock: VirtualClock) -> None:
    assert settings.twilio is not None
    wrong = settings.twilio.model_copy(update={"token": SecretStr("another")})
    pager = all_pagers(settings.model_copy(update={"twilio": wrong}), "", clock)["voice"]
    assert refused(pager, page) == ("Twilio refused: HTTP 401 20003 Authenticate", True)
    [line, *_] = pager.check({})
    assert (line.ok, line.remedy) == (False, "check oncall.pagers.twilio.account and ROUNDSMAN_TWILIO_TOKEN")


def test_too_many_calls_and_trouble_are_not_permanent(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    phones.plant(Fault(Kind.LIMIT, "POST *Calls.json"))
    assert refused(voice, page) == ("Twilio refused: HTTP 429 20429 Too Many Requests", False)
    phones.plant(Fault(Kind.BROKEN, "POST *Calls.json"))
    assert refused(voice, page) == ("Twilio refused: HTTP 503", False)


def test_a_call_that_cannot_be_hung_up_is_told(phones: PhonesInThread, voice: Pager, page: Page) -> None:
    sid = voice.send(page)
    phones.wind(2)
    phones.expect.assert_paged("bob", "voice")
    phones.plant(Fault(Kind.BROKEN, "POST *Calls/*"))
    with pytest.raises(PagerError, match="HTTP 503"):
        voice.cancel(sid)


# ---- who can be reached, and check -----------------------------------------------------------------------------------


def test_somebody_without_a_number_cannot_be_reached(voice: Pager, people: dict[str, Person]) -> None:
    assert voice.reaches(people["bob"]) == ""
    assert voice.reaches(Person(slack="U0ALICE")) == "no phone number"


def test_check_calls_nobody(voice: Pager, deaf: Pager, people: dict[str, Person]) -> None:
    assert [(line.ok, line.text) for line in voice.check(people)] == [
        (True, "the account is active; nobody was called")
    ]
    second = list(deaf.check(people))[1]
    assert (second.ok, second.subject) == (False, "voice key press")
    assert second.remedy.startswith("set http.public_url")
