"""Our own keyed journal: the default engine behind the port `Run` (why our own: docs/decisions/0001-own-journal.md).

How it works. `advance` is one *pass*: it loads the run's entries once and calls the workflow from its beginning. Each
verb first asks whether its key has a result already; then it only gives it back (that is the replay). The first verb
without one is where the run stands:

- `step` writes an intent, acts, writes the result. A crash in between leaves an intent alone: the next pass acts
  again, and `acted(key)` tells the act so.
- `until` writes since and deadline once, asks its probe, and either writes the value or *leaves the function* by
  raising Suspend; the run is then parked with a time to wake. Polls are not journaled, so replay stays linear.
- `say` writes its entry and its outbox message in one transaction.

So recovery after a crash is no special case: it is what every wake does. One process, one thread per run (the runner
sees to that); it never grows leases, queues or clustering.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.port import Again, DuplicateKey, Look, Plain, Saying, Waiting, Workflow
from store.api import Entry, KeyTaken, RunRow, Store, StoreError

T = TypeVar("T")
Clock = Callable[[], float]
"""Seconds since the epoch, UTC."""

FAULT_RETRY = 300.0  # seconds; a fault in the workflow's own body is tried again after this long

log = logging.getLogger(__name__)


class Suspend(BaseException):
    """Leaves the workflow to wait. No Exception, so that a workflow's own `except Exception` cannot catch it."""

    def __init__(self, parked: Mapping[str, Plain], wake_at: float) -> None:
        super().__init__(parked)
        self.parked = parked
        self.wake_at = wake_at


class Diverged(Exception):
    """A replay did not come by what an earlier pass wrote: something beside `step` and `until` decided the way."""


NOT_FOR_PROBES = (DuplicateKey, Diverged, StoreError, AssertionError)
"""What says nothing about the world, so it is never taken for "could not look"."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a wait rests between two looks: elapsed / divisor, within least..most seconds."""

    divisor: float = 20.0
    least: float = 5.0
    most: float = 60.0

    def rest(self, elapsed: float) -> float:
        return min(max(elapsed / self.divisor, self.least), self.most)


def plain_page(row: RunRow, sentence: str) -> Saying:
    """What a fault says when nobody words it better."""
    return Saying("page", f"Run {row.id} stands still, a fault of the bot itself: {sentence}. It is tried again.")


@dataclass(frozen=True, slots=True)
class Rules:
    """How passes are made. `strict` is for tests: a diverging replay and every other fault is raised at once; else a
    diverging replay is a line in the log, and a fault pages (worded by `page`), parks and is tried again."""

    pace: Pace = Pace()
    strict: bool = False
    page: Callable[[RunRow, str], Saying] = plain_page


DEFAULT_RULES = Rules()


def advance(store: Store, run_id: str, workflow: Workflow, clock: Clock, rules: Rules = DEFAULT_RULES) -> None:
    """One pass: on to the next wait, to the end, or to a new round. Raises StoreError; the process must then end."""
    store.unpoke(run_id)  # before anything is read: a later poke makes the run due again
    row = store.run(run_id)
    if row is None or row.state != "active":
        return
    journal = Journal(store, row, clock, rules)
    try:
        journal.close(workflow(journal, row.args))
    except Suspend as wait:
        store.park(run_id, wait.parked, wait.wake_at)
    except Exception as error:
        if rules.strict or (isinstance(error, StoreError) and not isinstance(error, KeyTaken)):
            raise
        log.exception("engine: run '%s': a fault in its workflow", run_id)
        journal.fault(error)


class Journal:
    """The port `Run` for one pass."""

    def __init__(self, store: Store, row: RunRow, clock: Clock, rules: Rules) -> None:
        self._store, self._row, self._clock, self._rules = store, row, clock, rules
        self._entries = store.entries(row.id)
        self._results: dict[str, Any] = {entry.key: entry.value for entry in self._entries if entry.kind == "result"}
        self._used: set[str] = set()
        self._through = ""  # the last part that was passed in one look: what stands before its result is passed too
        self._checked = False

    @property
    def id(self) -> str:
        return self._row.id

    def step(self, key: str, fn: Callable[[], T]) -> T:
        if self._replayed(key):
            value: T = self._results[key]
            return value
        if not self.acted(key):
            self._write(key, "intent")
        return self._finish(key, fn())

    def acted(self, key: str) -> bool:
        return self._begun(key, "intent") is not None

    def until(self, key: str, probe: Callable[[Look], T | Waiting], timeout: float, *, why: str, who: str) -> T | None:
        if self._replayed(key):
            value: T = self._results[key]
            return value
        look = self._look(key, timeout)
        answer = self._ask(key, probe, look)
        if not isinstance(answer, Waiting):
            return self._finish(key, answer)
        if look.now >= look.deadline:
            return self._finish(key, None)
        raise self._suspend(key, look, answer, why, who)

    def say(self, key: str, fn: Callable[[], Saying | None]) -> None:
        if self._replayed(key):
            return
        saying = fn()
        self._write(key, "result", saying is not None, saying)

    def part(self, key: str, fn: Callable[[], T]) -> T:
        if self._replayed(key):
            self._through = key
            value: T = self._results[key]
            return value
        return self._finish(key, fn())

    def close(self, end: Plain | Again) -> None:
        """The workflow returned."""
        self._check()
        if isinstance(end, Again):
            self._store.again(self.id, end.args, self._clock())
        else:
            self._store.finish(self.id, end, self._clock())

    def fault(self, error: Exception) -> None:
        """Park after an exception out of the workflow's body, and page once as long as the run stands at this place."""
        now, sentence = self._clock(), f"{type(error).__name__}: {error}"
        place = sum(entry.kind != "fault" for entry in self._store.entries(self.id))
        if not any(entry.kind == "fault" and entry.value["place"] == place for entry in self._entries):
            number = 1 + sum(row.key.startswith("fault#") for row in self._store.outbox(self.id))
            told = {"place": place, "sentence": sentence}
            message = self._rules.page(self._row, sentence).plain()
            self._store.write(self.id, Entry(f"fault#{number}", "fault", told, now), message)
        why, who = "a fault of the bot itself", "a new version of the bot, or the next try"
        look = Look(now, self._parked("fault").get("since", now), now + FAULT_RETRY)
        self._store.park(self.id, _parked("fault", look, Waiting(sentence), why, who), look.deadline)

    # ----------------------------------------------------------------------------------------------------------
    def _replayed(self, key: str) -> bool:
        if key in self._used:
            raise DuplicateKey(f"run '{self.id}': the key '{key}' is used twice in one pass")
        self._used.add(key)
        return key in self._results

    def _begun(self, key: str, kind: str) -> Entry | None:
        """What an earlier pass wrote of it. From the end: where a run stands is nearly always the last entry."""
        return next((entry for entry in reversed(self._entries) if entry.key == key and entry.kind == kind), None)

    def _finish(self, key: str, value: T) -> T:
        self._write(key, "result", value)
        return value

    def _write(self, key: str, kind: str, value: Any = None, saying: Saying | None = None) -> None:
        self._check()
        entry = Entry(key, kind, value, self._clock())
        self._store.write(self.id, entry, saying.plain() if saying else None)

    def _look(self, key: str, timeout: float) -> Look:
        now = self._clock()
        begun = self._begun(key, "wait")
        wait = begun.value if begun else {"since": now, "deadline": now + timeout}
        if begun is None:
            self._write(key, "wait", wait)
        return Look(now, wait["since"], wait["deadline"], self._parked(key).get("detail"))

    def _ask(self, key: str, probe: Callable[[Look], T | Waiting], look: Look) -> T | Waiting:
        try:
            return probe(look)
        except NOT_FOR_PROBES:
            raise
        except Exception as error:  # whatever kept it from looking, it has seen nothing
            seen = f"could not look: {str(error) or type(error).__name__}"
            if self._parked(key).get("seen") != seen:  # a node that boots would fill the log
                log.warning("engine: run '%s': '%s': %s", self.id, key, seen, exc_info=True)
            return Waiting(seen)

    def _suspend(self, key: str, look: Look, waiting: Waiting, why: str, who: str) -> Suspend:
        now = self._clock()  # again: a probe may take long
        wake_at = min(now + self._rules.pace.rest(now - look.since), look.deadline)
        return Suspend(_parked(key, look, waiting, why, who), wake_at)

    def _parked(self, key: str) -> Mapping[str, Any]:
        """What the last pass left, if it waited for the same."""
        parked = self._row.parked
        return parked if parked and parked["key"] == key else {}

    def _check(self) -> None:
        """Before the first new entry of a pass: it must have come by all that stands there already."""
        if self._checked:
            return
        self._checked = True
        missed: list[str] = []
        for entry in self._entries:
            if entry.key == self._through and entry.kind == "result":
                missed.clear()
            elif entry.key not in self._used and entry.kind != "fault":
                missed.append(entry.key)
        if missed:
            self._diverged(", ".join(dict.fromkeys(missed)))

    def _diverged(self, missed: str) -> None:
        sentence = f"run '{self.id}': this replay never came by {missed}: new version, or a read beside step and until?"
        if self._rules.strict:
            raise Diverged(sentence)
        log.warning("engine: %s", sentence)


def _parked(key: str, look: Look, waiting: Waiting, why: str, who: str) -> dict[str, Plain]:
    return {
        "key": key,
        "why": why,
        "who": who,
        "seen": waiting.seen,
        "detail": dict(waiting.detail),
        "since": look.since,
        "deadline": look.deadline,
        "looked_at": look.now,
    }
