"""The Slack edge: Bolt on two Socket Mode connections, in one event loop, in one thread.

Slack refreshes each connection every few hours, and delivers to any that is open (an app may have ten). A connection
that is told to go is replaced first, and read on until Slack closes it: the SDK's own way closes it at once and throws
away what is on the line just then. Two of them, so that one that drops without a word leaves the other. The listeners
save, acknowledge and return; nothing is worked on here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Protocol

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient

from bot.slackchat import Refused, failure
from bot.views import ACK_BUTTON
from bot.votes import Mark
from bot.worker import Fatal
from store.api import CommandRow
from workflows.acknowledging import ACK_EMOJI

CONNECTIONS = ("one", "two")
TIMEOUT_S = 10  # of one request
PING_S = 3.0  # a line that died without a word is noticed after four of these
RETIRED_S = 20.0  # a line that was told to go is read for so long; Slack closes it after about 10
HASTE_S = 1.0  # a line that is told to go so soon (too many of them) is not replaced at once
FIRST_REST_S, LONGEST_REST_S = 1.0, 30.0

log = logging.getLogger(__name__)


class Receiver(Protocol):
    """Whom the edge hands things to. `received` saves a command and says what to acknowledge it with, "" for none."""

    async def received(self, row: CommandRow) -> str: ...

    def marked(self, mark: Mark) -> None: ...

    def connected(self) -> None:
        """A new connection stands: what happened meanwhile may have to be read."""
        ...


class Line(SocketModeClient):
    """One connection of Slack's SDK, with three things mended: an address of Slack's is good for one try only; a
    failure is told in a sentence and tried again, also the first; told to go, it makes room before it closes.

    `on_greeting`: a connection stands. `on_leave`: this one was told to go, open another.
    """

    def __init__(
        self,
        name: str,
        app_token: str,
        web: AsyncWebClient,
        on_greeting: Callable[[], None],
        on_leave: Callable[[Line], None],
    ) -> None:
        super().__init__(app_token, web_client=web, ping_interval=PING_S)
        self.name = name
        self.greeted_at = 0.0
        self._on_greeting, self._on_leave = on_greeting, on_leave
        self._retired = False
        self._renewer = asyncio.ensure_future(self._renew())
        self.message_listeners.append(self._heard)

    async def issue_new_wss_url(self) -> str:
        return await until_told(f"socket '{self.name}'", "apps.connections.open", self._address)

    async def connect_to_new_endpoint(self, force: bool = False) -> None:
        """The SDK comes here when Slack says `disconnect` (`force`), and when the line broke."""
        if not force:
            await super().connect_to_new_endpoint()
        elif not self._retired:  # Slack says both `warning` and `refresh_requested`
            self._retired, self.default_auto_reconnect_enabled, self.auto_reconnect_enabled = True, False, False
            self._on_leave(self)

    async def close(self) -> None:
        self._renewer.cancel()
        await super().close()  # type: ignore[no-untyped-call]

    # ----------------------------------------------------------------------------------------------------------

    async def _address(self) -> str:
        return str((await self.web_client.apps_connections_open(app_token=self.app_token))["url"])

    async def _heard(self, _: Any, message: dict[str, Any], __: Any) -> None:
        if message.get("type") == "hello":
            log.info("slack: socket '%s': connecting -> connected", self.name)
            self.greeted_at = asyncio.get_running_loop().time()
            self._on_greeting()

    async def _renew(self) -> None:
        """The SDK goes on trying the address it has; without one it asks for the next."""
        while True:
            await asyncio.sleep(PING_S / 2)
            if not await self.is_connected():
                self.wss_uri = None


class Lines:
    """As many connections as have names; each is replaced when Slack wants it to go."""

    def __init__(self, app: AsyncApp, app_token: str, web: AsyncWebClient, on_greeting: Callable[[], None]) -> None:
        self._app, self._app_token, self._web, self._on_greeting = app, app_token, web, on_greeting
        self._open: set[Line] = set()
        self._changes: set[asyncio.Task[None]] = set()

    async def open(self, name: str) -> None:
        line = Line(name, self._app_token, self._web, self._on_greeting, self._leave)
        self._open.add(line)
        await Handler(self._app, line).connect_async()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        for change in self._changes:
            change.cancel()
        await asyncio.gather(*(line.close() for line in self._open))

    def _leave(self, line: Line) -> None:
        change = asyncio.ensure_future(self._replace(line))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)

    async def _replace(self, line: Line) -> None:
        log.info("slack: socket '%s': connected -> told to go", line.name)
        if asyncio.get_running_loop().time() - line.greeted_at < HASTE_S:
            await asyncio.sleep(HASTE_S)
        await self.open(line.name)
        await asyncio.sleep(RETIRED_S)
        self._open.discard(line)
        await line.close()


class Handler(AsyncSocketModeHandler):
    """Bolt's own handler around a line of ours; its constructor would make a client of its own."""

    def __init__(self, app: AsyncApp, line: Line) -> None:
        self.app, self.app_token, self.client = app, line.app_token, line
        line.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]  # as in Bolt itself


async def until_told(who: str, method: str, ask: Callable[[], Awaitable[str]]) -> str:
    """Ask Slack until it answers, for ever: without Slack there is nobody to give up to."""
    rest = FIRST_REST_S
    while True:
        try:
            return await ask()
        except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
            down = failure(method, error)
        wait = (down.retry_after if isinstance(down, Refused) else 0.0) or rest
        log.error("slack: %s: not connected (%s); I try again in %.0f s", who, down, wait)
        await asyncio.sleep(wait)
        rest = min(rest * 2, LONGEST_REST_S)


class SlackEdge:
    """`start` returns at once; connecting, and connecting again, goes on in its own thread until `stop`."""

    def __init__(
        self, bot_token: str, app_token: str, api_url: str, receiver: Receiver, clock: Callable[[], float], fatal: Fatal
    ) -> None:
        self._bot_token, self._app_token, self._api_url = bot_token, app_token, api_url
        self._receiver, self._clock, self._fatal = receiver, clock, fatal
        self._cancel: Callable[[], object] = lambda: None
        self._begun = Event()
        self._thread = Thread(target=self._run, name="slack", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        if self._thread.is_alive() and self._begun.wait(patience):
            self._cancel()
            self._thread.join(patience)

    # ----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._stay_connected())
        except BaseException as error:  # a thread has nobody above it: the process ends
            log.critical("slack: ends here: %s", error, exc_info=error)
            self._fatal(error)

    async def _stay_connected(self) -> None:
        self._listen_for_stop()
        web = AsyncWebClient(self._bot_token, base_url=self._api_url, timeout=TIMEOUT_S, retry_handlers=[])
        app = bolt_app(self._api_url, await self._identity(web), self._receiver, self._clock)
        lines = Lines(app, self._app_token, web, self._receiver.connected)
        try:
            await asyncio.gather(*(lines.open(name) for name in CONNECTIONS))
            await asyncio.Event().wait()
        finally:
            await lines.close()

    def _listen_for_stop(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        self._begun.set()

    async def _identity(self, web: AsyncWebClient) -> AuthorizeResult:
        """Who we are, asked once: Bolt would ask with the first command, which cannot wait."""
        found: list[AuthorizeResult] = []

        async def ask() -> str:
            answer = await web.auth_test()
            found.append(AuthorizeResult.from_auth_test_response(bot_token=self._bot_token, auth_test_response=answer))
            return str(answer["user_id"])

        user = await until_told("bot", "auth.test", ask)
        log.info("slack: bot: unknown -> '%s'", user)
        return found[0]


def bolt_app(api_url: str, identity: AuthorizeResult, receiver: Receiver, clock: Callable[[], float]) -> AsyncApp:
    """The listeners. Every slash command is taken: one that is not acknowledged looks like a dead bot."""

    async def authorize() -> AuthorizeResult:
        return identity

    app = AsyncApp(
        name="roundsman",
        client=AsyncWebClient(base_url=api_url, timeout=TIMEOUT_S),  # the token comes with the identity
        authorize=authorize,
        process_before_response=True,  # acknowledged as soon as it is saved, not at Bolt's next look
        request_verification_enabled=False,  # no signatures in Socket Mode: the connection itself is authenticated
        ssl_check_enabled=False,
        url_verification_enabled=False,
    )

    @app.command(re.compile(".*"))
    async def command(ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
        told = await receiver.received(command_row(body, clock()))
        await (ack(text=told) if told else ack())

    @app.event("app_mention")
    async def mention(body: dict[str, Any]) -> None:
        await receiver.received(help_row(body, clock()))

    @app.event("reaction_added")
    async def added(body: dict[str, Any]) -> None:
        _mark(receiver, body, True)

    @app.event("reaction_removed")
    async def removed(body: dict[str, Any]) -> None:
        _mark(receiver, body, False)

    @app.action(ACK_BUTTON)
    async def clicked(ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
        await ack()
        receiver.marked(click_mark(body))

    return app


def click_mark(body: dict[str, Any]) -> Mark:
    """A button that takes an outage says the same as the emoji below its message."""
    place, at = body["container"], float(body["actions"][0]["action_ts"])
    return Mark(body["trigger_id"], place["channel_id"], place["message_ts"], body["user"]["id"], ACK_EMOJI, True, at)


def command_row(body: dict[str, Any], now: float) -> CommandRow:
    """The trigger id is one typing: Slack may deliver it twice."""
    return CommandRow(
        id=body["trigger_id"],
        text=body.get("text", ""),
        slash=body["command"],
        user=body["user_id"],
        channel=body["channel_id"],
        response_url=body.get("response_url", ""),
        at=now,
    )


def help_row(body: dict[str, Any], now: float) -> CommandRow:
    """Whoever mentions the bot is told what it understands."""
    event = body["event"]
    return CommandRow(body["event_id"], "help", "/upgrade", event["user"], event["channel"], "", now)


def _mark(receiver: Receiver, body: dict[str, Any], given: bool) -> None:
    event, item = body["event"], body["event"]["item"]
    if item.get("type") == "message":
        at = float(event["event_ts"])
        name = event["reaction"]
        receiver.marked(Mark(body["event_id"], item["channel"], item["ts"], event["user"], name, given, at))
