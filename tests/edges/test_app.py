"""The bot as a whole, over a real Slack connection and a real database; only the machines are a model."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock, Mock

import pytest
from pydantic import SecretStr

from bot.app import FAULTED, Roundsman, secrets
from bot.settings import PaceSettings, Settings, SlackSettings, StoreSettings
from cluster.api import Cluster
from cluster.install import helper_checksum
from sandbox.clock import ModelClock
from sandbox.direct import SimCluster
from sandbox.model import Model
from sandbox.scenario import Scenario
from sandbox.slack import ALICE, BOB, CAROL, CHANNEL, LocalSlack, Message, SlackInThread, run_in_thread
from sandbox.spec import ClusterSpec, default_spec, managed_settings
from sandbox.speed import at_speed, duration, least_look
from store.api import RunRow, SecondProcess, StoreError
from tests.waiting import PATIENCE_S, eventually
from workflows.settings import ManagedCluster

SPEED = 60.0
LOOK_S = least_look(SPEED)
QUIET = {
    "limits": {"watch": "1s"},
    "probing": {"defaults": False},
    "gluster": {"volumes": ["vmstore"], "gap": duration(LOOK_S)},
}
"""Its machines have no ports to look at."""
USUAL: ClusterSpec = replace(default_spec(), helper_checksum=helper_checksum(), settings=QUIET)
SPEC = at_speed(Scenario("the whole bot", "", USUAL, (), ()), SPEED, time.time()).spec
"""Its machines are quick; the bot's own clock is the one on the wall, which no slow machine lets run ahead of it."""


class House:
    """The bot, its Slack and its cluster."""

    def __init__(self, slack: SlackInThread, path: Path, clock: ModelClock) -> None:
        self.slack, self.clock = slack, clock
        self.model = Model(SPEC, 1, clock())
        self.managed = managed_settings(SPEC)
        self.exits: list[int] = []
        self.bots: list[Roundsman] = []
        self.settings = Settings(
            slack=SlackSettings(
                bot_token=SecretStr("xoxb-local"), app_token=SecretStr("xapp-local"), api_url=slack.api_url
            ),
            store=StoreSettings(path=str(path / "roundsman.db")),
            pace=PaceSettings(divisor=4, least=LOOK_S, most=3 * LOOK_S),
            clusters=(self.managed,),
        )

    def bot(self) -> Roundsman:
        bot = Roundsman(self.settings, {}, cluster=self._cluster, clock=self.clock, exit_process=self.exits.append)
        self.bots.append(bot)
        return bot

    def running(self) -> Roundsman:
        """Started, and answering."""
        bot = self.bot()
        bot.start()
        eventually(lambda: not self.slack.type(ALICE, CHANNEL, "/upgrade help").failure)
        return bot

    def _cluster(self, managed: ManagedCluster) -> Cluster:
        return SimCluster(self.model, managed, self.clock)

    def says(self, text: str) -> Message:
        return self.slack.wait_for(lambda message: text in message.text, PATIENCE_S)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = ModelClock()
    with run_in_thread(LocalSlack(clock=clock)) as slack:
        house = House(slack, tmp_path, clock)
        yield house
        for bot in house.bots:
            bot.stop()


def test_the_first_command_after_a_start_is_acknowledged_within_three_seconds(house: House) -> None:
    """Of Slack's, which says `operation_timeout` then; until somebody listens it says `dispatch_failed`."""
    house.bot().start()
    failures: list[str] = []
    while (answer := house.slack.type(ALICE, CHANNEL, "/upgrade help")).failure:
        failures.append(answer.failure)
        time.sleep(0.02)
    assert set(failures) <= {"dispatch_failed"}
    assert answer.failure == ""
    house.slack.wait_for(lambda message: "/upgrade cluster" in message.text and message.only_for == ALICE)


@pytest.mark.timeout(300)
def test_one_node_is_upgraded_from_the_command_to_the_last_healed_brick(house: House) -> None:
    house.running()
    house.slack.type(ALICE, CHANNEL, "/upgrade cluster nodes=pve1")
    asked = house.says("May I take pve1?")
    house.slack.react(CAROL, asked.ts, "white_check_mark")
    house.says("pve1: fully healed after")
    done = house.says("*lab* is done after")
    board = house.says("The rolling upgrade of lab")
    assert done.thread_ts == asked.thread_ts == board.ts
    closed = house.slack.wait_for(lambda message: message.ts == asked.ts and "Approved by" in message.text)
    assert closed.blocks
    assert len([event for event in house.model.events if event.what == "reboot"]) == 1
    assert house.exits == []


def test_a_reaction_given_while_the_bot_was_down_is_read_before_the_run_goes_on(house: House) -> None:
    first = house.running()
    house.slack.type(ALICE, CHANNEL, "/upgrade cluster nodes=pve1")
    asked = house.says("May I take pve1?")
    first.stop()
    house.slack.react(CAROL, asked.ts, "x")
    house.running()
    assert "rejected by" in house.says("I hold").text


def test_a_second_process_is_refused_with_a_sentence(house: House) -> None:
    house.bot()
    with pytest.raises(SecondProcess, match=re.escape("roundsman.db")):
        house.bot()


def test_a_store_that_fails_ends_the_process_with_a_last_word_in_the_channel(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bot = house.running()

    def full(now: float, longest: float) -> list[str]:
        raise StoreError("the database is full: <No space> left for xoxb-local")

    monkeypatch.setattr(bot._store, "undelivered", full)
    word = house.says("Roundsman of *lab* ends here: the database is full: &lt;No space&gt; left for (secret)")
    eventually(lambda: house.exits == [FAULTED])
    assert word.text.startswith(f"<@{ALICE}> <@{BOB}> 🚨")
    assert "running -> ended" in caplog.text


def test_a_cluster_that_left_the_settings_stops_its_own_run_only(house: House) -> None:
    bot, now = house.running(), house.clock()
    gone = RunRow("barn-1", "rolling_upgrade", "barn", {"cluster": "barn"}, "active", now, ALICE, now)
    bot._store.start_run(gone)
    house.slack.type(ALICE, CHANNEL, "/upgrade cluster nodes=pve1")
    house.says("May I take pve1?")
    eventually(lambda: "cluster barn is no longer in the settings; put it back" in parked_at(bot, "barn-1"))
    assert house.exits == []
    pages = [row.message["text"] for row in bot._store.outbox("barn-1")]
    assert len(pages) == 1
    assert "`barn-1` stands still, a fault of the bot itself" in pages[0]
    house.says("`barn-1` stands still")  # in the channel of the first cluster, for barn has none any more


def parked_at(bot: Roundsman, run_id: str) -> str:
    row = bot._store.run(run_id)
    return str(row.parked["seen"]) if row is not None and row.parked else ""


def test_every_secret_of_the_settings_is_known_to_the_log(house: House) -> None:
    assert set(secrets(house.settings)) == {"xoxb-local", "xapp-local", "not-a-secret"}


def test_a_start_and_a_stop_leave_nothing_in_the_log_to_worry_about(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        house.running().stop()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_silent_slack_keeps_no_run_waiting_for_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reactions cannot be read, or the reading does not end. Outages wait for seconds alone."""
    now, watched = [0.0], list[float]()

    def silent(limit: float) -> bool:
        now[0] += limit
        return False

    bot = Mock(spec=Roundsman, _votes=Mock(were_read=silent), _asked_to_stop=Mock(is_set=lambda: False))
    bot._keep_watch = lambda: watched.append(now[0])
    monkeypatch.setattr("bot.app.time.monotonic", lambda: now[0])
    Roundsman._first_reading(bot)
    assert 60.0 <= now[0] <= 61.0
    assert 10.0 <= watched[0] <= 11.0


def test_a_slack_that_never_ends_its_answer_keeps_neither_ladders_nor_runs_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that drips: the SDK waits for as long as a byte comes now and then."""
    monkeypatch.setattr("bot.app.WATCH_S", 0.0)
    monkeypatch.setattr("bot.app.FIRST_READING_S", 0.5)
    over, bot = threading.Event(), house.bot()
    monkeypatch.setattr(bot._votes, "reconcile", over.wait)
    bot.start()
    assert bot._watching
    over.set()


def test_people_are_listened_to_first_then_what_they_did_is_read_and_only_then_runs_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that went on before the reading would not know of a mark that was taken back while nobody listened."""
    monkeypatch.setattr("bot.app.sys.setswitchinterval", lambda _: None)
    bot = MagicMock(_environ={}, _managed={}, _path_watches=[])
    Roundsman.start(bot)
    done = [name for name, *_ in bot.mock_calls]
    order = ["_commands.start", "_edge.start", "_marks.start", "_first_reading", "_runner.begin", "_wall.start"]
    assert [name for name in done if name in order] == order


@pytest.mark.parametrize(("alive", "told"), [(True, [b"WATCHDOG=1"]), (False, [])])
def test_systemd_starts_a_bot_again_that_looks_after_no_run_any_more(
    tmp_path: Path, alive: bool, told: list[bytes]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(address := str(tmp_path / "notify"))
        bot = Mock(spec=Roundsman, _environ={"NOTIFY_SOCKET": address}, _runner=Mock(alive=alive))
        Roundsman._beat(bot)
        assert list(datagrams(listening)) == told


def datagrams(listening: socket.socket) -> Iterator[bytes]:
    with suppress(BlockingIOError):
        while True:
            yield listening.recv(100)
