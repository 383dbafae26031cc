"""The demo as people start it, and the main job through every real layer: slash command over a real websocket, the bot
as a process of its own, PVE's API over TLS and the nodes over SSH."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from sandbox.house import REPOSITORY, BotProcess, House, house
from sandbox.model import What
from sandbox.play import SCENARIOS, main
from sandbox.scenario import Scenario
from sandbox.slack import ALICE, BOT, CAROL, CHANNEL, Message
from sandbox.spec import ClusterSpec, default_spec, settings_section
from sandbox.speed import at_speed
from tests.waiting import PATIENCE_S, eventually

FAST = 200.0


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bot.cli", "demo", *arguments]


def played(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(demo(*arguments), cwd=REPOSITORY, capture_output=True, text=True, timeout=550)


# ---- the skeleton ------------------------------------------------------------------------------------------------


def patient(spec: ClusterSpec) -> ClusterSpec:
    """However late a busy machine answers on the first way, it is not asked on the next."""
    ways = [{**way, "silence": f"{PATIENCE_S:.0f}s"} for way in settings_section(spec)["paths"]]
    return replace(spec, settings={**spec.settings, "paths": ways})


@pytest.fixture
def around(tmp_path: Path) -> Iterator[House]:
    night = at_speed(Scenario("skeleton", "", patient(default_spec()), (), ()), FAST, time.time())
    with house(night, FAST, tmp_path) as around:
        yield around


@pytest.fixture
def bot(around: House) -> Iterator[BotProcess]:
    with around.bot() as bot:
        eventually(lambda: around.slack.type(ALICE, CHANNEL, "/upgrade help").failure == "")
        yield bot


@pytest.mark.slow
def test_one_node_goes_from_the_slash_command_to_the_last_healed_brick(around: House, bot: BotProcess) -> None:
    slack = around.slack
    slack.type(ALICE, CHANNEL, "/upgrade cluster nodes=pve3")
    asked = slack.wait_for(lambda message: "May I take pve3?" in message.text)
    slack.react(CAROL, asked.ts, "white_check_mark")
    slack.wait_for(lambda message: "*lab* is done after" in message.text, 200.0)

    thread = [shape(message) for message in slack.messages() if message.user == BOT and message.thread_ts]
    told = [line for line in thread if not line.startswith("🩹") and line != BY_HA]  # what is over at once is not told
    assert "\n".join(told) == THREAD
    happened = around.faces.run(lambda: [(event.what, event.node) for event in around.model.events])
    ours = (What.MAINTENANCE_ON, What.UPGRADE, What.REBOOT, What.BOOTED, What.MAINTENANCE_OFF)
    assert [what for what in happened if what[0] in ours] == [(what, "pve3") for what in ours]
    guests = around.faces.run(lambda: {vm.id: vm.node for vm in around.model.guests.all.values() if vm.running})
    assert guests == {101: "pve1", 102: "pve2", 103: "pve3", 104: "pve3"}


BY_HA = "🚚 pve3: web (104) is HA's to bring back; I wait until it does, or leaves it be."
THREAD = """\
📋 The nodes go in this order: pve3.
✅ Preflight passed.
👍 Approved by <@U0CAROL>. 🙋 *May I take pve3?*
👍 pve3: approved by <@U0CAROL>; counts until TIME, for this boot and these packages.
🚧 pve3: maintenance mode is on (N gates passed). Next: drain.
🚚 pve3: HA moves web (104) to another node.
🚚 pve3: db (103) moves to pve2.
📦 pve3: drained, listed again, no guest runs here (db (103) to pve2, web (104) by HA).
⬆️ pve3: dist-upgrade of 2 packages has begun (N gates passed).
✅ pve3: 2 packages upgraded in A WHILE. Next: wait for the storage.
💚 pve3: the storage is fully healed: 3 bricks connected, 0 pending on each.
🔁 pve3: reboot sent (N gates passed).
✅ pve3: rebooted, proven by another boot id; runs 6.8.12-9-pve.
💚 pve3: fully healed after A WHILE: 3 bricks connected, 0 pending on each.
✅ pve3: maintenance mode is off (N gates passed).
🚚 pve3: db (103) moves to pve3.
🏠 pve3: guests back and running: db (103), web (104).
☑️ pve3 is done after A WHILE.
🏁 *lab* is done after A WHILE; the storage is fully healed. I keep watching gates and guest groups for 4 hours."""


def shape(message: Message) -> str:
    """Its first line, without what differs from night to night: times, durations, counts."""
    text = re.sub(r"<!date\^[^>]*>", "TIME", message.text.split("\n")[0])
    text = re.sub(r"\d+ (seconds?|minutes?)( and \d+ seconds?)?", "A WHILE", text)
    text = text.replace("; took A WHILE", "")  # of a reboot that nobody saw begin it is not told
    return re.sub(r"\d+ gates passed", "N gates passed", text)


# ---- the demo ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_people_who_act_by_themselves_take_three_nodes_and_the_verdict_is_passed() -> None:
    night = played("--play", "--speed", "300", "--port", "0")
    verdict = "PASSED: done: 3 nodes upgraded, 3 approvals, 0 pages, invariants held\n"
    assert night.stdout.endswith(verdict), night.stdout
    assert night.returncode == 0
    heals, asks = night.stdout.index("pve2: fully healed after"), night.stdout.index("May I take pve1?")
    assert heals < asks, "the slow heal of pve2 did not hold pve1 back"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_morning_after_two_dead_routers_come_back_over_the_line_that_is_left() -> None:
    night = played("--scenario", "morning-after", "--play", "--speed", "20", "--port", "0")
    assert night.returncode == 0, night.stdout
    for said in ("All of this goes over lte", "router-a (101) serves again", "router-b (102) serves again"):
        assert said in night.stdout
    assert "6 approvals, 3 pages, invariants held" in night.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_bot_is_started_again_and_ctrl_c_leaves_nothing_behind() -> None:
    with ExitStack() as stack:
        playing = stack.enter_context(
            subprocess.Popen(demo("--port", "0"), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(playing.kill)
        first = int(said(playing, r"kill -9 (\d+)")[1])
        shell = said(playing, r"The command line, meanwhile: +(\S+) check")[1]
        plan = subprocess.run([shell, "plan", "lab"], capture_output=True, text=True, timeout=PATIENCE_S)
        assert plan.stdout.startswith("Order: pve3, pve2, pve1 (nodes without members of a guest group first; ")
        os.kill(first, signal.SIGKILL)
        assert said(playing, r"The bot was killed \(SIGKILL\); it is started again in 3 s")
        second = int(said(playing, r"The bot is process (\d+) now")[1])
        playing.send_signal(signal.SIGINT)
        assert playing.wait(PATIENCE_S) == 128 + signal.SIGINT
    assert not running(second)


@pytest.mark.slow
def test_a_demo_that_is_killed_leaves_no_bot_behind() -> None:
    with subprocess.Popen(demo("--port", "0"), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as playing:
        bot = int(said(playing, r"kill -9 (\d+)")[1])
        playing.kill()
    eventually(lambda: not running(bot))


def running(pid: int) -> bool:
    """A process that has ended and that nobody has taken leave of runs no more."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def said(playing: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The next line of the demo that matches."""
    assert playing.stdout is not None
    for line in playing.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"the demo never said {pattern!r}")


@pytest.mark.slow
def test_a_port_in_use_gets_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = played("--port", str(port))
    assert refused.returncode == 1
    hint = "end the other demo, or take another port: --port 0 finds a free one"
    assert refused.stderr == f"Error: port {port} of 127.0.0.1 is in use; {hint}\n"


def test_the_help_lists_every_scenario_so_that_its_name_can_be_copied() -> None:
    shown = played("--help")
    names = {path.parent.name for path in SCENARIOS.glob("*/scenario.yaml")}
    assert shown.returncode == 0
    assert names <= set(re.findall(r"[\w-]+", shown.stdout))


@pytest.mark.slow
def test_a_night_in_which_telephones_ring_is_not_lived_faster_than_they_do() -> None:
    refused = CliRunner().invoke(main, ["--scenario", "midnight", "--play", "--speed", "600"])
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: somebody is called in midnight, which takes its time: no --speed over 60\n",
    )


def test_a_scenario_that_is_not_there_gets_the_name_that_was_meant() -> None:
    refused = played("--scenario", "good-nigt")
    assert refused.stderr == 'Error: there is no scenario "good-nigt" (did you mean "good-night"?)\n'
    assert refused.returncode == 1
