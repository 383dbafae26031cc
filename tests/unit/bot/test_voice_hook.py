"""The key press on its way back: only Twilio's own word counts, once, and whoever pressed 1 is heard."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.voice import VoiceHook, signature
from oncall.duty import Duty
from oncall.settings import OnCallSettings, TwilioSettings
from sandbox.cast import BOB
from sandbox.phones.twiml import Gather, Say, parse
from sandbox.simpagers import ONCALL
from store.api import PageRow, RunRow
from store.memory import MemoryStore
from workflows.site import Watchers

NOW = 1_795_478_400.0
RUN, KEY, SID = "outage-lab-1", "t0.rung1.bob.voice", "CA" + "7" * 32
TOKEN, PUBLIC = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "https://bot.example.org"
PATH = f"/voice/key?{urlencode({'run': RUN, 'key': KEY})}"


class Line:
    """An outage about which Bob is being called."""

    def __init__(self, public_url: str = PUBLIC) -> None:
        self.store = MemoryStore(check_plain=True)
        args = {"turn": 0, "mode": "ring", "policy": "default", "void_before": 0.0}
        self.store.start_run(RunRow(RUN, "outage", "lab", args, "active", NOW, "roundsman", NOW))
        self.page = PageRow(RUN, KEY, "bob", "voice", "sent", NOW, NOW, SID)
        self.store.page(self.page)
        settings = OnCallSettings.model_validate(ONCALL)
        watchers = Watchers(settings, lambda: Duty(settings), {})
        twilio = TwilioSettings(account="AC" + "0" * 32, caller="+15005550006", token=SecretStr(TOKEN))
        self.hook = VoiceHook(self.store, watchers, twilio, public_url, lambda: NOW + 30)

    def press(self, key: str = "1", sid: str = SID, path: str = PATH, signed: str | None = None) -> tuple[int, str]:
        form = {"CallSid": sid, "Digits": key, "From": "+15005550006", "To": "+4915222"}
        good = signature(TOKEN, f"{PUBLIC}{path}", form)
        answer = self.hook.key_pressed(path, good if signed is None else signed, form)
        return answer.status, answer.body

    def orders(self) -> list[tuple[str, str, str]]:
        return [(order.verb, order.by, order.reason) for order in self.store.orders(RUN)]

    def state(self) -> str:
        return self.store.pages(RUN)[0].state


@pytest.fixture
def line() -> Line:
    return Line()


def spoken(answer: tuple[int, str]) -> str:
    assert answer[0] == 200
    [verb] = parse(answer[1])
    assert isinstance(verb, Say)
    return verb.text


# ---- the key ---------------------------------------------------------------------------------------------------------


def test_a_one_acknowledges_in_the_name_of_whoever_was_called(line: Line) -> None:
    assert spoken(line.press()) == "Acknowledged. Thank you. It is yours now."
    assert line.orders() == [("ack", BOB, "voice")]
    assert line.state() == "acknowledged"
    run = line.store.run(RUN)
    assert run is not None
    assert run.poked


def test_a_drill_is_answered_and_gives_nobody_an_outage(line: Line) -> None:
    drill = "test-bob-1"
    line.store.start_run(RunRow(drill, "pager_test", "lab", {}, "active", NOW, "U0BOB", NOW))
    line.store.page(replace(line.page, run_id=drill, receipt="CA" + "8" * 32))
    assert spoken(line.press(sid="CA" + "8" * 32)) == "Acknowledged. Thank you."
    assert [order.verb for order in line.store.orders(drill)] == ["ack"]


@pytest.mark.parametrize("key", ["2", "", "11", "#"])
def test_another_key_is_asked_again_in_the_same_call(line: Line, key: str) -> None:
    status, body = line.press(key)
    [gather] = parse(body)
    assert isinstance(gather, Gather)
    assert (status, gather.action) == (200, f"{PUBLIC}{PATH}")
    assert line.orders() == []
    assert line.state() == "sent"


def test_a_press_that_arrives_twice_counts_once(line: Line) -> None:
    first, again = line.press(), line.press()
    assert first == again
    assert len(line.orders()) == 1


def test_a_replay_a_night_later_takes_nothing(line: Line) -> None:
    """The acknowledgement has gone stale meanwhile, the ladder rings again, and somebody plays the old request back."""
    line.press()
    line.hook._clock = lambda: NOW + 86400
    line.press()
    [order] = line.store.orders(RUN)
    assert order.at == NOW + 30


def test_after_the_end_it_says_so(line: Line) -> None:
    line.store.finish(RUN, {}, NOW)
    assert spoken(line.press()) == "It is over already. Thank you."
    assert line.orders() == []


def test_somebody_who_left_the_settings_while_the_phone_rang_is_heard(line: Line) -> None:
    line.store.page(replace(line.page, person="zoe"))
    line.press()
    assert line.orders() == [("ack", "zoe", "voice")]


# ---- which call ------------------------------------------------------------------------------------------------------


def test_a_call_whose_id_a_crash_lost_is_known_by_its_page(line: Line) -> None:
    """The order for the call was cut off: the row is there, without a receipt."""
    line.store.page(replace(line.page, state="sending", receipt=""))
    spoken(line.press())
    assert line.orders() == [("ack", BOB, "voice")]
    assert line.store.pages(RUN)[0].receipt == SID


@pytest.mark.parametrize(
    "path",
    ["/voice/key", "/voice/key?run=x&key=y", f"/voice/key?run={RUN}&key=t0.rung9.bob.voice", "/voice/key?run=&key="],
)
def test_an_unknown_call_is_not_found(line: Line, path: str) -> None:
    assert line.press(sid="CA" + "9" * 32, path=path) == (404, "no such call\n")
    assert line.press(sid="", path=path) == (404, "no such call\n")
    assert line.orders() == []


def test_a_push_is_not_acknowledged_by_a_telephone(line: Line) -> None:
    line.store.page(PageRow(RUN, "t0.rung1.bob.pushover", "bob", "pushover", "sent", NOW, NOW))
    path = f"/voice/key?{urlencode({'run': RUN, 'key': 't0.rung1.bob.pushover'})}"
    assert line.press(sid="CA" + "9" * 32, path=path)[0] == 404


# ---- the signature ---------------------------------------------------------------------------------------------------

DOCUMENTED = [
    (
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675309",
            "Digits": "1234",
            "From": "+14158675309",
            "To": "+18005551212",
        },
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    ),
    (
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        {
            "To": "+18005551212",
            "From": "+12349013030",
            "Digits": "1234",
            "Caller": "+12349013030",
            "CallSid": "CA1234567890ABCDE",
        },
        "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
    ),
]


@pytest.mark.parametrize(("token", "url", "form", "signed"), DOCUMENTED)
def test_the_signatures_that_twilio_documents(token: str, url: str, form: dict[str, str], signed: str) -> None:
    assert signature(token, url, form) == signed


@pytest.mark.parametrize("signed", ["", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "ß" * 28, "\udcff" * 28])
def test_a_bad_signature_is_forbidden_and_does_nothing(line: Line, signed: str) -> None:
    assert line.press(signed=signed) == (403, "the signature is not Twilio's\n")
    assert line.orders() == []
    assert line.state() == "sent"


@given(st.sampled_from(["CallSid", "Digits", "To", "extra"]), st.text(min_size=1))
def test_whatever_is_changed_breaks_the_signature(field: str, value: str) -> None:
    line = Line()
    form = {"CallSid": SID, "Digits": "2", "To": "+4915222"}
    signed = signature(TOKEN, f"{PUBLIC}{PATH}", form)
    changed = form | {field: value}
    status = line.hook.key_pressed(PATH, signed, changed).status
    assert status == (200 if changed == form else 403)


def test_another_address_breaks_the_signature(line: Line) -> None:
    form = {"CallSid": SID, "Digits": "1"}
    elsewhere = signature(TOKEN, f"https://evil.example{PATH}", form)
    assert line.hook.key_pressed(PATH, elsewhere, form).status == 403
    assert line.hook.key_pressed(f"{PATH}&x=1", signature(TOKEN, f"{PUBLIC}{PATH}", form), form).status == 403


@pytest.mark.parametrize("public", ["https://bot.example.org:443/", "https://bot.example.org/"])
def test_a_standard_port_may_be_written_or_not(public: str) -> None:
    form = {"CallSid": SID, "Digits": "1"}
    for spelling in ("https://bot.example.org", "https://bot.example.org:443"):
        hook = Line(public).hook
        assert hook.key_pressed(PATH, signature(TOKEN, f"{spelling}{PATH}", form), form).status == 200


def test_without_a_token_nothing_is_believed() -> None:
    line = Line()
    line.hook._twilio = line.hook._twilio.model_copy(update={"token": SecretStr("")})
    form = {"CallSid": SID, "Digits": "1"}
    assert line.hook.key_pressed(PATH, signature("", f"{PUBLIC}{PATH}", form), form).status == 403
