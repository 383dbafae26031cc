"""What a phone says: identifiers so that they can be understood, no markup, short, and always well-formed XML."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncall.pagers import Page
from oncall.pagers._speech import MOST_SPOKEN, plain, spoken
from oncall.pagers._twiml import announcement, asked_again
from oncall.pagers._twiml import said as one_word
from oncall.settings import Person
from sandbox.phones.twiml import MOST_CHARACTERS, Gather, Say, parse

ACTION = "https://bot.example.org/voice/key?run=outage-lab-1&key=t0.rung0.bob.voice"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("guest 101 on pve2", "guest 1 0 1 on P V E 2"),
        ("router1 and web12", "router 1 and web 1 2"),
        ("1,204 entries pending for 15 minutes", "1,204 entries pending for 15 minutes"),
        ("since 23:41, 3.5 hours", "since 23:41, 3.5 hours"),
        ("vm-101-disk-0 on /bricks/one", "vm 1 0 1 disk 0 on bricks one"),
        ("pve2: 10.0.0.12:8006 does not answer", "P V E 2: does not answer"),
        ("10.0.0.12 is silent", "1 0 dot 0 dot 0 dot 1 2 is silent"),
        ("*Both* are `down` _now_", "Both are down now"),
        ("<https://x.example/a?b=c|the thread> <@U0BOB> <!here>", "the thread"),
        ("see https://x.example/a?b=c", "see"),
        ("<!date^1790000000^{time}|23:41 UTC>", "23:41 UTC"),
        (":fire: &lt;db&gt; &amp; co", "<db> & co"),
        ("🚨 Größe “x” – y …", "Größe x - y ."),
        ("a\x00b\x0bc\nd\ud800e", "a b c d e"),
        ("", ""),
    ],
)
def test_spoken(written: str, said: str) -> None:
    assert spoken(written) == said


def test_a_long_text_ends_with_a_thought() -> None:
    said = spoken("Outage of lab. " + "router1 does not answer within 3 s; " * 20)
    assert len(said) <= MOST_SPOKEN
    assert said.endswith("router 1 does not answer within 3 s.")


def test_a_long_text_without_a_pause_is_cut_between_words() -> None:
    said = spoken("one more guest is down " * 40)
    assert len(said) <= MOST_SPOKEN
    assert said.removesuffix(".").split()[-1] in ("one", "more", "guest", "is", "down")


def test_plain_keeps_links_for_those_who_can_click() -> None:
    assert plain("*a* <https://x.example/y> <https://x.example/z|z>") == "a https://x.example/y z"


def page(title: str, text: str) -> Page:
    return Page("outage-lab-1", "k", "bob", Person(slack="U0BOB"), title, text, "", 0.0)


@given(st.text(), st.text(), st.booleans())
def test_whatever_hosts_say_it_is_twiml_that_twilio_takes(title: str, text: str, public: bool) -> None:
    document = announcement(page(title, text), "alice", ACTION if public else "")
    assert len(document) <= MOST_CHARACTERS
    verbs = parse(document)
    assert isinstance(verbs[0], Gather if public else Say)


def test_the_key_goes_to_the_address_as_it_was_given() -> None:
    [gather, _] = parse(announcement(page("t", "x"), "alice", ACTION))
    assert isinstance(gather, Gather)
    assert (gather.action, gather.method) == (ACTION, "POST")


def test_without_a_name_the_person_is_called_as_in_the_settings() -> None:
    assert "Hello bob." in announcement(page("t", "x"), "alice", "")


def test_the_answers_are_twiml_too() -> None:
    assert fromstring(one_word("alice", "a < b & c")).tag == "Response"
    [gather] = parse(asked_again("alice", ACTION))
    assert isinstance(gather, Gather)
