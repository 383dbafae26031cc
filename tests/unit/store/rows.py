"""Rows that the tests of the store write: one run, and what people did with it."""

from __future__ import annotations

from store.api import CommandRow, Entry, OrderRow, RunRow, VoteRow

MIDNIGHT = 1_000_000.0
RUN = RunRow("up-lab-1", "rolling_upgrade", "lab", {"nodes": ["pve1"]}, "active", MIDNIGHT, "alice", MIDNIGHT)
NOTE = {"kind": "note", "text": "draining pve1", "mention": ["alice"], "detail": {"guests": 3, "share": 0.5}}
PAUSE = OrderRow(0, RUN.id, "pause", "", "a storm", "bob", MIDNIGHT, "trigger-1")
APPROVE = VoteRow(RUN.id, "pve1.ask", "carol", "approve", True, MIDNIGHT)
TYPED = CommandRow("trigger-1", "cluster lab", "/upgrade", "alice", "C1", "http://127.0.0.1/answer", MIDNIGHT)


def entry(key: str, kind: str = "result", value: object = None) -> Entry:
    return Entry(key, kind, value, MIDNIGHT)
