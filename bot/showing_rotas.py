"""Rotas for a shell: the plan as a table, and what a check says of it. Works beside a running bot, and without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.rotas import Rotas
from bot.settings import Settings
from cluster.checks import CheckLine
from oncall.calendar import INSTALLS, available
from oncall.copies import Copy, copies
from oncall.duty import Duty
from oncall.rota import Gap
from oncall.settings import DAY, OnCallSettings, Rota
from store.api import Store
from store.memory import MemoryStore
from store.opening import read_store
from workflows.messages_oncall import calendar_notes, in_zone, table

CHECKED_S = 30 * DAY
MOST_GAPS = 3


class Known:
    """What is known of the rotas: by the bot's database if there is one, else by asking the calendars now."""

    def __init__(self, settings: Settings, oncall: OnCallSettings, clock: Callable[[], float]) -> None:
        """Raises StoreError for a database that cannot be read."""
        path = Path(settings.store.path)
        self.from_database = path.exists()
        self._store: Store = read_store(path) if self.from_database else MemoryStore()
        rotas = Rotas(oncall, self._store, clock)
        if not self.from_database:
            logging.getLogger("bot.rotas").addHandler(logging.NullHandler())  # it is told in the table already
            rotas.refresh()
        self.duty: Duty = rotas.duty()
        self.copies: dict[str, Copy] = copies(self._store)

    def close(self) -> None:
        self._store.close()


def as_text(known: Known, rotas: list[Rota], start: float, ahead: float) -> str:
    return "\n\n".join("\n".join(_lines(known, rota, start, ahead)) for rota in rotas)


def _lines(known: Known, rota: Rota, start: float, ahead: float) -> Iterator[str]:
    yield f"{rota.name} (times in {rota.zone})"
    yield from (f"  {line}" for line in table(known.duty, rota.name, start, start + ahead, clean=str))
    yield from (f"  ⚠ {note}" for note in _notes(known, rota))
    if gaps := known.duty.gaps(rota.name, start, start + ahead):
        yield f"  ⚠ {_count(gaps)}: {', '.join(known.duty.settings.last_resort)} would be woken then (last_resort)."


def _notes(known: Known, rota: Rota) -> list[str]:
    if rota.calendar is None:
        return []
    return calendar_notes(rota.name, known.copies.get(rota.name), in_zone(ZoneInfo(rota.zone)), str)


def _count(gaps: list[Gap]) -> str:
    return "one gap" if len(gaps) == 1 else f"{len(gaps)} gaps"


def check_rotas(settings: Settings, now: float) -> Iterator[CheckLine]:
    """A line for each rota: who is on call now, gaps in the next month (no fault: somebody is woken in them too), and
    whether its calendar answers."""
    if settings.oncall is None:
        return
    if any(rota.calendar for rota in settings.oncall.rotas) and not available():
        yield CheckLine(False, "calendars", "the packages that read them are not installed", INSTALLS)
        return
    with closing(Known(settings, settings.oncall, lambda: now)) as known:
        for rota in settings.oncall.rotas:
            yield _coverage(known.duty, rota, now)
            if rota.calendar:
                yield _calendar(known, rota)


def _coverage(duty: Duty, rota: Rota, now: float) -> CheckLine:
    tell, here = in_zone(ZoneInfo(rota.zone)), duty.on_call(rota.name, now)
    gaps = duty.gaps(rota.name, now, now + CHECKED_S)
    text = f"{here.person} is on call" if here else "nobody is on call now"
    if not gaps:
        return CheckLine(True, rota.name, f"{text}, and no gap in the next 30 days", "")
    when = "; ".join(f"{tell(gap.start)} - {tell(gap.end)}" for gap in gaps[:MOST_GAPS])
    more = f" and {len(gaps) - MOST_GAPS} more" if len(gaps) > MOST_GAPS else ""
    woken = ", ".join(duty.settings.last_resort)
    return CheckLine(
        True, rota.name, f"{text}; {_count(gaps)} in the next 30 days: {when}{more}; {woken} woken then", ""
    )


def _calendar(known: Known, rota: Rota) -> CheckLine:
    copy, notes = known.copies.get(rota.name), _notes(known, rota)
    good = copy is not None and not copy.down_since and not copy.doubts
    variable = "look at the calendar's address, and at whom it names (calendar.names)"
    return CheckLine(good, f"{rota.name}: calendar", " ".join(notes) or "answers", "" if good else variable)
