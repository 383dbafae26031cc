"""Carol approved; what Slack says of it right before the deed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Read, Unread
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    HOUR,
    NOW,
    approved,
    assert_blocked,
    assert_passed,
    assert_unknown,
    healthy,
    verdict,
)


def approval(**changes: Any) -> World:
    return replace(healthy(), approval=Read(replace(approved(), **changes), NOW))


def asked(world: World, phase: GatePhase = GatePhase.REBOOT) -> Any:
    return verdict("approval", world, phase)


def test_carols_live_approval_opens() -> None:
    assert_passed(asked(approval()))


@pytest.mark.parametrize("phase", [GatePhase.MAINTENANCE, GatePhase.UPGRADE, GatePhase.REBOOT])
def test_without_an_approval_nothing_is_changed(phase: GatePhase) -> None:
    assert_unknown(asked(replace(healthy(), approval=None), phase), "nobody has been asked to approve pve2")


def test_an_approval_from_the_future_is_asked_for_again_for_the_clock_was_put_back() -> None:
    reason = "the clock was put back since the approval was given, so its age is unknown"
    assert_blocked(asked(approval(given_at=NOW + HOUR, expires_at=NOW + 5 * HOUR)), reason, "it is asked for again")


def test_carol_took_her_reaction_back() -> None:
    reason = "0 of 1 approvals stand; one that was given may have been taken back"
    assert_blocked(asked(approval(holders=())), reason, "it is asked for again")


def test_one_of_two_approvals_is_not_enough() -> None:
    reason = "1 of 2 approvals stand; one that was given may have been taken back"
    assert_blocked(asked(approval(needed=2)), reason)


def test_a_rejection_beats_every_approval() -> None:
    assert_blocked(
        asked(approval(rejecters=("U0BOB",))), "rejected by U0BOB", "`/upgrade retry` or `/upgrade skip pve2`"
    )


def test_what_changed_since_the_approval_is_said() -> None:
    world = approval(present="d2", changed="the kernel to boot is now 6.8.12-9-pve, approved was 6.8.12-5-pve")
    reason = "not what was approved any more: the kernel to boot is now 6.8.12-9-pve, approved was 6.8.12-5-pve"
    assert_blocked(asked(world), reason)


def test_a_change_that_nobody_put_into_words_blocks_too() -> None:
    assert_blocked(asked(approval(present="d2")), "not what was approved any more: what would be done has changed")


@pytest.mark.parametrize(("ago", "words"), [(0, "0 s"), (90, "90 s"), (12 * 60, "12 min"), (3 * HOUR, "3 h")])
def test_an_expired_approval_blocks(ago: float, words: str) -> None:
    assert_blocked(asked(approval(expires_at=NOW - ago)), f"the approval expired {words} ago")


def test_slack_that_does_not_answer_is_unknown() -> None:
    silent = Unread("Slack did not say whether the approval still stands: timed out", NOW)
    reason = "the approval not read: Slack did not say whether the approval still stands: timed out"
    assert_unknown(asked(replace(healthy(), approval=silent)), reason)


def test_what_slack_said_a_minute_ago_is_unknown() -> None:
    old = Read(approved(), NOW - 60)
    reason = "the approval: evidence is 60 s old, limit 30 s"
    assert_unknown(asked(replace(healthy(), approval=old)), reason)
