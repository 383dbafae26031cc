"""What Slack refuses until somebody mends it: a channel that is archived, or that the bot was put out of. It is said
where the bot's health is asked for, and given up at last; but no page of a run that goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from store.api import OutboxRow

LASTS_S = 600.0
"""A message that is refused for so long is a trouble of the bot's own."""
GIVE_UP_S = 48 * 3600.0
"""A message that is so old by now, and is still refused, tells nobody anything any more."""

log = logging.getLogger(__name__)


class Undelivered:
    """Safe to use from any thread. Known of this process alone: after a start each is refused anew within a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._refused: dict[int, tuple[float, str]] = {}

    def refused(self, row: OutboxRow, why: str) -> None:
        with self._lock:
            since, _ = self._refused.get(row.id, (self._clock(), ""))
            self._refused[row.id] = (since, why)

    def settled(self, row: OutboxRow) -> None:
        with self._lock:
            self._refused.pop(row.id, None)

    def hopeless(self, row: OutboxRow) -> bool:
        """It was refused, and came to be long ago."""
        with self._lock:
            return row.id in self._refused and self._clock() - row.created_at > GIVE_UP_S

    def trouble(self) -> str:
        """For the bot's health, as half a sentence; "" if there is none."""
        with self._lock:
            now = self._clock()
            old = [(since, why) for since, why in self._refused.values() if now - since > LASTS_S]
        if not old:
            return ""
        since, why = min(old)
        many = "1 message waits" if len(old) == 1 else f"{len(old)} messages wait"
        return f"{many} to be told, refused for {(now - since) / 60:.0f} minutes: {why}"
