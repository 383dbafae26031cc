"""A thread that does one thing again and again: a step says how long it may rest, `wake` cuts the rest short."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

Fatal = Callable[[BaseException], None]
"""Told what ended a thread; the process then ends with a last word."""

log = logging.getLogger(__name__)


class Worker:
    """`step` returns seconds to rest. Whatever it raises is fatal: what a step can live with it handles itself."""

    def __init__(self, name: str, step: Callable[[], float], fatal: Fatal) -> None:
        self._step, self._fatal = step, fatal
        self._woken, self._stopping = Event(), Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def stop(self, patience: float = 5.0) -> None:
        """Ends after the step that is under way; gives up waiting for it after `patience` seconds."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._woken.clear()  # before looking, so that what comes meanwhile wakes again
                self._woken.wait(self._step())
        except BaseException as error:  # a thread has nobody above it: the process ends
            log.critical("bot: '%s' ends here: %s", self._thread.name, error, exc_info=error)
            self._fatal(error)
