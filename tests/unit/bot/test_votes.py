"""Reactions: who approves, who is told why not, and what is made up for by reading."""

from __future__ import annotations

import pytest

from bot.slackchat import Refused, Unsure
from bot.votes import AGAIN_S, REST_S, Mark, Votes
from sandbox.cast import ALICE, BOT, CAROL, MALLORY
from sandbox.spec import default_spec, managed_settings
from store.api import RunRow
from store.memory import MemoryStore
from tests.unit.bot.deskwork import (
    CHANNEL,
    NOON,
    RUN,
    Clock,
    FakeSlack,
    Posted,
    ask,
    begin_run,
    delivered,
    result,
    wait,
)
from workflows.settings import PeopleSettings
from workflows.site import ChatDown, Reaction

TS, ASKED = "2.0", "pve1.ask.request.said"
YES, NO = "white_check_mark", "x"
BOTH = (Reaction(YES, (BOT,)), Reaction(NO, (BOT,)))


class Poll:
    """A request for pve1 stands in Slack; people react to it."""

    def __init__(self) -> None:
        self.store, self.slack, self.clock = MemoryStore(check_plain=True), FakeSlack(), Clock()
        self.pokes = 0
        begin_run(self.store)
        delivered(self.store, "board", "1.0")
        ask(self.store)
        delivered(self.store, ASKED, TS)
        wait(self.store, "pve1.ask.wait")
        self.slack.given[TS] = BOTH
        managed = {"lab": managed_settings(default_spec())}
        self.votes = Votes(self.store, self.slack, managed, self.clock, self._poked)

    def _poked(self) -> None:
        self.pokes += 1

    def hears(self, user: str, emoji: str, given: bool = True, at: float = NOON, event: str = "", ts: str = TS) -> None:
        self.votes.work(Mark(event or f"Ev{user}{emoji}{given}{at}", CHANNEL, ts, user, emoji, given, at))

    def stands(self, **users: str) -> None:
        """What reactions.get would answer: emoji=user."""
        emoji = {"yes": YES, "no": NO}
        self.slack.given[TS] = tuple(
            Reaction(name, (BOT, *([users[word]] if word in users else []))) for word, name in emoji.items()
        )

    def marks(self, user: str) -> list[tuple[str, bool, float]]:
        return [(v.mark, v.given, v.at) for v in self.store.votes(RUN, ASKED) if v.user == user]

    def told(self, user: str) -> list[str]:
        rows = self.store.outbox(RUN)
        return [row.message["text"] for row in rows if row.message["kind"] == "private" and row.message["to"] == user]


@pytest.fixture
def poll() -> Poll:
    return Poll()


def test_what_could_not_be_read_after_a_start_is_read_again_soon(poll: Poll) -> None:
    poll.slack.troubles = [Unsure("no answer")]
    poll.votes.read_again()
    assert poll.votes.step() == AGAIN_S
    assert not poll.votes.were_read(0.0)
    assert poll.votes.step() == REST_S
    assert poll.votes.were_read(0.0)


# ---- by event --------------------------------------------------------------------------------------------------------


def test_an_approver_counts_from_the_moment_slack_names(poll: Poll) -> None:
    poll.hears(CAROL, YES, at=NOON - 7)
    assert poll.marks(CAROL) == [("approve", True, NOON - 7)]
    assert poll.pokes == 1


def test_skin_tones_are_folded(poll: Poll) -> None:
    poll.hears(CAROL, "white_check_mark::skin-tone-4")
    assert poll.marks(CAROL) == [("approve", True, NOON)]


def test_somebody_else_is_told_once_and_privately_why_it_does_not_count(poll: Poll) -> None:
    poll.hears(MALLORY, YES)
    poll.hears(MALLORY, YES, at=NOON + 5)
    assert poll.marks(MALLORY) == []
    assert poll.told(MALLORY) == [
        "ℹ️ Your :white_check_mark: for pve1 does not count: only <@U0CAROL> may approve here."
    ]


def test_an_operator_is_no_approver(poll: Poll) -> None:
    poll.hears(ALICE, NO)
    assert poll.marks(ALICE) == []
    assert len(poll.told(ALICE)) == 1


def test_another_emoji_is_answered_with_those_that_count(poll: Poll) -> None:
    poll.hears(CAROL, "tada")
    assert poll.told(CAROL) == [
        "ℹ️ Your :tada: for pve1 does not count: only :white_check_mark: (approve) and :x: (reject) count here."
    ]


def test_a_retried_event_does_not_bring_back_what_was_taken_back(poll: Poll) -> None:
    poll.hears(CAROL, YES, at=NOON, event="Ev1")
    poll.hears(CAROL, YES, given=False, at=NOON + 5, event="Ev2")
    poll.hears(CAROL, YES, at=NOON, event="Ev1")
    assert [given for _, given, _ in poll.marks(CAROL)] == [True, False]


def test_events_in_the_wrong_order_end_as_they_happened(poll: Poll) -> None:
    poll.hears(CAROL, YES, at=NOON)
    poll.hears(CAROL, YES, given=True, at=NOON + 9)
    poll.hears(CAROL, YES, given=False, at=NOON + 20)
    poll.hears(CAROL, YES, given=True, at=NOON + 10)
    assert [given for _, given, _ in poll.marks(CAROL)] == [True, False]


def test_a_reaction_under_another_message_is_nothing(poll: Poll) -> None:
    poll.hears(CAROL, YES, ts="1.0")
    poll.hears(CAROL, YES, ts="99.0")
    assert poll.marks(CAROL) == []
    assert poll.told(CAROL) == []


def test_a_reaction_that_is_faster_than_slacks_answer_to_the_post_counts(poll: Poll) -> None:
    """Seen in a test run on a busy machine: Carol's mark came before the request's row said where it stands."""
    ask(poll.store, node="pve2")
    early = Mark("EvEarly", CHANNEL, "3.0", CAROL, YES, True, NOON)
    poll.votes.put(early)
    assert poll.votes.step() < 1.0
    delivered(poll.store, "pve2.ask.request.said", "3.0")
    assert poll.votes.step() > 1.0
    assert [vote.user for vote in poll.store.votes(RUN, "pve2.ask.request.said")] == [CAROL]


def test_a_reaction_under_somebody_elses_message_is_forgotten_after_a_while(poll: Poll) -> None:
    poll.votes.put(Mark("EvForeign", CHANNEL, "99.0", CAROL, YES, True, NOON))
    assert poll.votes.step() < 1.0
    poll.clock.now += 61.0
    assert poll.votes.step() > 1.0


def test_a_mark_under_a_replaced_request_is_answered(poll: Poll) -> None:
    ask(poll.store, 2)
    poll.hears(CAROL, YES)
    assert poll.told(CAROL) == [
        "ℹ️ Your :white_check_mark: for pve1 does not count: this request is closed; its first line says why."
    ]


def test_taking_it_back_after_the_reboot_was_sent_is_said_to_be_too_late(poll: Poll) -> None:
    poll.hears(CAROL, YES)
    result(poll.store, "pve1.ask.wait", ["saw", {"how": "approved", "by": [CAROL], "at": NOON, "overrides": []}])
    result(poll.store, "pve1.reboot", ["did", {"value": "sent", "gates": ""}])
    poll.hears(CAROL, YES, given=False, at=NOON + 60)
    assert poll.told(CAROL) == [
        "ℹ️ Your :white_check_mark: for pve1 comes too late: the reboot was sent before you took it back; "
        "`/upgrade abort` lets this node end and stops then."
    ]


# ---- by reading ------------------------------------------------------------------------------------------------------


def test_a_mark_that_no_event_told_counts_from_when_it_was_found(poll: Poll) -> None:
    poll.stands(yes=CAROL)
    poll.clock.now = NOON + 45
    poll.votes.reconcile()
    assert poll.marks(CAROL) == [("approve", True, NOON + 45)]
    assert poll.pokes == 1


def test_reading_again_changes_nothing(poll: Poll) -> None:
    poll.stands(yes=CAROL, no=MALLORY)
    for _ in range(3):
        poll.clock.now += 45
        poll.votes.reconcile()
    assert len(poll.marks(CAROL)) == 1
    assert len(poll.told(MALLORY)) == 1


def test_a_mark_that_was_taken_back_unheard_is_withdrawn(poll: Poll) -> None:
    poll.hears(CAROL, YES)
    poll.clock.now = NOON + 45
    poll.votes.reconcile()
    assert poll.marks(CAROL) == [("approve", True, NOON), ("approve", False, NOON + 45)]


@pytest.mark.parametrize("at", [NOON + 1, NOON - 5])
def test_an_answer_that_is_older_than_an_event_withdraws_nothing(poll: Poll, at: float) -> None:
    poll.hears(CAROL, YES, at=at)
    poll.votes.reconcile()
    assert poll.marks(CAROL) == [("approve", True, at)]


def test_the_bots_own_emoji_count_for_nothing_and_are_put_back_when_missing(poll: Poll) -> None:
    poll.slack.posts[TS] = Posted(CHANNEL, "1.0", "", (), ASKED)
    poll.slack.given[TS] = ()
    poll.votes.reconcile()
    assert poll.slack.posts[TS].emoji == [YES, NO]
    assert poll.marks(BOT) == []


def test_a_request_that_was_answered_is_not_read_any_more(poll: Poll) -> None:
    result(poll.store, "pve1.ask.wait", ["saw", {"how": "late"}])
    poll.stands(yes=CAROL)
    poll.votes.reconcile()
    assert poll.marks(CAROL) == []


def test_a_reading_that_was_asked_for_comes_with_the_next_step(poll: Poll) -> None:
    poll.stands(yes=CAROL)
    poll.votes.step()
    assert poll.marks(CAROL) == []
    poll.votes.read_again()
    poll.votes.step()
    assert len(poll.marks(CAROL)) == 1


def test_a_reading_that_fails_is_told_in_the_log_and_changes_nothing(
    poll: Poll, caplog: pytest.LogCaptureFixture
) -> None:
    poll.slack.troubles = [Unsure("no answer")]
    assert not poll.votes.try_to_read()
    assert "reactions were not read: no answer" in caplog.text


def test_a_slack_that_does_not_answer_is_an_error_and_not_an_empty_list(poll: Poll) -> None:
    poll.hears(CAROL, YES)
    poll.clock.now = NOON + 45
    poll.slack.troubles = [Unsure("no answer")]
    with pytest.raises(ChatDown):
        poll.votes.reconcile()
    assert poll.marks(CAROL) == [("approve", True, NOON)]


def test_an_event_whose_group_cannot_be_read_is_left_to_the_next_reading(
    poll: Poll, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: str) -> frozenset[str]:
        raise Unsure("Slack did not answer usergroups.users.list")

    people = PeopleSettings(operators=(ALICE,), approvers=("S0APPROVERS",))
    managed = managed_settings(default_spec()).model_copy(update={"people": people})
    votes = Votes(poll.store, poll.slack, {"lab": managed}, poll.clock, lambda: None)
    monkeypatch.setattr(poll.slack, "members", away)
    votes.put(Mark("Ev1", CHANNEL, TS, CAROL, YES, True, NOON))
    votes.step()
    assert "a reaction waits for the next reading" in caplog.text
    monkeypatch.undo()
    poll.slack.groups["S0APPROVERS"] = frozenset({CAROL})
    poll.stands(yes=CAROL)
    votes.reconcile()
    assert poll.marks(CAROL) == [("approve", True, NOON)]


def test_an_outage_whose_message_was_deleted_keeps_no_other_reaction_unread(
    poll: Poll, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poll.store.start_run(RunRow("outage-1", "outage", "lab", {}, "active", NOON + 1, "probe", NOON + 99))
    poll.store.put_out("outage-1", "board", {"kind": "board", "text": "", "detail": {}}, NOON + 1)
    poll.store.delivered(poll.store.outbox("outage-1")[0].id, NOON + 1, "C0ARCHIVED", "9.0")
    real = poll.slack.reactions

    def deleted(channel: str, ts: str) -> tuple[Reaction, ...]:
        if ts == "9.0":
            raise Refused("Slack says message_not_found", "message_not_found")
        return real(channel, ts)

    monkeypatch.setattr(poll.slack, "reactions", deleted)
    poll.stands(yes=CAROL)
    assert poll.votes.try_to_read()
    assert poll.marks(CAROL) == [("approve", True, NOON)]
    assert "reactions of 'outage-1' cannot be read" in caplog.text


# ---- outages ---------------------------------------------------------------------------------------------------------


def ringing(poll: Poll, *pages: float) -> None:
    """An outage whose pages stand in Slack since these times."""
    args = {"policy": "", "mode": "ring", "void_before": 0.0}
    poll.store.start_run(RunRow("outage-1", "outage", "lab", args, "active", NOON, "probe", NOON + 99))
    for at in pages:
        key = f"page{at}"
        poll.store.put_out("outage-1", key, {"kind": "page", "text": "", "detail": {}}, at)
        row = poll.store.outbox_row("outage-1", key)
        assert row is not None
        poll.store.delivered(row.id, at, CHANNEL, f"{at:.1f}")


def takes(poll: Poll) -> list[tuple[str, str, float]]:
    return [(order.by, order.verb, order.at) for order in poll.store.orders("outage-1")]


def test_who_had_an_outage_hours_ago_and_reacts_to_its_newest_page_is_heard_again_by_reading(poll: Poll) -> None:
    """Socket down: no event tells. Their first word has gone stale since."""
    ringing(poll, NOON)
    poll.hears(ALICE, "eyes", at=NOON + 60, ts=f"{NOON:.1f}")
    ringing(poll, NOON + 7200)
    poll.slack.given[f"{NOON:.1f}"] = (Reaction("eyes", (ALICE,)),)
    poll.clock.now = NOON + 7300
    poll.votes.reconcile()
    assert takes(poll) == [(ALICE, "ack", NOON)]
    poll.slack.given[f"{NOON + 7200:.1f}"] = (Reaction("eyes", (ALICE,)),)
    poll.votes.reconcile()
    assert takes(poll)[1:] == [(ALICE, "ack", NOON + 7300)]


def test_a_reaction_that_was_read_once_is_no_sign_of_life_with_each_reading(poll: Poll) -> None:
    """Although Slack's clock goes an hour before ours."""
    ringing(poll, NOON + 3600)
    poll.slack.given[f"{NOON + 3600:.1f}"] = (Reaction("eyes", (ALICE,)),)
    for _ in range(5):
        poll.clock.now += 45
        poll.votes.reconcile()
    assert len(takes(poll)) == 1


def test_a_reaction_by_a_clock_that_goes_before_ours_counts_from_now(poll: Poll) -> None:
    ringing(poll, NOON)
    poll.hears(ALICE, "eyes", at=NOON + 900, ts=f"{NOON:.1f}")
    assert takes(poll) == [(ALICE, "ack", NOON)]
