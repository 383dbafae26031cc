"""From the first failed probe of an outage to the first page, with 2,000 TCP probes at 10 s each in one process.

    scripts/bench probes            the full length: about eight minutes
    .venv/bin/python bench/probes.py --short

The unchanged bot in a process of its own: a hundred clusters, each with twenty probes of ports on this machine, and a
person whom Pushover rings. In every other cluster a port dies at a moment of its own, most of them refusing, some
silent, and is well again when the page is out. What is measured is what the push service saw: the time of its request,
against the first failed look, which the alert carries. Beside it a bot that looks at nothing, for its memory and its
processor time.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench._figures import at, process_s, show
from sandbox.phones import LocalPhones, PhonesInThread
from sandbox.phones import run_in_thread as phones_in_thread
from sandbox.slack import ALICE, BOT, Channel, LocalSlack, SlackInThread, run_in_thread
from store.opening import read_store
from workflows.alerts import OUTAGE

EVERY_S, TIMEOUT_S, FAILS = 10.0, 3.0, 3
SILENT_SHARE = 0.2
SLACK_S = 0.2
CORE, MEMORY_MB = 0.1, 100
PATIENCE_S = 60.0
ELSEWHERE = (
    "Measured elsewhere on the same work: Icinga 2 0.02 s at 0.62 core and 84 MB; Nagios 4 0.16 s at 0.47 core;",
    "Monit 0.58 s at 0.01 core and 12 MB; Prometheus + blackbox exporter + Alertmanager at their fastest settings",
    "0.95 s at 0.22 core and 445 MB, at their default settings 90 s.",
)


@dataclass(frozen=True, slots=True)
class Size:
    """`deaths`: so many clusters lose a port, over `spread` seconds; `watch`: seconds over which processor time is
    taken; `settles`: after the start."""

    clusters: int
    probes: int
    deaths: int
    spread: float
    watch: float
    settles: float


FULL, SHORT = Size(100, 20, 50, 300.0, 60.0, 15.0), Size(10, 20, 5, 10.0, 8.0, 5.0)
DEAD_S = FAILS * EVERY_S + TIMEOUT_S + 2.0
"""A port is well again after so long."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Of one port that died: seconds from its first failed look to the stored outage, and to the first page."""

    silent: bool
    raised: float
    paged: float


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="a tenth of it, in little more than a minute")
    size = SHORT if options.parse_args().short else FULL
    idle_core, idle_mb = idle(size)
    with ExitStack() as held:
        targets = Targets(held, size)
        with living(size, targets.ports) as bot:
            time.sleep(size.settles)
            core, mb = bot.core(size.watch), bot.resident_mb()
            targets.die_one_by_one()
            late_mb = max(mb, bot.resident_mb())
        waits = bot.waits(targets)
    report(size, waits, (core, core - idle_core), (late_mb, late_mb - idle_mb))
    return 0 if len(waits) == size.deaths else 1


def report(size: Size, waits: Sequence[Wait], core: tuple[float, float], mb: tuple[int, int]) -> None:
    count, least = size.clusters * size.probes, (FAILS - 1) * EVERY_S
    print(f"{count} TCP probes, every {EVERY_S:.0f} s, {FAILS} failed looks; paged: {len(waits)} of {size.deaths}")
    print(f"load of this machine: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores; seconds beyond {least:.0f} s:")
    for silent, name in ((False, "refused"), (True, "silent")):
        found = [wait for wait in waits if wait.silent is silent]
        if not found:
            continue
        target = SLACK_S + (TIMEOUT_S if silent else 0.0)
        raised, paged = [wait.raised - least for wait in found], [wait.paged - least for wait in found]
        show(f"{name} ports, first failed look to outage: p99", told(raised), "to compare", True)
        show(f"{name} ports, first failed look to first page: p50", told(paged, 0.5), "to compare", True)
        show(f"... p99 of {len(paged)}", told(paged), f"{target:.1f} s", at(0.99, paged) <= target)
    show("processor time of the whole bot, all ports well", f"{core[0]:.3f} core", f"{CORE} core", core[0] <= CORE)
    show("... more than the idle bot's", f"{core[1]:.3f} core", "to compare", True)
    show("memory more than the idle bot's", f"{mb[1]} MB of {mb[0]}", f"{MEMORY_MB} MB", mb[1] <= MEMORY_MB)
    print("\n".join(ELSEWHERE))


def told(values: Sequence[float], share: float = 0.99) -> str:
    return f"{at(share, values):.3f} s"


def idle(size: Size) -> tuple[float, int]:
    """The same bot and clusters, with nothing to look at."""
    with living(size, []) as bot:
        time.sleep(size.settles)
        return bot.core(size.watch / 2), bot.resident_mb()


# ---- what is looked at -----------------------------------------------------------------------------------------------


class Targets:
    """Ports of this machine, `probes` for each cluster, of which one will die. Connections to all of them are taken and
    dropped by one thread."""

    def __init__(self, held: ExitStack, size: Size) -> None:
        self._size = size
        self._doomed = [held.enter_context(_listening()) for _ in range(size.clusters)]
        shared = [held.enter_context(_listening()) for _ in range(size.probes - 1)]
        self.ports = [[port(doomed), *map(port, shared)] for doomed in self._doomed]
        for row in self.ports:
            random.Random(row[0]).shuffle(row)  # its place among the others is its place of the interval
        self.silent = set(random.Random(1).sample(range(size.deaths), int(size.deaths * SILENT_SHARE)))
        self._alive = {one.fileno(): one for one in (*self._doomed, *shared)}
        self._lock, self._held, self._over = threading.Lock(), held, threading.Event()
        taker = threading.Thread(target=self._take, daemon=True)
        taker.start()
        held.callback(taker.join)
        held.callback(self._over.set)

    def _take(self) -> None:
        import select

        while not self._over.is_set():
            with self._lock:
                alive = list(self._alive.values())
            for ready in select.select(alive, [], [], 0.05)[0]:
                with self._lock:
                    if ready.fileno() in self._alive:
                        ready.accept()[0].close()

    def die_one_by_one(self) -> None:
        """At moments that have nothing to do with those of the looks; each is well again after a while."""
        luck, began = random.Random(2), time.monotonic()
        moments = [(luck.uniform(0.0, self._size.spread), number) for number in range(self._size.deaths)]
        turns = [(when, self._die, number) for when, number in moments]
        turns += [(when + DEAD_S, self._revive, number) for when, number in moments]
        for when, turn, number in sorted(turns, key=lambda row: row[0]):
            time.sleep(max(began + when - time.monotonic(), 0.0))
            turn(number)

    def _die(self, number: int) -> None:
        doomed = self._doomed[number]
        with self._lock:
            del self._alive[doomed.fileno()]
        if number not in self.silent:
            doomed.shutdown(socket.SHUT_RDWR)  # it keeps its port, and refuses
            return
        for _ in range(3):  # nobody takes these: the queue is full, and whatever comes is dropped without a word
            line = self._held.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(doomed.getsockname())

    def _revive(self, number: int) -> None:
        doomed = self._doomed[number]
        if number not in self.silent:
            doomed.listen(1)
        with self._lock:
            self._alive[doomed.fileno()] = doomed


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen(1)
        one.setblocking(False)
        yield one


def port(one: socket.socket) -> int:
    return int(one.getsockname()[1])


# ---- the bot ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Living:
    process: subprocess.Popen[bytes]
    database: Path
    phones: PhonesInThread
    paged: dict[str, float]
    alerts: dict[str, tuple[float, float]]

    def core(self, seconds: float) -> float:
        """Processor time for each second of the next `seconds`."""
        before = process_s(self.process.pid)
        time.sleep(seconds)
        return (process_s(self.process.pid) - before) / seconds

    def resident_mb(self) -> int:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        if found is None:
            raise SystemExit("probes: /proc does not say how much memory the bot takes")
        return int(found[1]) // 1024

    def waits(self, targets: Targets) -> list[Wait]:
        """Of each port that died and was paged for. After the bot has ended."""
        found = []
        for number in range(len(targets.ports)):
            name = f"lab{number}"
            if name in self.paged and name in self.alerts:
                began, raised = self.alerts[name]
                found.append(Wait(number in targets.silent, raised - began, self.paged[name] - began))
        return found

    def read_up(self) -> None:
        """What the push service saw, and what the bot has written down."""
        for push in self.phones.pushes_to("alice"):
            if found := re.search(r"\blab\d+\b", f"{push.title} {push.text}"):
                self.paged.setdefault(found[0], push.at)
        store = read_store(self.database)
        try:
            rows = [row for run in store.runs(workflow=OUTAGE, limit=1000) for row in store.alerts(run.id)]
        finally:
            store.close()
        self.alerts = {row.cluster: (row.began_at, row.at) for row in reversed(rows)}


@contextmanager
def living(size: Size, ports: Sequence[Sequence[int]]) -> Iterator[Living]:
    """The bot in a process of its own, ended with the block; what came of it is read then."""
    rooms = [Channel(f"C0LAB{n:03}", f"lab{n}", [ALICE, BOT]) for n in range(size.clusters)]
    with (
        tempfile.TemporaryDirectory() as folder,
        run_in_thread(LocalSlack(channels=rooms)) as slack,
        phones_in_thread(LocalPhones(time.time)) as phones,
    ):
        database = Path(folder) / "bench.db"
        (Path(folder) / "ports").write_text("\n".join(" ".join(map(str, row)) for row in ports))
        words = [sys.executable, __file__, "bot", slack.api_url, folder, phones.url, str(size.clusters)]
        process = subprocess.Popen(words)
        bot = Living(process, database, phones, {}, {})
        try:
            await_answer(slack, process, rooms[0].id)
            yield bot
        finally:
            process.terminate()
            process.wait(20)
            bot.read_up()


def await_answer(slack: SlackInThread, process: subprocess.Popen[bytes], channel: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while slack.type(ALICE, channel, "/upgrade help").failure:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"probes: the bot never answered (exit code {process.poll()})")
        time.sleep(0.1)


def bot(api_url: str, folder: Path, phones_url: str, clusters: int) -> None:
    """The whole bot; its machines are models without any wire, its probes look at real ports."""
    import resource
    from dataclasses import replace

    from pydantic import SecretStr

    from bot.app import Roundsman
    from bot.settings import Settings, SlackSettings, StoreSettings
    from oncall.settings import OnCallSettings
    from sandbox.clock import ModelClock
    from sandbox.direct import SimCluster
    from sandbox.model import Model
    from sandbox.phones import APP_TOKEN, CAST
    from sandbox.spec import default_spec, managed_settings

    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    rows = [line.split() for line in (folder / "ports").read_text().splitlines()]
    bare = {"probing": {"defaults": False}, "outages": {"settle": "1s"}}
    alice = next(one for one in CAST if one.name == "alice")
    oncall = OnCallSettings.model_validate(
        {
            "people": {"alice": {"slack": ALICE, "pushover": alice.pushover}},
            "policies": [{"rungs": [{"who": ["alice"], "how": ["pushover"], "wait": "1h"}]}],
            "last_resort": ["alice"],
            "pagers": {"pushover": {"token": APP_TOKEN, "url": f"{phones_url}/1/"}},
        }
    )
    managed, machines = [], {}
    for number in range(clusters):
        probes = [
            {"name": f"port {port}", "kind": "tcp", "target": f"127.0.0.1:{port}", **pace()}
            for port in (rows[number] if rows else [])
        ]
        spec = replace(default_spec(), name=f"lab{number}", settings={**bare, "probes": probes})
        one = managed_settings(spec).model_copy(update={"channel": f"C0LAB{number:03}"})
        managed.append(one)
        machines[one.name] = SimCluster(Model(spec, 1, time.time()), one, ModelClock())
    settings = Settings(
        slack=SlackSettings(bot_token=SecretStr("xoxb-local"), app_token=SecretStr("xapp-local"), api_url=api_url),
        store=StoreSettings(path=str(folder / "bench.db")),
        clusters=tuple(managed),
        oncall=oncall,
    )
    os._exit(Roundsman(settings, {}, cluster=lambda one: machines[one.name]).run_forever())


def pace() -> dict[str, object]:
    return {"every": f"{EVERY_S}s", "timeout": f"{TIMEOUT_S}s", "fails": FAILS, "of": 5}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bot", api_url, folder, phones_url, clusters]:
            bot(api_url, Path(folder), phones_url, int(clusters))
        case _:
            sys.exit(main())
