"""Works one calendar out and ends. Standard input: the question as a line of JSON, then the calendar; standard output:
the answer as JSON. Started by bot/calendars.py; knows no secret."""

from __future__ import annotations

import json
import resource
import sys
from zoneinfo import ZoneInfo

from oncall.calendar import CalendarError, read

MEMORY_BYTES = 1 << 30
"""The largest calendar that is taken needs a fifth of it."""


def main() -> None:
    ask = json.loads(sys.stdin.buffer.readline())
    limit = int(ask["seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))  # also when nobody waits for the answer any more
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    json.dump(_answer(ask, sys.stdin.buffer.read()), sys.stdout)


def _answer(ask: dict[str, object], text: bytes) -> dict[str, object]:
    try:
        found = read(text, ask["names"], ZoneInfo(str(ask["zone"])), float(ask["start"]), float(ask["end"]))  # type: ignore[arg-type]
    except CalendarError as error:
        return {"refused": str(error)}
    rows = [[event.person, event.start, event.end] for event in found.events]
    return {"events": rows, "doubts": list(found.doubts)}


if __name__ == "__main__":
    main()
