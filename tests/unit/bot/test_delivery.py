"""The outbox on its way to Slack: once, in order, urgent things first, whatever breaks in between."""

from __future__ import annotations

import pytest

from bot.delivery import LOOKS, Bucket, Delivery, in_turn
from bot.slackchat import Refused, Unsure
from engine.port import Saying
from sandbox.cast import ALICE, BOB, MALLORY
from store.api import OutboxRow, RunRow
from store.memory import MemoryStore
from tests.unit.bot.deskwork import (
    CHANNEL,
    NOON,
    RUN,
    Clock,
    DoneAllTheSame,
    FakeSlack,
    ask,
    begin_run,
    limited,
    note,
    park,
    result,
    row,
    say,
    wait,
)
from workflows.alerts import OUTAGE
from workflows.pager_test import PAGER_TEST
from workflows.site import ChatDown

OTHER = "lab2-20261124-1"


class Post:
    """A store, a Slack and the delivery between them."""

    def __init__(self) -> None:
        self.store, self.slack, self.clock = MemoryStore(check_plain=True), FakeSlack(), Clock()
        self.restart()
        begin_run(self.store)

    def restart(self) -> None:
        self.delivery = Delivery(self.store, self.slack, lambda cluster: CHANNEL, self.clock, [CHANNEL, ELSEWHERE])

    def step(self, after: float = 0.0) -> None:
        self.clock.now += after
        self.delivery.step()

    def told(self) -> list[str]:
        return [post.key for post in self.slack.posts.values()]


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.mark.parametrize("workflow", [OUTAGE, PAGER_TEST])
def test_nobody_is_mentioned_for_what_was_over_before_slack_was_back(post: Post, workflow: str) -> None:
    post.step()
    post.store.start_run(RunRow("it-1", workflow, "lab", {"mode": "ring"}, "active", NOON, ALICE, NOON))
    say(post.store, "page", Saying("page", "🔔", mention=(ALICE,)), run_id="it-1")
    post.store.finish("it-1", {}, NOON + 3600)
    post.step(after=3600.0)
    assert post.told() == ["board"]


@pytest.mark.parametrize("mode", ["held", "quiet"])
@pytest.mark.parametrize("kind", ["page", "direct"])
def test_nobody_is_told_that_nobody_has_it_when_somebody_took_it_before_slack_was_back(
    post: Post, mode: str, kind: str
) -> None:
    """On the telephone, perhaps."""
    post.step()
    post.store.start_run(RunRow("it-1", OUTAGE, "lab", {"mode": mode}, "active", NOON, ALICE, NOON))
    say(post.store, "page", Saying(kind, "🔔 Nobody has it.", mention=(ALICE,), to=ALICE), run_id="it-1")
    post.step(after=1200.0)
    assert post.told() == ["board"]


# ---- where and in which order --------------------------------------------------------------------------------------


def test_the_board_comes_first_and_everything_else_goes_into_its_thread(post: Post) -> None:
    note(post.store, "a")
    note(post.store, "b")
    post.step()
    assert post.told() == ["board", "a", "b"]
    assert [p.thread for p in post.slack.posts.values()] == ["", "1.0", "1.0"]
    assert row(post.store, "b").ts == "3.0"


def test_a_page_goes_to_the_top_level_before_all_else_and_links_to_the_thread(post: Post) -> None:
    post.step()
    note(post.store, "a")
    say(post.store, "page", Saying("page", "✋ I hold.", mention=(ALICE,)))
    post.step()
    assert post.told() == ["board", "page", "a"]
    page = post.slack.posts["2.0"]
    assert page.thread == ""
    assert page.text == f"<@{ALICE}> ✋ I hold.\n<https://slack.example/C0LAB/1.0|Its thread>"


def test_a_page_does_not_wait_for_a_board_that_cannot_be_posted(post: Post) -> None:
    say(post.store, "page", Saying("page", "✋ I hold."))
    post.slack.troubles = [limited(0.0)]
    post.step()
    assert post.slack.texts() == []
    post.step(60)
    assert post.told() == ["page", "board"]


def counted(post: Post, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs whose whole outbox was read, each time it was."""
    read, real = list[str](), post.store.outbox

    def outbox(run_id: str) -> list[OutboxRow]:
        read.append(run_id)
        return real(run_id)

    monkeypatch.setattr(post.store, "outbox", outbox)
    return read


def test_a_long_thread_behind_a_board_that_is_refused_is_not_read_four_times_a_second(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot was put out of the channel, and a ladder goes on for days."""
    post.slack.troubles = [Refused("Slack refused chat.postMessage: not_in_channel", "not_in_channel")]
    for number in range(40):
        note(post.store, f"n{number}")
    read = counted(post, monkeypatch)
    for _ in range(200):
        post.step(after=0.25)
    assert len(read) < 5
    post.step(after=15)
    post.step(after=60)
    assert post.told()[:2] == ["board", "n0"]


def test_hundreds_of_pages_that_are_old_by_now_are_dropped_with_one_look(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = RunRow("outage-1", "outage", "lab", {"mode": "ring", "void_before": 0.0}, "active", NOON, "probe", NOON)
    post.store.start_run(row)
    say(post.store, "board", Saying("board", "🔥"), run_id="outage-1")
    for number in range(300):
        say(post.store, f"page{number}", Saying("page", "🔥", mention=(ALICE,)), run_id="outage-1")
    read = counted(post, monkeypatch)
    post.step()
    assert post.told() == ["page299", "board", "board"]
    assert read.count("outage-1") < 5


def test_a_thread_that_asks_for_approval_goes_before_others() -> None:
    def outgoing(number: int, run_id: str, kind: str) -> OutboxRow:
        return OutboxRow(number, run_id, f"{number}", Saying(kind, "").plain(), NOON)

    due = [
        outgoing(1, "r1", "note"),
        outgoing(2, "r2", "note"),
        outgoing(3, "r2", "approval"),
        outgoing(4, "r3", "page"),
    ]
    assert [r.id for r in in_turn(due)] == [4, 2, 3, 1]


def test_beyond_a_burst_notes_go_out_one_a_second_but_an_approval_does_not_wait(post: Post) -> None:
    for number in range(8):
        note(post.store, f"n{number}")
    post.step()
    assert len(post.told()) == 5
    post.step(after=1)
    assert len(post.told()) == 6
    ask(post.store)
    post.step()
    assert post.told()[-1] == "pve1.ask.request.said"
    assert [key for key in post.told() if key.startswith("n")] == [f"n{number}" for number in range(8)]


def test_the_request_gets_both_emoji(post: Post) -> None:
    ask(post.store)
    post.step()
    assert post.slack.posts["2.0"].emoji == ["white_check_mark", "x"]


def test_what_only_one_person_may_see_is_whispered(post: Post) -> None:
    say(post.store, "private", Saying("private", "ℹ️ does not count", to=MALLORY))
    post.step()
    assert post.slack.whispers == [(MALLORY, "ℹ️ does not count")]
    assert post.told() == ["board"]


def direct(post: Post) -> OutboxRow:
    return say(post.store, "bob.direct", Saying("direct", "🔥 *lab* is down in part.", to=BOB))


def test_a_direct_message_goes_to_its_person_before_all_else_and_links_to_the_thread(post: Post) -> None:
    post.step()
    note(post.store, "a")
    direct(post)
    post.step()
    assert post.told() == ["board", "bob.direct", "a"]
    sent = post.slack.posts["2.0"]
    assert (sent.channel, sent.thread) == (f"D{BOB}", "")
    assert sent.text == "🔥 *lab* is down in part.\n<https://slack.example/C0LAB/1.0|Its thread>"
    assert (row(post.store, "bob.direct").channel, row(post.store, "bob.direct").ts) == (f"D{BOB}", "2.0")


def test_a_direct_message_waits_for_no_board(post: Post) -> None:
    post.slack.troubles = [Refused("not_in_channel", "not_in_channel")]
    post.step()
    direct(post)
    post.step()
    assert post.told() == ["bob.direct"]


def test_a_direct_message_that_a_crash_cut_off_is_looked_up_where_it_would_stand(post: Post) -> None:
    post.step()
    direct(post)
    post.slack.troubles = [DoneAllTheSame("the line broke")]
    post.step()
    post.restart()
    post.step(after=3)
    assert post.told() == ["board", "bob.direct"]
    assert post.slack.found == ["bob.direct"]


def test_somebody_to_whom_nobody_can_write_holds_nothing_up(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.slack.closed = Refused("Slack refused conversations.open: user_disabled", "user_disabled")
    direct(post)
    note(post.store, "a")
    post.step()
    assert post.told() == ["board", "a"]
    assert row(post.store, "bob.direct").error == "Slack refused conversations.open: user_disabled"
    assert caplog.text.count("user_disabled") == 1


def test_many_direct_messages_leave_the_channel_its_room(post: Post) -> None:
    post.step()
    for number in range(8):
        say(post.store, f"d{number}", Saying("direct", "🔥", to=BOB))
    note(post.store, "a")
    post.step()
    assert set(post.told()) == {"board", "a", *(f"d{number}" for number in range(8))}


def test_a_whisper_that_is_refused_is_given_up(post: Post) -> None:
    post.step()
    say(post.store, "private", Saying("private", "ℹ️", to=MALLORY))
    post.slack.troubles = [Refused("no such user", "user_not_in_channel")]
    post.step()
    assert post.store.undelivered(NOON) == []


# ---- once ----------------------------------------------------------------------------------------------------------


def test_a_crash_after_the_post_is_found_by_its_metadata_and_not_repeated(post: Post) -> None:
    board = row(post.store, "board")
    post.store.trying(board.id, NOON)
    post.slack.post(CHANNEL, "", "🔧 posted before the crash", (), RUN, "board")
    post.restart()
    post.step()
    assert post.slack.tries == 1
    assert row(post.store, "board").ts == "1.0"


def test_a_crash_before_the_post_is_looked_up_and_then_posted(post: Post) -> None:
    post.store.trying(row(post.store, "board").id, NOON)
    post.restart()
    post.step()
    assert post.slack.found == ["board"]
    assert post.told() == ["board"]


def test_a_first_try_needs_no_look_up(post: Post) -> None:
    post.step()
    assert post.slack.found == []


def test_a_line_that_broke_after_the_post_does_not_post_twice(post: Post) -> None:
    post.slack.troubles = [DoneAllTheSame("the line broke")]
    post.step()
    post.step(after=3)
    assert post.slack.tries == 1
    assert row(post.store, "board").delivered_at == NOON + 3


def test_a_line_that_broke_before_the_post_is_tried_again_later_and_later(post: Post) -> None:
    post.slack.troubles = [Unsure("no answer")] * 4
    for rest in (0, 2, 4, 8, 16):
        post.step(after=rest)
    assert post.slack.tries == 5
    assert post.told() == ["board"]


def test_a_clock_that_is_put_back_keeps_no_message_waiting(post: Post) -> None:
    post.slack.troubles = [Unsure("no answer")]
    post.step()
    post.step(after=-36_000)
    assert post.told() == ["board"]


def test_while_the_look_up_fails_nothing_is_posted(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> str:
        raise Unsure("no answer")

    post.store.trying(row(post.store, "board").id, NOON)
    monkeypatch.setattr(post.slack, "find", away)
    post.step()
    assert post.slack.tries == 0
    assert row(post.store, "board").error == "no answer"


NO_SCOPE = Refused("Slack refused conversations.history: missing_scope", "missing_scope")
TOO_MANY = Refused("not found among the newest 4000 and may be older", "not_among_newest")


def no_look_up(post: Post, monkeypatch: pytest.MonkeyPatch, trouble: ChatDown) -> None:
    def refused(*_: object) -> str:
        raise trouble

    monkeypatch.setattr(post.slack, "find", refused)


def tried_page(post: Post) -> None:
    page = say(post.store, "page", Saying("page", "✋ I hold."))
    post.store.trying(page.id, NOON)


@pytest.mark.parametrize("trouble", [NO_SCOPE, TOO_MANY])
def test_a_page_whose_look_up_is_refused_is_rather_posted_twice_than_never(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Refused
) -> None:
    tried_page(post)
    no_look_up(post, monkeypatch, trouble)
    post.step()
    assert post.told() == ["page", "board"]
    assert f"message 'page' of run '{RUN}' is posted, perhaps twice: {trouble}" in caplog.text


@pytest.mark.parametrize("trouble", [limited(30), Unsure("no answer")])
def test_a_page_waits_for_a_look_up_that_will_be_answered_later(
    post: Post, monkeypatch: pytest.MonkeyPatch, trouble: ChatDown
) -> None:
    tried_page(post)
    with monkeypatch.context() as away:
        no_look_up(post, away, trouble)
        for _ in range(LOOKS + 1):
            post.step(after=60)
        assert post.slack.tries == 0
    post.step(after=60)
    assert post.told() == ["page", "board"]


def test_other_messages_are_posted_after_a_few_refused_look_ups_and_the_log_says_so_once(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post.store.trying(row(post.store, "board").id, NOON)
    no_look_up(post, monkeypatch, NO_SCOPE)
    for _ in range(LOOKS - 1):
        post.step(after=60)
    assert post.slack.tries == 0
    post.slack.troubles = [limited(60)]
    post.step(after=60)
    post.step(after=60)
    assert post.told() == ["board"]
    assert caplog.text.count("is posted, perhaps twice") == 1


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_too_many_calls_rest_for_as_long_as_slack_says(post: Post) -> None:
    post.slack.troubles = [limited(30)]
    post.step()
    post.step(after=29)
    assert post.slack.tries == 1
    post.step(after=1)
    assert post.told() == ["board"]


def test_blocks_that_slack_refuses_are_sent_again_as_plain_text(post: Post) -> None:
    post.slack.troubles = [Refused("bad blocks", "invalid_blocks")]
    post.step()
    assert post.slack.posts["1.0"].blocks == ()
    assert post.slack.texts() == ["🔧 The rolling upgrade of lab runs."]


def test_a_channel_without_an_invitation_is_told_once_in_the_log_and_tried_slowly(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.slack.troubles = [Refused("not_in_channel; type /invite @roundsman", "not_in_channel")] * 3
    for _ in range(3):
        post.step(after=60)
    assert caplog.text.count("type /invite @roundsman") == 1
    post.step(after=60)
    assert post.told() == ["board"]


# ---- a channel that takes nothing any more -------------------------------------------------------------------------

ARCHIVED = Refused("Slack refused chat.postMessage: is_archived; un-archive the channel", "is_archived")
ELSEWHERE = "C0OTHER"
TWO_DAYS = 48 * 3600.0


def archived(post: Post) -> None:
    post.slack.takes_nothing = {CHANNEL: ARCHIVED}


def page(post: Post) -> None:
    say(post.store, "page", Saying("page", "✋ I hold.", mention=(ALICE,)))


def test_a_page_whose_channel_is_archived_is_posted_where_it_is_heard(post: Post) -> None:
    post.step()
    archived(post)
    page(post)
    post.step()
    heard = post.slack.posts["2.0"]
    assert (heard.channel, heard.thread) == (ELSEWHERE, "")
    assert heard.text.startswith(
        f"<@{ALICE}> ✋ I hold.\n↪️ This page belongs into another channel, which does not take it"
    )
    assert "is_archived; un-archive the channel" in heard.text
    assert (row(post.store, "page").channel, row(post.store, "page").ts) == (ELSEWHERE, "2.0")


def test_a_page_that_a_crash_cut_off_elsewhere_is_looked_up_there_and_not_repeated(post: Post) -> None:
    post.step()
    archived(post)
    page(post)
    post.slack.troubles = [DoneAllTheSame("the line broke")]
    post.step()
    post.restart()
    post.step(after=3)
    assert post.told() == ["board", "page"]
    assert row(post.store, "page").channel == ELSEWHERE


def test_a_page_that_no_channel_takes_is_tried_on_however_long_its_run_goes_on(post: Post) -> None:
    post.step()
    archived(post)
    post.slack.takes_nothing[ELSEWHERE] = ARCHIVED
    page(post)
    for _ in range(4):
        post.step(after=TWO_DAYS)
    post.slack.takes_nothing.clear()
    post.step(after=60)
    assert post.told() == ["board", "page"]


def test_a_thread_whose_channel_is_archived_is_given_up_after_two_days_with_a_word_in_the_log(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.step()
    archived(post)
    for key in ("a", "b"):
        note(post.store, key)
    post.step()
    post.step(after=TWO_DAYS)
    assert len(post.store.undelivered(post.clock.now + 60)) == 2
    post.step(after=60)
    post.step(after=60)
    post.step(after=60)
    assert post.store.undelivered(post.clock.now + 3600) == []
    assert "message 'a' of run 'lab-20261124-1' is given up: Slack refused chat.postMessage: is_archived" in caplog.text


def test_with_its_board_a_thread_is_given_up_that_never_began(post: Post) -> None:
    archived(post)
    note(post.store, "a")
    post.step()
    post.step(after=TWO_DAYS + 60)
    post.step(after=60)
    assert post.store.undelivered(post.clock.now + 3600) == []
    assert post.told() == []


def test_a_message_is_not_given_up_before_it_was_tried(post: Post) -> None:
    """The bot was not running for days."""
    note(post.store, "a")
    post.step(after=5 * TWO_DAYS)
    assert post.told() == ["board", "a"]


def test_what_is_refused_for_minutes_is_a_trouble_of_the_bot_until_it_is_told(post: Post) -> None:
    archived(post)
    post.step()
    assert post.delivery.undelivered.trouble() == ""
    post.step(after=660)
    assert post.delivery.undelivered.trouble() == (
        "1 message waits to be told, refused for 11 minutes: "
        "Slack refused chat.postMessage: is_archived; un-archive the channel"
    )
    post.slack.takes_nothing.clear()
    post.step(after=60)
    assert post.delivery.undelivered.trouble() == ""


def test_a_slack_that_does_not_answer_is_no_refusal(post: Post) -> None:
    post.slack.troubles = [Unsure("no answer"), limited(5)] * 20
    for _ in range(20):
        post.step(after=60)
    assert post.delivery.undelivered.trouble() == ""


# ---- what fails alone ----------------------------------------------------------------------------------------------


def test_one_thread_that_cannot_be_posted_does_not_hold_up_the_others(post: Post) -> None:
    begin_run(post.store, OTHER)
    post.slack.troubles = [Refused("is_archived", "is_archived")]
    post.step()
    assert [(p.key, p.text) for p in post.slack.posts.values()] == [("board", "🔧 The rolling upgrade of lab runs.")]
    assert row(post.store, "board", OTHER).delivered_at == NOON


def test_later_messages_of_a_thread_wait_for_the_one_that_failed(post: Post) -> None:
    post.step()
    note(post.store, "a")
    note(post.store, "b")
    post.slack.troubles = [Refused("msg_too_long", "msg_too_long")]
    post.step()
    post.step(after=30)
    assert post.told() == ["board"]
    post.step(after=30)
    assert post.told() == ["board", "a", "b"]


def test_a_message_that_cannot_be_shown_is_pushed_back_and_the_loop_goes_on(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.store.put_out("no-such-run", "odd", Saying("note", "?").plain(), NOON)
    post.step()
    assert post.told() == ["board"]
    assert "message 'odd' of run 'no-such-run' cannot be shown" in caplog.text
    assert [r.key for r in post.store.undelivered(NOON + 60)] == ["odd"]


def test_a_workflow_without_a_board_of_its_own_shows_what_it_said(post: Post) -> None:
    drill = "test-alice-1"
    post.store.start_run(RunRow(drill, "pager_test", "lab", {}, "active", NOON, ALICE, NOON))
    post.store.put_out(drill, "board", Saying("board", "🔔 A drill, nothing is wrong.").plain(), NOON)
    post.store.put_out(drill, "passed", Saying("note", "✅ This pager is proven.").plain(), NOON)
    post.step()
    assert post.slack.texts()[1:] == ["🔔 A drill, nothing is wrong.", "✅ This pager is proven."]
    assert post.slack.posts["3.0"].thread == "2.0"


# ---- progress ------------------------------------------------------------------------------------------------------


def heals(store: MemoryStore, after: str) -> None:
    about = f"pve1.heal.{after}"
    say(store, f"{about}.said", Saying("progress", "🩹 pve1: now the storage heals.", about=about))


def test_progress_that_is_over_is_merged_away(post: Post) -> None:
    heals(post.store, "reboot")
    wait(post.store, "pve1.heal.reboot.wait")
    result(post.store, "pve1.heal.reboot.wait", ["saw", {"took": 60.0, "bricks": 2}])
    post.step()
    assert post.told() == ["board"]
    assert row(post.store, "pve1.heal.reboot.said").delivered_at == NOON


def test_older_progress_gives_way_to_newer(post: Post) -> None:
    heals(post.store, "upgrade")
    heals(post.store, "reboot")
    post.step()
    assert post.told() == ["board", "pve1.heal.reboot.said"]


def test_live_progress_is_posted_with_its_bar(post: Post) -> None:
    heals(post.store, "reboot")
    park(post.store, "pve1.heal.reboot.wait", {"pending": {"pve1:/b": 3, "pve2:/b": 0}, "curve": [[NOON, 3]]})
    post.step()
    assert post.slack.posts["2.0"].text == "🩹 pve1: now the storage heals. 3 pending."


def test_a_bucket_fills_again_and_never_above_its_rim() -> None:
    bucket = Bucket(2.0, 1.0)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(101.0), bucket.take(101.0)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


def test_of_an_outages_direct_messages_only_the_newest_to_each_person_is_still_sent(post: Post) -> None:
    """Three days of ringing somebody whom Slack does not know any more must not use up what Slack lets through."""
    post.store.start_run(RunRow("outage-1", "outage", "lab", {"mode": "ring"}, "active", NOON, "probe", NOON + 99))
    for number, user in enumerate((ALICE, ALICE, BOB, ALICE)):
        post.store.put_out("outage-1", f"t{number}.direct", Saying("direct", "🔥", to=user).plain(), NOON)
    post.step()
    assert [key for key in post.told() if key != "board"] == ["t2.direct", "t3.direct"]
