"""Keeps boards, requests and heal bars up to date: an edit is sent only when what it would show has changed.

Called every two seconds by the clock; so no message is edited more often than that, and what happened in between is
merged. All edits together stay under Slack's limit for chat.update (50 a minute), closed requests first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from bot.delivery import Bucket, resting
from bot.slackchat import Blocks, Refused
from bot.story import UNREADABLE, Story
from bot.views import View
from store.api import OutboxRow, RunRow, Store
from workflows.site import ChatDown

EVERY_S = 2.0  # between two refreshes
BURST, PER_EDIT_S = 10.0, 1.2  # of all edits: Slack's tier 3 is 50 a minute
MOST_RUNS = 1000
ENDED_S = 3600.0
"""A run that ended within this time is still looked at: its last state may not have been shown yet."""
REST_S = 10.0  # after Slack did not answer

log = logging.getLogger(__name__)


class Editor(Protocol):
    def update(self, channel: str, ts: str, text: str, blocks: Blocks) -> None:
        """Raises ChatDown."""
        ...


class Board:
    def __init__(self, store: Store, chat: Editor, clock: Callable[[], float]) -> None:
        self._store, self._chat, self._clock = store, chat, clock
        self._bucket = Bucket(BURST, PER_EDIT_S)
        self._seen: dict[str, tuple[object, ...]] = {}
        self._rest_until = 0.0

    def refresh(self) -> None:
        """One look at every run that may have changed; the one that waits longest for its edit comes first."""
        runs = self._runs()
        self._seen = {run.id: self._seen[run.id] for run in runs if run.id in self._seen}
        for run in runs:
            if resting(self._rest_until, self._clock()) or not self._bucket.ready(self._clock()):
                return
            state = _visible(run)
            if self._seen.get(run.id) != state and self._show(run.id):
                self._seen.pop(run.id, None)
                self._seen[run.id] = state

    def _runs(self) -> list[RunRow]:
        ended = self._clock() - ENDED_S
        lately = [run for run in self._store.runs(limit=50) if (run.finished_at or 0.0) >= ended]
        runs = [*self._store.runs(state="active", limit=MOST_RUNS), *lately]
        order = {run_id: place for place, run_id in enumerate(self._seen)}
        return sorted(runs, key=lambda run: order.get(run.id, -1))

    def _show(self, run_id: str) -> bool:
        """True once everything of this run is shown as it is, or cannot be shown at all."""
        story = Story.read(self._store, run_id)
        try:
            changes = story.changes() if story else []
        except UNREADABLE:
            log.exception("board: run '%s' cannot be shown", run_id)
            return True
        return all(self._edit(row, view) for row, view in changes)

    def _edit(self, row: OutboxRow, view: View) -> bool:
        if not self._bucket.take(self._clock()):
            return False
        try:
            self._chat.update(row.channel, row.ts, view.text, view.blocks)
        except Refused as no:
            if no.retry_after:
                self._rest_until = self._clock() + no.retry_after
                return False
            log.warning("board: message '%s' of run '%s' stays as it is: %s", row.key, row.run_id, no)
        except ChatDown as down:
            self._rest_until = self._clock() + REST_S
            log.warning("board: message '%s' of run '%s' is edited later: %s", row.key, row.run_id, down)
            return False
        self._store.rendered(row.id, view.digest())
        return True


def _visible(run: RunRow) -> tuple[object, ...]:
    """What a message of this run can change by; the time of the last look is not shown."""
    return run.state, {**(run.parked or {}), "looked_at": None}
