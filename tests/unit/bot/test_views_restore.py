"""The board of a restore, read off a night that was lived; and its progress while it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bot import views
from bot.story import Story
from engine.port import Saying
from sandbox.night import Night
from sandbox.scenario import load
from workflows.picture import Wait
from workflows.picture_restore import rescue_picture

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def lived(name: str) -> Night:
    return Night(load(SCENARIOS / name), transcript=False).live()


def text_of(view: views.View) -> str:
    found: list[str] = []
    for block in view.blocks:
        found += [block["text"]["text"]] if "text" in block else [e["text"] for e in block["elements"]]
    return "\n".join(found)


def board(night: Night) -> views.View:
    run = night.store.runs()[-1]
    story = Story.read(night.store, run.id)
    assert story is not None
    return story.view(next(row for row in story.rows if row.message["kind"] == "board"))


def test_a_restore_that_is_done_says_so() -> None:
    shown = text_of(board(lived("restore-line-breaks")))
    assert "🏁 *Restore of router-a on lab* is done." in shown
    assert "Changed and not put back" not in shown


def test_a_restore_that_was_refused_says_why_on_its_board() -> None:
    shown = board(lived("restore-of-a-running-guest"))
    refused = "router-a (101) runs on pve1, and a running guest is never restored over."
    assert f"⛔ *Restore of router-a on lab* was refused: {refused}" in text_of(shown)
    assert shown.text == f"⛔ Restore of router-a on lab was refused: {refused}"
    assert "`/restore why`" not in text_of(shown)  # it waits for nothing any more


def test_a_board_that_waits_tells_what_for_and_what_is_changed() -> None:
    night = lived("restore-aborted")
    run = night.store.runs()[0]
    before = [
        entry for entry in night.store.entries(run.id) if "putback" not in entry.key and entry.key != "run.aborted"
    ]
    parked: dict[str, Any] = {
        "key": "101.ask.wait#2",
        "why": "approval for restoring router-a (101)",
        "who": "an approver",
        "seen": "0 of 1 approvals",
        "since": 0.0,
        "deadline": 1800.0,
        "looked_at": 0.0,
        "detail": {},
    }
    active = replace(run, state="active", parked=parked, result=None, finished_at=None)
    shown = rescue_picture(active, before)
    assert (shown.state, shown.stage, shown.subject) == ("running", "waiting for approval", "101")
    assert shown.left == ("the disks of guest 101 are detached; they are its unused disks",)


def test_requests_of_two_steps_close_each_other_and_say_who_approved() -> None:
    night = lived("restore-line-breaks")
    run = night.store.runs()[-1]
    story = Story.read(night.store, run.id)
    assert story is not None
    requests = [row for row in story.rows if row.message["kind"] == "approval"]
    assert len(requests) == 2
    assert all(story.closed(row).startswith("👍 Approved by <@U0CAROL>.") for row in requests)
    assert story.begun(requests[-1]).startswith("the restore had begun before you took it back")


def test_how_much_is_written_is_drawn_as_a_bar() -> None:
    saying = Saying("progress", "💾 router-a (101): a backup is being restored.", about="101.restore.end")
    wait = Wait("101.restore.end.wait", "", "", "40 % done", 0.0, 100.0, 0.0, {"percent": 40})
    assert "`████░░░░░░` 40 %" in text_of(views.progress(saying, wait))
    assert "✅ Written in 4 minutes." in text_of(views.progress(saying, None, "✅ Written in 4 minutes."))


def test_the_request_of_a_restore_that_was_aborted_names_the_word_that_was_typed() -> None:
    night = lived("restore-aborted")
    story = Story.read(night.store, night.store.runs()[-1].id)
    assert story is not None
    closed = {story.closed(row) for row in story.rows if row.message["kind"] == "approval"}
    assert "🔒 Closed by `/restore abort`." in closed
