"""What watching costs: whole nights from seeds through rota, escalation and the ladder, with the invariants after every
step; and one ladder that nobody answers for three days, on the real database.

Processor time of this process is what counts, so that a busy machine does not spoil the figure.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import cast

from bench._figures import show
from sandbox.nightwatch import STRICT, NightWatch
from sandbox.watchluck import SIMULATED, watch_of
from store.memory import MemoryStore
from store.opening import open_store

NIGHTS, ALL = 300, 10_000
MINUTE_S = 60.0
DAYS_H = 72
RATIO = 1.25
"""An hour at the end of three days may cost so much more than the first: what is measured swings by a tenth."""


def main() -> None:
    logging.disable(logging.CRITICAL)  # nights are full of services that fail; a line for each is no part of the figure
    nights()
    with tempfile.TemporaryDirectory() as folder:
        three_days(Path(folder))


def nights() -> None:
    watch_of(0)  # the first one loads the code
    began = time.process_time()
    lived = [watch_of(seed) for seed in range(NIGHTS)]
    speed = NIGHTS / (time.process_time() - began)
    wrong, crashes = sum(bool(night.wrong) for night in lived), sum(night.crashes for night in lived)
    needed = ALL / MINUTE_S / 2
    show(
        f"nights of watching a second and core ({crashes / NIGHTS:.1f} crashes each; {wrong} went wrong)",
        f"{speed:.0f}",
        f"{needed:.0f}: {ALL} within a minute on two cores",
        speed >= needed and not wrong,
    )
    print(f"         so {ALL} nights take {ALL / speed:.0f} s of one core", flush=True)


def three_days(folder: Path) -> None:
    """At the pace of life in the first and in the last hour; in between only as often as the ladder itself needs."""
    store = open_store(folder / "ladder.sqlite3")
    watch = NightWatch(store=cast(MemoryStore, store), rules=STRICT)
    outage = watch.dies("router-a (101)")
    first = hour(watch)
    watch.rules = SIMULATED
    watch.fast_forward(hours=DAYS_H - 2)
    watch.rules = STRICT
    last = hour(watch)
    pages, entries = len(store.pages(outage)), len(store.entries(outage))
    store.close()
    show(
        f"a rung in hour 1 of a ladder that nobody answers, and in hour {DAYS_H}",
        f"{first * 1000:.1f}, {last * 1000:.1f} ms",
        "equally cheap",
        last / first <= RATIO,
    )
    print(f"         ratio {last / first:.2f} after {pages} pages; {entries} entries in its journal", flush=True)


def hour(watch: NightWatch) -> float:
    """Seconds of the processor for each rung of this hour, with every look in between."""
    rang = sum(pager_sent(watch))
    began = time.process_time()
    watch.fast_forward(hours=1)
    took = time.process_time() - began
    watch.woken.clear()
    assert sum(pager_sent(watch)) > rang
    return took / RUNGS_IN_AN_HOUR


RUNGS_IN_AN_HOUR = 9
"""Of the usual policy (sandbox/simpagers.py): three rungs in twenty minutes."""


def pager_sent(watch: NightWatch) -> list[int]:
    return [len(pager.sent) for pager in watch.pagers.values()]


if __name__ == "__main__":
    main()
