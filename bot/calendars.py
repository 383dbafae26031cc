"""Calendars as they come over the wire: fetched within limits, and worked out in a process of their own. What one costs
is up to whoever writes it; the bot must go on waking people meanwhile.

Nothing here ever shows a calendar's address: whoever has it reads who is at home when.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import requests

from base.web import TooLong, request
from oncall.calendar import LARGEST_BYTES, CalendarError, Reading
from oncall.rota import Event

CONNECT_S, WHOLE_S = 5.0, 30.0
WORK_S = 60.0
"""The largest calendar that is taken needs a fifth of it."""


def fetch(url: str) -> bytes:
    """Raises CalendarError."""
    if not url:  # `roundsman rota` in a shell that has no secrets
        raise CalendarError("its address is not set")
    try:
        answer = request("GET", url, WHOLE_S, LARGEST_BYTES, connect=CONNECT_S, headers={"Accept": "text/calendar"})
    except TooLong:
        raise CalendarError(f"it is larger than {LARGEST_BYTES // 1_000_000} MB: no rota is") from None
    except requests.ReadTimeout:
        raise CalendarError(f"it takes longer than {WHOLE_S:.0f} s to come") from None
    except (OSError, ValueError) as error:  # all that requests raises; its text holds the address
        raise CalendarError(f"it does not answer ({type(error).__name__})") from None
    if answer.status_code != 200:
        raise CalendarError(f"it answers HTTP {answer.status_code}")
    return answer.content


def work_out(text: bytes, names: Mapping[str, str], zone: str, start: float, end: float) -> Reading:
    """oncall.calendar.read, in a process that is ended when it takes too long. Raises CalendarError."""
    ask = json.dumps({"names": dict(names), "zone": zone, "start": start, "end": end, "seconds": WORK_S})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bot.calendar_process"],
            input=ask.encode() + b"\n" + text,
            capture_output=True,
            timeout=WORK_S,
            env={name: value for name, value in os.environ.items() if not name.startswith("ROUNDSMAN_")},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CalendarError(f"it takes longer than {WORK_S:.0f} s to work out") from None
    except OSError as error:
        raise CalendarError(f"no process to work it out can be started: {error.strerror}") from None
    return _said(done)


def _said(done: subprocess.CompletedProcess[bytes]) -> Reading:
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise CalendarError(f"working it out ended with exit code {done.returncode}") from None
    if "refused" in said:
        raise CalendarError(said["refused"])
    return Reading(tuple(Event(*row) for row in said["events"]), tuple(said["doubts"]))
