"""The local Slack as a whole: Web API, Socket Mode and the page on one port of the loopback.

async with LocalSlack() as slack:                # or: with run_in_thread() as slack (same verbs, blocking)
    ... AsyncWebClient(BOT_TOKEN, base_url=slack.api_url)
    await slack.type(CAROL, CHANNEL, "/upgrade cluster")
    asked = await slack.wait_for(lambda message: "May I" in message.text)
    slack.react(CAROL, asked.ts, "white_check_mark")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Self

from aiohttp import web

from sandbox.slack.faults import AT_ONCE, Fault, Faults, Kind
from sandbox.slack.files import Files
from sandbox.slack.lines import cut
from sandbox.slack.methods import Methods
from sandbox.slack.page import ClusterCard, Page, Phones
from sandbox.slack.people import Answer, People
from sandbox.slack.socketmode import Pace, SocketMode
from sandbox.slack.state import CAST, Change, Channel, Manifest, Message, Refusal, User, UserGroup, Workspace
from sandbox.slack.web import Limits, Tokens, WebApi

Predicate = Callable[[Message], bool]

WAIT_S = 60.0
"""A slow machine may take so long for what a quick one does in a moment."""


class LocalSlack:
    """`port` 0 takes a free one. `limits`: calls a minute for each method (`web.TIERS` are Slack's), none by default.
    `cluster`: gives the simulated cluster's state for the head of the page; `phones`: what rings beside it. `clock`:
    seconds since the epoch."""

    def __init__(
        self,
        port: int = 0,
        *,
        users: Iterable[User] = CAST,
        channels: Iterable[Channel] = (),
        groups: Iterable[UserGroup] = (),
        manifest: Manifest | None = None,
        tokens: Tokens | None = None,
        pace: Pace | None = None,
        limits: Mapping[str, int] | None = None,
        cluster: Callable[[], ClusterCard] | None = None,
        phones: Phones | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.port = port
        self.manifest = manifest or Manifest()
        self.faults = Faults()
        self.workspace = Workspace(users, channels, groups, clock)
        self.sockets = SocketMode(pace or Pace(), self.faults)
        self.people = People(self.workspace, self.sockets, self.manifest, lambda: self.url)
        self.files = Files()
        methods = Methods(
            self.workspace, self.files, lambda: self.url, self.sockets.ticket, self.people.reacted, self.manifest.scopes
        )
        self.web = WebApi(methods, self.manifest, tokens or Tokens(), Limits(limits or {}), self.faults)
        self.page = Page(self.people, self.faults, self.plant, cluster, phones)
        self._away = ""
        self._away_task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Predicate, asyncio.Future[Message]]] = []
        self.workspace.listeners.append(self._changed)

    # where ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """For SLACK_API_URL."""
        return f"{self.url}/api/"

    # living -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        if self._away_task:
            self._away_task.cancel()
        await self.page.close()
        await self.sockets.close()
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._presence], client_max_size=16 << 20)
        app.router.add_route("*", "/api/{method}", self.web.handle)
        app.router.add_get("/link", self.sockets.serve)
        app.router.add_post("/commands/{key:.+}", self._respond)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/files/{file}", self._download)
        self.page.add_routes(app.router)
        return app

    # people -----------------------------------------------------------------------------------------------------

    async def type(self, user: str, channel: str, text: str, thread: str = "") -> Answer:
        """A message, or a slash command: then it returns when that was acknowledged, or has failed."""
        return await self.people.type(user, channel, text, thread)

    def react(self, user: str, ts: str, emoji: str) -> None:
        self.people.react(user, ts, emoji)

    def unreact(self, user: str, ts: str, emoji: str) -> None:
        self.people.unreact(user, ts, emoji)

    async def wait_for(self, predicate: Predicate, within: float = WAIT_S) -> Message:
        """The first message that is, or comes to be, as wanted. Raises TimeoutError after `within` seconds."""
        found = next((message for message in self.workspace.messages if predicate(message)), None)
        if found is not None:
            return found
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting.append((predicate, future))
        try:
            return await asyncio.wait_for(future, within)
        finally:
            self._waiting.remove((predicate, future))

    def _changed(self, change: Change) -> None:
        for predicate, future in self._waiting:
            if change.kind != "deleted" and not future.done() and predicate(change.message):
                future.set_result(change.message)

    # troubles ---------------------------------------------------------------------------------------------------

    async def plant(self, fault: Fault) -> None:
        """Now for those that happen at once; else when what it is `on` comes along."""
        if fault.kind not in AT_ONCE:
            self.faults.plant(fault)
        elif fault.kind is Kind.DROP:
            self.sockets.drop()
        elif fault.kind is Kind.REFRESH:
            self.sockets.refresh_soon()
        else:
            await self.go_away(fault.seconds, fault.word or "refused")

    async def go_away(self, seconds: float, how: str = "refused") -> None:
        """All of Slack is away for a while: "refused" (nobody listens, the page neither), "error" (503) or "hang"."""
        if self._away_task:
            self._away_task.cancel()
        self._away = how
        self.sockets.drop()
        if how == "refused":
            await self._site.stop()
            self._hang_up()
        self._away_task = asyncio.get_running_loop().create_task(self._come_back(seconds))

    def _hang_up(self) -> None:
        """Nobody listens: lines that are still open, kept alive by a client, are cut too."""
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            cut(connection.transport)

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        how, self._away = self._away, ""
        if how == "refused":
            await self._listen()

    @web.middleware
    async def _presence(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """While Slack is away, the page and its hooks still answer, if anybody listens at all."""
        ours = request.path.startswith(("/api/", "/link", "/commands/", "/upload/"))
        while self._away == "hang" and ours:
            await asyncio.sleep(0.02)
        if self._away and ours:
            return web.Response(status=503, text="Service Unavailable")
        return await handler(request)

    # small routes -----------------------------------------------------------------------------------------------

    async def _respond(self, request: web.Request) -> web.Response:
        """POST to a response_url."""
        try:
            self.people.respond(request.match_info["key"], await request.json())
        except Refusal as no:
            return web.Response(status=404, text=no.code)
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.Response:
        taken = self.files.take(request.match_info["file"], await request.read())
        return web.Response(text="OK") if taken else web.Response(status=400, text="not expected")

    async def _download(self, request: web.Request) -> web.Response:
        file = self.files.get(request.match_info["file"])
        if file is None or file.content is None:
            return web.Response(status=404)
        return web.Response(body=file.content, content_type="image/png")
