"""A flood: more alerts at a time than a statement may have values, on a database that takes few of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import event

from store.api import AlertRow, RunRow
from store.opening import open_store

FLOOD = RunRow("outage-lab-1", "outage", "lab", {}, "active", 1.0, "probe", 1.0)
ALERT = AlertRow(FLOOD.id, "lab", "", "webhook", "db", "is full", "critical", 10.0, 12.0)


def test_a_flood_of_alerts_is_found_and_cleared_a_part_at_a_time(tmp_path: Path) -> None:
    store = open_store(tmp_path / "flood.db")

    @event.listens_for(store.engine, "checkout")
    def few(raw: Any, *_: object) -> None:
        raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 600)

    marks = [f"webhook:{number}" for number in range(2000)]
    store.alert([replace(ALERT, fingerprint=mark) for mark in marks], FLOOD)
    assert [row.fingerprint for row in store.firing("lab", marks)] == marks
    assert store.clear("lab", [*marks[:1500], "webhook:unknown"], 20.0) == [FLOOD.id]
    assert [row.fingerprint for row in store.firing("lab", marks)] == marks[1500:]
    assert store.clear("lab", marks[:1500], 21.0) == []
    assert store.clear("lab", [], 22.0) == []
    store.close()
