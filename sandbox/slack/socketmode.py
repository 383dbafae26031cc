"""Socket Mode, from Slack's side: sockets that are greeted, fed, refreshed and cut; envelopes that want an answer.

Times are Slack's own (3 s for an acknowledgement; events again at once, after 1 and after 5 minutes), settable so that
a test need not wait for them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import secrets
import time
import uuid
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.slack.faults import Faults, Kind
from sandbox.slack.lines import cut
from sandbox.slack.state import APP, Plain

MOST_SOCKETS = 10
SPREAD = 0.25
"""Two sockets opened together are not refreshed together: each lives up to this part shorter."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """All in seconds. `retries`: from one failed delivery of an event to the next. `life`: of a socket, 0 = for ever;
    `warning`: from the first word of a refresh to the second; `grace`: from that to the cut.

    `spare_warned`: a socket that was told to go gets nothing more while another is there. What Slack does is not
    documented; False is harsher: what is sent while the client closes the socket is lost, a fraction of a millisecond.
    In both, what was sent may still be answered before this side closes: over an envelope that has just left, any
    client would lose. `Kind.DROP` is the cut that cares for nothing.
    """

    ack: float = 3.0
    retries: tuple[float, ...] = (0.0, 60.0, 300.0)
    life: float = 0.0
    warning: float = 10.0
    grace: float = 5.0
    spare_warned: bool = False


class NoSocket(Exception):
    """dispatch_failed: nobody is connected."""


class NoAck(Exception):
    """operation_timeout: nobody acknowledged in time. It may be worked on all the same."""


@dataclass(slots=True)
class Delivery:
    """One envelope, for whoever measures. Times on the monotonic clock; `acked` None: not in time."""

    kind: str
    socket: int
    sent: float
    acked: float | None = None


@dataclass(eq=False, slots=True)
class Socket:
    number: int
    ws: web.WebSocketResponse
    request: web.Request
    warned: bool = False
    closing: bool = False
    unanswered: set[asyncio.Future[Plain]] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def send(self, frame: Plain) -> None:
        await self.ws.send_str(json.dumps(frame))


class SocketMode:
    """All sockets of the one app."""

    def __init__(self, pace: Pace, faults: Faults, seed: int = 0) -> None:
        self.pace = pace
        self.sockets: list[Socket] = []
        self.deliveries: deque[Delivery] = deque(maxlen=10_000)
        self._faults = faults
        self._random = random.Random(seed)
        self._tickets: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Plain]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = 0

    # connecting -------------------------------------------------------------------------------------------------

    def ticket(self) -> str:
        """Good for one socket."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /link: one socket, until either side ends it."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=408, text="this ticket is not known, or was used")
        self._tickets.remove(ticket)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.opened += 1
        socket = Socket(self.opened, ws, request)
        if len(self.sockets) >= MOST_SOCKETS:
            await socket.send(_disconnect("too_many_websockets"))
            await ws.close()
            return ws
        await self._live(socket)
        return ws

    async def _live(self, socket: Socket) -> None:
        self.sockets.append(socket)
        try:
            await socket.send(self._hello(socket))
            if self.pace.life:
                self._run(self._grow_old(socket), socket.tasks)
            await self._listen(socket)
        except ConnectionError as error:
            log.info("socket '%s': broken (%s)", socket.number, error)
        finally:
            self._forget(socket)

    def _hello(self, socket: Socket) -> Plain:
        return {
            "type": "hello",
            "num_connections": len(self.sockets),
            "connection_info": {"app_id": APP},
            "debug_info": {
                "host": f"applink-{socket.number}",
                "build_number": 1,
                "approximate_connection_time": int(self.pace.life or 3600),
            },
        }

    async def _listen(self, socket: Socket) -> None:
        async for message in socket.ws:
            if message.type is WSMsgType.TEXT:
                self._acknowledged(json.loads(message.data))

    def _acknowledged(self, frame: Plain) -> None:
        """Too late, or for an envelope that never was, counts for nothing."""
        waiting = self._waiting.get(frame.get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(frame.get("payload") or {})

    def _forget(self, socket: Socket) -> None:
        if socket in self.sockets:
            self.sockets.remove(socket)
        for task in socket.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    # delivering -------------------------------------------------------------------------------------------------

    async def deliver(self, kind: str, payload: Plain, accepts: bool, retry: Plain | None = None) -> Plain:
        """Hand one envelope to any of the sockets; returns what came with the acknowledgement.

        Raises NoSocket or NoAck.
        """
        if not (sockets := self._open_ones()):
            raise NoSocket
        socket = self._random.choice(sockets)
        envelope_id = str(uuid.uuid4())
        frame = {"envelope_id": envelope_id, "type": kind, "payload": payload, "accepts_response_payload": accepts}
        answered: asyncio.Future[Plain] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answered
        socket.unanswered.add(answered)
        delivery = Delivery(kind, socket.number, time.monotonic())
        self.deliveries.append(delivery)
        try:
            await socket.send({**frame, **(retry or {})})
            answer = await asyncio.wait_for(answered, self.pace.ack)
        except (TimeoutError, ConnectionError):
            raise NoAck from None
        finally:
            del self._waiting[envelope_id]
            socket.unanswered.discard(answered)
        delivery.acked = time.monotonic()
        return answer

    def _open_ones(self) -> list[Socket]:
        there = [socket for socket in self.sockets if not socket.closing]
        unwarned = [socket for socket in there if not socket.warned]
        return unwarned if unwarned and self.pace.spare_warned else there

    async def command(self, payload: Plain) -> Plain:
        """A slash command: delivered once, as far as Slack means to."""
        if self._faults.take(Kind.MISS, "slash_commands"):
            raise NoSocket
        if self._faults.take(Kind.TWICE, "slash_commands"):
            self._run(self._once_more(payload))
        return await self.deliver("slash_commands", payload, accepts=True)

    async def _once_more(self, payload: Plain) -> None:
        try:
            await self.deliver("slash_commands", payload, accepts=True)
        except (NoSocket, NoAck) as error:
            log.info("command '%s': second delivery failed (%s)", payload["command"], type(error).__name__)

    def event(self, payload: Plain) -> None:
        """An event, in the background, until somebody acknowledges it or its retries are used up."""
        if self._faults.take(Kind.MISS, "events_api"):
            return
        copies = 2 if self._faults.take(Kind.TWICE, "events_api") else 1
        for _ in range(copies):
            self._run(self._event(payload))

    async def _event(self, payload: Plain) -> None:
        retry: Plain = {"retry_attempt": 0, "retry_reason": ""}
        for attempt, rest in enumerate((*self.pace.retries, None), start=1):
            try:
                await self.deliver("events_api", payload, accepts=False, retry=retry)
                return
            except (NoSocket, NoAck):
                if rest is None:
                    log.info("event '%s': given up after %s deliveries", payload["event_id"], attempt)
                    return
                await asyncio.sleep(rest)
                retry = {"retry_attempt": attempt, "retry_reason": "timeout"}

    # ending -----------------------------------------------------------------------------------------------------

    async def refresh(self, socket: Socket) -> None:
        """Ask a socket to go, as Slack does every few hours: a warning, the word, and after a while the cut."""
        socket.warned = True
        for reason, rest in (("warning", self.pace.warning), ("refresh_requested", self.pace.grace)):
            if socket.ws.closed:
                return
            await socket.send(_disconnect(reason))
            await asyncio.sleep(rest)
        socket.closing = True
        if socket.unanswered:
            await asyncio.wait(socket.unanswered, timeout=self.pace.ack)
        await socket.ws.close()

    async def refresh_all(self) -> None:
        """One after the other, as sockets that were not opened in the same moment are."""
        for socket in list(self.sockets):
            await self.refresh(socket)

    def refresh_soon(self) -> None:
        """`refresh_all`, in the background."""
        self._run(self.refresh_all())

    def drop(self) -> None:
        """Cut every socket, without a word."""
        for socket in list(self.sockets):
            cut(socket.request.transport)
            self._forget(socket)

    async def _grow_old(self, socket: Socket) -> None:
        await asyncio.sleep(self.pace.life * (1 - SPREAD * self._random.random()))
        await self.refresh(socket)

    async def close(self) -> None:
        """End every socket in good order, and everything that is on its way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(socket.ws.close() for socket in list(self.sockets)))

    def _run(self, work: Coroutine[Any, Any, None], also: set[asyncio.Task[None]] | None = None) -> None:
        task = asyncio.get_running_loop().create_task(work)
        for kept in (self._tasks, also if also is not None else set()):
            kept.add(task)
            task.add_done_callback(kept.discard)


def _disconnect(reason: str) -> Plain:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink"}}


def acknowledged(deliveries: Sequence[Delivery]) -> list[float]:
    """Seconds from sending to acknowledgement, of those that were in time."""
    return [d.acked - d.sent for d in deliveries if d.acked is not None]
