"""A whole ladder over real HTTP: the real workflow and journal, the real pagers, the telephone company, and the key
press on its way back through the real webhook. Time is wound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from bot.http import Http
from bot.http_settings import HttpSettings
from bot.voice import VoiceHook
from oncall.pagers import Page, Pager, all_pagers
from oncall.settings import PagerSettings
from sandbox.cast import BOB
from sandbox.clock import VirtualClock
from sandbox.nightwatch import MIDNIGHT, NightWatch
from sandbox.phones import APP_TOKEN, CAST, TOKEN, Habit, LocalPhones, PhonesInThread, run_in_thread
from sandbox.slack import Fault, Kind
from sandbox.sockets import free_port
from store.api import PageRow

RUNGS = [
    {"who": ["alice"], "how": ["mention", "pushover", "voice"], "wait": "5m"},
    {"who": ["bob"], "how": ["mention", "voice", "apprise"], "wait": "5m"},
]


class Night(NightWatch):
    """A night whose phones are real."""

    def __init__(self, phones: PhonesInThread, clock: VirtualClock, public_url: str) -> None:
        self.phones = phones
        tokens = {"pushover": APP_TOKEN, "twilio": TOKEN}
        section = {name: {**given, "token": tokens[name]} for name, given in phones.section().items()}
        self.settings = PagerSettings.model_validate({**section, "timeout": "20s"})
        self.real = all_pagers(self.settings, public_url, clock)
        people = {
            one.name: {
                "slack": f"U0{one.name.upper()}",
                "phone": one.phone,
                "pushover": one.pushover,
                "apprise": [phones.sink(one.name)],
            }
            for one in CAST
        }
        policy = {"name": "default", "rungs": RUNGS}
        super().__init__({"people": people, "policies": [policy], "last_resort": ["carol"]}, clock=clock)

    def _pagers(self) -> Mapping[str, Pager]:
        return self.real

    def live(self, minutes: float) -> None:
        """Second by second: the phones first, then the bot."""
        for _ in range(round(minutes * 60)):
            self.phones.wind(1)
            self.settle()

    def mentioned(self, who: str) -> None:
        self.assert_paged(who, "mention")

    def pages(self) -> list[PageRow]:
        return self.store.pages(self.outages()[0].id)


@contextmanager
def answering(hook: Callable[[str], VoiceHook]) -> Iterator[str]:
    """The bot's own HTTP server with the phone's way back; its address. `hook` is made for that address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    faults: list[BaseException] = []
    http = Http(HttpSettings(port=port), hook(url).routes, faults.append)
    http.start()
    yield url
    http.stop()
    assert faults == []


@pytest.fixture
def night() -> Iterator[Night]:
    clock = VirtualClock(MIDNIGHT)
    nights: list[Night] = []

    def hook(url: str) -> VoiceHook:
        night = Night(phones, clock, url)
        nights.append(night)
        assert night.watchers is not None
        assert night.settings.twilio is not None
        return VoiceHook(night.store, night.watchers, night.settings.twilio, url, clock)

    with run_in_thread(LocalPhones(clock)) as phones, answering(hook):
        yield nights[0]
        phones.expect.assert_nobody_paged()
        nights[0].assert_quiet()
        assert phones.company.faults == []


def first_rung(night: Night) -> None:
    night.mentioned("alice")
    night.phones.expect.assert_paged("alice", "pushover")
    night.phones.expect.assert_paged("alice", "voice")


def test_the_sleeper_does_not_answer_and_the_second_presses_one(night: Night) -> None:
    night.phones.will("bob", Habit(answers=8, presses="1", after=12))
    night.dies("router-a (101)", "does not answer")
    night.live(5.2)
    first_rung(night)
    night.mentioned("bob")
    night.phones.expect.assert_paged("bob", "voice")
    night.phones.expect.assert_paged("bob", "apprise")
    night.live(0.5)

    [call] = night.phones.calls("bob")
    assert "router a (1 0 1): does not answer" in call.said[0]
    assert call.said[-1] == "Acknowledged. Thank you. It is yours now."
    assert [order.by for order in night.store.orders(night.outages()[0].id)] == [BOB]
    night.assert_said("@bob has it; nothing rings any more")
    [push] = night.phones.pushes_to("alice")
    assert push.cancelled is not None
    night.live(2)


def test_a_tap_on_the_push_hangs_the_phone_up(night: Night) -> None:
    night.dies("router-a (101)", "does not answer")
    night.live(0.1)
    first_rung(night)
    night.phones.tap("alice")
    night.live(0.3)
    night.assert_said("@alice has it; nothing rings any more")
    [call] = night.phones.calls("alice")
    assert call.status == "completed"
    assert call.said == []


def test_a_voicemail_is_no_answer(night: Night) -> None:
    night.phones.will("alice", Habit.voicemail())
    night.dies("router-a (101)", "does not answer")
    night.live(2)
    first_rung(night)
    voice = next(page for page in night.pages() if page.how == "voice")
    assert (voice.state, voice.error) == (
        "expired",
        "it was answered, by a person or a voicemail, and no key was pressed",
    )
    assert night.store.orders(night.outages()[0].id) == []


def test_another_key_is_asked_again(night: Night) -> None:
    night.phones.will("alice", Habit(answers=3, presses="71", after=6))
    night.dies("router-a (101)", "does not answer")
    night.live(0.5)
    first_rung(night)
    [call] = night.phones.calls("alice")
    assert call.said[1:] == [
        "That was another key. To acknowledge, press 1.",
        "Acknowledged. Thank you. It is yours now.",
    ]
    assert call.keys == "71"


def test_a_line_that_breaks_after_the_call_was_ordered_rings_once(night: Night) -> None:
    """The second try finds the call of the first one, and can hang it up."""
    night.phones.plant(Fault(Kind.CUT, "POST *Calls.json"))
    night.dies("router-a (101)", "does not answer")
    night.live(0.3)
    first_rung(night)
    [call] = night.phones.calls("alice")
    assert [page.receipt for page in night.pages() if page.how == "voice"] == ["", call.sid]


class Crash(BaseException):
    """The process ends here, as by SIGKILL: nobody catches it."""


@pytest.mark.parametrize("how", ["voice", "pushover"])
@pytest.mark.parametrize("done", [True, False], ids=["after the service had it", "before it had it"])
def test_a_bot_that_is_killed_in_the_middle_of_sending_rings_once(
    night: Night, monkeypatch: pytest.MonkeyPatch, how: str, done: bool
) -> None:
    """The next start asks the service, or silences what nobody could cancel any more."""
    pager = night.real[how]
    send = pager.send

    def killed(page: Page) -> str:
        if done:
            send(page)
        raise Crash

    with monkeypatch.context() as dying:
        dying.setattr(pager, "send", killed)
        with pytest.raises(Crash):
            night.dies("router-a (101)", "does not answer")
    night.live(0.3)
    night.mentioned("alice")
    for way in ("pushover", "voice"):
        night.phones.expect.assert_paged("alice", way)
    if how == "pushover" and done:
        night.phones.expect.assert_paged("alice", "pushover")
        assert night.phones.pushes_to("alice")[0].cancelled is not None
    [call] = night.phones.calls("alice")
    ringing = [push.receipt for push in night.phones.pushes_to("alice") if push.cancelled is None]
    receipts = {page.how: page.receipt for page in night.pages() if page.how != "mention"}
    assert receipts == {"voice": call.sid, "pushover": ringing[0]}
    assert len(ringing) == 1


def test_a_key_press_is_heard_although_the_calls_id_was_lost(night: Night) -> None:
    night.phones.will("alice", Habit(answers=1, presses="1", after=2))
    night.phones.plant(Fault(Kind.CUT, "POST *Calls.json"))
    night.dies("router-a (101)", "does not answer")
    night.live(0.15)
    first_rung(night)
    night.assert_said("@alice has it; nothing rings any more")
    assert len(night.phones.calls("alice")) == 1


def test_a_refused_number_brings_the_next_rung_at_once(night: Night) -> None:
    night.phones.will("alice", Habit(line="refused"))
    night.phones.pushes.over_quota = True
    night.dies("router-a (101)", "does not answer")
    night.mentioned("alice")
    night.live(0.1)
    night.mentioned("bob")
    night.phones.expect.assert_paged("bob", "voice")
    night.phones.expect.assert_paged("bob", "apprise")
    failed = [page.error for page in night.pages() if page.state == "failed"]
    assert failed == [
        "Pushover refused: HTTP 429 application has exceeded its quota",
        "Twilio refused: HTTP 400 21211 The 'To' number is not a valid phone number.",
    ]
