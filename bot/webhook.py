"""Alerts from other monitoring, each source with a bearer token of its own.

They are stored before 200 is answered. What the store cannot take in time is answered 503, and whoever sent it sends it
again. A flood comes out as one outage.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.alert_book import Book
from bot.alert_forms import SOURCE, BadAlert, Word, alertmanager, parsed, plain, text
from bot.http import Answer, Request, Route
from bot.http_settings import HttpSettings, SourceSettings
from bot.worker import Fatal, Worker
from store.api import Store, StoreError
from workflows.settings import ManagedCluster

log = logging.getLogger(__name__)

Read = Callable[[Any, Sequence[str], str, float], list[Word]]


class NotAllowed(Exception):
    """`status`: 401 without a token, 403 with one that is not good for this."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Webhook:
    """The two routes, and the one hand that writes. `landed` is told after something was written. `clock`: seconds
    since the epoch."""

    def __init__(
        self,
        store: Store,
        managed: Mapping[str, ManagedCluster],
        settings: HttpSettings,
        clock: Callable[[], float],
        landed: Callable[[], None],
        fatal: Fatal,
    ) -> None:
        self._managed, self._settings, self._clock = managed, settings, clock
        self._book = Book(store, managed, clock, landed)
        self._hand = Worker("webhook", self._book.step, fatal)

    @property
    def routes(self) -> list[Route]:
        return [
            Route("POST", "/alerts/alertmanager", self._route(alertmanager), self._turns_away),
            Route("POST", "/alerts", self._route(plain), self._turns_away),
        ]

    def start(self) -> None:
        self._hand.start()

    def stop(self) -> None:
        self._hand.stop()

    def _route(self, read: Read) -> Callable[[Request], Awaitable[Answer]]:
        async def handle(request: Request) -> Answer:
            try:
                words = self._words(request, read)
            except NotAllowed as no:
                log.warning("webhook: a request was refused: %s", no)
                return _refusal(no.status, str(no))
            except BadAlert as bad:
                log.warning("webhook: a request cannot be read: %s", bad)
                return _refusal(400, str(bad))
            return await self._taken(words)

        return handle

    def _turns_away(self, request: Request) -> Answer | None:
        """Whoever has no token; by the header alone."""
        try:
            self._source(request)
        except NotAllowed as no:
            log.warning("webhook: a request was refused: %s", no)
            return _refusal(no.status, str(no))
        return None

    def _words(self, request: Request, read: Read) -> list[Word]:
        source = self._source(request)
        clusters = source.clusters or tuple(self._managed)
        cluster = request.query.get("cluster", clusters[0])
        if cluster not in self._managed:
            raise BadAlert(f"there is no cluster {text(cluster, 40)!r}; there are {', '.join(self._managed)}")
        known = clusters if read is alertmanager else tuple(self._managed)  # a label is no claim to another cluster
        words = read(parsed(request.body), known, cluster, self._clock())
        for word in words:
            if word.cluster not in clusters:
                raise NotAllowed(403, f"{source.name} may raise no alerts for cluster {word.cluster} (http.sources)")
        return [_signed(word, source) for word in words]

    def _source(self, request: Request) -> SourceSettings:
        """Compared in constant time, with every token."""
        shown = request.bearer.encode("utf-8", "replace")
        if not shown:
            raise NotAllowed(401, "no token: send the header `Authorization: Bearer TOKEN`")
        found = [source for source in self._settings.sources if _is_token(source, shown)]
        if not found:
            raise NotAllowed(403, "this token is none of those of http.sources")
        return found[0]

    async def _taken(self, words: Sequence[Word]) -> Answer:
        written = self._book.put(words)
        if written is None:
            return _busy("too many alerts wait for the database already")
        self._hand.wake()
        try:
            async with asyncio.timeout(self._settings.patience):
                await asyncio.shield(asyncio.wrap_future(written))
        except (TimeoutError, StoreError):
            return _busy("the database did not take the alerts in time")
        return Answer(200, json.dumps({"taken": len(words)}) + "\n", "application/json")


def _is_token(source: SourceSettings, shown: bytes) -> bool:
    token = source.token.get_secret_value().encode()
    return hmac.compare_digest(token, shown) and bool(token)


def _signed(word: Word, source: SourceSettings) -> Word:
    """Two sources may use the same fingerprint for different things."""
    alert = replace(
        word.alert,
        fingerprint=f"{SOURCE}:{source.name}:{word.alert.fingerprint}",
        detail={**word.alert.detail, "from": source.name},
    )
    return replace(word, alert=alert)


def _refusal(status: int, sentence: str) -> Answer:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Answer(status, f"{sentence}\n", headers=headers)


def _busy(sentence: str) -> Answer:
    return Answer(503, f"{sentence}; nothing is lost if you send them again\n", headers={"Retry-After": "2"})
