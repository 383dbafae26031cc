"""Where the paging services are is looked up while a name server answers, for the night in which none does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from base.dialing import NAMES, Names
from oncall.settings import PagerSettings

EVERY_S = 300.0
LIMIT_S = 5.0  # for each name


def look_up(settings: PagerSettings, names: Names = NAMES) -> None:
    """What cannot be looked up now is tried again next time; what was known stays known."""
    for url in _urls(settings):
        with suppress(OSError, ValueError):  # a port that is none
            place = urlsplit(url)
            names.targets(place.hostname or "", place.port or (443 if place.scheme == "https" else 80), LIMIT_S)


def _urls(settings: PagerSettings) -> Iterator[str]:
    for service in (settings.pushover, settings.twilio):
        if service is not None:
            yield service.url
