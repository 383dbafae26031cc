"""Bad input, met by the whole bot: real libraries on both sides, a run on its way. Whatever it is, the thread says it
in a sentence, no node is touched, and when it is mended the same run goes on.

Where else each kind of bad input is tested (below tests/, the `test_` of names left out):

| bad input | tested in | here |
| --- | --- | --- |
| unknown cluster, node, argument | unit/commands `a_wrong_word_is_answered_with_what_was_meant`, unit/test_cli | |
| unknown emoji | unit/bot/test_votes `another_emoji_is_answered_with_those_that_count` | |
| a second /upgrade while a run is active | scenarios/second-run, unit/commands | its link |
| two nodes without QDevice | scenarios/two-nodes-without-qdevice | |
| wrong Slack token | edges/test_check_slack, edges/test_slack_edge | in the log |
| host key mismatch | edges/test_ssh, edges/test_checks | in a run |
| self-signed certificate without CA | edges/test_proxmox, edges/test_checks | in a run |
| API token lacking a privilege | edges/test_live, edges/test_checks | in a run |
| a helper that is missing or altered | edges/test_checks, scenarios/helper-altered | missing |
| XML cut in the middle | unit/cluster/test_gluster_answers `xml_cut_anywhere_is_never_an_answer` | in a run |
| a heal listing of 50,000 entries | unit/cluster/test_peers, unit/cluster/test_gluster_answers | |
| an SSH command that never ends, or prints 100 MB | edges/test_ssh | in a run |
| Slack answers 429 or 500 | unit/bot/test_delivery, edges/test_slack_edge | |
| Slack times out | | in a run |
| Slack drops the socket, or is away | edges/test_slack_edge, scenarios/slack-* | |
| a clock that jumps | unit/workflows/test_clock_jumps, unit/engine/test_runner, unit/bot | |
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.app import Roundsman
from bot.settings import load
from sandbox.house import House, house
from sandbox.lines import Fault
from sandbox.model import What
from sandbox.nodes import Faces
from sandbox.scenario import Scenario
from sandbox.slack import ALICE, BOB, CHANNEL, Kind, Message
from sandbox.slack import Fault as SlackFault
from sandbox.spec import default_spec
from sandbox.speed import at_speed
from store.opening import read_store
from tests.waiting import PATIENCE_S, eventually

SPEED = 60.0
ALWAYS = 10_000


@dataclass
class Evening:
    """A cluster, a Slack, and the bot in this process, which is started when its settings are as bad as wanted."""

    around: House
    bots: list[Roundsman] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)

    @property
    def faces(self) -> Faces:
        return self.around.faces

    def change(self, edit: Callable[[dict[str, Any]], object]) -> None:
        """The cluster's section of the settings file."""
        settings = yaml.safe_load(self.around.settings_file.read_text())
        edit(settings["clusters"][0])
        self.around.settings_file.write_text(yaml.safe_dump(settings))

    def begin(self, **environment: str) -> None:
        settings = load(self.around.settings_file, {**self.around.environment, **environment})
        self.bots.append(Roundsman(settings, {}, exit_process=self.exits.append))
        self.bots[0].start()

    def types(self, text: str, who: str = ALICE) -> None:
        eventually(lambda: not self.around.slack.type(who, CHANNEL, text).failure)

    def says(self, *words: str) -> Message:
        """In a message, or on what the board shows below it."""
        try:
            return self.around.slack.wait_for(lambda message: all(word in shown(message) for word in words), PATIENCE_S)
        except TimeoutError:
            said = "\n".join(shown(message) for message in self.around.slack.messages())
            raise AssertionError(f"nobody said {words}, but:\n{said}") from None

    def run(self) -> str:
        """The id of the one run that there ever was."""
        store = read_store(self.around.database)
        try:
            (run,) = store.runs()
            return run.id
        finally:
            store.close()

    def end(self) -> None:
        for bot in self.bots:
            bot.stop()


def shown(message: Message) -> str:
    return f"{message.text}\n{json.dumps(message.blocks, ensure_ascii=False)}"


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    scenario = at_speed(Scenario("bad input", "", default_spec(), (), ()), SPEED, time.time())
    with house(scenario, SPEED, tmp_path) as around:
        evening = Evening(around)
        yield evening
        evening.end()
        acts = [event.what for event in around.model.events if event.what in (What.REBOOT, What.UPGRADED)]
        assert (acts, evening.exits) == ([], []), "no node was to be touched"


# ---- what keeps the bot from knowing, and is mended ------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    """What goes wrong at pve2, and what the thread has to say about it."""

    fault: Fault
    what: str
    told: str
    patience: str = "1m"


MENDABLE = {
    "a helper that is missing": Bad(Fault.MISSING, "status", "pve2: the node helper is not installed"),
    "xml that is cut in the middle": Bad(Fault.CUT, "heal-summary", "gluster on pve2 breaks off or is damaged"),
    "a command that prints 100 MB": Bad(Fault.FLOOD, "heal-summary", "printed more than"),
    "a command that never ends": Bad(Fault.HANG, "heal-summary", "did not end within 2 s", "2s"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bad", MENDABLE.values(), ids=MENDABLE.keys())
def test_what_goes_wrong_is_told_and_the_run_goes_on_when_it_is_mended(evening: Evening, bad: Bad) -> None:
    evening.change(lambda cluster: cluster["gluster"].update(timeout=bad.patience))
    evening.faces.faults.plan(bad.fault, node="pve2", what=bad.what, times=ALWAYS)
    evening.begin()
    evening.types("/upgrade cluster nodes=pve3")
    evening.says("I wait before the run", bad.told)
    evening.faces.faults.clear()
    evening.says("May I take pve3?")
    assert evening.run() in evening.says("starts as").text


@pytest.mark.slow
def test_a_token_that_lacks_a_privilege_is_told_with_the_line_that_grants_it(evening: Evening) -> None:
    granted = evening.faces.acl.entries
    evening.faces.acl.take("Sys.Audit")
    evening.begin()
    evening.types("/upgrade cluster nodes=pve3")
    evening.says("It waits for reading the cluster", "Sys.Audit", "pveum")
    evening.faces.acl.entries = granted
    evening.says("May I take pve3?")


# ---- what only another setting mends: the run can always be ended, and says what it left -----------------------------


def test_a_host_key_that_changed_is_told_and_the_run_can_be_ended(evening: Evening) -> None:
    evening.faces.change_host_key("pve2")
    evening.begin()
    evening.types("/upgrade cluster nodes=pve3")
    evening.says("I wait before the run", "pve2", "SSH host key SHA256:")
    evening.types("/upgrade abort")
    evening.says("was aborted. Nothing is left changed.")


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for_is_told_and_the_run_can_be_ended(evening: Evening) -> None:
    evening.change(lambda cluster: cluster["api"].pop("ca_file"))
    evening.begin()
    evening.types("/upgrade cluster nodes=pve3")
    evening.says("It waits for reading the cluster", "certificate", "ca_file")
    evening.types("/upgrade abort")
    evening.says("was aborted. Left as it is:", "maintenance modes could not be read: the certificate of the API")


# ---- Slack -----------------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused_with_a_link_to_the_thread_of_the_first(evening: Evening) -> None:
    evening.begin()
    evening.types("/upgrade cluster nodes=pve3")
    board = evening.says("May I take pve3?").thread_ts
    evening.types("/upgrade cluster", BOB)
    refusal = evening.says("a run of *lab* is active already: <http", "its thread>")
    assert (refusal.only_for, evening.run() in refusal.text) == (BOB, True)
    assert f"/p{board.replace('.', '')}|" in refusal.text


@pytest.mark.slow
def test_a_slack_that_takes_too_long_to_answer_shows_every_message_once(
    evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slackchat.TIMEOUT_S", 0.5)
    evening.begin()
    evening.around.slack.plant(SlackFault(Kind.DELAY, on="chat.postMessage", seconds=1.0, times=3))
    evening.types("/upgrade cluster nodes=pve3")
    evening.says("May I take pve3?")
    said = [message.text for message in evening.around.slack.messages() if message.metadata]
    assert len(said) == len(set(said)) >= 3


def test_a_wrong_bot_token_is_told_in_the_log_with_the_variable_to_set(
    evening: Evening, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        evening.begin(ROUNDSMAN_SLACK_BOT_TOKEN="xoxb-of-another-app")
        eventually(lambda: "Slack refused auth.test: invalid_auth; check ROUNDSMAN_SLACK_BOT_TOKEN" in caplog.text)
    assert "xoxb-of-another-app" not in caplog.text
