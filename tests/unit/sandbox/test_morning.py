"""The figure of the morning, held: what bench/morning.py prints must stay what it is held to."""

from __future__ import annotations

from bench import morning
from sandbox.invariants import violations


def test_both_routers_serve_within_a_quarter_of_an_hour_and_the_bot_itself_needs_half_a_minute() -> None:
    night = morning.lived()
    assert morning.total_s(night) < 60 * morning.MOST_MIN
    assert morning.own_s(night) < morning.OWN_S
    assert 16 * 2**30 / morning.RATE - 1 < morning.writing_s(night) < 16 * 2**30 / morning.RATE + 1
    assert violations(night) == []
    assert "All of this goes over lte" in night.text
