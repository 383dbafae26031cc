"""The bot's clock jumps ahead while it waits: what a wait has not seen becomes a hold, never a "go on"."""

from __future__ import annotations

from typing import Any

from sandbox.invariants import violations
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario
from sandbox.spec import default_spec

HOUR = 3600.0
ALICE_STARTS = Cue("alice", at=0.0, types="/upgrade cluster")
CAROL_APPROVES = Cue("carol", when="asked", after=120.0, each=True, reacts="white_check_mark")
HEAL_STUCK = {"kind": "heal-stuck", "after": "reboot pve3"}


def jump(when: str, hours: float, after: float = 1.0) -> Cue:
    """`after` seconds after this message: the bot's next look is made with a clock so many hours ahead."""
    return Cue(when=when, after=after, bot="down", lasts=hours * HOUR)


def lived(*cues: Cue, faults: tuple[Any, ...] = ()) -> Night:
    return Night(Scenario("clock-jumps", "", default_spec(), faults, (ALICE_STARTS, *cues), lasts=20 * HOUR)).live()


def acts(night: Night, verb: str) -> list[str]:
    return [sent.about for sent in night.sent if sent.verb == verb]


def test_a_heal_that_is_past_its_limit_all_of_a_sudden_holds_and_no_other_node_is_touched() -> None:
    night = lived(CAROL_APPROVES, jump("said now the storage heals", 13, after=600.0), faults=(HEAL_STUCK,))
    assert "I hold: waited 12 hours in vain for the storage to be fully healed" in night.text
    assert acts(night, "reboot") == ["pve3"]
    assert violations(night) == []


def test_a_request_that_nobody_answered_expires_into_a_hold() -> None:
    night = lived(jump("asked", 10))
    assert "pve3 was not approved: nobody answered within 30 minutes" in night.text
    assert acts(night, "maintenance") == acts(night, "reboot") == []


def test_an_approval_that_has_grown_old_is_asked_for_again_before_the_reboot() -> None:
    once = Cue("carol", when="asked", after=120.0, reacts="white_check_mark")
    night = lived(once, jump("said dist-upgrade of", 10))
    assert "the approval expired" in night.text
    assert acts(night, "maintenance")[:1] == ["pve3"]
    assert acts(night, "reboot") == []
    assert violations(night) == []
