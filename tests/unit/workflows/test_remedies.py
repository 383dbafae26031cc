"""What is done about gates that are shut: wait, ask for the approval anew, or hold for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.facts import Read, Reading, Unread
from cluster.world import ApprovalSeen, Blocked, Opinion, Passed, Unknown, Verdict
from workflows.judging import Judgement, _remedy

NOW = 1000.0
SEEN = ApprovalSeen(("U0CAROL",), (), 1, NOW - 1, "what was approved", "what was approved")
EXPIRED = Read(SEEN, NOW)
REJECTED = Read(replace(SEEN, rejecters=("U0BOB",)), NOW)
REBOOTED = Read(replace(SEEN, present="another boot", changed="pve1 was rebooted since"), NOW)


def said(verdict: Verdict, gate: str = "approval") -> Opinion:
    return Opinion(gate, verdict, NOW)


NO = said(Blocked("the approval expired"))
HEALS = said(Blocked("2 entries to heal on pve1"), "heal")


@pytest.mark.parametrize(
    ("opinions", "seen", "remedy"),
    [
        ([NO], EXPIRED, "ask"),
        ([NO, HEALS], EXPIRED, ""),
        ([said(Passed())], EXPIRED, ""),
        ([said(Unknown("Slack does not answer"))], EXPIRED, ""),
        ([NO], Unread("Slack does not answer", NOW), ""),
        ([NO], None, ""),
        ([NO], REJECTED, "hold"),
        ([NO], REBOOTED, "hold"),
    ],
)
def test_people_are_asked_anew_only_where_nothing_but_their_word_is_missing(
    opinions: list[Opinion], seen: Reading[ApprovalSeen] | None, remedy: str
) -> None:
    assert _remedy(opinions, seen) == remedy


@pytest.mark.parametrize(
    ("gate", "verdict", "urgent"),
    [
        ("guest-groups", Blocked("0 of 2 serve"), True),
        ("guest-groups", Unknown("no answer"), False),
        ("heal", Blocked("2 entries"), False),
    ],
)
def test_only_what_was_seen_wakes_people_at_once(gate: str, verdict: Verdict, urgent: bool) -> None:
    assert bool(Judgement((said(verdict, gate),)).urgent) == urgent
