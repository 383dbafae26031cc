"""The store in a database, on SQLAlchemy Core: SQLite today, the same statements on PostgreSQL.

Opened by store.opening. Many threads may use it; writers take turns on one lock of this process, so none ever meets
"database is locked" because of another. Every failure of the database is raised as StoreError, in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from math import inf
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from store.api import (
    AlertRow,
    AuditRow,
    CommandRow,
    Entry,
    Kept,
    KeyTaken,
    OrderRow,
    OutboxRow,
    PageRow,
    Plain,
    RunRow,
    ShiftOverrideRow,
    StoreError,
    VoteRow,
)
from store.tables import (
    alerts,
    audit,
    commands,
    events,
    journal,
    kept,
    orders,
    outbox,
    pages,
    runs,
    shift_overrides,
    votes,
)

Row = TypeVar(
    "Row",
    RunRow,
    Entry,
    OutboxRow,
    OrderRow,
    VoteRow,
    CommandRow,
    AuditRow,
    AlertRow,
    PageRow,
    ShiftOverrideRow,
    Kept,
)

LEFT_BY_RUNS: Sequence[tuple[Table, Column[str], ColumnElement[bool]]] = (
    (journal, journal.c.run_id, true()),
    (votes, votes.c.run_id, true()),
    (orders, orders.c.run_id, true()),
    (pages, pages.c.run_id, true()),
    (alerts, alerts.c.outage, alerts.c.cleared_at.is_not(None)),
    (outbox, outbox.c.run_id, outbox.c.delivered_at.is_not(None)),
)
"""What belongs to a run: the table, whose row it is, and which of them may go when the run has ended long ago."""
AT_ONCE = 500
"""So many values go into one statement: databases have a limit."""
REMEDIES = {
    "disk is full": "free some space on its disk",
    "No space left": "free some space on its disk",
    "readonly": "make file and folder writable for the user that runs roundsman",
    "unable to open": "make file and folder readable and writable for the user that runs roundsman",
    "locked": "find the other program that holds it (fuser names it) and end that one",
    "malformed": "put back the last good copy of it",
    "not a database": "put back the last good copy of it",
}


@contextmanager
def in_a_sentence(verb: str, where: str) -> Iterator[None]:
    """Failures of the database become StoreError; a value that is not JSON stays the TypeError that it is."""
    try:
        yield
    except SQLAlchemyError as error:
        if isinstance(error, StatementError) and not isinstance(error, DBAPIError) and error.orig is not None:
            raise error.orig from None
        raise StoreError(_sentence(verb, where, error)) from error


def _sentence(verb: str, where: str, error: SQLAlchemyError) -> str:
    # Only the driver's own words: SQLAlchemy's text holds the statement and what was to be written.
    words = str(getattr(error, "orig", None) or error).strip()
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in words), "")
    return f"cannot {verb} {where}: {words}" + (f"; {remedy}, then start again" if remedy else "")


def _select(row: type[Row], table: Table) -> Select[Any]:
    return select(*(table.c[field.name] for field in fields(row)))


def _values(row: Row) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


class SqlStore:
    """See store.api.Store. `where` names the database in sentences; `release` is called when it is closed."""

    def __init__(self, engine: Engine, where: str, release: Callable[[], None]) -> None:
        self.engine, self._where, self._release = engine, where, release
        self._writer = engine.execution_options(begin="BEGIN IMMEDIATE")
        self._one_writer = Lock()

    # runs ------------------------------------------------------------------------------------------------------
    def start_run(self, row: RunRow, audit: AuditRow | None = None) -> bool:
        with self._writing() as connection:
            new = _add(connection, runs, _values(row), "id")
            if new and audit is not None:
                _note(connection, audit)
            return new

    def run(self, run_id: str) -> RunRow | None:
        return self._one(RunRow, _select(RunRow, runs).where(runs.c.id == run_id))

    def runs(self, *, cluster: str = "", state: str = "", workflow: str = "", limit: int = 100) -> list[RunRow]:
        chosen = _filtered(_select(RunRow, runs), runs, cluster=cluster, state=state, workflow=workflow)
        return self._all(RunRow, chosen.order_by(runs.c.created_at.desc(), runs.c.number.desc()).limit(limit))

    def due(self, now: float, longest: float = inf) -> list[str]:
        come = not_(_ahead(runs.c.wake_at, now, longest))
        due = select(runs.c.id).where(runs.c.state == "active", or_(runs.c.poked, come))
        with self._reading() as connection:
            return list(connection.scalars(due.order_by(runs.c.wake_at, runs.c.number)))

    def next_wake(self) -> float | None:
        wake_at = func.min(case((runs.c.poked, 0.0), else_=runs.c.wake_at))
        with self._reading() as connection:
            next_wake: float | None = connection.scalar(select(wake_at).where(runs.c.state == "active"))
            return next_wake

    def poke(self, run_id: str) -> None:
        with self._writing() as connection:
            _poke(connection, run_id)

    def unpoke(self, run_id: str) -> None:
        with self._writing() as connection:
            _poke(connection, run_id, poked=False)

    def park(self, run_id: str, parked: Mapping[str, Plain], wake_at: float) -> None:
        with self._writing() as connection:
            _change_active(connection, run_id, parked=parked, wake_at=wake_at)

    def finish(self, run_id: str, result: Plain, at: float) -> None:
        with self._writing() as connection:
            done = {"state": "done", "parked": None, "poked": False, "result": result, "finished_at": at}
            _change_active(connection, run_id, **done)

    def again(self, run_id: str, args: Mapping[str, Plain], at: float) -> None:
        with self._writing() as connection:
            _change_active(connection, run_id, args=args, parked=None, wake_at=at)
            connection.execute(delete(journal).where(journal.c.run_id == run_id))

    # journal ---------------------------------------------------------------------------------------------------
    def entries(self, run_id: str) -> list[Entry]:
        of_run = _select(Entry, journal).where(journal.c.run_id == run_id)
        return self._all(Entry, of_run.order_by(journal.c.number))

    def write(self, run_id: str, entry: Entry, say: Mapping[str, Plain] | None = None) -> None:
        with self._writing() as connection:
            new = _add(connection, journal, {"run_id": run_id, **_values(entry)}, "run_id", "key", "kind")
            if say is not None:
                new = new and _put(connection, run_id, entry.key, say, entry.at)
            if not new:
                raise KeyTaken(f"run '{run_id}' has an entry or a message '{entry.key}' already")

    # outbox ----------------------------------------------------------------------------------------------------
    def put_out(self, run_id: str, key: str, message: Mapping[str, Plain], at: float) -> bool:
        with self._writing() as connection:
            return _put(connection, run_id, key, message, at)

    def undelivered(self, now: float, longest: float = inf) -> list[OutboxRow]:
        come = not_(_ahead(outbox.c.next_at, now, longest))
        waiting = _select(OutboxRow, outbox).where(outbox.c.delivered_at.is_(None), come)
        return self._all(OutboxRow, waiting.order_by(outbox.c.id))

    def outbox(self, run_id: str) -> list[OutboxRow]:
        return self._all(OutboxRow, _select(OutboxRow, outbox).where(outbox.c.run_id == run_id).order_by(outbox.c.id))

    def outbox_row(self, run_id: str, key: str) -> OutboxRow | None:
        same = (outbox.c.run_id == run_id, outbox.c.key == key)
        return self._one(OutboxRow, _select(OutboxRow, outbox).where(*same))

    def posted(self, channel: str, ts: str) -> OutboxRow | None:
        there = (outbox.c.channel == channel, outbox.c.ts == ts)
        return self._one(OutboxRow, _select(OutboxRow, outbox).where(*there).order_by(outbox.c.id.desc()).limit(1))

    def trying(self, row_id: int, at: float) -> None:
        self._change_message(row_id, tried_at=at, tries=outbox.c.tries + 1)

    def delivered(self, row_id: int, at: float, channel: str, ts: str) -> None:
        self._change_message(row_id, delivered_at=at, channel=channel, ts=ts, error="")

    def not_delivered(self, row_id: int, error: str, next_at: float) -> None:
        self._change_message(row_id, error=error, next_at=next_at)

    def rendered(self, row_id: int, digest: str) -> None:
        self._change_message(row_id, rendered=digest)

    # people ----------------------------------------------------------------------------------------------------
    def order(self, row: OrderRow, audit: AuditRow | None = None) -> bool:
        values = _values(row)
        del values["id"]
        with self._writing() as connection:
            new = _add(connection, orders, values, "source")
            if new:
                _poke(connection, row.run_id)
            if new and audit is not None:
                _note(connection, audit)
            return new

    def orders(self, run_id: str) -> list[OrderRow]:
        return self._all(OrderRow, _select(OrderRow, orders).where(orders.c.run_id == run_id).order_by(orders.c.id))

    def vote(self, row: VoteRow) -> bool:
        same = [votes.c[name] == getattr(row, name) for name in ("run_id", "key", "user", "mark")]
        last = select(votes.c.given).where(*same).order_by(votes.c.number.desc()).limit(1)
        with self._writing() as connection:
            if connection.scalar(last) == row.given:
                return False
            connection.execute(insert(votes).values(_values(row)))
            _poke(connection, row.run_id)
            return True

    def votes(self, run_id: str, key: str) -> list[VoteRow]:
        cast_there = _select(VoteRow, votes).where(votes.c.run_id == run_id, votes.c.key == key)
        return self._all(VoteRow, cast_there.order_by(votes.c.number))

    def save_command(self, row: CommandRow) -> bool:
        with self._writing() as connection:
            return _add(connection, commands, _values(row), "id")

    def accept_command(self, command_id: str) -> bool:
        this = commands.c.id == command_id
        with self._writing() as connection:
            connection.execute(update(commands).where(this, commands.c.state == "landed").values(state="saved"))
            return connection.scalar(select(commands.c.state).where(this)) not in (None, "void")

    def settle_command(self, command_id: str, state: str) -> None:
        with self._writing() as connection:
            changed = connection.execute(update(commands).where(commands.c.id == command_id).values(state=state))
            _believe(changed.rowcount, f"command '{command_id}' to settle")

    def commands(self, state: str) -> list[CommandRow]:
        chosen = _select(CommandRow, commands).where(commands.c.state == state)
        return self._all(CommandRow, chosen.order_by(commands.c.number))

    def first_sight(self, event_id: str, at: float) -> bool:
        with self._writing() as connection:
            return _add(connection, events, {"id": event_id, "at": at}, "id")

    # outages ---------------------------------------------------------------------------------------------------
    def alert(
        self, rows: Sequence[AlertRow], start: RunRow | None = None, instead: Sequence[AlertRow] = ()
    ) -> list[bool]:
        with self._writing() as connection:
            if start is not None:
                _add(connection, runs, _values(start), "id")
            if instead:
                same = (alerts.c.outage == bindparam("of"), alerts.c.fingerprint == bindparam("mark"))
                over = [{"of": row.outage, "mark": row.fingerprint, "when": rows[0].at} for row in instead]
                fires = alerts.c.cleared_at.is_(None)
                connection.execute(update(alerts).where(*same, fires).values(cleared_at=bindparam("when")), over)
            return _take_in(connection, rows)

    def clear(self, cluster: str, fingerprints: Sequence[str], at: float) -> list[str]:
        lost = set[str]()
        with self._writing() as connection:
            for these in _parts(fingerprints):
                fires = (alerts.c.cluster == cluster, alerts.c.fingerprint.in_(these), alerts.c.cleared_at.is_(None))
                lost |= set(connection.scalars(select(alerts.c.outage).where(*fires).distinct()))
                connection.execute(update(alerts).where(*fires).values(cleared_at=at))
            for outage in sorted(lost):
                _poke(connection, outage)
        return sorted(lost)

    def alerts(self, outage: str) -> list[AlertRow]:
        return self._all(AlertRow, _select(AlertRow, alerts).where(alerts.c.outage == outage).order_by(alerts.c.number))

    def firing(self, cluster: str = "", fingerprints: Sequence[str] = ()) -> list[AlertRow]:
        chosen = _filtered(_select(AlertRow, alerts), alerts, cluster=cluster).where(alerts.c.cleared_at.is_(None))
        chosen = chosen.order_by(alerts.c.number)
        if not fingerprints:
            return self._all(AlertRow, chosen)
        parts = (chosen.where(alerts.c.fingerprint.in_(these)) for these in _parts(fingerprints))
        return [row for part in parts for row in self._all(AlertRow, part)]

    def page(self, row: PageRow) -> None:
        same = (pages.c.run_id == row.run_id, pages.c.key == row.key)
        with self._writing() as connection:
            before = connection.scalar(select(pages.c.state).where(*same))
            if before is None:
                connection.execute(insert(pages).values(_values(row)))
            else:
                connection.execute(update(pages).where(*same).values(_values(row)))
            if before != row.state:
                _poke(connection, row.run_id)

    def pages(self, run_id: str, *, state: str = "") -> list[PageRow]:
        chosen = _filtered(_select(PageRow, pages), pages, run_id=run_id, state=state)
        return self._all(PageRow, chosen.order_by(pages.c.number))

    def page_row(self, run_id: str, key: str) -> PageRow | None:
        return self._one(PageRow, _select(PageRow, pages).where(pages.c.run_id == run_id, pages.c.key == key))

    def page_of(self, receipt: str) -> PageRow | None:
        called = _select(PageRow, pages).where(pages.c.receipt == receipt, pages.c.receipt != "")
        return self._one(PageRow, called.order_by(pages.c.number.desc()).limit(1))

    def override_shift(self, rows: Sequence[ShiftOverrideRow], audit: AuditRow | None = None) -> bool:
        seen = select(func.count()).where(shift_overrides.c.source.in_([row.source for row in rows]))
        with self._writing() as connection:
            if connection.scalar(seen):
                return False
            for row in rows:
                values = _values(row)
                del values["id"]
                connection.execute(insert(shift_overrides).values(values))
            if audit is not None:
                _note(connection, audit)
            return True

    def shift_overrides(self, since: float) -> list[ShiftOverrideRow]:
        chosen = _select(ShiftOverrideRow, shift_overrides).where(shift_overrides.c.end > since)
        return self._all(ShiftOverrideRow, chosen.order_by(shift_overrides.c.id))

    # last known facts ------------------------------------------------------------------------------------------
    def keep(self, name: str, value: Plain, at: float) -> None:
        with self._writing() as connection:
            changed = connection.execute(update(kept).where(kept.c.name == name).values(value=value, at=at))
            if not changed.rowcount:
                connection.execute(insert(kept).values(name=name, value=value, at=at))

    def kept(self, name: str) -> Kept | None:
        return self._one(Kept, _select(Kept, kept).where(kept.c.name == name))

    def kept_all(self, prefix: str) -> list[Kept]:
        begins = kept.c.name.startswith(prefix, autoescape=True)
        return self._all(Kept, _select(Kept, kept).where(begins).order_by(kept.c.name))

    # audit, housekeeping ---------------------------------------------------------------------------------------
    def audit(self, row: AuditRow) -> None:
        with self._writing() as connection:
            _note(connection, row)

    def audits(
        self, *, run_id: str = "", cluster: str = "", since: float = 0.0, until: float = inf, limit: int = 200
    ) -> list[AuditRow]:
        chosen = _filtered(_select(AuditRow, audit), audit, run_id=run_id, cluster=cluster).where(audit.c.at >= since)
        chosen = chosen if until == inf else chosen.where(audit.c.at <= until)
        return self._all(AuditRow, chosen.order_by(audit.c.number.desc()).limit(limit))

    def tidy(self, before: float) -> int:
        settled = delete(commands).where(commands.c.state != "saved", commands.c.at < before)
        with self._writing() as connection:
            dropped = (delete(events).where(events.c.at < before), settled)
            return sum(connection.execute(statement).rowcount for statement in dropped)

    def retire(self, before: float, spare: int, most: int, *, only: str = "", but: str = "") -> int:
        full = or_(*(exists().where(of == runs.c.id, may_go) for _, of, may_go in LEFT_BY_RUNS))
        aged = _ended(before, spare, only, but).where(full).order_by(runs.c.finished_at, runs.c.number).limit(most)
        with self._writing() as connection:
            old = list(connection.scalars(aged))
            for table, of, may_go in LEFT_BY_RUNS:
                connection.execute(delete(table).where(of.in_(old), may_go))
            return len(old)

    def forget_audits(self, before: float, most: int) -> int:
        oldest = select(audit.c.number).order_by(audit.c.number).limit(most).scalar_subquery()
        with self._writing() as connection:
            return connection.execute(delete(audit).where(audit.c.number.in_(oldest), audit.c.at < before)).rowcount

    def close(self) -> None:
        self.engine.dispose()
        self._release()

    # ----------------------------------------------------------------------------------------------------------
    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with in_a_sentence("read", self._where), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with in_a_sentence("write", self._where), self._one_writer, self._writer.begin() as connection:
            yield connection

    def _all(self, row: type[Row], statement: Select[Any]) -> list[Row]:
        with self._reading() as connection:
            return [row(*found) for found in connection.execute(statement)]

    def _one(self, row: type[Row], statement: Select[Any]) -> Row | None:
        return next(iter(self._all(row, statement)), None)

    def _change_message(self, row_id: int, **values: Any) -> None:
        with self._writing() as connection:
            changed = connection.execute(update(outbox).where(outbox.c.id == row_id).values(values))
            _believe(changed.rowcount, f"message {row_id} in the outbox")


def _add(connection: Connection, table: Table, values: Mapping[str, Any], *unique: str) -> bool:
    """Insert, unless a row of the same `unique` columns is there. Writers take turns, so nothing comes in between."""
    same: list[ColumnElement[bool]] = [table.c[name] == values[name] for name in unique]
    if connection.scalar(select(func.count()).select_from(table).where(*same)):
        return False
    connection.execute(insert(table).values(values))
    return True


def _put(connection: Connection, run_id: str, key: str, message: Mapping[str, Plain], at: float) -> bool:
    values = _values(OutboxRow(0, run_id, key, message, at))
    del values["id"]
    return _add(connection, outbox, values, "run_id", "key")


def _note(connection: Connection, row: AuditRow) -> None:
    connection.execute(insert(audit).values(_values(row)))


def _take_in(connection: Connection, rows: Sequence[AlertRow]) -> list[bool]:
    """True for each that is new or fires again. Few statements for many rows: a flood brings thousands."""
    known, news = _known(connection, rows), list[bool]()
    fresh, told = list[dict[str, Any]](), list[dict[str, Any]]()
    for row in rows:
        before = known.get((row.outage, row.fingerprint))
        news.append(before is None or not before.firing)
        kept = row if before is None or news[-1] else replace(row, began_at=before.began_at)
        kept = replace(kept, count=before.count + 1 if before else row.count, cleared_at=None)
        known[row.outage, row.fingerprint] = kept
        if before is None:
            fresh.append(_values(kept))
        else:
            told.append(_values(kept) | {"same": row.fingerprint, "of": row.outage})
    if fresh:
        connection.execute(insert(alerts), fresh)
    if told:
        same = (alerts.c.outage == bindparam("of"), alerts.c.fingerprint == bindparam("same"))
        connection.execute(update(alerts).where(*same), told)
    for outage in dict.fromkeys(row.outage for row, new in zip(rows, news, strict=True) if new):
        _poke(connection, outage)
    return news


def _known(connection: Connection, rows: Sequence[AlertRow]) -> dict[tuple[str, str], AlertRow]:
    """Of these fingerprints, those that their outages have already."""
    found: dict[tuple[str, str], AlertRow] = {}
    for outage in dict.fromkeys(row.outage for row in rows):
        marks = list(dict.fromkeys(row.fingerprint for row in rows if row.outage == outage))
        for part in _parts(marks):
            these = alerts.c.fingerprint.in_(part)
            chosen = _select(AlertRow, alerts).where(alerts.c.outage == outage, these)
            for values in connection.execute(chosen):
                row = AlertRow(*values)
                found[row.outage, row.fingerprint] = row
    return found


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[begin : begin + AT_ONCE] for begin in range(0, len(values), AT_ONCE))


def _poke(connection: Connection, run_id: str, poked: bool = True) -> None:
    active = (runs.c.id == run_id, runs.c.state == "active")
    connection.execute(update(runs).where(*active).values(poked=poked))


def _change_active(connection: Connection, run_id: str, **values: Any) -> None:
    active = (runs.c.id == run_id, runs.c.state == "active")
    changed = connection.execute(update(runs).where(*active).values(values))
    _believe(changed.rowcount, f"active run '{run_id}'")


def _believe(rowcount: int, what: str) -> None:
    if rowcount != 1:
        raise StoreError(f"there is no {what}")


def _ended(before: float, spare: int, only: str, but: str) -> Select[Any]:
    """Ids of runs; see store.api.Store.retire."""
    newest = (runs.c.created_at.desc(), runs.c.number.desc())
    place = func.row_number().over(partition_by=(runs.c.cluster, runs.c.workflow), order_by=newest)
    ranked = select(runs.c.id, place.label("place")).subquery()
    chosen = select(runs.c.id).join(ranked, ranked.c.id == runs.c.id).where(ranked.c.place > spare)
    chosen = chosen.where(runs.c.state == "done", runs.c.finished_at < before, runs.c.workflow != but)
    return _filtered(chosen, runs, workflow=only)


def _ahead(column: ColumnElement[float], now: float, longest: float) -> ColumnElement[bool]:
    """Still to come, and no further off than anything rests (store.api.Store.due)."""
    return (column > now) & (column <= now + longest)


def _filtered(statement: Select[Any], table: Table, **wanted: str) -> Select[Any]:
    """Where each column equals what is wanted; "" wants anything."""
    return statement.where(*(table.c[name] == value for name, value in wanted.items() if value))
