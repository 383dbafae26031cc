"""A journal as a person reads it at night."""

from __future__ import annotations

import pytest

from engine.port import Plain, Run, Saying
from engine.show import journal_lines
from store.api import RunRow, Store
from tests.unit.engine.engine_night import RUN_ID, Night, ask


def story(night: Night) -> None:
    def workflow(run: Run, args: object) -> Plain:
        run.step("pve1.drain", lambda: {"moved": [101]})
        run.say("pve1.said", lambda: Saying("note", "drained"))
        return ask(run, night, key="pve1.ask")

    night.begin(workflow)


def test_a_waiting_run_shows_what_was_done_what_it_waits_for_and_what_was_said(store: Store) -> None:
    story(Night(store))
    assert journal_lines(store, RUN_ID) == [
        "1970-01-12 13:46:40Z  up-lab-1: story on lab by alice, active",
        "1970-01-12 13:46:40Z  intent  pve1.drain",
        '1970-01-12 13:46:40Z  result  pve1.drain  {"moved":[101]}',
        "1970-01-12 13:46:40Z  result  pve1.said  true",
        '1970-01-12 13:46:40Z  wait    pve1.ask  {"since":1000000.0,"deadline":1001800.0}',
        "1970-01-12 13:46:40Z  waits   pve1.ask  approval of pve1: nobody yet "
        "(since 1970-01-12 13:46:40Z, until 1970-01-12 14:16:40Z)",
        "1970-01-12 13:46:40Z  said    pve1.said  note, not delivered, 0 tries",
    ]


def test_a_finished_run_shows_its_end_and_waits_for_nothing(store: Store) -> None:
    night = Night(store)
    story(night)
    night.approve("carol", "pve1.ask")
    night.awake(0)
    store.delivered(store.outbox(RUN_ID)[0].id, night.now, "C1", "17.01")
    lines = journal_lines(store, RUN_ID)
    assert lines[0].endswith('done at 1970-01-12 13:46:40Z: "carol"')
    assert lines[-1].endswith("note, delivered 1970-01-12 13:46:40Z")
    assert not any("waits" in line for line in lines)


def test_an_unknown_run_is_answered_with_those_there_are(store: Store) -> None:
    story(Night(store))
    with pytest.raises(LookupError, match=r"no run 'up-lab-2'; the newest are: up-lab-1"):
        journal_lines(store, "up-lab-2")


def test_a_run_whose_journal_is_not_kept_any_more_says_so(store: Store) -> None:
    store.start_run(RunRow("old", "rolling_upgrade", "lab", {}, "active", 0.0, "alice", 0.0))
    store.finish("old", {"state": "done"}, 60.0)
    assert journal_lines(store, "old")[1:] == ["its journal is not kept any more (store.keep_runs in the settings)"]
