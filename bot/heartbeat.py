"""The sign of life: a ping to a dead man's switch elsewhere, as healthchecks.io has it (URL/start, URL, URL/fail). It
is sent only while the bot really works; else the switch is told why not. When not even that goes out, its silence wakes
people.

The address is a secret: whoever has it can feign that all is well. It is in no log; so neither are the errors of the
network as requests words them, for they contain it.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

import requests

from base.web import request
from bot.health import Doctor
from bot.http_settings import HeartbeatSettings

RETRY_S = 10.0
MOST_SAID, MOST_HEARD = 10_000, 1 << 20

log = logging.getLogger(__name__)


class Heartbeat:
    """`step` sends a ping and returns the seconds until the next; one that did not arrive comes again sooner."""

    def __init__(self, settings: HeartbeatSettings, doctor: Doctor) -> None:
        self._settings, self._doctor = settings, doctor
        self._started, self._arrived = False, True

    def step(self) -> float:
        troubles = self._doctor.look().troubles
        if not self._started:
            self._started = self._ping("start", "")
        arrived = self._ping("fail", "\n".join(troubles)) if troubles else self._ping("", "")
        self._tell(arrived)
        return self._settings.every if arrived else min(RETRY_S, self._settings.every)

    def _ping(self, what: str, body: str) -> bool:
        url = address(self._settings.url.get_secret_value(), what)
        try:
            answer = request("POST", url, self._settings.timeout, MOST_HEARD, data=body[:MOST_SAID].encode())
        except requests.RequestException as error:
            self._trouble = type(error).__name__
            return False
        self._trouble = f"HTTP {answer.status_code}"
        return answer.ok

    def _tell(self, arrived: bool) -> None:
        """Once when it changes."""
        if arrived != self._arrived:
            (log.info if arrived else log.error)(
                "heartbeat: %s", "arrives again" if arrived else f"does not arrive ({self._trouble})"
            )
        self._arrived = arrived


def address(url: str, what: str) -> str:
    """("https://hc-ping.com/UUID?rid=1", "fail") -> "https://hc-ping.com/UUID/fail?rid=1"."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{what}").geturl() if what else url
