"""How fast a slash command is acknowledged, measured at the websocket: an empty Bolt app, the idle bot, the bot with
100 runs active; and over ten refreshes of the connections. Also its memory, and from its start to its first answer.

The Slack is the sandbox's, in this process; each app is a process of its own. Held to: p99 with 100 runs at most twice
the empty app's of the same run, none lost, none later than 3 s, under 150 MB, first answer within 3 s.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.slack import ALICE, BOT, CHANNEL, Channel, Fault, Kind, LocalSlack, SlackInThread, run_in_thread

COMMANDS, REFRESHES, ACTIVE = 500, 10, 100
APART_S = 0.01  # between two commands
SETTLE_S = 8.0  # after the start, until everything of the first moments is done
CHANNELS = [CHANNEL, *(f"C0LAB{n:03}" for n in range(1, ACTIVE))]
"""One run per cluster, and each cluster has its channel."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, seconds, MB."""

    what: str
    acks_ms: tuple[float, ...]
    sent: int
    first_s: float
    memory_mb: int

    def at(self, share: float) -> float:
        return sorted(self.acks_ms)[min(int(len(self.acks_ms) * share), len(self.acks_ms) - 1)]

    def line(self) -> str:
        lost = self.sent - len(self.acks_ms)
        return (
            f"{self.what:<38} p50 {self.at(0.5):6.1f}  p95 {self.at(0.95):6.1f}  p99 {self.at(0.99):6.1f}  "
            f"max {max(self.acks_ms):6.1f} ms  lost {lost}  first answer {self.first_s:.2f} s  {self.memory_mb} MB"
        )


def main() -> int:
    empty = measure("empty Bolt app (for comparison)", "empty", 0)
    idle = measure("the bot, idle", "bot", 0)
    busy = measure(f"the bot, {ACTIVE} runs active", "bot", ACTIVE)
    refreshed = measure(f"the bot, {ACTIVE} runs, {REFRESHES} refreshes", "bot", ACTIVE, refreshes=REFRESHES)
    limits = {
        f"p99 with {ACTIVE} runs at most twice the empty app's": busy.at(0.99) <= 2 * empty.at(0.99),
        "no command lost over the refreshes": len(refreshed.acks_ms) == refreshed.sent,
        "none later than 3 s": max(refreshed.acks_ms) < 3000,
        "idle memory under 150 MB": idle.memory_mb < 150,
        "first answer within 3 s": idle.first_s < 3,
    }
    for limit, kept in limits.items():
        print(f"{'kept  ' if kept else 'BROKEN'}  {limit}")
    return 0 if all(limits.values()) else 1


def measure(what: str, app: str, active: int, refreshes: int = 0) -> Figures:
    rooms = [Channel(name, name.lower(), [ALICE, BOT]) for name in CHANNELS]
    with run_in_thread(LocalSlack(channels=rooms)) as slack, _process(app, slack.api_url, active) as (child, began):
        while slack.type(ALICE, CHANNEL, "/upgrade help").failure:
            time.sleep(0.05)
        first = time.monotonic() - began
        time.sleep(SETTLE_S)
        before = len(_commands(slack))
        for number in range(COMMANDS):
            if refreshes and number % (COMMANDS // refreshes) == 0:
                slack.plant(Fault(Kind.REFRESH))
            slack.type(ALICE, CHANNEL, f"/upgrade why lab{number % ACTIVE}")
            time.sleep(APART_S)
        deliveries = _commands(slack)[before:]
        acks = tuple((d.acked - d.sent) * 1000 for d in deliveries if d.acked is not None)
        figures = Figures(what, acks, len(deliveries), first, _memory_mb(child.pid))
    print(figures.line(), flush=True)
    return figures


def _commands(slack: SlackInThread) -> list[Any]:
    return slack.ask(lambda: [d for d in slack.slack.sockets.deliveries if d.kind == "slash_commands"])


def _memory_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


@contextmanager
def _process(app: str, api_url: str, active: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        child = subprocess.Popen([sys.executable, __file__, app, api_url, folder, str(active)])
        try:
            yield child, began
        finally:
            child.terminate()
            child.wait(20)


# ---- the apps, each in its own process -----------------------------------------------------------------------------


def empty_app(api_url: str) -> None:
    """What Bolt's own documentation shows, on two connections like ours."""
    from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_client import AsyncWebClient

    async def live() -> None:
        app = AsyncApp(client=AsyncWebClient("xoxb-local", base_url=api_url))

        @app.command(re.compile(".*"))
        async def command(ack: Callable[..., Awaitable[Any]]) -> None:
            await ack(text="on it")

        for _ in range(2):
            await AsyncSocketModeHandler(app, "xapp-local").connect_async()  # type: ignore[no-untyped-call]
        await asyncio.Event().wait()

    asyncio.run(live())


def bot(api_url: str, folder: Path, active: int) -> None:
    """The bot with all its libraries; its machines answer nothing, so its runs look again and again."""
    import paramiko  # noqa: F401 - for its memory
    import proxmoxer  # noqa: F401
    from pydantic import SecretStr

    from bot.app import Roundsman, helper_checksum
    from bot.settings import Settings, SlackSettings, StoreSettings
    from sandbox.clock import ModelClock
    from sandbox.direct import SimCluster
    from sandbox.model import Model
    from sandbox.spec import default_spec, managed_settings
    from store.api import RunRow
    from store.opening import open_store

    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)
    path, now = folder / "bench.db", time.time()
    slack = SlackSettings(bot_token=SecretStr("xoxb-local"), app_token=SecretStr("xapp-local"), api_url=api_url)
    lab = managed_settings(default_spec())
    clusters = tuple(lab.model_copy(update={"name": f"lab{n}", "channel": c}) for n, c in enumerate(CHANNELS))
    store = open_store(path)
    for managed in clusters[:active]:
        args = {"cluster": managed.name, "nodes": [], "reboot": "if-needed", "dry_run": False, "by": ALICE}
        row = RunRow(f"{managed.name}-1", "rolling_upgrade", managed.name, args, "active", now, ALICE, now)
        store.start_run(row)
    store.close()
    settings = Settings(slack=slack, store=StoreSettings(path=str(path)), clusters=clusters)
    spec = replace(default_spec(), helper_checksum=helper_checksum())
    machines = {managed.name: SimCluster(Model(spec, 1, now), managed, ModelClock()) for managed in clusters}
    os._exit(Roundsman(settings, {}, cluster=lambda managed: machines[managed.name]).run_forever())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["empty", api_url, _, _]:
            empty_app(api_url)
        case ["bot", api_url, folder, active]:
            bot(api_url, Path(folder), int(active))
        case _:
            sys.exit(main())
