"""What can go wrong with Slack, as plain data: planted by a scenario, a test or by hand, used up as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class Kind(StrEnum):
    """`on` is a method ("chat.postMessage", "reactions.*") or an envelope ("slash_commands", "events_api")."""

    # Web API
    LIMIT = "limit"  # HTTP 429 with Retry-After `seconds`
    REFUSE = "refuse"  # HTTP 200, ok: false, error `word`
    BROKEN = "broken"  # HTTP 500, nothing done
    LOSE = "lose"  # the line breaks before anything is done
    CUT = "cut"  # it is done, then the line breaks before the answer
    DELAY = "delay"  # it is done `seconds` late
    # Socket Mode
    TWICE = "twice"  # delivered twice, as Slack sometimes does
    MISS = "miss"  # never delivered, retries included
    DROP = "drop"  # now: all sockets are cut, without a word
    REFRESH = "refresh"  # now: all sockets are asked to go, one after the other
    # everything
    DOWN = "down"  # now, for `seconds`: Slack is away; `word`: "refused" (default), "error" (HTTP 503) or "hang"


AT_ONCE = frozenset({Kind.DROP, Kind.REFRESH, Kind.DOWN})


class BadFault(ValueError):
    """That is no fault this Slack can have; str() says what is."""


@dataclass(slots=True)
class Fault:
    """`times`: so often it happens, then it is gone."""

    kind: Kind
    on: str = "*"
    times: int = 1
    seconds: float = 1.0
    word: str = ""

    @classmethod
    def from_plain(cls, row: Mapping[str, Any]) -> Fault:
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(row) - set(known)):
            raise BadFault(f'unknown key "{unknown[0]}"; a fault has {", ".join(known)}')
        if row.get("kind") not in list(Kind):
            raise BadFault(f'"{row.get("kind")}" is no kind of fault; there are {", ".join(Kind)}')
        return cls(**{**row, "kind": Kind(row["kind"])})


class Faults:
    """The planted ones, oldest first."""

    def __init__(self) -> None:
        self._planted: list[Fault] = []

    def plant(self, fault: Fault) -> None:
        self._planted.append(fault)

    def clear(self) -> None:
        self._planted.clear()

    def take(self, kind: Kind, name: str) -> Fault | None:
        """The first one of this kind that fits; it has then happened once more."""
        fault = next((f for f in self._planted if f.kind is kind and fnmatchcase(name, f.on)), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._planted.remove(fault)
        return fault

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter([asdict(fault) for fault in self._planted])
