"""Text as a telephone should say it: short, no markup, identifiers letter by letter where nobody could read them."""

from __future__ import annotations

import html
import re
from unicodedata import category, normalize

MOST_SPOKEN = 240
"""Characters: about twenty seconds. Whoever was asleep takes in no more, and hears it twice."""

_MARKUP: tuple[tuple[str, str], ...] = (
    (r"<!date\^[^|>]*\|([^>]*)>", r"\1"),
    (r"<(?:https?|mailto):[^|>]*\|([^>]*)>", r"\1"),
    (r"<(https?://[^|>]+)>", r"\1"),
    (r"<[@!#][^>]*>", ""),
    (r"(?<!\w):[a-z0-9_+-]+:(?!\w)", ""),
    (r"[*~`]|(?<!\w)_|_(?!\w)", ""),
)
_PLACE = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}:\d+\b\s*")
"""Address and port: it stands beside a name, and nobody writes it down at night."""
_IP = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_NAME = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*\d)\w+\b")
"""A word of letters and digits: pve2, vm101."""
_NUMBER = re.compile(r"(?<![\d.,:])\d{3,}(?![\d.,:]*\d)")
"""An identifier: 101, not 1,204 pending and not 23:41."""


def plain(text: str) -> str:
    """Slack's mrkdwn as plain text, for services that would show its marks."""
    for pattern, instead in _MARKUP:
        text = re.sub(pattern, instead, text)
    return html.unescape(text).strip()


def spoken(text: str) -> str:
    """Plain words. Not escaped for XML: that is done where the XML is made."""
    text = _sayable(re.sub(r"https?://\S+", "", plain(text)))  # nobody writes an address down at night
    text = _PLACE.sub("", text)
    text = _IP.sub(lambda found: " dot ".join(_digits(part) for part in found[0].split(".")), text)
    text = _NAME.sub(lambda found: _name(found[0]), text)
    text = _NUMBER.sub(lambda found: _digits(found[0]), text)
    return _short(" ".join(re.sub(r"[-_/\\|]+(?=\w)", " ", text).split()))


def _sayable(text: str) -> str:
    """No emoji, and no character that XML forbids."""
    return "".join(_SAID.get(char, " " if category(char) in _UNSAID else char) for char in normalize("NFC", text))


_UNSAID = frozenset({"So", "Sk", "Cc", "Cf", "Cs", "Co", "Cn"})
_SAID = {"–": "-", "—": ", ", "…": ".", "’": "'", "“": "", "”": "", "→": " to ", "\ufe0f": ""}


def _digits(number: str) -> str:
    return " ".join(number)


def _name(word: str) -> str:
    """pve2 -> "P V E 2", router1 -> "router 1": without a vowel nobody can say it as a word."""
    parts = re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]+", word)
    return " ".join(_letters(part) if part.isalpha() else _digits(part) for part in parts)


def _letters(part: str) -> str:
    return part if re.search("(?i)[aiouy]|e(?!$)", part) or len(part) > 4 else " ".join(part.upper())


def _short(text: str) -> str:
    """Cut where a thought ends, if one ends late enough; else between two words."""
    if len(text) <= MOST_SPOKEN:
        return text
    kept = text[:MOST_SPOKEN]
    end = max(kept.rfind(mark) for mark in (". ", "; ", ", "))
    return (kept[:end] if end > MOST_SPOKEN // 2 else kept.rpartition(" ")[0].rstrip(",;:.")) + "."
