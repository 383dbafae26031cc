"""Takes the runs that are due and advances each: one thread that looks, a few that work.

- A run is advanced by one thread at a time, whoever pokes it. A poke that comes meanwhile stays in its row (`unpoke`
  is the first thing a pass does), and the end of every pass makes the thread look again: so none is lost.
- A slow probe holds up its own run only. Runs in trouble wait in network time limits, eight at a time; so those that
  must never wait their turn (`ladders`: they wake people about that very trouble) have hands of their own.
- A store error, or whatever else a pass did not foresee, ends the process after a last word. It never goes on in
  memory: started again, every run goes on from its journal.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Event, Lock, Thread
from typing import NoReturn

from engine.journal import DEFAULT_RULES, FAULT_RETRY, Clock, Rules, Waits, advance
from engine.port import Plain, Run, Workflow
from store.api import RunRow, Store

STILL_S = 30.0
"""A look that takes longer hangs, most probably in the database."""
LOOK_S = 1.0  # at the latest; also how soon a row that another process wrote is seen
WORKERS = 8
LADDERS = 64
"""Threads come only as they are needed. Each outage has its own, for a paging service that hangs holds it for seconds;
there are as many open ones as clusters in trouble, or a few more."""

log = logging.getLogger(__name__)


class Runner:
    """`last_word` is told what ended it, and the process exits with 1 when it returns or raises. `ladders`: workflows
    that wait for no other run."""

    def __init__(
        self,
        store: Store,
        workflows: Mapping[str, Workflow],
        clock: Clock,
        last_word: Callable[[BaseException], None],
        *,
        rules: Rules = DEFAULT_RULES,
        ladders: Collection[str] = (),
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._store, self._workflows, self._clock, self._rules = store, workflows, clock, rules
        self._last_word, self._exit, self._ladders = last_word, exit_process, frozenset(ladders)
        self._longest_rest = max(rules.pace.most, FAULT_RETRY)  # to wake later than that, the clock was put back
        self._woken, self._stopping, self._held = Event(), Event(), False
        self._going: set[str] = set()
        self._waits: Waits = {}  # of one run only the thread that advances it
        self._looked_at = time.monotonic()
        self._spoken = Lock()  # taken by the first that ends the process, and kept
        self._ended = Condition()  # guards _going; told whenever a pass ends
        self._pool, self._apart = ThreadPoolExecutor(WORKERS, "run"), ThreadPoolExecutor(LADDERS, "ladder")
        self._looker = Thread(target=self._look, name="runner", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether somebody looks after the runs, and has done so just now."""
        return self._looker.is_alive() and time.monotonic() - self._looked_at < STILL_S

    def begin(self, *, ladders_only: bool = False) -> None:
        """Begin to advance runs. Before this, read from Slack what people did while nobody listened. `ladders_only`:
        all others wait for a second call, for Slack does not answer yet."""
        self._held = ladders_only
        if not self._looker.ident:
            self._looker.start()
        self.wake()

    def start(self, row: RunRow) -> bool:
        """Start a run; False if its id is taken (so starting twice is harmless)."""
        started = self._store.start_run(row)
        self.wake()
        return started

    def poke(self, run_id: str) -> None:
        """Something happened that this run may wait for."""
        self._store.poke(run_id)
        self.wake()

    def wake(self) -> None:
        """Look at once: a row was written that pokes a run (an order, a vote)."""
        self._woken.set()

    def stop(self, patience: float = 10.0) -> bool:
        """Begin no more passes, and wait `patience` seconds for those under way. False: some were still going on;
        the process may end all the same, for a pass can be cut off anywhere."""
        self._stopping.set()
        self.wake()
        if self._looker.is_alive():
            self._looker.join(patience)
        for pool in (self._pool, self._apart):
            pool.shutdown(wait=False)
        with self._ended:
            return self._ended.wait_for(lambda: not self._going, patience)

    # ----------------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        try:
            while not self._stopping.is_set():
                self._woken.clear()  # before looking, so that what comes meanwhile wakes again
                self._looked_at = time.monotonic()
                self._hand_out()
                self._woken.wait(self._rest())
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: the process ends
            self._end(error)

    def _hand_out(self) -> None:
        for run_id in self._store.due(self._clock(), self._longest_rest):
            row = None if run_id in self._going else self._store.run(run_id)
            if row is None or (self._held and row.workflow not in self._ladders):
                continue
            with self._ended:
                if self._stopping.is_set():
                    return
                self._going.add(run_id)
            pool = self._apart if row.workflow in self._ladders else self._pool
            pool.submit(self._pass, run_id, row.workflow)

    def _rest(self) -> float:
        """Until the next run is due. What is due now is under way already, and its end wakes us."""
        next_wake = self._store.next_wake()
        ahead = LOOK_S if next_wake is None else next_wake - self._clock()
        return min(ahead, LOOK_S) if ahead > 0 else LOOK_S

    def _pass(self, run_id: str, workflow: str) -> None:
        try:
            if not self._stopping.is_set():
                advance(self._store, run_id, self._workflow(workflow), self._clock, self._rules, self._waits)
        except BaseException as error:  # noqa: BLE001 - a thread has nobody above it: the process ends
            self._end(error)
        finally:
            with self._ended:
                self._going.discard(run_id)
                self._ended.notify_all()
            self.wake()

    def _workflow(self, name: str) -> Workflow:
        return self._workflows.get(name) or _unknown(name)

    def _end(self, error: BaseException) -> None:
        self._stopping.set()
        if not self._spoken.acquire(blocking=False):
            return
        log.critical("engine: ends here: %s", error, exc_info=error)
        try:
            self._last_word(error)
        finally:
            self._exit(1)


def _unknown(name: str) -> Workflow:
    """An older version was installed over a newer one: its runs stand still, with a page, until it is put back."""

    def workflow(run: Run, args: Mapping[str, Plain]) -> NoReturn:
        raise LookupError(f"this version of the bot knows no workflow '{name}' (run {run.id})")

    return workflow
