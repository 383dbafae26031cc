"""The page that people look at, and the hooks beside it for scripts: all of /sandbox/, / and /static/."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypedDict

from aiohttp import WSMsgType, web

from sandbox.slack.faults import BadFault, Fault, Faults, Kind
from sandbox.slack.people import People
from sandbox.slack.state import BOT, Change, Plain, Refusal

STATIC = Path(__file__).parent / "static"
NOT_FOUND = 404
POLICY = "default-src 'self'; connect-src 'self' ws:; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
"""Nothing comes from elsewhere, and no text of a message can become a script."""


class NodeCard(TypedDict):
    """One node in the head of the page. `pending`: entries to heal, None = its Gluster does not answer; `peak`: most of
    them in this heal. `tone` colours the card: good, busy or bad. `state`: a word or two."""

    name: str
    state: str
    tone: str
    kernel: str
    pending: int | None
    peak: int
    guests: list[str]


class ClusterCard(TypedDict):
    """What GET /sandbox/cluster answers. `note`: half a sentence beside the name."""

    name: str
    note: str
    nodes: list[NodeCard]


class Phones(Protocol):
    """What rings beside Slack (sandbox/phones), as the page sees it. Both may block for as long as a bot takes."""

    def card(self) -> Plain: ...

    def act(self, what: str, which: str) -> bool:
        """ "answer", "press", "leave" a call, "acknowledge" a push; False if that cannot be done any more."""
        ...


log = logging.getLogger(__name__)


class Page:
    """Every open page has a websocket of its own: it hears of each change, and sends what its person does."""

    def __init__(
        self,
        people: People,
        faults: Faults,
        plant: Callable[[Fault], Coroutine[Any, Any, None]],
        cluster: Callable[[], ClusterCard] | None,
        phones: Phones | None,
    ) -> None:
        self._people = people
        self._planted = faults
        self._plant_one = plant
        self._cluster = cluster
        self._phones = phones
        self._open: set[web.WebSocketResponse] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        people.workspace.listeners.append(self._changed)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._show)
        router.add_get("/archives/{place:.+}", self._show)
        router.add_static("/static", STATIC)
        router.add_get("/sandbox/live", self._live)
        router.add_get("/sandbox/messages", self._messages)
        router.add_get("/sandbox/cluster", self._cluster_now)
        router.add_get("/sandbox/phones", self._ringing)
        router.add_post("/sandbox/phones", self._pick_up)
        router.add_get("/sandbox/faults", self._faults)
        router.add_post("/sandbox/faults", self._plant)
        router.add_delete("/sandbox/faults", self._clear)
        router.add_post("/sandbox/type", self._type)
        router.add_post("/sandbox/react", self._react)
        router.add_post("/sandbox/click", self._click)
        router.add_post("/sandbox/unreact", self._react)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(ws.close() for ws in list(self._open)))

    # the page ---------------------------------------------------------------------------------------------------

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "page.html", headers={"Content-Security-Policy": POLICY})

    async def _live(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(heartbeat=10)
        await ws.prepare(request)
        self._open.add(ws)
        try:
            await ws.send_str(json.dumps(self._everything()))
            async for frame in ws:
                if frame.type is WSMsgType.TEXT:
                    self._run(self._act(ws, json.loads(frame.data)))
        finally:
            self._open.discard(ws)
        return ws

    def _everything(self) -> Plain:
        workspace = self._people.workspace
        return {
            "kind": "all",
            "bot": BOT,
            "users": [asdict(user) for user in workspace.users.values()],
            "channels": [asdict(channel) for channel in workspace.channels.values()],
            "groups": [asdict(group) for group in workspace.groups.values()],
            "commands": list(self._people.manifest.commands),
            "messages": [asdict(message) for message in workspace.messages],
            "cluster": self._cluster is not None,
            "phones": self._phones is not None,
        }

    def _changed(self, change: Change) -> None:
        """A direct channel may be new to the page, so its messages bring it along."""
        room = self._people.workspace.channels[change.message.channel]
        more = {"channel": asdict(room)} if room.is_im else {}
        frame = json.dumps({"kind": change.kind, "message": asdict(change.message), **more})
        for ws in list(self._open):
            self._run(self._send(ws, frame))

    async def _send(self, ws: web.WebSocketResponse, frame: str) -> None:
        try:
            await ws.send_str(frame)
        except ConnectionError as error:
            log.info("page: gone (%s)", error)

    async def _act(self, ws: web.WebSocketResponse, ask: Plain) -> None:
        """What the person at the page did; a refusal goes back to that page alone."""
        try:
            await self._do(ask)
        except Refusal as no:
            await self._send(ws, json.dumps({"kind": "refused", "code": no.code}))

    async def _do(self, ask: Plain) -> Plain:
        """One act of a person. Raises Refusal."""
        user, act = str(ask.get("user", "")), ask.get("act")
        if act == "type":
            text, thread = str(ask.get("text", "")), str(ask.get("thread", ""))
            return asdict(await self._people.type(user, str(ask.get("channel", "")), text, thread))
        if act == "click":
            await self._people.click(user, str(ask.get("ts", "")), str(ask.get("action", "")))
            return {}
        if act in ("react", "unreact"):
            do = self._people.react if act == "react" else self._people.unreact
            do(user, str(ask.get("ts", "")), str(ask.get("emoji", "")))
            return {}
        raise Refusal("unknown_act")

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # hooks for scripts ------------------------------------------------------------------------------------------

    async def _type(self, request: web.Request) -> web.Response:
        """POST {"user", "channel", "text", "thread"}: the answer as `people.Answer`."""
        return await self._hook(request, "type")

    async def _react(self, request: web.Request) -> web.Response:
        """POST {"user", "ts", "emoji"} to /sandbox/react or /sandbox/unreact."""
        return await self._hook(request, request.path.rpartition("/")[2])

    async def _click(self, request: web.Request) -> web.Response:
        """POST {"user", "ts", "action"}: a button of a message."""
        return await self._hook(request, "click")

    async def _hook(self, request: web.Request, act: str) -> web.Response:
        try:
            return web.json_response({"ok": True, **await self._do({**await request.json(), "act": act})})
        except Refusal as no:
            return web.json_response({"ok": False, "error": no.code}, status=400)

    async def _messages(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(message) for message in self._people.workspace.messages])

    async def _cluster_now(self, request: web.Request) -> web.Response:
        if self._cluster is None:
            return web.Response(status=NOT_FOUND, text="no cluster is simulated here")
        return web.json_response(self._cluster())

    async def _ringing(self, request: web.Request) -> web.Response:
        if self._phones is None:
            return web.Response(status=NOT_FOUND, text="there are no telephones here")
        return web.json_response(await asyncio.to_thread(self._phones.card))

    async def _pick_up(self, request: web.Request) -> web.Response:
        """POST {"act", "id"}."""
        if self._phones is None:
            return web.Response(status=NOT_FOUND, text="there are no telephones here")
        ask = await request.json()
        done = await asyncio.to_thread(self._phones.act, str(ask.get("act")), str(ask.get("id")))
        return web.json_response({"ok": done}, status=200 if done else 409)

    async def _faults(self, request: web.Request) -> web.Response:
        return web.json_response(list(self._planted))

    async def _plant(self, request: web.Request) -> web.Response:
        """POST one fault: {"kind": "limit", "on": "chat.update", "times": 2, "seconds": 3}."""
        try:
            fault = Fault.from_plain(await request.json())
        except BadFault as error:
            return web.json_response({"error": str(error)}, status=400)
        if fault.kind is Kind.DOWN:  # answered first, for this line is cut, too
            self._run(self._plant_one(fault))
        else:
            await self._plant_one(fault)
        return await self._faults(request)

    async def _clear(self, request: web.Request) -> web.Response:
        self._planted.clear()
        return await self._faults(request)
