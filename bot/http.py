"""The one HTTP server of the bot, in a thread with a loop of its own. What it answers are routes, given from outside:
health and metrics (bot/health.py), alerts (bot/webhook.py), key presses on phones.

Who is allowed is each route's business: it is asked before anything else (`turns_away`), so that strangers take no
room from those who have a token. The house is kept here: requests that are too big, too slow or too many (each route
has room of its own), and a route that breaks is 500 with no word of why.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from bot.http_settings import HttpSettings
from bot.worker import Fatal

READ_S = 10.0
"""For a request's body to arrive: who sends more slowly holds a line for nothing."""
ANSWER_S = 30.0
MOST_AT_ONCE = 200
"""Of each route."""
START_S = 10.0
TURN_S, STILL_S = 1.0, 15.0
"""The loop shows so often that it goes round; without a sign for the second time nobody is answered any more."""

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


def _anybody(_: Request) -> Answer | None:
    return None


@dataclass(frozen=True, slots=True)
class Route:
    """`handle` runs in the server's loop and must not block it: see `in_thread`. `turns_away` answers whoever may not
    come in, by the request without its body, which has not been read yet; None = come in."""

    method: str
    path: str
    handle: Callable[[Request], Awaitable[Answer]]
    turns_away: Callable[[Request], Answer | None] = _anybody


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
        self._turned_at = float("-inf")

    @property
    def alive(self) -> bool:
        """Whether it listens, and has gone round just now."""
        return self._thread.is_alive() and time.monotonic() - self._turned_at < STILL_S

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(START_S):
            self._trouble = TimeoutError(f"it takes longer than {START_S:.0f} s")
        if self._trouble:
            where = f"{self._settings.listen}:{self._settings.port}"
            raise CannotListen(f"nobody can listen on {where} (section http): {_why(self._trouble)}")

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_S)

    def _live(self) -> None:
        try:
            runner = self._loop.run_until_complete(self._open())
            self._turn(runner)
            self._listening.set()
            self._loop.run_forever()
            self._loop.run_until_complete(runner.cleanup())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except BaseException as error:  # a thread has nobody above it: the process ends
            if isinstance(error, OSError) and not self._listening.is_set():
                self._trouble = error  # told by `start`
                return
            log.critical("http: ends here: %s", error, exc_info=error)
            self._fatal(error)
        finally:
            self._listening.set()
            self._loop.close()

    def _turn(self, runner: web.AppRunner) -> None:
        """A sign of life, as long as its socket is open."""
        try:
            listens = bool(runner.addresses)
        except OSError:
            listens = False
        if listens:
            self._turned_at = time.monotonic()
        self._loop.call_later(TURN_S, self._turn, runner)

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
        room = asyncio.Semaphore(MOST_AT_ONCE)

        async def handle(request: web.Request) -> web.Response:
            answer = route.turns_away(_plain(request, b"")) or await self._answer(route, room, request)
            return web.Response(
                status=answer.status, text=answer.body, content_type=answer.kind, headers=dict(answer.headers)
            )

        return handle

    async def _answer(self, route: Route, room: asyncio.Semaphore, request: web.Request) -> Answer:
        if room.locked():
            return Answer(503, "too many requests at a time; try again in a moment\n", headers={"Retry-After": "1"})
        async with room:
            try:
                async with asyncio.timeout(READ_S):
                    body = b"" if route.method == "GET" else await request.read()
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
