"""The tables as they are now. Columns are named as the fields of the rows in store.api, so that one loop moves them.

`number` counts what was written, so that lists come in that order. A change here needs a migration in store/migrations;
a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _number(name: str = "number") -> Column[int]:
    return Column(name, Integer, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _time(name: str, nullable: bool = False) -> Column[float]:
    """Seconds since the epoch, UTC."""
    return Column(name, Double, nullable=nullable)


runs = Table(
    "runs",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("workflow"),
    _text("cluster"),
    Column("args", JSON, nullable=False),
    _text("state"),
    _time("created_at"),
    _text("created_by"),
    _time("wake_at"),
    Column("poked", Boolean, nullable=False),
    Column("parked", JSON),
    Column("result", JSON),
    _time("finished_at", nullable=True),
    Index(None, "state", "wake_at"),
)

journal = Table(
    "journal",
    metadata,
    _number(),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    _text("key"),
    _text("kind"),
    Column("value", JSON),
    _time("at"),
    UniqueConstraint("run_id", "key", "kind"),
)

outbox = Table(
    "outbox",
    metadata,
    _number("id"),
    _text("run_id"),  # may be no run: answers to people go this way too
    _text("key"),
    Column("message", JSON, nullable=False),
    _time("created_at"),
    _time("next_at"),
    _time("tried_at", nullable=True),
    Column("tries", Integer, nullable=False),
    _time("delivered_at", nullable=True),
    _text("channel"),
    _text("ts"),
    _text("error"),
    _text("rendered"),
    UniqueConstraint("run_id", "key"),
    Index(None, "delivered_at", "next_at"),
    Index(None, "channel", "ts"),
)

orders = Table(
    "orders",
    metadata,
    _number("id"),
    _text("run_id"),
    _text("verb"),
    _text("about"),
    _text("reason"),
    _text("by"),
    _time("at"),
    Column("source", Text, nullable=False, unique=True),
    Index(None, "run_id"),
)

votes = Table(
    "votes",
    metadata,
    _number(),
    _text("run_id"),
    _text("key"),
    _text("user"),
    _text("mark"),
    Column("given", Boolean, nullable=False),
    _time("at"),
    Index(None, "run_id", "key"),
)

commands = Table(
    "commands",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _text("text"),
    _text("slash"),
    _text("user"),
    _text("channel"),
    _text("response_url"),
    _time("at"),
    _text("state"),
    Index(None, "state"),
)

events = Table(
    "events",
    metadata,
    _number(),
    Column("id", Text, nullable=False, unique=True),
    _time("at"),
)

alerts = Table(
    "alerts",
    metadata,
    _number(),
    _text("outage"),
    _text("cluster"),
    _text("fingerprint"),
    _text("source"),
    _text("subject"),
    _text("summary"),
    _text("severity"),
    _time("began_at"),
    _time("at"),
    Column("count", Integer, nullable=False),
    _time("cleared_at", nullable=True),
    Column("detail", JSON, nullable=False),
    UniqueConstraint("outage", "fingerprint"),
    Index(None, "cleared_at", "fingerprint"),
)

pages = Table(
    "pages",
    metadata,
    _number(),
    _text("run_id"),
    _text("key"),
    _text("person"),
    _text("how"),
    _text("state"),
    _time("at"),
    _time("changed_at"),
    _text("receipt"),
    _text("error"),
    UniqueConstraint("run_id", "key"),
    Index(None, "receipt"),
)

shift_overrides = Table(
    "shift_overrides",
    metadata,
    _number("id"),
    _text("rota"),
    _text("kind"),
    _text("person"),
    _text("instead"),
    _time("start"),
    _time("end"),
    _text("by"),
    _time("at"),
    Column("source", Text, nullable=False, unique=True),
    Index(None, "end"),
)

kept = Table(
    "kept",
    metadata,
    _number(),
    Column("name", Text, nullable=False, unique=True),
    Column("value", JSON),
    _time("at"),
)

audit = Table(
    "audit",
    metadata,
    _number(),
    _time("at"),
    _text("run_id"),
    _text("cluster"),
    _text("who"),
    _text("what"),
    Column("detail", JSON, nullable=False),
    Index(None, "run_id"),
    Index(None, "cluster"),
)
