"""Telephones and pushes on one port of the loopback, with the page's own view of them beside the services' APIs.

with run_in_thread(LocalPhones(clock)) as phones:       # a clock that a test winds
    phones.will("bob", Habit(answers=5, presses="1"))
    ...                                                 # the code under test calls phones.twilio_url
    phones.wind(30)
    phones.expect.assert_paged("bob", "voice")
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from sandbox.clock import VirtualClock
from sandbox.loops import InLoop, running
from sandbox.phones.agenda import Agenda
from sandbox.phones.company import ACCOUNT, CALLER, CAST, TOKEN, Call, Company, Habit, Paged, Subscriber
from sandbox.phones.expect import Expect
from sandbox.phones.panel import Panel
from sandbox.phones.pushes import APP_TOKEN, Push, PushApi
from sandbox.phones.twilio import TwilioApi, refusals
from sandbox.slack.faults import Fault, Faults, Kind
from sandbox.slack.lines import cut

TICK_S = 0.05
FETCH_S = 15.0
"""As long as Twilio waits for an address that it was given."""

T = TypeVar("T")


class LocalPhones:
    """`clock`: seconds since the epoch. `ticking`: time passes by itself; else a test winds."""

    def __init__(
        self, clock: Callable[[], float] = time.time, *, ticking: bool = False, cast: Iterable[Subscriber] = CAST
    ) -> None:
        self.clock, self.ticking, self.port = clock, ticking, 0
        self.agenda, self.faults, self.expect = Agenda(), Faults(), Expect()
        self.listeners: list[Callable[[Paged], None]] = [self.expect.heard]
        self.company = Company(self, self.agenda, clock, self._paged, cast)
        self.pushes = PushApi(self.company, clock, self._paged)
        self.panel = Panel(self.company, self.pushes, clock)
        self._ticker: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _paged(self, paged: Paged) -> None:
        for listener in self.listeners:
            listener(paged)

    # living -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(FETCH_S))
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        if self.ticking:
            self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self) -> None:
        if self._ticker:
            self._ticker.cancel()
        await self._runner.cleanup()
        await self._session.close()

    async def _tick(self) -> None:
        while True:
            await self.agenda.settle(self.clock())
            await asyncio.sleep(TICK_S)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._trouble, refusals])
        twilio, pushes = TwilioApi(self.company), self.pushes
        account = "/2010-04-01/Accounts/{account}"
        app.router.add_get(f"{account}.json", twilio.account)
        app.router.add_post(f"{account}/Calls.json", twilio.create)
        app.router.add_get(f"{account}/Calls.json", twilio.list)
        app.router.add_get(f"{account}/Calls/{{sid}}.json", twilio.one)
        app.router.add_post(f"{account}/Calls/{{sid}}.json", twilio.update)
        app.router.add_post("/1/messages.json", pushes.send)
        app.router.add_post("/1/users/validate.json", pushes.validate)
        app.router.add_get("/1/receipts/{receipt}.json", pushes.receipt)
        app.router.add_post("/1/receipts/cancel_by_tag/{tag}.json", pushes.cancel_by_tag)
        app.router.add_post("/1/receipts/{receipt}/cancel.json", pushes.cancel)
        app.router.add_post("/apprise/{person}", self._sink)
        return app

    @web.middleware
    async def _trouble(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """A planted fault is `on` a method and a path: "POST /1/messages.json", "* /2010*"."""
        name = f"{request.method} {request.path}"
        if delay := self.faults.take(Kind.DELAY, name):
            await asyncio.sleep(delay.seconds)
        if self.faults.take(Kind.LOSE, name):
            cut(request.transport)
            return web.Response(status=500)
        if self.faults.take(Kind.BROKEN, name):
            return web.Response(status=503, text="<html>Service Unavailable</html>")
        if self.faults.take(Kind.LIMIT, name):
            return web.json_response({"code": 20429, "message": "Too Many Requests", "status": 429}, status=429)
        answer: web.StreamResponse = await handler(request)
        if self.faults.take(Kind.CUT, name):
            cut(request.transport)
        return answer

    async def _sink(self, request: web.Request) -> web.Response:
        """What Apprise's json:// posts."""
        said = await request.json()
        person = request.match_info["person"]
        self._paged(Paged(self.clock(), person, "apprise", f"{said.get('title')}: {said.get('message')}"))
        return web.json_response({})

    # the way out ------------------------------------------------------------------------------------------------

    async def request(self, method: str, url: str, form: Mapping[str, str], signature: str) -> str:
        """For the company: an address that a bot named. Raises OSError."""
        how: dict[str, Any] = {"data": form} if method == "POST" else {}
        headers = {"X-Twilio-Signature": signature}
        try:
            async with self._session.request(method, url, headers=headers, **how) as response:
                text = await response.text()
                if response.status >= 300:
                    raise OSError(f"HTTP {response.status}")
                return text
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise OSError(type(error).__name__) from None


class PhonesInThread(InLoop):
    """The same from a thread without an event loop; all verbs block."""

    def __init__(self, phones: LocalPhones, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.phones = phones
        self.expect, self.company, self.pushes = phones.expect, phones.company, phones.pushes

    # where ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.phones.url

    def section(self) -> dict[str, Any]:
        """For `oncall.pagers` of a settings file; the secrets are in `environment`."""
        twilio = {"account": ACCOUNT, "caller": CALLER, "url": f"{self.url}/"}
        return {"pushover": {"url": f"{self.url}/1/"}, "twilio": twilio}

    def environment(self) -> dict[str, str]:
        """Secrets, as an admin sets them."""
        users = {
            f"ROUNDSMAN_PUSHOVER_USER_{one.name.upper()}": one.pushover for one in self.company.subscribers.values()
        }
        return {"ROUNDSMAN_PUSHOVER_TOKEN": APP_TOKEN, "ROUNDSMAN_TWILIO_TOKEN": TOKEN, **users}

    def sink(self, person: str) -> str:
        """An Apprise URL that leads here."""
        return f"json://127.0.0.1:{self.phones.port}/apprise/{person}"

    # people and time --------------------------------------------------------------------------------------------

    def will(self, name: str, habit: Habit) -> None:
        self.ask(lambda: self.company.will(name, habit))

    def tap(self, person: str) -> None:
        """The person acknowledges the newest push."""
        newest = [push for push in self.pushes.pushes if push.person == person][-1]
        self.ask(lambda: self.pushes.acknowledge(newest.receipt))

    def press(self, person: str, key: str) -> None:
        """On the newest call, now; it is answered if it still rings."""
        call = self.calls(person)[-1]
        self.do(self.phones.panel.pick_up(call, key))

    def calls(self, person: str) -> list[Call]:
        number = self.company.subscribers[person].phone
        return [call for call in self.company.calls if call.to == number]

    def pushes_to(self, person: str) -> list[Push]:
        return [push for push in self.pushes.pushes if push.person == person]

    def wind(self, seconds: float) -> None:
        """Let time pass, on a clock that is wound; what happens on the way happens at its time."""
        clock, agenda = self.phones.clock, self.phones.agenda
        assert isinstance(clock, VirtualClock), "a clock that runs by itself cannot be wound"
        end = clock.now + seconds
        while (due := agenda.next_at()) is not None and due <= end:
            clock.advance_to(due)
            self.do(agenda.settle(clock.now))
        clock.advance_to(end)

    # for the page ------------------------------------------------------------------------------------------------

    def card(self) -> dict[str, Any]:
        return self.ask(self.phones.panel.card)

    def act(self, what: str, which: str) -> bool:
        return self.do(self.phones.panel.act(what, which))

    def plant(self, fault: Fault) -> None:
        self.ask(lambda: self.phones.faults.plant(fault))


@contextlib.contextmanager
def run_in_thread(phones: LocalPhones) -> Iterator[PhonesInThread]:
    """Started in a thread of its own, ended with the block."""
    with running(phones, "local-phones") as loop:
        yield PhonesInThread(phones, loop)
