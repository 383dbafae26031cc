"""The bot's Slack edge over real connections: Bolt on two websockets and the real Web API client, against a Slack on
the loopback. Only the machines are missing."""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest

from bot import inbox
from bot.board import Board
from bot.delivery import Delivery
from bot.inbox import NOT_SAVED, Inbox
from bot.slack import SlackEdge
from bot.slackchat import Refused, SlackChat, Unsure
from bot.votes import Mark, Votes
from bot.worker import Worker
from commands.api import Reply
from engine.port import Saying
from sandbox.slack import (
    ALICE,
    BOT,
    CAROL,
    CHANNEL,
    MALLORY,
    Fault,
    Kind,
    LocalSlack,
    Pace,
    SlackInThread,
    run_in_thread,
)
from sandbox.spec import default_spec, managed_settings
from store.api import CommandRow, RunRow, StoreError
from store.memory import MemoryStore
from tests.waiting import PATIENCE_S, eventually

RUN = "lab-20261124-1"
ASKED = "pve1.ask.request.said"


@dataclass
class Office:
    """The bot without its engine: what arrives from Slack, and what goes there."""

    slack: SlackInThread
    store: MemoryStore = field(default_factory=lambda: MemoryStore(check_plain=True))
    answered: list[CommandRow] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    connections: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def open(self) -> None:
        managed = managed_settings(default_spec())
        self.chat = SlackChat("xoxb-local", self.slack.api_url, time.time)
        self.votes = Votes(self.store, self.chat, {"lab": managed}, time.time, lambda: None)
        self.inbox = Inbox(self.store, self._answer, self._reply, time.time, lambda: self.commands.wake())
        self.board = Board(self.store, self.chat, time.time)
        delivery = Delivery(self.store, self.chat, lambda _: CHANNEL, time.time)
        self.commands = Worker("inbox", self.inbox.step, self.faults.append)
        self.marks = Worker("votes", self.votes.step, self.faults.append)
        self.posting = Worker("delivery", delivery.step, self.faults.append)
        self.edge = SlackEdge("xoxb-local", "xapp-local", self.slack.api_url, self, time.time, self.faults.append)
        for part in (self.commands, self.marks, self.posting, self.edge):
            part.start()

    def close(self) -> None:
        for part in (self.edge, self.commands, self.marks, self.posting):
            part.stop()
        self.inbox.stop()
        assert self.faults == []

    def wait_until_connected(self) -> None:
        for _ in range(2):
            assert self.connections.acquire(timeout=PATIENCE_S)

    # what the edge hands things to
    async def received(self, row: CommandRow) -> str:
        return await self.inbox.receive(row)

    def marked(self, mark: Mark) -> None:
        self.votes.put(mark)
        self.marks.wake()

    def connected(self) -> None:
        self.connections.release()

    def _answer(self, row: CommandRow) -> Reply:
        self.answered.append(row)
        return Reply(f"answered: {row.text}", public=row.text == "status")

    def _reply(self, row: CommandRow, reply: Reply) -> None:
        self.chat.reply(row.response_url, row.channel, row.user, reply.text, reply.public)

    # what a run would do
    def begin_run(self) -> None:
        args = {"cluster": "lab", "nodes": ["pve1"], "reboot": "if-needed", "dry_run": False, "by": ALICE}
        self.store.start_run(RunRow(RUN, "rolling_upgrade", "lab", args, "active", time.time(), ALICE, 0.0))
        self.say("board", Saying("board", "🔧 Rolling upgrade of *lab*."))

    def say(self, key: str, saying: Saying) -> None:
        self.store.put_out(RUN, key, saying.plain(), time.time())
        self.posting.wake()

    def ask(self) -> None:
        self.say(ASKED, Saying("approval", "🙋 *May I take pve1?*", detail={"node": "pve1"}))

    def marks_of(self, user: str) -> list[tuple[str, bool]]:
        return [(vote.mark, vote.given) for vote in self.store.votes(RUN, ASKED) if vote.user == user]


@pytest.fixture
def slack() -> Iterator[SlackInThread]:
    with run_in_thread(LocalSlack(pace=Pace(retries=(0.2, 0.5, 1.0), warning=1.0, grace=1.0))) as running:
        yield running


@pytest.fixture
def office(slack: SlackInThread) -> Iterator[Office]:
    office = Office(slack)
    office.open()
    office.wait_until_connected()
    yield office
    office.close()


def shown_to(slack: SlackInThread, user: str) -> list[str]:
    return [message.text for message in slack.messages() if message.only_for == user]


# ---- commands ------------------------------------------------------------------------------------------------------


def test_a_command_is_acknowledged_at_once_and_answered_after_it(office: Office, slack: SlackInThread) -> None:
    answer = slack.type(ALICE, CHANNEL, "/upgrade why lab")
    assert (answer.text, answer.failure) == ("", "")
    slack.wait_for(lambda message: message.text == "answered: why lab" and message.only_for == ALICE)
    eventually(lambda: len(office.store.commands("done")) == 1)


def test_a_public_answer_is_seen_by_the_channel(office: Office, slack: SlackInThread) -> None:
    slack.type(ALICE, CHANNEL, "/upgrade status")
    assert slack.wait_for(lambda message: message.text == "answered: status").only_for == ""


def test_a_command_that_slack_delivers_twice_is_worked_once(office: Office, slack: SlackInThread) -> None:
    slack.plant(Fault(Kind.TWICE, on="slash_commands"))
    assert not slack.type(ALICE, CHANNEL, "/upgrade cluster").failure
    slack.wait_for(lambda message: message.text == "answered: cluster")
    eventually(lambda: not office.store.commands("saved"))
    assert len(office.answered) == 1


def test_a_disk_that_hangs_gets_the_command_refused_and_what_lands_later_does_not_count(
    office: Office, slack: SlackInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "SAVE_S", 0.2)  # Slack waits for three seconds, the machine's own included
    disk, save = threading.Event(), office.store.save_command

    def slowly(row: CommandRow) -> bool:
        disk.wait(PATIENCE_S)
        return save(row)

    office.store.save_command = slowly  # type: ignore[method-assign]
    assert slack.type(ALICE, CHANNEL, "/upgrade cluster").text == NOT_SAVED
    disk.set()
    eventually(lambda: len(office.store.commands("landed")) == 1)
    office.inbox.step()
    assert office.answered == []


def test_a_disk_that_is_full_gets_the_command_refused(office: Office, slack: SlackInThread) -> None:
    def full(row: CommandRow) -> bool:
        raise StoreError("database or disk is full")

    office.store.save_command = full  # type: ignore[method-assign]
    assert slack.type(ALICE, CHANNEL, "/upgrade cluster").text == NOT_SAVED


def test_whoever_mentions_the_bot_is_told_what_it_understands(office: Office, slack: SlackInThread) -> None:
    slack.type(MALLORY, CHANNEL, "@roundsman what can you do?")
    slack.wait_for(lambda message: message.text == "answered: help" and message.only_for == MALLORY)


def test_an_answer_reaches_its_reader_although_the_response_url_is_dead(office: Office, slack: SlackInThread) -> None:
    office.chat.reply(f"{slack.url}/commands/gone", CHANNEL, ALICE, "still here", False)
    assert "still here" in shown_to(slack, ALICE)


# ---- connections ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_command_is_lost_or_late_while_slack_refreshes_the_connections(office: Office, slack: SlackInThread) -> None:
    for round_ in range(3):
        slack.plant(Fault(Kind.REFRESH))
        for number in range(10):
            answer = slack.type(ALICE, CHANNEL, f"/upgrade why {round_}.{number}")
            assert (answer.text, answer.failure) == ("", "")
        office.wait_until_connected()
    eventually(lambda: len(office.answered) == 30)


@pytest.mark.slow
def test_connections_that_drop_come_back_by_themselves(office: Office, slack: SlackInThread) -> None:
    slack.plant(Fault(Kind.DROP))
    office.wait_until_connected()
    assert not slack.type(ALICE, CHANNEL, "/upgrade why").failure


def test_a_slack_that_is_away_at_the_start_is_waited_for_with_a_sentence(
    slack: SlackInThread, caplog: pytest.LogCaptureFixture
) -> None:
    slack.plant(Fault(Kind.DOWN, seconds=600.0, word="error"))
    office = Office(slack)
    with caplog.at_level(logging.ERROR, "bot.slack"):
        office.open()
        eventually(lambda: "slack: bot: not connected (Slack did not answer auth.test: HTTP 503" in caplog.text)
        slack.plant(Fault(Kind.DOWN, seconds=0.0, word="error"))  # and so it is back
        office.wait_until_connected()
    assert not slack.type(ALICE, CHANNEL, "/upgrade why").failure
    office.close()


def test_a_wrong_app_token_is_told_with_the_remedy(slack: SlackInThread, caplog: pytest.LogCaptureFixture) -> None:
    slack.plant(Fault(Kind.REFUSE, on="apps.connections.open", word="invalid_auth", times=2))
    office = Office(slack)
    with caplog.at_level(logging.ERROR, "bot.slack"):
        office.open()
        office.wait_until_connected()
    assert "Slack refused apps.connections.open: invalid_auth; check ROUNDSMAN_SLACK_BOT_TOKEN" in caplog.text
    office.close()


# ---- delivery ------------------------------------------------------------------------------------------------------


def test_a_run_is_told_in_the_thread_of_its_board(office: Office, slack: SlackInThread) -> None:
    office.begin_run()
    office.say("note", Saying("note", "📋 The nodes go in this order: pve1."))
    note = slack.wait_for(lambda message: "in this order" in message.text)
    board = slack.wait_for(lambda message: "rolling upgrade of lab" in message.text)
    assert note.thread_ts == board.ts
    assert board.metadata == {"event_type": "roundsman", "event_payload": {"run": RUN, "key": "board"}}


@pytest.mark.slow
def test_a_post_whose_answer_was_cut_off_is_found_and_not_repeated(office: Office, slack: SlackInThread) -> None:
    office.begin_run()
    slack.wait_for(lambda message: "rolling upgrade of lab" in message.text)
    slack.plant(Fault(Kind.CUT, on="chat.postMessage"))
    office.say("note", Saying("note", "✋ pve1: I hold."))
    eventually(lambda: bool((row := office.store.outbox_row(RUN, "note")) and row.delivered_at))
    assert len([message for message in slack.messages() if "I hold" in message.text]) == 1


def test_a_page_is_top_level_mentions_people_and_links_to_the_thread(office: Office, slack: SlackInThread) -> None:
    office.begin_run()
    slack.wait_for(lambda message: "rolling upgrade of lab" in message.text)
    office.say("page", Saying("page", "✋ pve1: I hold.", mention=(ALICE,)))
    page = slack.wait_for(lambda message: f"<@{ALICE}>" in message.text)
    assert page.thread_ts == ""
    assert "|Its thread>" in page.text


@pytest.mark.slow
def test_a_direct_message_is_delivered_once_although_its_answer_was_cut_off(
    office: Office, slack: SlackInThread
) -> None:
    office.begin_run()
    slack.wait_for(lambda message: "rolling upgrade of lab" in message.text)
    slack.plant(Fault(Kind.CUT, "chat.postMessage"))
    office.say("direct", Saying("direct", "🔥 *lab* is down in part.", to=ALICE))
    told = slack.wait_for(lambda message: message.channel.startswith("D"))
    eventually(lambda: bool((row := office.store.outbox_row(RUN, "direct")) and row.delivered_at))
    assert f"{slack.url}/archives/{CHANNEL}/p" in told.text
    assert [message.ts for message in slack.messages() if "is down in part" in message.text] == [told.ts]


def test_a_board_is_edited_only_when_what_it_shows_has_changed(office: Office, slack: SlackInThread) -> None:
    office.begin_run()
    board = slack.wait_for(lambda message: "rolling upgrade of lab" in message.text)
    eventually(lambda: [row.ts for row in office.store.outbox(RUN)] == [board.ts])  # Slack shows it before we know
    office.board.refresh()
    assert not slack.ask(lambda: board.edited)
    office.store.finish(RUN, {"state": "aborted", "nodes": {}}, time.time())
    office.board.refresh()
    changed = slack.wait_for(lambda message: message.ts == board.ts and "was aborted" in message.text)
    assert changed.blocks


# ---- approvals -----------------------------------------------------------------------------------------------------


def asked(office: Office, slack: SlackInThread) -> str:
    office.begin_run()
    office.ask()
    message = slack.wait_for(lambda message: "May I take" in message.text)
    eventually(lambda: set(message.reactions) == {"white_check_mark", "x"})
    return message.ts


def test_the_request_carries_both_emoji_so_that_one_tap_answers(office: Office, slack: SlackInThread) -> None:
    asked(office, slack)
    assert office.marks_of(BOT) == []


def test_an_approver_approves_and_takes_it_back(office: Office, slack: SlackInThread) -> None:
    ts = asked(office, slack)
    slack.react(CAROL, ts, "white_check_mark")
    eventually(lambda: office.marks_of(CAROL) == [("approve", True)])
    slack.unreact(CAROL, ts, "white_check_mark")
    eventually(lambda: office.marks_of(CAROL) == [("approve", True), ("approve", False)])


def test_somebody_else_is_told_privately_why_it_does_not_count(office: Office, slack: SlackInThread) -> None:
    ts = asked(office, slack)
    slack.react(MALLORY, ts, "white_check_mark")
    told = slack.wait_for(lambda message: message.only_for == MALLORY)
    assert told.text == ("ℹ️ Your :white_check_mark: for pve1 does not count: only <@U0CAROL> may approve here.")
    assert office.marks_of(MALLORY) == []


def test_a_reaction_that_no_event_told_is_found_by_reading(office: Office, slack: SlackInThread) -> None:
    ts = asked(office, slack)
    slack.plant(Fault(Kind.MISS, on="events_api"))
    slack.react(CAROL, ts, "white_check_mark")
    assert office.marks_of(CAROL) == []
    office.votes.reconcile()
    assert office.marks_of(CAROL) == [("approve", True)]


def test_an_event_that_arrives_twice_counts_once(office: Office, slack: SlackInThread) -> None:
    ts = asked(office, slack)
    slack.plant(Fault(Kind.TWICE, on="events_api"))
    slack.react(CAROL, ts, "white_check_mark")
    eventually(lambda: office.marks_of(CAROL) != [])  # on two lines the removal may overtake it
    slack.unreact(CAROL, ts, "white_check_mark")
    eventually(lambda: len(office.marks_of(CAROL)) == 2)
    eventually(lambda: all(slack.ask(lambda: [d.acked for d in slack.slack.sockets.deliveries])))
    assert office.marks_of(CAROL) == [("approve", True), ("approve", False)]


# ---- the Web API client --------------------------------------------------------------------------------------------


def test_what_slack_refuses_and_what_it_leaves_open_are_told_apart(slack: SlackInThread) -> None:
    chat = SlackChat("xoxb-local", slack.api_url, time.time)
    slack.plant(Fault(Kind.REFUSE, on="chat.postMessage", word="not_in_channel"))
    with pytest.raises(Refused, match="not_in_channel; type /invite @roundsman in that channel"):
        chat.post(CHANNEL, "", "hello", (), RUN, "k")
    slack.plant(Fault(Kind.LIMIT, on="chat.postMessage", seconds=7))
    with pytest.raises(Refused) as limited:
        chat.post(CHANNEL, "", "hello", (), RUN, "k")
    assert limited.value.retry_after == 7
    for kind in (Kind.BROKEN, Kind.LOSE, Kind.CUT):
        slack.plant(Fault(kind, on="chat.postMessage"))
        with pytest.raises(Unsure):
            chat.post(CHANNEL, "", f"once {kind}", (), RUN, str(kind))
    assert [message.text for message in slack.messages()] == ["once cut"]


def test_a_read_is_tried_again_after_a_server_error(slack: SlackInThread) -> None:
    chat = SlackChat("xoxb-local", slack.api_url, time.time)
    slack.plant(Fault(Kind.BROKEN, on="auth.test"))
    assert chat.bot_user == BOT


# ---- how fast ------------------------------------------------------------------------------------------------------


@pytest.mark.timing
def test_acknowledgements_stay_far_below_slacks_three_seconds(office: Office, slack: SlackInThread) -> None:
    numbers = count()
    for _ in range(40):
        slack.type(ALICE, CHANNEL, f"/upgrade why {next(numbers)}")
    took = slack.ask(
        lambda: [d.acked - d.sent for d in slack.slack.sockets.deliveries if d.kind == "slash_commands" and d.acked]
    )
    assert len(took) == 40
    assert statistics.quantiles(took, n=20)[-1] < 0.5
