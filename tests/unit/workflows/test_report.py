"""What an outage is written up from."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.port import Saying
from sandbox.cast import NAMES
from sandbox.night import Night
from sandbox.scenario import load
from store.api import AuditRow, OrderRow, PageRow, RunRow
from store.memory import MemoryStore
from workflows import report
from workflows.alerts import OUTAGE
from workflows.phases import UPGRADE

BEGAN, WEEK_S = 1_000_000.0, 7 * 86400.0


def judged(at: float, run_id: str = "lab-1") -> AuditRow:
    verdict = {"heal": {"verdict": "blocked", "reason": f"at {at:.0f}", "evidence": {}}}
    return AuditRow(at, run_id, "lab", "roundsman", "gates reboot pve2", verdict)


def begun(store: MemoryStore, run_id: str, workflow: str, at: float) -> RunRow:
    assert store.start_run(RunRow(run_id, workflow, "lab", {}, "active", at, "U0ALICE", at))
    run = store.run(run_id)
    assert run is not None
    return run


def test_an_outage_of_last_week_is_written_up_with_what_was_judged_then() -> None:
    """A thousand later rows hid it, and the draft said that no gate was asked and nothing tried."""
    store = MemoryStore()
    begun(store, "lab-1", UPGRADE, BEGAN - 600)
    outage = begun(store, "lab-outage-1", OUTAGE, BEGAN)
    store.audit(judged(BEGAN - 60))
    store.audit(judged(BEGAN + 60))
    for number in range(report.MOST_AUDITS):
        store.audit(judged(BEGAN + WEEK_S + number))
    store.finish(outage.id, {"state": "recovered"}, BEGAN + 3600)
    found = store.run(outage.id)
    assert found is not None
    recorded = report.read(store, found)
    assert [row.at for row in recorded.audits] == [BEGAN + 60]
    assert recorded.last == judged(BEGAN - 60)


def test_a_step_that_was_approved_once_is_told_once_and_in_words() -> None:
    """It is judged before each of its acts: stopped at 22:06, detached five seconds later. And "act pve3" told nobody
    that its power was cycled."""
    assert tried("restore-split-routers") == [
        "alice: start restore",
        "bob: start restore",
        "roundsman: setting the disks of router-a (101) aside, approved by carol",
        "roundsman: setting the disks of router-b (102) aside, approved by carol",
        "roundsman: restoring router-a (101), approved by carol",
        "roundsman: restoring router-b (102), approved by carol",
    ]
    assert "roundsman: cycling the power of pve3, approved by carol" in tried("power-cycle")


def tried(scenario: str) -> list[str]:
    night = Night(load(Path("tests/scenarios") / scenario)).live()
    run = RunRow("lab-outage-1", OUTAGE, "lab", {}, "active", 0.0, "alerts", 0.0)
    text = report.markdown(replace(report.read(night.store, run), runs=[]), lambda user: NAMES.get(user, user))
    lines = text.partition("## What was tried\n")[2].partition("\n\n")[0].splitlines()
    return [re.sub(r"^- \S+ \S+ | \(\S+-\S+\)", "", line) for line in lines]


def test_what_is_tried_anew_after_a_person_said_so_is_told_again() -> None:
    store = MemoryStore()
    outage = begun(store, "lab-outage-1", OUTAGE, BEGAN)
    for after, who, what in ((1, "roundsman", "restoring"), (2, "U0BOB", "retry"), (3, "roundsman", "restoring")):
        store.audit(AuditRow(BEGAN + after, "lab-restore-1", "lab", who, what))
    text = report.markdown(report.read(store, outage), lambda user: user)
    assert text.count("roundsman: restoring (lab-restore-1)") == 2


def test_what_a_former_version_let_people_order_is_written_up_in_its_own_word() -> None:
    run = RunRow("lab-outage-1", OUTAGE, "lab", {}, "active", BEGAN, "alerts", BEGAN)
    order = OrderRow(1, run.id, "hush", "", "emoji", "U0BOB", BEGAN + 5, "Ev1")
    recorded = report.Recorded(run, [], [], [order], [], [], [])
    assert "bob hush (emoji)" in report.markdown(recorded, lambda _: "bob")


@pytest.mark.parametrize(
    ("got_at", "told", "paged"),
    [
        (BEGAN + 1, "alice by mention: posted in Slack", "1 second"),
        (BEGAN + 1200, "alice by mention: posted in Slack at 1970-01-12 14:06:40, which was away", "20 minutes"),
        (None, "alice by mention: not posted, for Slack was away", "not yet"),
    ],
)
def test_a_mention_that_slack_did_not_get_is_not_written_up_as_posted(
    got_at: float | None, told: str, paged: str
) -> None:
    """Dropped, in the end, for somebody had it by then: the draft said that she was mentioned after a second."""
    store = MemoryStore()
    outage = begun(store, "lab-outage-1", OUTAGE, BEGAN)
    store.page(PageRow(outage.id, "t0.rung0.alice.mention", "alice", "mention", "posted", BEGAN, BEGAN))
    store.put_out(outage.id, "t0.rung0.mention", Saying("page", "outage").plain(), BEGAN)
    (row,) = store.outbox(outage.id)
    store.delivered(row.id, got_at or BEGAN + 1200, "C1", "1.0" if got_at else "")
    draft = report.markdown(report.read(store, outage), lambda name: name)
    assert f"{told}\n" in draft
    assert f"to page: {paged}\n" in draft
