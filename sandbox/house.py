"""Everything that the unchanged bot needs around it, on this machine: a Slack with its page, a cluster on real ports, a
settings file and an environment that lead to them; and the bot itself, as a process beside it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from sandbox.cards import Cards
from sandbox.faults import faults_from
from sandbox.helper import checksum
from sandbox.invariants import Sent, violations
from sandbox.lines import Act, Moment
from sandbox.model import Model
from sandbox.nodes import TOKEN, Faces
from sandbox.people import People
from sandbox.phones import LocalPhones, PhonesInThread
from sandbox.phones import run_in_thread as run_phones
from sandbox.scenario import Scenario
from sandbox.simpagers import ONCALL
from sandbox.slack import ClusterCard, LocalSlack, Manifest, SlackInThread, Tokens, run_in_thread
from sandbox.slack.state import CAST, User
from sandbox.sockets import free_port
from sandbox.spec import settings_section
from sandbox.speed import duration, least_look
from store.opening import read_store
from workflows.settings import ManagedCluster

REPOSITORY = Path(__file__).parent.parent
MANIFEST = REPOSITORY / "deploy" / "slack-manifest.yaml"
"""As the unchanged bot is installed with: it says which commands there are."""
NIGHT_H = 11
LEAST_LOOK_S = 2.0
END_S = 10.0
"""A bot that was asked to end has so long."""


class House:
    """`scenario` as it is to be lived, at its speed already (sandbox/speed.py)."""

    def __init__(
        self,
        scenario: Scenario,
        speed: float,
        folder: Path,
        slack: SlackInThread,
        faces: Faces,
        phones: PhonesInThread | None = None,
    ) -> None:
        self.scenario, self.folder, self.slack, self.faces = scenario, folder, slack, faces
        self.model = faces.model
        self.sent: list[Sent] = []
        self.card: ClusterCard | None = None
        """What the page shows in place of the cluster, while another one is told of."""
        self.settings_file = folder / "roundsman.yaml"
        self.database = folder / "roundsman.sqlite3"
        self._speed, self.phones = speed, phones
        self.settings_file.write_text(yaml.safe_dump(self._settings(), sort_keys=False))
        faces.on_act(self._remember)

    @property
    def environment(self) -> dict[str, str]:
        tokens = Tokens()
        return {
            "SLACK_API_URL": self.slack.api_url,
            "ROUNDSMAN_SETTINGS": str(self.settings_file),
            "ROUNDSMAN_SLACK_BOT_TOKEN": tokens.bot,
            "ROUNDSMAN_SLACK_APP_TOKEN": tokens.app,
            "ROUNDSMAN_PVE_TOKEN": TOKEN,
            **(self.phones.environment() if self.phones else {}),
        }

    def shell(self) -> Path:
        """A file that is `roundsman`, with this demo's settings and tokens, for any terminal."""
        file = self.folder / "roundsman"
        given = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items())
        program = Path(sys.executable).with_name("roundsman")
        file.write_text(f'#!/bin/sh\n{given}exec {shlex.quote(str(program))} "$@"\n')
        file.chmod(0o700)
        return file

    def bot(self, **how: Any) -> BotProcess:
        return BotProcess(self.environment, self.folder / "bot.log", **how)

    def violations(self, people: People) -> list[str]:
        """What must never happen and did, judged by the model's truth and what the bot has written down."""
        store, managed = read_store(self.database), ManagedCluster.model_validate(self._cluster())
        night = SimpleNamespace(model=self.model, store=store, managed=managed, sent=self.sent, marked=people.marked)
        try:
            return self.faces.run(lambda: violations(night))
        finally:
            store.close()

    def _settings(self) -> dict[str, Any]:
        look = least_look(self._speed)
        return {
            "store": {"path": str(self.database)},
            "pace": {"least": duration(look), "most": duration(3 * look)},
            "clusters": [self._cluster()],
            **(self._on_call(self.phones) if self.phones else {}),
        }

    def _on_call(self, phones: PhonesInThread) -> dict[str, Any]:
        """The people of the scenario, with telephones, and a way for a key press to come back."""
        section = {**ONCALL, **(self.scenario.oncall or {}), "pagers": phones.section()}
        section["people"] = {
            name: {
                **person,
                "phone": phones.company.subscribers[name].phone,
                "night": _night_now(person.get("zone", "UTC")),
            }
            for name, person in section["people"].items()
        }
        port = free_port()
        http = {"listen": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}"}
        plain: dict[str, Any] = json.loads(json.dumps({"oncall": section, "http": http}))
        return plain

    def _cluster(self) -> dict[str, Any]:
        section = {**settings_section(self.scenario.spec), **self.faces.section()}
        section["gluster"] = {"gap": duration(least_look(self._speed)), **section["gluster"]}
        section["probing"] = {**_pace_of_probes(self._speed), **section.get("probing", {})}
        plain: dict[str, Any] = json.loads(json.dumps(section))
        return plain

    def _remember(self, act: Act) -> None:
        """In the model's thread. Only these orders are judged by themselves; of the others the model has the event."""
        if act.moment is Moment.RECEIVED and act.verb in ("shutdown", "set_onboot"):
            vm = self.model.guests.get(int(act.about))
            guest = SimpleNamespace(id=vm.id, node=vm.node)
            self.sent.append(Sent(time.time(), act.verb, act.about, (guest,)))


def _pace_of_probes(speed: float) -> dict[str, Any]:
    """As often as by default, counted in the night's own time; but no faster than the machine that plays it all can
    answer: on a busy one, real sockets and processes take their second."""
    every = max(10.0 / speed, LEAST_LOOK_S)
    return {"every": duration(every), "timeout": duration(min(3.0, 0.9 * every))}


@contextmanager
def house(
    scenario: Scenario, speed: float, folder: Path, port: int = 0, note: str = "", users: Iterable[User] = CAST
) -> Iterator[House]:
    """A started one, gone with the block. `folder`: where its files go. Raises OSError when the port is taken."""
    spec = replace(scenario.spec, helper_checksum=checksum())
    model = Model(spec, scenario.seed, scenario.start, faults_from(scenario.faults))
    faces, cards = Faces(model, time.time, folder), Cards(model, note)
    around: list[House] = []

    def card() -> ClusterCard:
        return (around and around[0].card) or faces.run(cards.card)

    try:
        with ExitStack() as stack:
            called = scenario.oncall is not None
            phones = stack.enter_context(run_phones(LocalPhones(ticking=True))) if called else None
            manifest = Manifest.from_plain(yaml.safe_load(MANIFEST.read_text("utf-8")))
            slack = LocalSlack(port, users=users, manifest=manifest, cluster=card, phones=phones)
            running = stack.enter_context(run_in_thread(slack))
            faces.start()
            around.append(House(replace(scenario, spec=spec), speed, folder, running, faces, phones))
            yield around[0]
    finally:
        faces.stop()


def _night_now(zone: str) -> dict[str, str]:
    """Scenarios are lived at night, whatever the clock on the wall says."""
    fell = datetime.now(ZoneInfo(zone)) - timedelta(hours=1)
    return {"start": f"{fell:%H:%M}", "end": f"{fell + timedelta(hours=NIGHT_H):%H:%M}"}


class BotProcess:
    """The bot, kept alive: when it ends it is started again after `rest` seconds, as systemd does it.

    `program`: what Python is to run; a new one is taken with the next start. `told` hears how it ended and that it is
    there again, each a sentence, in the thread that watches it.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        rest: float = 3.0,
        program: Sequence[str] = ("-m", "bot.cli"),
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._environment, self._log, self.rest, self._told = {**os.environ, **environment}, log, rest, told
        self.program = program
        self._stopping, self._changing = threading.Event(), threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="bot-watcher", daemon=True)
        self._process = self._begin()
        self.starts, self._away = 1, 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> BotProcess:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changing:
            self._stopping.set()
            self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watcher.join()

    def kill(self, away: float = 0.0) -> None:
        """SIGKILL: nothing in it runs on, not even for an instant. `away`: seconds until the next start, if given."""
        self._away = away
        self._process.kill()
        self._process.wait()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*_not_alone(), sys.executable, *self.program, "run"],
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for the demo, which ends the bot in order
            )

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopping.is_set():
                return
            how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
            rest, self._away = self._away or self.rest, 0.0
            self._told(f"The bot {how}; it is started again in {rest:.0f} s.")
            self._stopping.wait(rest)
            with self._changing:
                if self._stopping.is_set():
                    return
                self._process = self._begin()
            self.starts += 1
            self._told(f"The bot is process {self.pid} now; it goes on from its journal.")


def _not_alone() -> tuple[str, ...]:
    """So that even a sandbox that is killed leaves no bot behind: it ends with its parent (Linux alone can do that), or
    does not begin where that was gone before it could be told so."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    return (setpriv, "--pdeathsig", "TERM", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid()))
