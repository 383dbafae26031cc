"""Whether the bot really works: its engine advances, its database takes a write, its word gets out. For /healthz, for
the sign of life, for metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from bot.http import Answer, Route, in_thread
from store.api import Store, StoreError
from workflows.alerts import open_outages

OVERDUE_S = 900.0
"""A run that is due for so long stands still: the longest pass (apt-get update on a slow node) takes minutes."""
LADDER_S = 180.0
"""An outage's next step may be late by so much: the longest one asks a dead paging service several times."""
STORE_S = 2.0
"""A database that takes longer for one write does not count as working."""
QUIET_S = 300.0
"""Slack must have answered within this time."""
KEPT_S = 2.0
"""A look is good for so long: asking all the time must not write all the time."""
BEAT = "health/beat"
MOST_NAMED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """Part of the bot -> what is wrong with it, "" for nothing. `at`: seconds since the epoch."""

    parts: Mapping[str, str]
    at: float

    @property
    def troubles(self) -> list[str]:
        return [f"{part}: {why}" for part, why in self.parts.items() if why]


class Engine(Protocol):
    @property
    def alive(self) -> bool: ...


class Doctor:
    """Safe to use from any thread. `clock`: seconds since the epoch, `now`: one that does not jump. `listens`: whether
    the HTTP server, if there is one, answers whoever brings alerts and key presses. `unheard`: that Slack does not take
    some messages, "" if it takes all. A database that hangs is told after STORE_S; the write goes on in its own thread,
    and until it is through no other one is begun."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        probing: Engine,
        clock: Callable[[], float],
        now: Callable[[], float],
        listens: Callable[[], bool] = lambda: True,
        unheard: Callable[[], str] = lambda: "",
    ) -> None:
        self._store, self._engine, self._probing, self._clock, self._now = store, engine, probing, clock, now
        self._listens, self._unheard = listens, unheard
        self._lock = Lock()
        self._writer = ThreadPoolExecutor(1, "health")
        self._writing: Future[None] | None = None
        self._slack_at = now()
        self._kept: tuple[float, Health] | None = None

    def slack_answered(self) -> None:
        """It took a connection or said that our token is good, just now."""
        self._slack_at = self._now()

    def look(self) -> Health:
        with self._lock:
            if self._kept is None or self._now() - self._kept[0] >= KEPT_S:
                self._kept = (self._now(), self._examine())
            return self._kept[1]

    def stop(self) -> None:
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _examine(self) -> Health:
        store = self._try_to_write()
        return Health(
            {
                "engine": self._engine_trouble(readable=not store),
                "store": store,
                "probes": "" if self._probing.alive else "nothing is looked at: their thread has ended, or hangs",
                "slack": self._slack_trouble() or self._unheard(),
                "http": "" if self._listens() else "alerts and key presses do not come in: nobody listens",
            },
            self._clock(),
        )

    def _engine_trouble(self, readable: bool) -> str:
        if not self._engine.alive:
            return "the thread that advances runs does not look after them"
        if not readable:
            return ""  # said of the store already
        try:
            overdue = self._store.due(self._clock() - OVERDUE_S)
            waiting = [run for run in overdue if not self._poked(run)]
            outages = open_outages(self._store)
        except StoreError as error:
            return str(error)
        if silent := [run.id for run in outages if (run.parked or {}).get("key") == "fault"]:
            return f"nobody is woken for {', '.join(silent[:MOST_NAMED])}: a fault of the bot itself, see its log"
        if late := [run.id for run in outages if run.wake_at < self._clock() - LADDER_S]:
            return f"nobody is woken for {', '.join(late[:MOST_NAMED])}: its ladder stands for {LADDER_S:.0f} s"
        return f"{len(waiting)} runs wait for their turn for more than {OVERDUE_S:.0f} s" if waiting else ""

    def _poked(self, run_id: str) -> bool:
        """A poked run is due at once, however long it may still wait: that says nothing of its age."""
        row = self._store.run(run_id)
        return row is None or row.wake_at > self._clock() - OVERDUE_S

    def _try_to_write(self) -> str:
        if self._writing is None or self._writing.done():
            self._writing = self._writer.submit(self._write)
        try:
            self._writing.result(STORE_S)
        except TimeoutError:
            return f"the database did not take a write within {STORE_S:.0f} s"
        except StoreError as error:
            return str(error)
        return ""

    def _write(self) -> None:
        self._store.keep(BEAT, {}, self._clock())

    def _slack_trouble(self) -> str:
        quiet = self._now() - self._slack_at
        return f"Slack has not answered for {quiet:.0f} s" if quiet > QUIET_S else ""


def routes(doctor: Doctor) -> list[Route]:
    return [Route("GET", "/healthz", in_thread(lambda _: _healthz(doctor)))]


def _healthz(doctor: Doctor) -> Answer:
    health = doctor.look()
    parts = {part: why or "ok" for part, why in health.parts.items()}
    body = json.dumps({"ok": not health.troubles, "at": health.at, **parts}) + "\n"
    return Answer(503 if health.troubles else 200, body, "application/json")
