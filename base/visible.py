"""What machines say, on its way to a terminal."""

from __future__ import annotations

import re

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but line breaks and tabs, and those that turn the direction of reading."""


def visible(text: str) -> str:
    """Steers no terminal: an escape sequence is shown as "\\x1b[2J", not obeyed."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
