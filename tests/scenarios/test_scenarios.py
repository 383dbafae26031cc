"""Every folder here is a story: `why.md`, `scenario.yaml`, and `thread.expect`, the whole thread with pages and calls.

A changed word shows as a diff; `scripts/test tests/scenarios --update` writes the transcripts anew, and reading what
changed is the review.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from bot.story import Story, kind
from sandbox.invariants import violations
from sandbox.night import Night
from sandbox.scenario import load

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/scenario.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_thread_reads_as_expected_and_nothing_happens_that_never_must(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    night = Night(load(folder)).live()
    expect = folder / "thread.expect"
    if request.config.getoption("--update"):
        expect.write_text(night.text)
    diff = difflib.unified_diff(
        expect.read_text().splitlines(), night.text.splitlines(), "expected", "lived", lineterm=""
    )
    assert not (lines := list(diff)), "\n".join(lines)
    assert night.unexpected_pages() == []
    assert bool(found := violations(night)) == ("fixed-delay" in folder.name), found


def test_what_is_kept_up_to_date_in_a_thread_says_at_last_how_it_ended() -> None:
    night = Night(load(Path(__file__).parent / "slow-heal"), transcript=False).live()
    (run,) = night.store.runs()
    told = Story.read(night.store, run.id)
    assert told is not None
    progress = [row for row in told.rows if kind(row) == "progress"]
    assert len(progress) == 3
    assert [row.key for row in progress if not told.over(row).startswith("💚")] == []


def test_there_are_enough_stories_and_each_says_why() -> None:
    assert len(FOLDERS) >= 25
    assert [folder.name for folder in FOLDERS if len((folder / "why.md").read_text().strip().splitlines()) > 3] == []
