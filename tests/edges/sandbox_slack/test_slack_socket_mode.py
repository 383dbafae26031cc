"""Socket Mode, through the real AsyncSocketModeHandler of Bolt: nothing lost, nothing late, or else Slack's words."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.loops import Loop
from sandbox.slack import ALICE, BOT, CAROL, CHANNEL, MALLORY, Fault, Kind, LocalSlack, Pace, Refusal
from sandbox.slack.socketmode import Socket
from tests.waiting import PATIENCE_S

QUICK = Pace(retries=(0.0, 0.05, 0.05), warning=0.05, grace=0.05)
SPARING = replace(QUICK, spare_warned=True)
HASTY = replace(QUICK, ack=0.2)
"""Slack's times, shortened, all but its patience for an acknowledgement; HASTY has none of that either."""


def story(told: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that is a coroutine."""

    @functools.wraps(told)
    def run() -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(told())

    return run


@dataclass
class Bot:
    """A tiny app: it acknowledges at once, unless told to sleep, and keeps what it heard."""

    app: AsyncApp
    handlers: list[AsyncSocketModeHandler] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    asleep: float = 0.0
    answer: dict[str, Any] = field(default_factory=lambda: {"text": "I am on it."})

    async def command(self, ack: Callable[..., Awaitable[None]], command: dict[str, Any]) -> None:
        self.commands.append(command)
        await asyncio.sleep(self.asleep)
        await ack(**self.answer)

    async def event(self, body: dict[str, Any]) -> None:
        self.events.append(body)


@asynccontextmanager
async def connected(slack: LocalSlack, sockets: int = 1) -> AsyncIterator[Bot]:
    app = AsyncApp(client=AsyncWebClient("xoxb-local", base_url=slack.api_url), logger=logging.getLogger("bolt"))
    bot = Bot(app)
    app.command("/upgrade")(bot.command)
    for kind in ("reaction_added", "reaction_removed", "app_mention"):
        app.event(kind)(bot.event)
    bot.handlers = [AsyncSocketModeHandler(app, "xapp-local") for _ in range(sockets)]
    for handler in bot.handlers:
        await handler.connect_async()  # type: ignore[no-untyped-call]
    await until(lambda: len(slack.sockets.sockets) == sockets)
    try:
        yield bot
    finally:
        for handler in bot.handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]


async def until(true: Callable[[], bool], within: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.005)


async def ask(slack: LocalSlack) -> str:
    """The bot asks for an approval. Returns the request's ts."""
    client = AsyncWebClient("xoxb-local", base_url=slack.api_url)
    return str((await client.chat_postMessage(channel=CHANNEL, text="May I take pve2?"))["ts"])


def whispers(slack: LocalSlack, user: str) -> list[str]:
    return [message.text for message in slack.workspace.messages if message.only_for == user]


# ---- slash commands --------------------------------------------------------------------------------------------------


@story
async def test_a_command_arrives_and_its_answer_is_seen_by_the_one_who_typed_it() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        answer = await slack.type(ALICE, CHANNEL, "/upgrade cluster lab nodes=pve1")
        assert (answer.text, answer.failure) == ("I am on it.", "")
        assert [(c["command"], c["text"], c["user_id"]) for c in bot.commands] == [
            ("/upgrade", "cluster lab nodes=pve1", ALICE)
        ]
        assert (whispers(slack, ALICE), whispers(slack, CAROL)) == (["I am on it."], [])


@story
async def test_a_public_answer_shows_the_command_too() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        bot.answer = {"text": "Started.", "response_type": "in_channel"}
        await slack.type(ALICE, CHANNEL, "/upgrade cluster")
        assert [m.text for m in slack.workspace.top_level(CHANNEL)] == ["/upgrade cluster", "Started."]


@story
async def test_people_and_channels_in_a_command_arrive_as_mentions_and_the_rest_escaped() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        await slack.type(ALICE, CHANNEL, "/upgrade override heal pve1 @carol in #lab-cluster said <go> & @nobody")
        assert bot.commands[0]["text"] == (
            f"override heal pve1 <@{CAROL}> in <#{CHANNEL}> said &lt;go&gt; &amp; @nobody"
        )


@story
async def test_without_a_bot_the_person_reads_dispatch_failed() -> None:
    async with LocalSlack(pace=QUICK) as slack:
        assert (await slack.type(ALICE, CHANNEL, "/upgrade status")).failure == "dispatch_failed"
        assert whispers(slack, ALICE) == ['/upgrade failed with the error "dispatch_failed"']


@story
async def test_an_acknowledgement_too_late_reads_operation_timeout_though_it_was_heard() -> None:
    async with LocalSlack(pace=HASTY) as slack, connected(slack) as bot:
        bot.asleep = 0.4
        assert (await slack.type(ALICE, CHANNEL, "/upgrade cluster")).failure == "operation_timeout"
        await until(lambda: len(bot.commands) == 1)


@story
async def test_a_command_may_be_delivered_twice() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        await slack.plant(Fault(Kind.TWICE, "slash_commands"))
        await slack.type(ALICE, CHANNEL, "/upgrade cluster")
        await until(lambda: len(bot.commands) == 2)
        assert bot.commands[0]["trigger_id"] == bot.commands[1]["trigger_id"]


@story
async def test_a_command_in_a_thread_or_of_another_app_goes_nowhere() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        board = await ask(slack)
        in_thread = await slack.type(ALICE, CHANNEL, "/upgrade status", thread=board)
        unknown = await slack.type(ALICE, CHANNEL, "/upgrad status")
        assert in_thread.text == "`/upgrade` is not supported in threads. Sorry!"
        assert unknown.text == "`/upgrad` is not a valid command."
        assert bot.commands == []


@story
async def test_a_response_url_takes_five_answers() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot, aiohttp.ClientSession() as http:
        await slack.type(ALICE, CHANNEL, "/upgrade status")
        url = bot.commands[0]["response_url"]
        codes = [(await http.post(url, json={"text": f"line {n}"})).status for n in range(6)]
        assert codes == [200] * 5 + [404]
        assert whispers(slack, ALICE) == ["I am on it.", *(f"line {n}" for n in range(5))]


@story
async def test_a_response_url_lasts_half_an_hour() -> None:
    now = [1000.0]
    async with LocalSlack(pace=QUICK, clock=lambda: now[0]) as slack, connected(slack) as bot:
        await slack.type(ALICE, CHANNEL, "/upgrade status")
        now[0] += 30 * 60 + 1
        with pytest.raises(Refusal, match="expired_url"):
            slack.people.respond(bot.commands[0]["response_url"].partition("/commands/")[2], {"text": "late"})


# ---- events ----------------------------------------------------------------------------------------------------------


@story
async def test_a_reaction_is_heard_and_its_removal_too() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        ts = await ask(slack)
        slack.react(CAROL, ts, "white_check_mark")
        slack.unreact(CAROL, ts, "white_check_mark")
        await until(lambda: len(bot.events) == 2)
        heard = {body["event"]["type"]: body["event"] for body in bot.events}
        assert set(heard) == {"reaction_added", "reaction_removed"}
        added = heard["reaction_added"]
        assert (added["user"], added["reaction"], added["item"]["ts"]) == (CAROL, "white_check_mark", ts)


@story
async def test_the_bots_own_reaction_is_sent_and_filtered_by_bolt() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        ts = await ask(slack)
        await bot.app.client.reactions_add(channel=CHANNEL, timestamp=ts, name="x")
        slack.react(MALLORY, ts, "x")
        await until(lambda: len(bot.events) == 1)
        assert bot.events[0]["event"]["user"] == MALLORY
        assert [delivery.kind for delivery in slack.sockets.deliveries] == ["events_api"] * 2


@story
async def test_a_mention_is_heard_with_its_thread() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        board = await ask(slack)
        await slack.type(CAROL, CHANNEL, "@roundsman why?", thread=board)
        await until(lambda: bool(bot.events))
        event = bot.events[0]["event"]
        assert (event["text"], event["thread_ts"]) == (f"<@{BOT}> why?", board)


@story
async def test_a_reaction_given_while_nobody_listened_arrives_as_a_retry() -> None:
    async with LocalSlack(pace=Pace(retries=(0.0, *[0.3] * 100))) as slack:
        slack.react(CAROL, await ask(slack), "white_check_mark")
        async with connected(slack) as bot:
            await until(lambda: bool(bot.events))
            assert bot.events[0]["event"]["user"] == CAROL


@story
async def test_an_event_that_nobody_ever_hears_is_given_up_after_three_retries() -> None:
    async with LocalSlack(pace=Pace(ack=0.05, retries=(0.0, 0.02, 0.02))) as slack, deaf(slack) as frames:
        slack.react(CAROL, await ask(slack), "white_check_mark")
        await until(lambda: len(frames) == 4)
        assert [frame["retry_attempt"] for frame in frames] == [0, 1, 2, 3]
        assert len({frame["envelope_id"] for frame in frames}) == 4
        assert len({frame["payload"]["event_id"] for frame in frames}) == 1


@asynccontextmanager
async def deaf(slack: LocalSlack) -> AsyncIterator[list[dict[str, Any]]]:
    """A client that hears every envelope and acknowledges none."""
    frames: list[dict[str, Any]] = []

    async def listen(ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            frames.append(message.json())

    async with aiohttp.ClientSession() as http, http.ws_connect(await address(slack)) as ws:
        hello = await ws.receive_json()
        assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        task = asyncio.create_task(listen(ws))
        yield frames
        task.cancel()


async def address(slack: LocalSlack) -> str:
    client = AsyncWebClient(base_url=slack.api_url)
    return str((await client.apps_connections_open(app_token="xapp-local"))["url"])


@story
async def test_an_event_may_be_delivered_twice_under_the_same_id_or_be_missed() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack) as bot:
        ts = await ask(slack)
        await slack.plant(Fault(Kind.MISS, "events_api"))
        slack.react(ALICE, ts, "eyes")
        await slack.plant(Fault(Kind.TWICE, "events_api"))
        slack.react(CAROL, ts, "white_check_mark")
        await until(lambda: len(bot.events) == 2)
        assert [body["event"]["user"] for body in bot.events] == [CAROL, CAROL]
        assert bot.events[0]["event_id"] == bot.events[1]["event_id"]


# ---- sockets ---------------------------------------------------------------------------------------------------------


@story
async def test_two_handlers_lose_no_command_over_refreshes() -> None:
    async with LocalSlack(pace=SPARING) as slack, connected(slack, sockets=2) as bot:
        failures: list[str] = []
        for _ in range(6):
            refreshing = asyncio.create_task(refreshed(slack, slack.sockets.sockets[0]))
            while not refreshing.done() or len(failures) % 10:
                failures.append((await slack.type(ALICE, CHANNEL, f"/upgrade {len(failures)}")).failure)
        assert set(failures) == {""}
        assert [command["text"] for command in bot.commands] == [str(number) for number in range(len(failures))]
        assert len(failures) >= 60


@story
async def test_a_refresh_of_all_sockets_replaces_each() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack, sockets=2):
        await slack.plant(Fault(Kind.REFRESH))
        await until(lambda: len(slack.sockets.sockets) == 2 and all(one.number > 2 for one in slack.sockets.sockets))


async def refreshed(slack: LocalSlack, old: Socket) -> None:
    """One socket is asked to go, and its client has come back with another."""
    await slack.sockets.refresh(old)
    await until(lambda: old not in slack.sockets.sockets and len(slack.sockets.sockets) == 2)


@story
async def test_what_was_sent_may_still_be_answered_before_a_refresh_closes_the_socket() -> None:
    async with LocalSlack(pace=QUICK) as slack, aiohttp.ClientSession() as http:
        ws = await http.ws_connect(await address(slack))
        await until(lambda: len(slack.sockets.sockets) == 1)
        typing = asyncio.create_task(slack.type(ALICE, CHANNEL, "/upgrade status"))
        frames = [await ws.receive_json(), await ws.receive_json()]
        await slack.plant(Fault(Kind.REFRESH))
        await until(lambda: slack.sockets.sockets[0].closing)
        assert (await slack.type(ALICE, CHANNEL, "/upgrade status")).failure == "dispatch_failed"
        await ws.send_json({"envelope_id": frames[1]["envelope_id"]})
        assert (await typing).failure == ""
        await ws.close()


@story
async def test_sockets_that_grow_old_are_replaced() -> None:
    async with LocalSlack(pace=Pace(life=0.2, warning=0.05, grace=0.05)) as slack, connected(slack) as bot:
        await until(lambda: any(socket.number >= 3 for socket in slack.sockets.sockets))
        async with asyncio.timeout(PATIENCE_S):
            while (failure := (await slack.type(ALICE, CHANNEL, "/upgrade status")).failure) == "dispatch_failed":
                continue  # a client of Slack's SDK closes the old one before the next is there
        assert failure == ""
        assert len(bot.commands) == 1


@story
async def test_payloads_go_to_any_of_the_sockets() -> None:
    async with LocalSlack(pace=QUICK) as slack, connected(slack, sockets=3):
        for _ in range(30):
            await slack.type(ALICE, CHANNEL, "/upgrade status")
        assert {delivery.socket for delivery in slack.sockets.deliveries} == {1, 2, 3}
        assert all(delivery.acked for delivery in slack.sockets.deliveries)


@story
async def test_the_eleventh_socket_is_sent_away() -> None:
    async with LocalSlack(pace=QUICK) as slack, aiohttp.ClientSession() as http:
        sockets = [await http.ws_connect(await address(slack)) for _ in range(10)]
        await until(lambda: len(slack.sockets.sockets) == 10)
        eleventh = await http.ws_connect(await address(slack))
        assert (await eleventh.receive_json())["reason"] == "too_many_websockets"
        for ws in (*sockets, eleventh):
            await ws.close()


@story
async def test_a_ticket_opens_one_socket() -> None:
    async with LocalSlack(pace=QUICK) as slack, aiohttp.ClientSession() as http:
        url = await address(slack)
        ws = await http.ws_connect(url)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url)
        await ws.close()


@story
async def test_sockets_that_are_cut_without_a_word_are_gone_at_once() -> None:
    async with LocalSlack(pace=QUICK) as slack, aiohttp.ClientSession() as http:
        ws = await http.ws_connect(await address(slack))
        await ws.receive()
        await slack.plant(Fault(Kind.DROP))
        assert (await slack.type(ALICE, CHANNEL, "/upgrade status")).failure == "dispatch_failed"
        assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
