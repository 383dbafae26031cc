"""What the bot forgets, and when; that the store does it right is told in tests/unit/store."""

from __future__ import annotations

import pytest

from bot import retention
from bot.retention import tidy
from bot.settings import StoreSettings
from store.api import AuditRow, Entry, RunRow
from store.memory import MemoryStore

DAY = 86_400.0
NOW = 1_800_000_000.0


def ended(store: MemoryStore, run_id: str, workflow: str, days_ago: float) -> None:
    at = NOW - days_ago * DAY
    store.start_run(RunRow(run_id, workflow, "lab", {}, "active", at - 60, "alice", at))
    store.write(run_id, Entry("pve1.drain", "result", True, at))
    store.finish(run_id, {"state": "done"}, at)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    monkeypatch.setattr(retention, "SPARE", 0)
    return MemoryStore(check_plain=True)


def test_journals_are_kept_for_a_season_and_outages_for_more_than_a_year(store: MemoryStore) -> None:
    for workflow in ("rolling_upgrade", "drill", "outage"):
        for days in (89, 91, 399, 401):
            ended(store, f"{workflow}-{days}", workflow, days)
    for hour in range(2):  # a little each hour
        tidy(store, StoreSettings(), NOW + 3600 * hour)
    whole = {row.id for row in store.runs() if store.entries(row.id)}
    assert whole == {"rolling_upgrade-89", "drill-89", "outage-89", "outage-91", "outage-399"}
    assert len(store.runs()) == 12


def test_the_audit_log_is_kept_as_long_as_outages_are(store: MemoryStore) -> None:
    for days in (401, 399, 0):
        store.audit(AuditRow(NOW - days * DAY, "lab-1", "lab", "alice", f"{days} days ago"))
    tidy(store, StoreSettings(), NOW)
    assert [row.what for row in store.audits()] == ["0 days ago", "399 days ago"]


def test_the_newest_of_each_kind_are_kept_however_old_they_are() -> None:
    store = MemoryStore(check_plain=True)
    for number in range(retention.SPARE + 1):
        ended(store, f"up-{number}", "rolling_upgrade", 1000 - number)
    tidy(store, StoreSettings(), NOW)
    assert [row.id for row in store.runs() if not store.entries(row.id)] == ["up-0"]
