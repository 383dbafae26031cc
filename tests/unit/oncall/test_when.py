"""Times as people type them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from oncall.when import NotATime, moment
from tests.unit.oncall.people import told, when

NOW = when("2026-03-25T12:00")  # a Wednesday; the clocks change on Sunday
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("18:00", "Wed 25 18:00 +0100"),
        ("9:30", "Thu 26 09:30 +0100"),
        ("12:00", "Thu 26 12:00 +0100"),
        ("today 18:00", "Wed 25 18:00 +0100"),
        ("tomorrow", "Thu 26 00:00 +0100"),
        ("Tomorrow 09:00", "Thu 26 09:00 +0100"),
        ("mon 09:00", "Mon 30 09:00 +0200"),
        ("wednesday", "Wed 01 00:00 +0200"),
        ("2026-12-24 18:00", "Thu 24 18:00 +0100"),
        ("2026-12-24T18:00", "Thu 24 18:00 +0100"),
        ("2026-12-24", "Thu 24 00:00 +0100"),
        ("sun 02:30", "Sun 29 03:00 +0200"),
        ("4h", "Wed 25 16:00 +0100"),
        ("7d", "Wed 01 13:00 +0200"),
    ],
)
def test_what_is_understood(typed: str, expected: str) -> None:
    at, rest = moment(typed.split(), NOW, BERLIN)
    assert (told(at), rest) == (expected, [])


def test_what_follows_is_left() -> None:
    assert moment(["mon", "09:00", "primary"], NOW, BERLIN)[1] == ["primary"]
    assert moment(["tomorrow", "primary"], NOW, BERLIN)[1] == ["primary"]


@pytest.mark.parametrize(
    "typed", ["", "soon", "25:00", "12:60", "2026-02-30", "month", "18", "2026-12-24T25:00", "4", "-4h"]
)
def test_what_is_not_is_told_with_what_would_be(typed: str) -> None:
    with pytest.raises(NotATime) as caught:
        moment(typed.split(), NOW, BERLIN)
    said = f'"{typed}" is no time' if typed else "a time is missing"
    assert str(caught.value).startswith(f"{said}; write `18:00`, `tomorrow 09:00`, `mon 09:00`")
