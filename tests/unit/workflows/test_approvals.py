"""What an approval is bound to, whose mark counts, and until when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.cast import ALICE, BOB, BOT, CAROL, MALLORY
from sandbox.simchat import SimChat
from sandbox.spec import ClusterSpec, managed_settings
from store.api import RunRow, VoteRow
from store.memory import MemoryStore
from workflows.approvals import Bound, Tally, difference, normalised, note_vote, tally
from workflows.roles import why_not_approve
from workflows.settings import PeopleSettings

BOUND = Bound("boot-1", "6.8.12-9-pve", "plan-1", (105,), ())


def vote(user: str, mark: str, given: bool, at: float) -> VoteRow:
    return VoteRow("run", "pve1.ask.request.said", user, mark, given, at)


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("white_check_mark", "white_check_mark"),
        ("heavy_check_mark", "white_check_mark"),
        ("x", "x"),
        ("+1::skin-tone-3", "+1"),
        ("white_check_mark::skin-tone-2", "white_check_mark"),
    ],
)
def test_skin_tones_and_lookalikes_are_folded(given: str, means: str) -> None:
    assert normalised(given) == means


def test_a_mark_that_was_taken_back_no_longer_stands() -> None:
    votes = [vote(CAROL, "approve", True, 10), vote(CAROL, "approve", False, 20)]
    assert tally(votes, by=15) == Tally((CAROL,), ())
    assert tally(votes, by=25) == Tally((), ())


def test_a_mark_first_seen_after_the_deadline_does_not_count() -> None:
    assert tally([vote(CAROL, "approve", True, 101)], by=100) == Tally((), ())


def test_approve_and_reject_of_the_same_person_both_stand_and_reject_is_seen() -> None:
    votes = [vote(CAROL, "approve", True, 1), vote(CAROL, "reject", True, 2)]
    assert tally(votes, by=5) == Tally((CAROL,), (CAROL,))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BOUND, ""),
        (replace(BOUND, boot_id="boot-2"), "the node was rebooted since"),
        (replace(BOUND, target="6.8.12-10-pve"), "the kernel to boot is now 6.8.12-10-pve, approved was 6.8.12-9-pve"),
        (replace(BOUND, packages="plan-2"), "the package versions changed"),
        (replace(BOUND, stops=(105, 106)), "guests to stop are now 105, 106, approved were 105"),
        (replace(BOUND, overrides=("backups",)), "the overrides changed"),
    ],
)
def test_every_material_change_is_named(now: Bound, said: str) -> None:
    assert difference(BOUND, now) == said
    assert (now.digest() == BOUND.digest()) == (said == "")


def people(**changes: object) -> PeopleSettings:
    return PeopleSettings.model_validate({"operators": [ALICE], "approvers": [CAROL, "S0APPROVERS"], **changes})


def test_who_may_approve_is_told_why_not() -> None:
    chat = SimChat({"S0APPROVERS": frozenset({BOB})})
    assert why_not_approve(CAROL, ALICE, people(), chat) == ""
    assert why_not_approve(BOB, ALICE, people(), chat) == ""
    assert why_not_approve(MALLORY, ALICE, people(), chat) == "only <@U0CAROL> <!subteam^S0APPROVERS> may approve here"
    assert why_not_approve(BOT, ALICE, people(approvers=[BOT]), chat) == "a bot approves nothing"


def test_the_starter_can_be_excluded() -> None:
    chat = SimChat({"S0APPROVERS": frozenset()})
    assert why_not_approve(CAROL, CAROL, people(), chat) == ""
    excluded = people(starter_may_approve=False)
    assert why_not_approve(CAROL, CAROL, excluded, chat).startswith("you started this run")


def test_a_vote_is_written_once_and_only_if_it_counts() -> None:
    store, managed = MemoryStore(check_plain=True), managed_settings(ClusterSpec.from_dict({}))
    store.start_run(RunRow("run", "rolling_upgrade", "lab", {}, "active", 0.0, ALICE, 0.0))
    note = ("run", "pve1.ask.request.said")
    assert note_vote(store, SimChat(), managed, *note, MALLORY, "white_check_mark", True, 5.0) != ""
    assert note_vote(store, SimChat(), managed, *note, CAROL, "white_check_mark", True, 6.0) == ""
    assert note_vote(store, SimChat(), managed, *note, CAROL, "white_check_mark", True, 7.0) == ""
    assert note_vote(store, SimChat(), managed, *note, CAROL, "tada", True, 8.0).startswith("only :white_check_mark:")
    assert [(v.user, v.at) for v in store.votes(*note)] == [(CAROL, 6.0)]
