"""The one object that everybody asks who is on call. Pure, and quick when asked again and again: a ladder asks at every
rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oncall.rota import Event, Gap, Plan, Shift
from oncall.settings import OnCallSettings
from store.api import ShiftOverrideRow

CHUNK_S = 14 * 86400.0
"""So much of a rota is worked out at once and remembered."""
FAR_S = 400 * 86400.0
"""Who is next is looked for so far ahead: a yearly turn is found, a rota of one person ends nowhere."""


class Duty:
    """Never changes: overrides or calendars that do make a new one. Safe to use from any thread.

    `overrides`: as the store lists them, of all rotas. `calendars`: rota -> its calendar's events, as long as they are
    known. What names a person or a rota that the settings do not know (any more) counts for nothing: nobody could be
    woken by it. Times are epoch seconds. Raises KeyError for a rota that is not there.
    """

    def __init__(
        self,
        settings: OnCallSettings,
        overrides: Sequence[ShiftOverrideRow] = (),
        calendars: Mapping[str, Sequence[Event]] | None = None,
    ) -> None:
        self.settings = settings
        people = settings.people
        self._plans = {
            rota.name: Plan(
                rota,
                [event for event in (calendars or {}).get(rota.name, ()) if event.person in people],
                [row for row in overrides if row.rota == rota.name and (row.person in people or not row.person)],
            )
            for rota in settings.rotas
        }
        self._chunks: dict[tuple[str, int], list[Shift]] = {}

    @property
    def rotas(self) -> tuple[str, ...]:
        return tuple(self._plans)

    def on_call(self, rota: str, at: float) -> Shift | None:
        """Whoever is on call; of several the one whom the plan names."""
        return next(iter(self.all_on_call(rota, at)), None)

    def all_on_call(self, rota: str, at: float) -> tuple[Shift, ...]:
        """Everybody who is on call, the one whom the plan names first, then those who were added."""
        here = [shift for shift in self._chunk(rota, int(at // CHUNK_S)) if shift.start <= at < shift.end]
        return tuple(sorted(here, key=lambda shift: shift.beside))

    def shifts(self, rota: str, start: float, end: float) -> list[Shift]:
        """All that touch [start, end), with their true starts and ends, by start."""
        found: dict[Shift, None] = {}
        for number in range(int(start // CHUNK_S), int(-(-end // CHUNK_S))):
            found |= dict.fromkeys(self._chunk(rota, number))
        return [shift for shift in found if shift.start < end and shift.end > start]

    def next_shift(self, rota: str, at: float) -> Shift | None:
        """The next one that brings somebody else than who is on call now, within FAR_S."""
        now = self.on_call(rota, at)
        for start in _steps(at, FAR_S):
            for shift in self.shifts(rota, start, start + CHUNK_S):
                if shift.start > at and not shift.beside and (now is None or shift.person != now.person):
                    return shift
        return None

    def until(self, rota: str, at: float) -> float | None:
        """When the person on call now is not any more: at the end of the last of their turns in a row. None if nobody
        is on call, or if that goes on for longer than FAR_S."""
        now = self.on_call(rota, at)
        while now is not None:
            after = self.on_call(rota, now.end)
            if after is None or after.person != now.person:
                return now.end
            now = after if after.end < at + FAR_S else None
        return None

    def gaps(self, rota: str, start: float, end: float) -> list[Gap]:
        """When nobody is on call within [start, end)."""
        found, covered = [], start
        for shift in self.shifts(rota, start, end):
            if shift.start > covered:
                found.append(Gap(rota, covered, shift.start))
            covered = max(covered, shift.end)
        return [*found, Gap(rota, covered, end)] if covered < end else found

    def table(self, rota: str, start: float, end: float) -> list[Shift | Gap]:
        """Shifts and gaps within [start, end), cut to it, by start."""
        shifts = [
            Shift(rota, shift.person, max(shift.start, start), min(shift.end, end), shift.by, shift.beside)
            for shift in self.shifts(rota, start, end)
        ]
        return sorted([*shifts, *self.gaps(rota, start, end)], key=lambda row: row.start)

    def _chunk(self, rota: str, number: int) -> list[Shift]:
        known = self._chunks.get((rota, number))
        if known is None:
            start = number * CHUNK_S
            known = self._chunks[rota, number] = self._plans[rota].shifts(start, start + CHUNK_S)
        return known


def _steps(start: float, length: float) -> list[float]:
    return [start + number * CHUNK_S for number in range(int(length // CHUNK_S) + 1)]
