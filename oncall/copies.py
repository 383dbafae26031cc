"""What is remembered of a calendar: its last good copy, already worked out, and since when it is down. Kept in the
store, so that a restart in a night in which the calendar is down knows who is on call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from oncall.rota import Event
from store.api import Store

PREFIX = "calendar/"


@dataclass(frozen=True, slots=True)
class Copy:
    """Times are epoch seconds, 0.0 = never. `mark`: of what was worked out, so that the same is not worked out again;
    `until`: so far it was; `good_at`: of the last good answer; `down_since`, `why`: no good answer came since."""

    events: tuple[Event, ...] = ()
    doubts: tuple[str, ...] = ()
    mark: str = ""
    until: float = 0.0
    good_at: float = 0.0
    tried_at: float = 0.0
    down_since: float = 0.0
    why: str = ""

    def plain(self) -> dict[str, Any]:
        rows = [[event.person, event.start, event.end] for event in self.events]
        return asdict(self) | {"events": rows, "doubts": list(self.doubts)}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Copy:
        return cls(**{**value, "events": tuple(Event(*row) for row in value["events"]), "doubts": (*value["doubts"],)})


def keep(store: Store, rota: str, copy: Copy, at: float) -> None:
    store.keep(PREFIX + rota, copy.plain(), at)


def copies(store: Store) -> dict[str, Copy]:
    """Rota -> what is remembered of its calendar. What another version of this program wrote and this one cannot read
    is as if it was never read: it is fetched anew."""
    found = {}
    for kept in store.kept_all(PREFIX):
        try:
            found[kept.name.removeprefix(PREFIX)] = Copy.of(kept.value)
        except (TypeError, LookupError):
            continue
    return found
