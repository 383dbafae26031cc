"""All looks from outside, of all clusters, in one thread with a loop of its own.

Looks over the network are coroutines. Those that ask a cluster may block: each has a thread while it lasts, and
adapters that no run uses, so that whatever hangs holds up itself, neither other probes nor a run. A look that does not
come back is answered for after its time limit, and not sent out again before it is back. What the looks mean is decided
in workflows/night_watch.py; the store is read and written in a thread beside the loop.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bot.worker import Fatal
from cluster.api import Cluster
from cluster.probes import blocks, look, read
from cluster.probes._common import Ok, Probe, Result, Unknown
from workflows.night_watch import NightWatch

SLACK_S = 0.02
"""What is due within so long goes now: fewer wake-ups, and nobody is looked at late."""
FILES = 8192
"""Sockets that may be open at a time, where the system allows it: silent hosts keep theirs for a whole time limit."""
END_S = 5.0
TURN_S, STILL_S = 5.0, 60.0
"""The loop goes round at least so often; without a turn for the second time, or while a judgement takes longer, nothing
that dies is found."""

log = logging.getLogger(__name__)


class Probing:
    """`clusters`: cluster -> its adapters, for probing alone. `clock`: on the wall, `now`: one that does not jump.
    `raised` is told after an outage was written down. Whatever ends the thread is `fatal`."""

    def __init__(
        self,
        watches: Sequence[NightWatch],
        clusters: Mapping[str, Cluster],
        clock: Callable[[], float],
        now: Callable[[], float],
        raised: Callable[[], None],
        fatal: Fatal,
    ) -> None:
        self._watches, self._clusters, self._clock, self._now = watches, clusters, clock, now
        self._raised, self._fatal = raised, fatal
        slow = sum(blocks(probe) for watch in watches for probe in watch.probes)
        self._slow = ThreadPoolExecutor(max(slow, 1), "probe")
        self._desk = ThreadPoolExecutor(1, "probes-desk")
        self._busy: set[tuple[str, str]] = set()
        self._out: set[asyncio.Task[None]] = set()
        self._settling: dict[str, asyncio.Lock] = {}
        self._turned_at, self._judging = now(), dict[str, float]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._live, name="probes", daemon=True)

    # life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if any(watch.probes for watch in self._watches):
            _more_files()
            self._thread.start()

    def stop(self) -> None:
        """Looks under way are cut off. Twice is harmless."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(END_S)
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._desk.shutdown(wait=False, cancel_futures=True)

    def _cancel(self) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    def _live(self) -> None:
        try:
            asyncio.run(self._rounds())
        except asyncio.CancelledError:
            return
        except BaseException as error:  # a thread has nobody above it: the process ends
            log.critical("probes: end here: %s", error, exc_info=error)
            self._fatal(error)

    # for those who show it --------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether looks are made and judged, or there are none to make."""
        if not any(watch.probes for watch in self._watches):
            return True
        since = min([self._turned_at, *list(self._judging.values())])
        return self._thread.is_alive() and self._now() - since < STILL_S

    def looks(self) -> Counter[tuple[str, str, str]]:
        """(cluster, kind, result) -> looks so far."""
        found: Counter[tuple[str, str, str]] = Counter()
        for watch in self._watches:
            for (kind, result), count in list(watch.looks.items()):
                found[watch.managed.name, kind, result] += count
        return found

    def states(self) -> Counter[tuple[str, str]]:
        """(cluster, "up", "down", "hidden" or "unseen") -> probes."""
        return Counter((watch.managed.name, state) for watch in self._watches for state in watch.states().values())

    # rounds -----------------------------------------------------------------------------------------------------

    async def _rounds(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._settling = {watch.managed.name: asyncio.Lock() for watch in self._watches}
        while True:
            self._woken.clear()
            now = self._turned_at = self._now()
            for watch in self._watches:
                for probe in watch.due(now + SLACK_S):
                    self._go(self._look(watch, probe))
                if watch.ripe(now):
                    self._go(self._settle(watch))
            await self._rest(now)

    async def _rest(self, now: float) -> None:
        ahead = min((watch.next_at(now) for watch in self._watches), default=now) - now
        try:
            async with asyncio.timeout(min(max(ahead, SLACK_S), TURN_S)):
                await self._woken.wait()
        except TimeoutError:
            return

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._out.add(task)
        task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[None]) -> None:
        self._out.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.critical("probes: end here: %s", error, exc_info=error)
            self._fatal(error)

    # one look ---------------------------------------------------------------------------------------------------

    async def _look(self, watch: NightWatch, probe: Probe) -> None:
        began = self._now()
        result = await (self._read(watch, probe) if blocks(probe) else look(probe))
        if not isinstance(result, Ok):
            await self._learn(watch)
        watch.saw(probe, result, began, self._now())
        if watch.ripe(self._now()):
            await self._settle(watch)

    async def _read(self, watch: NightWatch, probe: Probe) -> Result:
        """In a thread, which may stay out for longer than the look may take."""
        mark, limit = (watch.managed.name, probe.name), probe.pace.timeout
        if mark in self._busy:
            return Unknown("its last look still waits for an answer")
        self._busy.add(mark)
        work = self._slow.submit(read, probe, self._clusters[watch.managed.name])
        work.add_done_callback(lambda _: self._busy.discard(mark))
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(asyncio.wrap_future(work))
        except TimeoutError:
            return Unknown(f"no answer within {limit:g} s")

    # what it means ----------------------------------------------------------------------------------------------

    async def _learn(self, watch: NightWatch) -> None:
        """What our own runs do, unless that was read just now."""
        if watch.wants_doing(self._now()):
            watch.told(await self._beside(partial(watch.doing, self._clock())), self._now())

    async def _settle(self, watch: NightWatch) -> None:
        """One at a time; what comes in meanwhile is settled right after."""
        lock = self._settling[watch.managed.name]
        if lock.locked():
            return
        async with lock:
            while watch.ripe(self._now()):
                self._judging[watch.managed.name] = self._now()
                await self._learn(watch)
                now = self._now()
                if findings := watch.judge(now):
                    await self._beside(partial(watch.hand_over, findings, now, self._clock()))
                    self._raised()
            self._judging.pop(watch.managed.name, None)
        self._woken.set()  # parents may have to answer at once

    async def _beside(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._desk, work)


def _more_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("probes: no more than %d sockets at a time: %s", soft, error)
