"""The real process, killed with SIGKILL and started again: nothing twice, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from sandbox.cast import CAROL
from sandbox.house import REPOSITORY
from sandbox.model import What
from store.api import VoteRow
from tests.chaos.evening import Evening
from tests.chaos.killing import AIMED, POSTS, RANDOM, Killer
from tests.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SEED = 7
WHOLE_RUN_S = 600.0
NODES = ("pve1", "pve2", "pve3")


def test_twenty_kills_and_the_run_ends_with_nothing_done_twice_and_nothing_lost(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    killer = Killer(evening.bot, SEED)
    evening.house.faces.on_act(killer.on_act)
    evening.begin()
    evening.house.slack.ask(lambda: evening.house.slack.slack.workspace.listeners.append(killer.on_change))
    random_kills = threading.Thread(target=killer.at_random)
    random_kills.start()
    try:
        eventually(lambda: evening.done() and not undelivered(evening), WHOLE_RUN_S, evening.thread)
    finally:
        killer.end()
        random_kills.join()
        with capsys.disabled():
            print(f"\nchaos: {killer.summary()}; {evening.bot.starts} starts of the bot, seed {SEED}")
    assert len(killer.struck) == len(AIMED) + len(POSTS) + RANDOM == 20
    assert_each_node_was_taken_once(evening)
    assert_nothing_was_said_twice(evening)
    assert_each_approval_counted_once(evening)
    assert_nothing_is_left_behind(evening)
    assert evening.house.violations(evening.people) == []


def test_a_second_process_on_the_same_file_is_refused_with_a_sentence(evening: Evening) -> None:
    evening.begin()
    second = subprocess.run(
        [sys.executable, "-m", "bot.cli", "run"],
        cwd=REPOSITORY,
        env={**os.environ, **evening.house.environment},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
    )
    assert second.returncode == 1
    assert f"another roundsman (pid {evening.bot.pid}) already works on" in second.stderr
    assert "Traceback" not in second.stderr
    assert evening.bot.alive


OLDER = """
# A version of the bot from before it spoke about drains and upgrades: its journals lack those entries.
from workflows import node, wheel
from workflows.phases import Phase

said = wheel.Wheel.say
quiet = (Phase.DRAIN, Phase.UPGRADE, Phase.MAINTENANCE)
wheel.Wheel.say = lambda self, phase, *rest: "" if phase in quiet else said(self, phase, *rest)

from bot.cli import main
main()
"""


def test_a_new_version_takes_over_a_run_in_the_middle(evening: Evening) -> None:
    older = evening.house.folder / "older.py"
    older.write_text(OLDER)
    evening.bot.program = (str(older),)
    evening.bot.kill()
    evening.begin()
    eventually(lambda: rebooted(evening)["pve3"] == 1, WHOLE_RUN_S)
    evening.bot.program = ("-m", "bot.cli")
    evening.bot.kill()
    eventually(lambda: evening.done() and not undelivered(evening), WHOLE_RUN_S, evening.thread)
    assert_each_node_was_taken_once(evening)
    assert_nothing_is_left_behind(evening)
    assert_nothing_was_said_twice(evening)
    for node in NODES:  # also of the node whose drain the older version did not speak of: rather late than never
        assert sum(f"{node}: drained" in message.text for message in evening.posts()) == 1


# ---- what must be true at the end ------------------------------------------------------------------------------


def rebooted(evening: Evening) -> Counter[str]:
    return happened(evening, What.REBOOT)


def happened(evening: Evening, what: What) -> Counter[str]:
    events = evening.house.faces.run(lambda: list(evening.house.model.events))
    return Counter(event.node for event in events if event.what is what)


def undelivered(evening: Evening) -> list[str]:
    run = evening.run()
    return evening.read(lambda store: [row.key for row in store.outbox(run.id) if row.delivered_at is None])


def votes_on(evening: Evening, run_id: str, key: str) -> list[VoteRow]:
    return evening.read(lambda store: store.votes(run_id, key))


def assert_each_node_was_taken_once(evening: Evening) -> None:
    once = dict.fromkeys(NODES, 1)
    assert rebooted(evening) == once
    assert happened(evening, What.BOOTED) == once
    assert happened(evening, What.UPGRADE) == once
    result = evening.run().result
    assert result["state"] == "done"
    assert result["nodes"] == dict.fromkeys(NODES, "3 packages upgraded, runs 6.8.12-9-pve")


def assert_nothing_was_said_twice(evening: Evening) -> None:
    """And nothing that was written down was not said."""
    run = evening.run()
    keys = Counter(str((message.metadata or {})["event_payload"]["key"]) for message in evening.posts())
    written = evening.read(lambda store: {row.key for row in store.outbox(run.id) if row.ts})
    assert [key for key, count in keys.items() if count > 1] == []
    assert set(keys) == written


def assert_each_approval_counted_once(evening: Evening) -> None:
    run = evening.run()
    asked = [row.key for row in evening.read(lambda store: store.outbox(run.id)) if row.message["kind"] == "approval"]
    assert sorted(key.partition(".")[0] for key in asked) == list(NODES)
    for key in asked:
        votes = votes_on(evening, run.id, key)
        assert [(vote.user, vote.mark, vote.given) for vote in votes] == [(CAROL, "approve", True)]
    assert sum("approved by" in message.text for message in evening.posts() if message.thread_ts) == len(NODES)


def assert_nothing_is_left_behind(evening: Evening) -> None:
    model = evening.house.model
    guests = evening.house.faces.run(lambda: [(vm.node, vm.status, vm.onboot) for vm in model.guests.all.values()])
    assert guests == [(spec.node, "running", True) for spec in model.spec.guests]
    assert evening.house.faces.run(lambda: [n for n, mode in model.ha_manager.modes.items() if mode.asked]) == []
    assert evening.house.faces.run(lambda: model.gluster.whole)
