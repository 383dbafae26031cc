"""Whose turn it is, as it is known now: the settings' rotas, the overrides that people wrote, and the calendars, which
are fetched every so often and worked out for months ahead. A calendar that is down counts with its last good copy."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock

from bot import calendars
from oncall.calendar import CalendarError, Reading, names_of
from oncall.copies import Copy, copies, keep
from oncall.duty import Duty
from oncall.settings import DAY, Feed, OnCallSettings, Rota
from store.api import Store

BEHIND_S, AHEAD_S = 2 * DAY, 200 * DAY
"""A calendar is worked out so far: a feed that is down can go on for half a year with its last good copy."""
AGAIN_S = 1 * DAY
"""The same text is worked out again after so long, so that the months ahead stay ahead."""
RETRY_S = 60.0
EVERY_S = 20.0  # between two looks whose time has come
PAST_S = 40 * DAY  # overrides that ended earlier are not read any more

Fetch = Callable[[str], bytes]
WorkOut = Callable[[bytes, Mapping[str, str], str, float, float], Reading]

log = logging.getLogger(__name__)


class Rotas:
    """Safe to use from any thread. `clock`: seconds since the epoch. Raises StoreError."""

    def __init__(
        self,
        settings: OnCallSettings,
        store: Store,
        clock: Callable[[], float],
        fetch: Fetch = calendars.fetch,
        work_out: WorkOut = calendars.work_out,
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._fetch, self._work_out = fetch, work_out
        self._lock = Lock()
        self._copies = copies(store)
        self._made_of: object = None
        self._duty = Duty(settings)

    def duty(self) -> Duty:
        """Remembered as long as nothing changed: overrides are read each time, for people write them at any time."""
        rows = self._store.shift_overrides(self._clock() - PAST_S)
        with self._lock:
            made_of = (rows, self._copies)
            if made_of != self._made_of:
                events = {rota: copy.events for rota, copy in self._copies.items()}
                self._duty, self._made_of = Duty(self._settings, rows, events), made_of
            return self._duty

    def looked(self) -> bool:
        """Each calendar was asked at least once: before that, nobody on call may only mean that nobody has looked."""
        return all(rota.name in self._copies for rota in self._settings.rotas if rota.calendar)

    def refresh(self) -> None:
        """Fetch each calendar whose time has come. Blocks for a minute and a half at worst for each."""
        for rota in self._settings.rotas:
            before = self._copies.get(rota.name, Copy())
            if rota.calendar and _due(rota.calendar, before, self._clock()):
                after = self._fetched(rota, rota.calendar, before)
                keep(self._store, rota.name, after, self._clock())
                with self._lock:
                    self._copies = self._copies | {rota.name: after}

    def _fetched(self, rota: Rota, feed: Feed, before: Copy) -> Copy:
        now = self._clock()
        try:
            after = self._worked_out(rota, feed, before, self._fetch(feed.url.get_secret_value()))
        except CalendarError as error:
            if not before.down_since:
                log.warning("rotas: calendar '%s': good -> down (%s)", rota.name, error)
            return replace(before, tried_at=now, down_since=before.down_since or now, why=str(error))
        if before.down_since:
            log.info("rotas: calendar '%s': down -> good", rota.name)
        return replace(after, good_at=now, tried_at=now, down_since=0.0, why="")

    def _worked_out(self, rota: Rota, feed: Feed, before: Copy, text: bytes) -> Copy:
        now, names = self._clock(), names_of(self._settings.people, feed)
        mark = hashlib.sha256(json.dumps([names, rota.zone]).encode() + text).hexdigest()
        if mark == before.mark and now + AHEAD_S < before.until + AGAIN_S:
            return before
        found = self._work_out(text, names, rota.zone, now - BEHIND_S, now + AHEAD_S)
        return Copy(found.events, found.doubts, mark, now + AHEAD_S)


def _due(feed: Feed, copy: Copy, now: float) -> bool:
    """Also when the clock was put back since."""
    return not 0 <= now - copy.tried_at < (RETRY_S if copy.down_since else feed.refresh)
