"""What the phone says, as TwiML. Shared by the call's first words and by the answers to a key press (bot/voice.py)."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from oncall.pagers import Page
from oncall.pagers._speech import spoken

WAIT_S = 10
"""For a key, after the last word."""
PRESS = "To acknowledge, press 1."
NO_KEY_HERE = "This phone cannot acknowledge. Please answer in Slack."


def announcement(page: Page, voice: str, action: str) -> str:
    """The outage, said twice. `action`: where a key press goes, "" if none can arrive."""
    who = page.person.name or page.name
    outage = _sentence(f"{_sentence(page.title)} {page.text}")
    ask = PRESS if action else NO_KEY_HERE
    first = _say(voice, f"Hello {spoken(who)}. This is Roundsman. {outage} {ask}")
    said = first + '<Pause length="1"/>' + _say(voice, f"Again. {outage} {ask}")
    if not action:
        return _response(said)
    return _response(_gather(action, said) + _say(voice, "No key was pressed, so this is not acknowledged."))


def asked_again(voice: str, action: str) -> str:
    """After another key than 1."""
    return _response(_gather(action, _say(voice, f"That was another key. {PRESS}")))


def said(voice: str, text: str) -> str:
    return _response(_say(voice, text))


def _gather(action: str, inside: str) -> str:
    where = f'input="dtmf" numDigits="1" method="POST" timeout="{WAIT_S}" action={quoteattr(action)}'
    return f"<Gather {where}>{inside}</Gather>"


def _say(voice: str, text: str) -> str:
    return f"<Say voice={quoteattr(voice)}>{escape(text)}</Say>"


def _response(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'


def _sentence(text: str) -> str:
    said = spoken(text)
    return said if said.endswith((".", "!", "?")) else f"{said}."
