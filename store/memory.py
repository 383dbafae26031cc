"""The store in memory, for tests and the simulator: dicts and lists, fast enough for hundreds of nights a second.

It keeps what it is given without copying. `check_plain=True` (tests) copies through JSON instead and refuses what a
database would give back differently.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from threading import RLock
from typing import Any

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
from store.plain import exact


class MemoryStore:
    """See store.api.Store. One lock guards it all, so that many threads may use it as they use the database."""

    def __init__(self, check_plain: bool = False) -> None:
        self._keep: Callable[[Any], Any] = exact if check_plain else _as_given
        self._lock = RLock()
        self._runs: dict[str, RunRow] = {}
        self._active: dict[str, RunRow] = {}  # the same rows again: what is due is asked all the time
        self._journal: dict[str, list[Entry]] = {}
        self._written: dict[str, set[tuple[str, str]]] = {}
        self._outbox: list[OutboxRow] = []  # a row's id is its place here, from 1
        self._outbox_of: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._pending: dict[int, None] = {}
        self._posted: dict[tuple[str, str], int] = {}
        self._orders: defaultdict[str, list[OrderRow]] = defaultdict(list)
        self._sources: set[str] = set()
        self._votes: defaultdict[tuple[str, str], list[VoteRow]] = defaultdict(list)
        self._commands: dict[str, CommandRow] = {}
        self._events: dict[str, float] = {}
        self._alerts: dict[tuple[str, str], AlertRow] = {}
        self._pages: defaultdict[str, dict[str, PageRow]] = defaultdict(dict)
        self._ringing: defaultdict[str, dict[str, PageRow]] = defaultdict(dict)  # those of state "sent" again
        self._overrides: list[ShiftOverrideRow] = []
        self._kept: dict[str, Kept] = {}
        self._audits: list[AuditRow] = []

    # runs ------------------------------------------------------------------------------------------------------
    def start_run(self, row: RunRow, audit: AuditRow | None = None) -> bool:
        with self._lock:
            if row.id in self._runs:
                return False
            kept = replace(row, args=self._keep(row.args), parked=self._keep(row.parked))
            self._note(audit)
            self._set(kept)
            self._journal[row.id], self._written[row.id] = [], set()
            return True

    def run(self, run_id: str) -> RunRow | None:
        return self._runs.get(run_id)

    def runs(self, *, cluster: str = "", state: str = "", workflow: str = "", limit: int = 100) -> list[RunRow]:
        with self._lock:
            newest_first = list((self._active if state == "active" else self._runs).values())[::-1]
        newest_first.sort(key=lambda row: row.created_at, reverse=True)  # stable: of one moment, the last written first
        wanted = ((cluster, "cluster"), (state, "state"), (workflow, "workflow"))
        filters = [(value, name) for value, name in wanted if value]
        chosen = [row for row in newest_first if all(getattr(row, name) == value for value, name in filters)]
        return chosen[:limit]

    def due(self, now: float, longest: float = inf) -> list[str]:
        with self._lock:
            due = [row for row in self._active.values() if row.poked or not now < row.wake_at <= now + longest]
        return [row.id for row in sorted(due, key=lambda row: row.wake_at)]

    def next_wake(self) -> float | None:
        with self._lock:
            return min((0.0 if row.poked else row.wake_at for row in self._active.values()), default=None)

    def poke(self, run_id: str) -> None:
        self._mark(run_id, poked=True)

    def unpoke(self, run_id: str) -> None:
        self._mark(run_id, poked=False)

    def park(self, run_id: str, parked: Mapping[str, Plain], wake_at: float) -> None:
        with self._lock:
            row = self._going(run_id)
            self._set(_waiting(row, self._keep(parked), wake_at, row.poked))

    def finish(self, run_id: str, result: Plain, at: float) -> None:
        with self._lock:
            row, result = self._going(run_id), self._keep(result)
            self._set(replace(row, state="done", parked=None, poked=False, result=result, finished_at=at))

    def again(self, run_id: str, args: Mapping[str, Plain], at: float) -> None:
        with self._lock:
            self._set(replace(self._going(run_id), args=self._keep(args), parked=None, wake_at=at))
            self._journal[run_id], self._written[run_id] = [], set()

    # journal ---------------------------------------------------------------------------------------------------
    def entries(self, run_id: str) -> list[Entry]:
        return list(self._journal.get(run_id, ()))

    def write(self, run_id: str, entry: Entry, say: Mapping[str, Plain] | None = None) -> None:
        with self._lock:
            written = self._written.get(run_id)
            if written is None:
                raise StoreError(f"there is no run '{run_id}' to write '{entry.key}' for")
            place = (entry.key, entry.kind)
            if place in written or (say is not None and entry.key in self._outbox_of[run_id]):
                raise KeyTaken(f"run '{run_id}' has an entry or a message '{entry.key}' already")
            if self._keep is exact:
                entry = Entry(entry.key, entry.kind, exact(entry.value), entry.at)
            if say is not None:
                self._put(run_id, entry.key, say, entry.at)
            written.add(place)
            self._journal[run_id].append(entry)

    # outbox ----------------------------------------------------------------------------------------------------
    def put_out(self, run_id: str, key: str, message: Mapping[str, Plain], at: float) -> bool:
        with self._lock:
            if key in self._outbox_of[run_id]:
                return False
            self._put(run_id, key, message, at)
            return True

    def undelivered(self, now: float, longest: float = inf) -> list[OutboxRow]:
        with self._lock:
            pending = [self._outbox[row_id - 1] for row_id in self._pending]
        return [row for row in pending if not now < row.next_at <= now + longest]

    def outbox(self, run_id: str) -> list[OutboxRow]:
        with self._lock:
            return [self._outbox[row_id - 1] for row_id in self._outbox_of[run_id].values()]

    def outbox_row(self, run_id: str, key: str) -> OutboxRow | None:
        with self._lock:
            return self._message(self._outbox_of[run_id].get(key))

    def posted(self, channel: str, ts: str) -> OutboxRow | None:
        with self._lock:
            return self._message(self._posted.get((channel, ts)))

    def trying(self, row_id: int, at: float) -> None:
        with self._lock:
            row = self._sent(row_id)
            self._outbox[row_id - 1] = replace(row, tried_at=at, tries=row.tries + 1)

    def delivered(self, row_id: int, at: float, channel: str, ts: str) -> None:
        with self._lock:
            row = self._sent(row_id)
            self._outbox[row_id - 1] = replace(row, delivered_at=at, channel=channel, ts=ts, error="")
            self._posted[channel, ts] = row_id
            self._pending.pop(row_id, None)

    def not_delivered(self, row_id: int, error: str, next_at: float) -> None:
        with self._lock:
            self._outbox[row_id - 1] = replace(self._sent(row_id), error=error, next_at=next_at)

    def rendered(self, row_id: int, digest: str) -> None:
        with self._lock:
            self._outbox[row_id - 1] = replace(self._sent(row_id), rendered=digest)

    # people ----------------------------------------------------------------------------------------------------
    def order(self, row: OrderRow, audit: AuditRow | None = None) -> bool:
        with self._lock:
            if row.source in self._sources:
                return False
            self._note(audit)
            self._sources.add(row.source)
            self._orders[row.run_id].append(replace(row, id=len(self._sources)))
            self.poke(row.run_id)
            return True

    def orders(self, run_id: str) -> list[OrderRow]:
        with self._lock:
            return list(self._orders[run_id])

    def vote(self, row: VoteRow) -> bool:
        with self._lock:
            votes = self._votes[row.run_id, row.key]
            same = [vote.given for vote in votes if (vote.user, vote.mark) == (row.user, row.mark)]
            if same and same[-1] == row.given:
                return False
            votes.append(row)
            self.poke(row.run_id)
            return True

    def votes(self, run_id: str, key: str) -> list[VoteRow]:
        with self._lock:
            return list(self._votes[run_id, key])

    def save_command(self, row: CommandRow) -> bool:
        with self._lock:
            return self._commands.setdefault(row.id, row) is row

    def accept_command(self, command_id: str) -> bool:
        with self._lock:
            row = self._commands.get(command_id)
            if row is not None and row.state == "landed":
                self._commands[command_id] = replace(row, state="saved")
            return row is not None and row.state != "void"

    def settle_command(self, command_id: str, state: str) -> None:
        with self._lock:
            if command_id not in self._commands:
                raise StoreError(f"there is no command '{command_id}' to settle")
            self._commands[command_id] = replace(self._commands[command_id], state=state)

    def commands(self, state: str) -> list[CommandRow]:
        with self._lock:
            return [row for row in self._commands.values() if row.state == state]

    def first_sight(self, event_id: str, at: float) -> bool:
        with self._lock:
            first = event_id not in self._events
            self._events.setdefault(event_id, at)
            return first

    # outages ---------------------------------------------------------------------------------------------------
    def alert(
        self, rows: Sequence[AlertRow], start: RunRow | None = None, instead: Sequence[AlertRow] = ()
    ) -> list[bool]:
        with self._lock:
            if start is not None:
                self.start_run(start)
            for old in instead:
                if (known := self._alerts[old.outage, old.fingerprint]).firing:
                    self._alerts[old.outage, old.fingerprint] = replace(known, cleared_at=rows[0].at)
            return [self._take_in(replace(row, detail=self._keep(row.detail))) for row in rows]

    def clear(self, cluster: str, fingerprints: Sequence[str], at: float) -> list[str]:
        with self._lock:
            meant = [row for row in self.firing(cluster) if row.cluster == cluster and row.fingerprint in fingerprints]
            for row in meant:
                self._alerts[row.outage, row.fingerprint] = replace(row, cleared_at=at)
            lost = sorted({row.outage for row in meant})
            for outage in lost:
                self.poke(outage)
            return lost

    def alerts(self, outage: str) -> list[AlertRow]:
        with self._lock:
            return [row for row in self._alerts.values() if row.outage == outage]

    def firing(self, cluster: str = "", fingerprints: Sequence[str] = ()) -> list[AlertRow]:
        with self._lock:
            rows = [row for row in self._alerts.values() if row.firing and cluster in ("", row.cluster)]
        meant = frozenset(fingerprints)
        return [row for row in rows if row.fingerprint in meant] if meant else rows

    def page(self, row: PageRow) -> None:
        with self._lock:
            before = self._pages[row.run_id].get(row.key)
            self._pages[row.run_id][row.key] = row
            if row.state == "sent":
                self._ringing[row.run_id][row.key] = row
            else:
                self._ringing[row.run_id].pop(row.key, None)
            if before is None or before.state != row.state:
                self.poke(row.run_id)

    def pages(self, run_id: str, *, state: str = "") -> list[PageRow]:
        with self._lock:
            mine = self._pages[run_id].values() if state != "sent" else self._ringing[run_id].values()
            return [row for row in mine if state in ("", row.state)]

    def page_row(self, run_id: str, key: str) -> PageRow | None:
        with self._lock:
            return self._pages[run_id].get(key)

    def page_of(self, receipt: str) -> PageRow | None:
        with self._lock:
            every = [row for pages in self._pages.values() for row in pages.values()]
        return next((row for row in reversed(every) if receipt and row.receipt == receipt), None)

    def override_shift(self, rows: Sequence[ShiftOverrideRow], audit: AuditRow | None = None) -> bool:
        with self._lock:
            if {row.source for row in rows} & {row.source for row in self._overrides}:
                return False
            self._note(audit)
            self._overrides += [replace(row, id=len(self._overrides) + n) for n, row in enumerate(rows, 1)]
            return True

    def shift_overrides(self, since: float) -> list[ShiftOverrideRow]:
        with self._lock:
            return [row for row in self._overrides if row.end > since]

    # last known facts ------------------------------------------------------------------------------------------
    def keep(self, name: str, value: Plain, at: float) -> None:
        with self._lock:
            self._kept[name] = Kept(name, self._keep(value), at)

    def kept(self, name: str) -> Kept | None:
        return self._kept.get(name)

    def kept_all(self, prefix: str) -> list[Kept]:
        with self._lock:
            return [self._kept[name] for name in sorted(self._kept) if name.startswith(prefix)]

    # audit, housekeeping ---------------------------------------------------------------------------------------
    def audit(self, row: AuditRow) -> None:
        with self._lock:
            self._note(row)

    def audits(
        self, *, run_id: str = "", cluster: str = "", since: float = 0.0, until: float = inf, limit: int = 200
    ) -> list[AuditRow]:
        with self._lock:
            newest_first = [row for row in reversed(self._audits) if since <= row.at <= until]
        chosen = [row for row in newest_first if run_id in ("", row.run_id) and cluster in ("", row.cluster)]
        return chosen[:limit]

    def tidy(self, before: float) -> int:
        with self._lock:
            events = [event for event, at in self._events.items() if at < before]
            settled = [row.id for row in self._commands.values() if row.state != "saved" and row.at < before]
            for event in events:
                del self._events[event]
            for command_id in settled:
                del self._commands[command_id]
            return len(events) + len(settled)

    def retire(self, before: float, spare: int, most: int, *, only: str = "", but: str = "") -> int:
        with self._lock:
            place, old = Counter[tuple[str, str]](), list[tuple[float, str]]()
            for row in self.runs(limit=len(self._runs)):
                place[row.cluster, row.workflow] += 1
                spared = place[row.cluster, row.workflow] <= spare
                meant = row.workflow != but and only in ("", row.workflow)
                ended_at = row.finished_at if row.state == "done" else None
                if meant and not spared and ended_at is not None and ended_at < before:
                    old.append((ended_at, row.id))
            old.sort(key=lambda ended: ended[0])
            emptied = (run_id for _, run_id in old if self._emptied(run_id))
            return len(list(itertools.islice(emptied, most)))

    def forget_audits(self, before: float, most: int) -> int:
        with self._lock:
            young = [row for row in self._audits[:most] if row.at >= before]
            gone = len(self._audits[:most]) - len(young)
            self._audits[:most] = young
            return gone

    def close(self) -> None:
        """Nothing to close: what it kept stays readable, as a database file would."""

    # ----------------------------------------------------------------------------------------------------------
    def _emptied(self, run_id: str) -> bool:
        """Drop what belongs to it and may go; False if there was nothing."""
        votes = [place for place in self._votes if place[0] == run_id and self._votes[place]]
        alerts = [place for place, row in self._alerts.items() if place[0] == run_id and not row.firing]
        said = [row for row in self.outbox(run_id) if row.delivered_at is not None]
        there = (self._journal[run_id], self._orders.get(run_id), self._pages.get(run_id), votes, alerts, said)
        self._journal[run_id], self._written[run_id] = [], set()
        self._sources -= {order.source for order in self._orders.pop(run_id, ())}
        self._pages.pop(run_id, None)
        self._ringing.pop(run_id, None)
        for place in votes:
            del self._votes[place]
        for alert in alerts:
            del self._alerts[alert]
        for row in said:
            del self._outbox_of[run_id][row.key]
            self._posted.pop((row.channel, row.ts), None)
        return any(there)

    def _set(self, row: RunRow) -> None:
        self._runs[row.id] = row
        if row.state == "active":
            self._active[row.id] = row
        else:
            self._active.pop(row.id, None)

    def _mark(self, run_id: str, poked: bool) -> None:
        with self._lock:
            row = self._active.get(run_id)
            if row is not None and row.poked != poked:
                self._set(_waiting(row, row.parked, row.wake_at, poked))

    def _take_in(self, row: AlertRow) -> bool:
        place = (row.outage, row.fingerprint)
        before = self._alerts.get(place)
        news = before is None or not before.firing
        if before is not None:
            began = row.began_at if news else before.began_at
            row = replace(row, began_at=began, count=before.count + 1, cleared_at=None)
        self._alerts[place] = row
        if news:
            self.poke(row.outage)
        return news

    def _note(self, audit: AuditRow | None) -> None:
        """Before what it goes with: a detail that is refused leaves nothing of either."""
        if audit is not None:
            kept = self._keep(audit.detail)
            self._audits.append(audit if kept is audit.detail else replace(audit, detail=kept))

    def _going(self, run_id: str) -> RunRow:
        row = self._active.get(run_id)
        if row is None:
            raise StoreError(f"there is no active run '{run_id}'")
        return row

    def _put(self, run_id: str, key: str, message: Mapping[str, Plain], at: float) -> None:
        row_id = len(self._outbox) + 1
        self._outbox.append(OutboxRow(row_id, run_id, key, self._keep(message), at))
        self._outbox_of[run_id][key] = row_id
        self._pending[row_id] = None

    def _sent(self, row_id: int) -> OutboxRow:
        if not 1 <= row_id <= len(self._outbox):
            raise StoreError(f"there is no message {row_id} in the outbox")
        return self._outbox[row_id - 1]

    def _message(self, row_id: int | None) -> OutboxRow | None:
        return None if row_id is None else self._outbox[row_id - 1]


def _waiting(row: RunRow, parked: Mapping[str, Plain] | None, wake_at: float, poked: bool) -> RunRow:
    """The row of an active run as its wait goes on. Spelled out, for this is done all the time, and
    `dataclasses.replace` asks every field what it is called."""
    return RunRow(
        row.id,
        row.workflow,
        row.cluster,
        row.args,
        row.state,
        row.created_at,
        row.created_by,
        wake_at,
        poked,
        parked,
        row.result,
        row.finished_at,
    )


def _as_given(value: Any) -> Any:
    return value
