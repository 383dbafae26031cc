"""A guest that the run has shut down, and what keeps it down for longer than people were told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.night import Night
from sandbox.scenario import load

USUAL = load(Path("tests/scenarios/guest-that-cannot-move"))
UNDER_HA = load(Path("tests/scenarios/ha-guest-stays-down"))


@pytest.mark.parametrize(
    ("told", "fault", "why"),
    [
        (USUAL, {"kind": "start-fails", "guest": 105}, "in vain for guest 105 to run again"),
        (UNDER_HA, {"kind": "backup-running", "guest": 101, "at": 145}, "in vain for gates to open"),
    ],
    ids=["it does not start", "the gates of maintenance mode shut"],
)
def test_a_guest_that_stays_down_because_of_us_wakes_people(told: Any, fault: dict[str, Any], why: str) -> None:
    """No node was away any more, or none yet: the hold was a note in the thread, and nobody knew until the morning."""
    night = Night(replace(told, faults=(fault,), lasts=5 * 3600.0)).live()
    assert [text for _, text in night.pages if why in text]
