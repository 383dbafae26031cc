"""The seconds of the 2017 midnight, held to what people may rely on (bench/midnight.py prints them)."""

from __future__ import annotations

import pytest

from bench import midnight


@pytest.mark.slow
def test_found_mentioned_rung_and_answered_in_time() -> None:
    found = midnight.seconds()
    assert {what: round(after) for what, after, _ in found} == {
        "the outage": 24,
        "the first mention": 24,
        "the first telephone that rings": 24,
        "the second person, who presses 1": 349,
    }
    assert all(after <= most for _, after, most in found)
