"""Our own keyed journal: the default engine behind the port `Run` (why our own: docs/decisions/0001-own-journal.md).

How it works. `advance` is one *pass*: it loads the run's entries once and calls the workflow from its beginning. Each
verb first asks whether its key has a result already; then it only gives it back (that is the replay). The first verb
without one is where the run stands:

- `step` writes an intent, acts, writes the result. A crash in between leaves an intent alone: the next pass acts
  again, and `acted(key)` tells the act so.
- `until` writes since and deadline once, asks its probe, and either writes the value or *leaves the function* by
  raising Suspend; the run is then parked with a time to wake. Polls are not journaled, so replay stays linear. Whoever
  keeps the `Waits` of one process has such a wait asked again without a replay, until it has its answer.
- `say` writes its entry and its outbox message in one transaction.

So recovery after a crash is no special case: it is what every wake does. One process, one thread per run (the runner
sees to that); it never grows leases, queues or clustering.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from base.record import record
from engine.port import Again, DuplicateKey, Look, Plain, Saying, Waiting, Workflow
from store.api import Entry, KeyTaken, RunRow, Store, StoreError

T = TypeVar("T")
Clock = Callable[[], float]
"""Seconds since the epoch, UTC."""

FAULT_RETRY = 300.0  # seconds; a fault in the workflow's own body is tried again after this long

log = logging.getLogger(__name__)


class Suspend(BaseException):
    """Leaves the workflow to wait. No Exception, so that a workflow's own `except Exception` cannot catch it."""

    def __init__(self, wait: Wait, parked: Mapping[str, Plain], wake_at: float) -> None:
        super().__init__(parked)
        self.wait = wait
        self.parked = parked
        self.wake_at = wake_at


class Diverged(Exception):
    """A replay did not come by what an earlier pass wrote: something beside `step` and `until` decided the way."""


NOT_FOR_PROBES = (DuplicateKey, Diverged, StoreError, AssertionError)
"""What says nothing about the world, so it is never taken for "could not look"."""


@record
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


@record
class Rules:
    """How passes are made. `strict` is for tests: a diverging replay and every other fault is raised at once; else a
    diverging replay is a line in the log, and a fault pages (worded by `page`), parks and is tried again. `scrub`: what
    an exception says goes through it before it is kept or told, for nobody knows what a library writes into one."""

    pace: Pace = Pace()
    strict: bool = False
    page: Callable[[RunRow, str], Saying] = plain_page
    scrub: Callable[[str], str] = str


DEFAULT_RULES = Rules()


@record
class Wait:
    """One `until` without an answer yet. Its probe knows of the run only what the journal says, so asked again it
    answers as it would after a replay."""

    key: str
    probe: Callable[[Look], Any]
    since: float
    deadline: float
    why: str
    who: str

    def ask(self, row: RunRow, clock: Clock, rules: Rules) -> Any:
        """The answer, None when it is too late for one; raises Suspend while there is none."""
        before = row.parked if row.parked and row.parked["key"] == self.key else {}  # what the last pass saw here
        look = Look(clock(), self.since, self.deadline, before.get("detail"))
        answer = self._look(row, look, before.get("seen"), rules)
        if not isinstance(answer, Waiting):
            return answer
        if look.now >= look.deadline:
            return None
        now = clock()  # again: a probe may take long
        wake_at = min(now + rules.pace.rest(now - look.since), look.deadline)
        raise Suspend(self, _parked(self.key, look, answer, self.why, self.who), wake_at)

    def _look(self, row: RunRow, look: Look, seen_before: str | None, rules: Rules) -> Any:
        try:
            return self.probe(look)
        except NOT_FOR_PROBES:
            raise
        except Exception as error:  # whatever kept it from looking, it has seen nothing
            seen = rules.scrub(f"could not look: {str(error) or type(error).__name__}")
            if seen != seen_before:  # a node that boots would fill the log
                log.warning("engine: run '%s': '%s': %s", row.id, self.key, seen, exc_info=True)
            return Waiting(seen)


Waits = dict[str, Wait]
"""Run -> what it waits for. It lives as long as its process; nothing is lost with it but the way to spare a replay."""


def advance(
    store: Store,
    run_id: str,
    workflow: Workflow,
    clock: Clock,
    rules: Rules = DEFAULT_RULES,
    waits: Waits | None = None,
) -> None:
    """One pass: on to the next wait, to the end, or to a new round. Raises StoreError; the process must then end."""
    waits = {} if waits is None else waits
    store.unpoke(run_id)  # before anything is read: a later poke makes the run due again
    row, wait = store.run(run_id), waits.pop(run_id, None)
    if row is None or row.state != "active":
        return
    try:
        answers = {wait.key: wait.ask(row, clock, rules)} if wait else {}
        journal = Journal(store, row, clock, rules, answers)
        journal.close(workflow(journal, row.args))
    except Suspend as left:
        waits[run_id] = left.wait
        store.park(run_id, left.parked, left.wake_at)
    except Exception as error:
        if rules.strict or (isinstance(error, StoreError) and not isinstance(error, KeyTaken)):
            raise
        log.exception("engine: run '%s': a fault in its workflow", run_id)
        Journal(store, row, clock, rules).fault(error)


class Journal:
    """The port `Run` for one pass. `answers`: key -> what its probe has answered already, in this very pass."""

    def __init__(
        self, store: Store, row: RunRow, clock: Clock, rules: Rules, answers: dict[str, Any] | None = None
    ) -> None:
        self._store, self._row, self._clock, self._rules = store, row, clock, rules
        self._answers: dict[str, Any] = answers or {}
        self._entries = store.entries(row.id)
        self._results: dict[str, Any] = {entry.key: entry.value for entry in self._entries if entry.kind == "result"}
        self._begun = {(entry.key, entry.kind): entry.value for entry in self._entries if entry.kind != "result"}
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
        return (key, "intent") in self._begun

    def until(self, key: str, probe: Callable[[Look], T | Waiting], timeout: float, *, why: str, who: str) -> T | None:
        if self._replayed(key):
            value: T = self._results[key]
            return value
        if key not in self._answers:
            limits = self._limits(key, timeout)
            wait = Wait(key, probe, limits["since"], limits["deadline"], why, who)
            self._answers[key] = wait.ask(self._row, self._clock, self._rules)
        answer: T | None = self._answers[key]
        return self._finish(key, answer)

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
        now, sentence = self._clock(), self._rules.scrub(f"{type(error).__name__}: {error}")
        place = sum(entry.kind != "fault" for entry in self._store.entries(self.id))
        if not any(entry.kind == "fault" and entry.value["place"] == place for entry in self._entries):
            number = 1 + sum(row.key.startswith("fault#") for row in self._store.outbox(self.id))
            told = {"place": place, "sentence": sentence}
            message = self._rules.page(self._row, sentence).plain()
            self._store.write(self.id, Entry(f"fault#{number}", "fault", told, now), message)
        why, who = "a fault of the bot itself", "a new version of the bot, or the next try"
        parked = self._row.parked or {}
        since = parked["since"] if parked.get("key") == "fault" else now
        look = Look(now, since, now + FAULT_RETRY)
        self._store.park(self.id, _parked("fault", look, Waiting(sentence), why, who), look.deadline)

    # ----------------------------------------------------------------------------------------------------------
    def _replayed(self, key: str) -> bool:
        if key in self._used:
            raise DuplicateKey(f"run '{self.id}': the key '{key}' is used twice in one pass")
        self._used.add(key)
        return key in self._results

    def _finish(self, key: str, value: T) -> T:
        self._write(key, "result", value)
        return value

    def _write(self, key: str, kind: str, value: Any = None, saying: Saying | None = None) -> None:
        self._check()
        entry = Entry(key, kind, value, self._clock())
        self._store.write(self.id, entry, saying.plain() if saying else None)

    def _limits(self, key: str, timeout: float) -> Mapping[str, float]:
        """Since when and until when it waits, written with its first pass."""
        if begun := self._begun.get((key, "wait")):
            written: Mapping[str, float] = begun
            return written
        now = self._clock()
        limits = {"since": now, "deadline": now + timeout}
        self._write(key, "wait", limits)
        return limits

    def _check(self) -> None:
        """Before the first new entry of a pass: it must have come by all that stands there already."""
        if self._checked:
            return
        self._checked = True
        missed: list[str] = []
        for entry in reversed(self._entries):
            if entry.key == self._through and entry.kind == "result":
                break
            if entry.key not in self._used and entry.kind != "fault":
                missed.append(entry.key)
        if missed:
            self._diverged(", ".join(dict.fromkeys(reversed(missed))))

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
