"""The one hand that writes alerts that came from outside: whatever comes within a moment in one transaction, each
fingerprint once. So a flood stays cheap."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Lock

from bot.alert_forms import Word
from store.api import Store, StoreError
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.settings import ManagedCluster

GATHER_S, GATHER_MOST_S = 0.05, 0.5
"""What comes within so long after the first alert is written together with it; for longer while writing takes long."""
IDLE_S = 60.0
AT_ONCE = 500
"""So many fingerprints go into one statement."""
MOST_WAITING = 20_000
"""So many alerts may wait for the store; there is no room for more."""


class Book:
    """What waits to be written. Safe to `put` from any thread; `step` belongs to one."""

    def __init__(
        self,
        store: Store,
        managed: Mapping[str, ManagedCluster],
        clock: Callable[[], float],
        landed: Callable[[], None],
    ) -> None:
        self._store, self._managed, self._clock, self._landed = store, managed, clock, landed
        self._lock = Lock()
        self._waiting: list[tuple[Sequence[Word], Future[None]]] = []
        self._rest = GATHER_S

    def put(self, words: Sequence[Word]) -> Future[None] | None:
        """Done once they are written; None if there is no room."""
        with self._lock:
            if sum(len(waiting) for waiting, _ in self._waiting) + len(words) > MOST_WAITING:
                return None
            written: Future[None] = Future()
            self._waiting.append((words, written))
            return written

    def step(self) -> float:
        """Write all that waits; seconds to rest. Raises StoreError, after those who wait were told."""
        time.sleep(self._rest)
        with self._lock:
            taken, self._waiting = self._waiting, []
        began = time.monotonic()
        try:
            for cluster, words in _by_cluster(taken).items():
                self._write(self._managed[cluster], words)
        except StoreError as error:
            for _, written in taken:
                written.set_exception(error)
            raise
        if taken:
            self._landed()
        for _, written in taken:
            written.set_result(None)
        self._rest = min(max(GATHER_S, 2 * (time.monotonic() - began)), GATHER_MOST_S)
        return IDLE_S

    def _write(self, managed: ManagedCluster, words: Sequence[Word]) -> None:
        """Each fingerprint once for as long as it says the same; one that changes its mind is written in between."""
        firing: dict[str, Alert] = {}
        over: dict[str, None] = {}
        for word in words:
            mark = word.alert.fingerprint
            if mark in (over if word.firing else firing):
                self._flush(managed, firing, over)
            if word.firing:
                firing[mark] = word.alert
            else:
                over[mark] = None
        self._flush(managed, firing, over)

    def _flush(self, managed: ManagedCluster, firing: dict[str, Alert], over: dict[str, None]) -> None:
        now = self._clock()
        raise_alerts(self._store, managed, list(firing.values()), now)
        marks = list(over)
        for begin in range(0, len(marks), AT_ONCE):
            clear_alerts(self._store, managed.name, marks[begin : begin + AT_ONCE], now)
        firing.clear()
        over.clear()


def _by_cluster(taken: Sequence[tuple[Sequence[Word], Future[None]]]) -> dict[str, list[Word]]:
    found: dict[str, list[Word]] = {}
    for words, _ in taken:
        for word in words:
            found.setdefault(word.cluster, []).append(word)
    return found
