"""A run's journal as lines for people: what was done when, what it waits for, which messages it has said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from store.api import Entry, OutboxRow, RunRow, Store
from store.plain import dumps


def journal_lines(store: Store, run_id: str) -> list[str]:
    """Raises LookupError, a sentence, when there is no such run."""
    row = store.run(run_id)
    if row is None:
        known = ", ".join(run.id for run in store.runs(limit=5)) or "none yet"
        raise LookupError(f"there is no run '{run_id}'; the newest are: {known}")
    entries = [_entry(entry) for entry in store.entries(run_id)]
    if not entries and row.finished_at is not None:
        entries = ["its journal is not kept any more (store.keep_runs in the settings)"]
    return [_head(row), *entries, *_wait(row.parked), *(_message(said) for said in store.outbox(run_id))]


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


def _head(row: RunRow) -> str:
    end = "" if row.finished_at is None else f" at {_at(row.finished_at)}: {dumps(row.result)}"
    return f"{_at(row.created_at)}  {row.id}: {row.workflow} on {row.cluster} by {row.created_by}, {row.state}{end}"


def _entry(entry: Entry) -> str:
    value = "" if entry.kind == "intent" else dumps(entry.value)
    return f"{_at(entry.at)}  {entry.kind:<6}  {entry.key}  {value}".rstrip()


def _wait(parked: Mapping[str, Any] | None) -> list[str]:
    if parked is None:
        return []
    until = f"since {_at(parked['since'])}, until {_at(parked['deadline'])}"
    return [f"{_at(parked['looked_at'])}  waits   {parked['key']}  {parked['why']}: {parked['seen']} ({until})"]


def _message(row: OutboxRow) -> str:
    state = (
        f"delivered {_at(row.delivered_at)}" if row.delivered_at else f"not delivered, {row.tries} tries {row.error}"
    )
    return f"{_at(row.created_at)}  said    {row.key}  {row.message['kind']}, {state}".rstrip()
