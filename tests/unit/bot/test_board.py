"""Messages that are kept up to date: what they say next, and how seldom Slack is asked to show it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.board import Board
from bot.slackchat import Refused, Unsure
from bot.story import Story
from engine.port import Saying
from sandbox.cast import ALICE, CAROL
from store.api import Entry, OrderRow, OutboxRow
from store.memory import MemoryStore
from tests.unit.bot.deskwork import (
    NOON,
    RUN,
    Clock,
    FakeSlack,
    ask,
    begin_run,
    delivered,
    limited,
    park,
    result,
    row,
    say,
    wait,
)

ASKED = "pve1.ask.request.said"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore(check_plain=True)
    begin_run(store)
    delivered(store, "board", "1.0")
    return store


def story(store: MemoryStore) -> Story:
    found = Story.read(store, RUN)
    assert found is not None
    return found


# ---- requests --------------------------------------------------------------------------------------------------------


def asked(store: MemoryStore, number: int = 1) -> OutboxRow:
    request = ask(store, number)
    delivered(store, request.key, f"{number + 1}.0")
    wait(store, "pve1.ask.wait" + (f"#{number}" if number > 1 else ""))
    return row(store, request.key)


def closed(store: MemoryStore, key: str = ASKED) -> str:
    return story(store).closed(row(store, key))


def test_a_request_stays_open_while_it_is_waited_for(store: MemoryStore) -> None:
    request = asked(store)
    assert closed(store) == ""
    assert story(store).open_requests() == [request]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (["saw", {"how": "approved", "by": [CAROL], "at": NOON, "overrides": []}], f"👍 Approved by <@{CAROL}>."),
        (["saw", {"how": "rejected", "by": [CAROL]}], f"👎 Rejected by <@{CAROL}>."),
        (["saw", {"how": "late"}], "⌛ The answer came after the time was up."),
        (None, "⌛ Nobody answered in time."),
    ],
)
def test_a_request_that_was_answered_says_how(store: MemoryStore, answer: Any, says: str) -> None:
    asked(store)
    result(store, "pve1.ask.wait", answer)
    assert closed(store) == says
    assert story(store).open_requests() == []


def test_a_request_whose_time_is_up_says_so_and_is_still_read(store: MemoryStore) -> None:
    """It went on saying "may answer until" for as long as the run held."""
    request = asked(store)
    result(store, "pve1.ask.wait", ["saw", {"how": "expired", "deadline": NOON}])
    (shown,) = [view for change, view in story(store).changes() if change.key == ASKED]
    assert shown.text.startswith("⌛ Nobody answered in time. :white_check_mark: makes me ask again. ")
    assert story(store).open_requests() == [request]


@pytest.mark.parametrize(("verb", "about"), [("abort", ""), ("skip", "pve1")])
@pytest.mark.parametrize(
    "end",
    [["ordered", "abort"], ["ordered", "pause"], ["saw", {"how": "expired", "deadline": NOON}]],
    ids=["while it was waited for", "in a pause", "after its time was up"],
)
def test_a_request_that_an_order_called_off_says_so_at_once(
    store: MemoryStore, verb: str, about: str, end: Any
) -> None:
    """It said "may answer until" for as long as it took to put everything back, or until the last node was done."""
    request = asked(store)
    result(store, "pve1.ask.wait", end)
    assert closed(store) == ""
    store.order(OrderRow(0, RUN, verb, about, "", ALICE, NOON, "typed-1"))
    assert closed(store) == f"🔒 Closed by `/upgrade {verb}`."
    assert story(store).replaced(request)
    assert story(store).open_requests() == []
    (shown,) = [view for change, view in story(store).changes() if change.key == ASKED]
    assert shown.text.startswith(f"🔒 Closed by `/upgrade {verb}`. ")


def test_the_request_of_another_node_than_the_one_that_is_skipped_stays_open(store: MemoryStore) -> None:
    asked(store)
    store.order(OrderRow(0, RUN, "skip", "pve2", "", ALICE, NOON, "typed-1"))
    assert closed(store) == ""


def test_after_a_pause_or_a_retry_the_same_request_is_open_again(store: MemoryStore) -> None:
    asked(store)
    result(store, "pve1.ask.wait", ["ordered", "pause"])
    assert closed(store) == ""
    wait(store, "pve1.ask.wait#2")
    result(store, "pve1.ask.wait#2", None)
    wait(store, "pve1.ask.wait#3")
    assert closed(store) == ""


def test_an_approval_that_was_asked_for_again_no_longer_counts_and_says_so(store: MemoryStore) -> None:
    asked(store)
    result(store, "pve1.ask.wait", ["saw", {"how": "approved", "by": [CAROL], "at": NOON, "overrides": []}])
    asked(store, 2)
    assert closed(store) == (
        f"👍 Approved by <@{CAROL}>. It was asked again since, so this one does not count any more."
    )
    assert closed(store, f"{ASKED}#2") == ""


def test_an_approval_that_was_used_is_not_said_to_count_no_more_when_the_next_step_is_asked(store: MemoryStore) -> None:
    asked(store)
    result(store, "pve1.ask.wait", ["saw", {"how": "approved", "by": [CAROL], "at": NOON, "overrides": []}])
    result(store, "pve1.reboot", ["did", {"value": "sent", "gates": ""}])
    asked(store, 2)
    assert closed(store) == f"👍 Approved by <@{CAROL}>."


def test_a_request_of_a_run_that_ended_is_closed(store: MemoryStore) -> None:
    asked(store)
    store.finish(RUN, {"state": "aborted"}, NOON)
    assert closed(store) == "🔒 The run has ended."


def test_the_reboot_that_was_sent_is_known(store: MemoryStore) -> None:
    request = asked(store)
    result(store, "pve1.ask.wait", ["saw", {"how": "approved", "by": [CAROL], "at": NOON, "overrides": []}])
    result(store, "pve1.reboot", ["later", "the node does not answer"])
    assert story(store).begun(request) == ""
    result(store, "pve1.reboot#2", ["did", {"value": "sent", "gates": ""}])
    assert story(store).begun(request).startswith("the reboot was sent before you took it back")


# ---- progress --------------------------------------------------------------------------------------------------------

ABOUT = "pve1.heal.reboot"


def healing(store: MemoryStore) -> OutboxRow:
    say(store, f"{ABOUT}.said", Saying("progress", "🩹 pve1: now the storage heals.", about=ABOUT))
    delivered(store, f"{ABOUT}.said", "2.0")
    wait(store, f"{ABOUT}.wait")
    return row(store, f"{ABOUT}.said")


def test_bricks_that_come_back_feed_the_same_progress(store: MemoryStore) -> None:
    message = healing(store)
    park(store, "pve1.bricks.reboot.wait", {"pending": {"pve1:/b": None}, "down": ["pve1:/b"]})
    assert "*down*" in str(story(store).view(message).blocks)


def test_a_hold_in_between_leaves_the_bars_as_they_were(store: MemoryStore) -> None:
    message = healing(store)
    store.rendered(message.id, "bars")
    park(store, f"{ABOUT}.hold.answer#1", {"hold": f"{ABOUT}.hold"})
    assert [change.key for change, _ in story(store).changes()] == ["board"]


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (["saw", {"value": {"took": 360.0, "bricks": 3}}], "💚 Fully healed after 6 minutes."),
        (["saw", {"groups": ["routers: 0 of 2 run"], "since": 0.0}], ""),
        (["ordered", "abort"], "🔒 Not followed here any more, since `/upgrade abort`."),
        (["ordered", "pause"], ""),
        (None, ""),
    ],
)
def test_progress_tells_how_its_wait_ended(store: MemoryStore, end: Any, says: str) -> None:
    message = healing(store)
    result(store, f"{ABOUT}.wait", end)
    assert story(store).over(message) == says


# ---- edits -----------------------------------------------------------------------------------------------------------


def board(store: MemoryStore, slack: FakeSlack, clock: Clock) -> Board:
    return Board(store, slack, clock)


def test_a_board_is_edited_when_its_run_goes_on_and_not_otherwise(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    kept = Board(store, slack, clock)
    park(store, "pve1.heal.reboot.wait", seen="14 pending")
    kept.refresh()
    kept.refresh()
    assert len(slack.edits) == 1
    park(store, "pve1.heal.reboot.wait", seen="13 pending")
    kept.refresh()
    assert [ts for ts, _ in slack.edits] == ["1.0", "1.0"]


def test_after_a_restart_what_is_shown_already_is_not_edited_again(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    park(store, "pve1.heal.reboot.wait")
    Board(store, slack, clock).refresh()
    Board(store, slack, clock).refresh()
    assert len(slack.edits) == 1


def test_a_run_that_ended_gets_its_last_state_shown(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    store.finish(RUN, {"state": "done", "nodes": {}}, NOON)
    Board(store, slack, clock).refresh()
    assert [text for _, text in slack.edits] == ["🏁 The rolling upgrade of lab is done."]


def test_a_closed_request_is_edited_before_the_bars(store: MemoryStore) -> None:
    slack = FakeSlack()
    asked(store)
    result(store, "pve1.ask.wait", ["saw", {"how": "rejected", "by": [CAROL]}])
    Board(store, slack, Clock()).refresh()
    assert [ts for ts, _ in slack.edits] == ["2.0", "1.0"]


def test_a_hundred_runs_share_slacks_fifty_edits_a_minute_and_all_get_their_turn() -> None:
    store, slack, clock = MemoryStore(), FakeSlack(), Clock()
    for number in range(100):
        begin_run(store, f"run{number}")
        store.delivered(row(store, "board", f"run{number}").id, NOON, "C0LAB", f"{number}.0")
    kept = Board(store, slack, clock)
    for _ in range(65):
        kept.refresh()
        clock.now += 2
    assert len({ts for ts, _ in slack.edits}) == len(slack.edits) == 100


def test_a_rate_limit_rests_and_the_edit_comes_afterwards(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    kept = Board(store, slack, clock)
    slack.troubles = [limited(30)]
    for rest in (0, 2, 20):
        clock.now += rest
        kept.refresh()
    assert slack.edits == []
    clock.now += 10
    kept.refresh()
    assert len(slack.edits) == 1


def test_a_slack_that_does_not_answer_is_tried_again_later(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    kept = Board(store, slack, clock)
    slack.troubles = [Unsure("no answer")]
    kept.refresh()
    clock.now += 10
    kept.refresh()
    assert len(slack.edits) == 1


def test_a_message_that_somebody_deleted_is_left_alone(store: MemoryStore) -> None:
    slack, clock = FakeSlack(), Clock()
    kept = Board(store, slack, clock)
    slack.troubles = [Refused("message_not_found", "message_not_found")]
    kept.refresh()
    kept.refresh()
    assert slack.edits == []


def test_a_journal_that_was_emptied_shows_the_board_alone(store: MemoryStore) -> None:
    store.write(RUN, Entry("x", "result", 1, NOON))
    store.again(RUN, {"nodes": ["pve1"], "by": CAROL, "cluster": "lab", "dry_run": False, "reboot": "always"}, NOON)
    assert [change.key for change, _ in story(store).changes()] == ["board"]


def test_a_run_that_cannot_be_shown_is_told_in_the_log_and_the_others_go_on(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    begin_run(store, "newer", at=NOON + 1)
    store.delivered(row(store, "board", "newer").id, NOON, "C0LAB", "9.0")
    result(store, "pve1.ask.wait", "not as it should be")
    ask(store)
    store.write(RUN, Entry("odd", "result", True, NOON), {"kind": "approval", "text": "?"})
    delivered(store, "odd", "2.0")
    slack = FakeSlack()
    Board(store, slack, Clock()).refresh()
    assert [ts for ts, _ in slack.edits] == ["9.0"]
    assert f"run '{RUN}' cannot be shown" in caplog.text
