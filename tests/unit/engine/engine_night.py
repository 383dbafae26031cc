"""A night for one run in a test: a clock that only the test moves, people, and a bot that may be down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.journal import Rules, Waits, advance
from engine.port import Look, Plain, Run, Waiting, Workflow
from store.api import RunRow, Store, VoteRow

MIDNIGHT = 1_000_000.0
RUN_ID = "up-lab-1"
STRICT = Rules(strict=True)


@dataclass
class Night:
    """`waits`: what the bot's process keeps in memory; None: every pass is a replay, as after a restart."""

    store: Store
    rules: Rules = STRICT
    now: float = MIDNIGHT
    run_id: str = RUN_ID
    workflow: Workflow = field(default=lambda run, args: None)
    waits: Waits | None = None

    def begin(self, workflow: Workflow, args: Mapping[str, Plain] | None = None) -> None:
        """Start the run and make its first pass."""
        self.workflow = workflow
        self.store.start_run(RunRow(self.run_id, "story", "lab", args or {}, "active", self.now, "alice", self.now))
        self.look()

    def look(self) -> None:
        """One pass, now."""
        advance(self.store, self.run_id, self.workflow, lambda: self.now, self.rules, self.waits)

    def awake(self, seconds: float) -> None:
        """Time goes by and the bot makes each pass when it is due."""
        end = self.now + seconds
        while (wake_at := self.store.next_wake()) is not None and wake_at <= end:
            self.now = max(self.now, wake_at)
            self.look()
        self.now = end

    def down(self, seconds: float) -> None:
        """Time goes by and no bot is running."""
        self.now += seconds

    def approve(self, by: str, key: str = "ask") -> None:
        self.store.vote(VoteRow(self.run_id, key, by, "approve", True, self.now))

    def approved_by(self, key: str = "ask") -> Callable[[Look], str | Waiting]:
        """A probe: who approved in time?"""

        def probe(look: Look) -> str | Waiting:
            in_time = [vote.user for vote in self.store.votes(self.run_id, key) if vote.at <= look.deadline]
            return in_time[0] if in_time else Waiting("nobody yet")

        return probe

    @property
    def row(self) -> RunRow:
        row = self.store.run(self.run_id)
        assert row is not None
        return row

    @property
    def parked(self) -> Mapping[str, Any]:
        assert self.row.parked is not None, "it waits for nothing"
        return self.row.parked

    @property
    def journal(self) -> list[tuple[str, str]]:
        return [(entry.kind, entry.key) for entry in self.store.entries(self.run_id)]

    @property
    def said(self) -> list[str]:
        return [row.message["text"] for row in self.store.outbox(self.run_id)]


def ask(run: Run, night: Night, minutes: float = 30, key: str = "ask") -> str | None:
    """Wait for an approval."""
    return run.until(key, night.approved_by(key), minutes * 60, why="approval of pve1", who="carol")
