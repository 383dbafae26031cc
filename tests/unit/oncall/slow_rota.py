"""A rota worked out the slow way, to compare with: minute after minute, a clock on the wall is looked at, and what it
shows moves turns on and opens and closes windows. Shares no code with oncall/rota.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from oncall.settings import WEEK, Layer, Rota


def walk(rota: Rota, start: datetime, minutes: int) -> Iterator[tuple[float, str | None]]:
    """Each minute's instant, and who is on call in it by the layers. `start`: UTC, before any layer begins."""
    zone = ZoneInfo(rota.zone)
    layers = [_Hand(layer) for layer in rota.layers]
    by_rank = sorted(range(len(layers)), key=lambda place: (-rota.layers[place].priority, place))
    for minute in range(minutes):
        now = start + timedelta(minutes=minute)
        wall = now.astimezone(zone).replace(tzinfo=None)
        said = [layer.look(now.timestamp(), wall) for layer in layers]
        yield now.timestamp(), next((said[place] for place in by_rank if said[place]), None)


class _Hand:
    """One layer as a person with a watch would keep it."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.begin = datetime.fromisoformat(layer.start)
        self.over = datetime.fromisoformat(layer.end) if layer.end else datetime.max
        self.number, self.started_at, self.ended = -1, 0.0, False
        self.handoffs = _handoffs(layer, self.begin)
        self.next_handoff = next(self.handoffs)
        self.doors = _doors(layer, self.begin)
        self.next_door, self.opens = next(self.doors)
        self.open = False

    def look(self, now: float, wall: datetime) -> str | None:
        while wall >= self.next_door:
            self.open = self.opens
            self.next_door, self.opens = next(self.doors)
        self.ended = self.ended or wall >= self.over
        if self.number < 0 and wall >= self.begin:
            self.number, self.started_at = 0, now
        if self.number < 0 or self.ended:
            return None
        if self.layer.turn == "hours":
            self.number = int((now - self.started_at) // (self.layer.hours * 3600))
        while self.layer.turn != "hours" and wall >= self.next_handoff:
            self.number += 1
            self.next_handoff = next(self.handoffs)
        return self.layer.people[self.number % len(self.layer.people)] if self.open else None


def _handoffs(layer: Layer, begin: datetime) -> Iterator[datetime]:
    """Every hand-off after the one with which the layer begins."""
    days = [begin + timedelta(days=day) for day in range(0, 400, 7 if layer.turn == "weekly" else 1)]
    if layer.turn == "daily":
        days = [day for day in days if WEEK[day.weekday()] in layer.days]
    yield from days[1:]
    yield datetime.max


def _doors(layer: Layer, begin: datetime) -> Iterator[tuple[datetime, bool]]:
    """When the window opens (True) and closes, in order."""
    midnight = begin.replace(hour=0, minute=0) - timedelta(days=9)
    opens, closes = _minutes(layer.window.start if layer.window else "00:00"), 1440
    if layer.window:
        closes = _minutes(layer.window.end)
        closes += 1440 if closes <= opens else 0
    found = []
    for day in range(400):
        date = midnight + timedelta(days=day)
        if WEEK[date.weekday()] in layer.days:
            found += [(date + timedelta(minutes=opens), True), (date + timedelta(minutes=closes), False)]
    yield from sorted(found)
    yield datetime.max, False


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])
