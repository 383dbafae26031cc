"""The one HTTP server of the bot, in a thread with a loop of its own. What it answers are routes, given from outside:
health and metrics (bot/health.py), alerts (bot/webhook.py), key presses on phones.

It asks nobody who is allowed: that is each route's business. It keeps the house: requests that are too big, too slow or
too many, and a route that breaks is 500 with no word of why.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from bot.http_settings import HttpSettings
from bot.worker import Fatal

READ_S = 10.0
"""For a request's body to arrive: who sends more slowly holds a line for nothing."""
ANSWER_S = 30.0
MOST_AT_ONCE = 200
START_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """`path` with its query, byte by byte as it was asked for. Names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        """The token of "Authorization: Bearer TOKEN", or ""."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    kind: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """`handle` runs in the server's loop and must not block it: see `in_thread`."""

    method: str
    path: str
    handle: Callable[[Request], Awaitable[Answer]]


def in_thread(handle: Callable[[Request], Answer]) -> Callable[[Request], Awaitable[Answer]]:
    """For a route that blocks (for as long as the store does)."""

    async def beside(request: Request) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(None, handle, request)

    return beside


class CannotListen(Exception):
    """The address is taken, or not ours."""


class Http:
    """`start` returns when it listens, and raises CannotListen when it cannot. `port`: the one that it really has."""

    def __init__(self, settings: HttpSettings, routes: Sequence[Route], fatal: Fatal) -> None:
        self._settings, self._routes, self._fatal = settings, routes, fatal
        self.port = settings.port
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._trouble: OSError | None = None
        self._thread = threading.Thread(target=self._live, name="http", daemon=True)
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    def start(self) -> None:
        self._thread.start()
        self._listening.wait(START_S)
        if self._trouble:
            self._thread.join()
            where = f"{self._settings.listen}:{self._settings.port}"
            raise CannotListen(f"nobody can listen on {where} (section http): {_why(self._trouble)}")

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_S)

    def _live(self) -> None:
        try:
            runner = self._loop.run_until_complete(self._open())
            self._listening.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except OSError as error:
            self._trouble = error
        except BaseException as error:  # a thread has nobody above it: the process ends
            log.critical("http: ends here: %s", error, exc_info=error)
            self._fatal(error)
        finally:
            self._listening.set()
            self._loop.close()

    async def _open(self) -> web.AppRunner:
        app = web.Application(client_max_size=self._settings.most_kib * 1024)
        for route in self._routes:
            app.router.add_route(route.method, route.path, self._handler(route))
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True, keepalive_timeout=30.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.listen, self._settings.port).start()
        except OSError:
            await runner.cleanup()
            raise
        self.port = int(runner.addresses[0][1])
        log.info("http: listens on %s:%d", self._settings.listen, self.port)
        return runner

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            answer = await self._answer(route, request)
            return web.Response(
                status=answer.status, text=answer.body, content_type=answer.kind, headers=dict(answer.headers)
            )

        return handle

    async def _answer(self, route: Route, request: web.Request) -> Answer:
        if self._room.locked():
            return Answer(503, "too many requests at a time; try again in a moment\n", headers={"Retry-After": "1"})
        async with self._room:
            try:
                async with asyncio.timeout(READ_S):
                    body = await request.read()
            except TimeoutError:
                return Answer(408, f"the request did not arrive within {READ_S:.0f} s\n")
            except web.HTTPRequestEntityTooLarge:
                return Answer(413, f"a request may have {self._settings.most_kib} KiB; send fewer alerts at a time\n")
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await route.handle(_plain(request, body))
            except Exception:
                log.exception("http: %s %s: asked -> 500", route.method, route.path)
                return Answer(500, "this broke; the bot's log has the trace\n")


def _why(error: OSError) -> str:
    """asyncio words it with the address once more."""
    return os.strerror(error.errno) if error.errno else str(error)


def _plain(request: web.Request, body: bytes) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, request.raw_path, dict(request.query), headers, body)
