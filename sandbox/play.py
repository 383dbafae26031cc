"""`roundsman demo`: a cluster, a Slack and the unchanged bot on this machine, to look at, to type and to click in; or,
with --play, a scenario whose people act by themselves, and a verdict at the end.

The sandbox is this process. The bot is another one: it gets a settings file and an environment, and meets the sandbox
through its real libraries alone.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from base.spelling import meant
from sandbox.cast import NAMES, readable
from sandbox.faults import Fault
from sandbox.house import BotProcess, House, house
from sandbox.model import What
from sandbox.outage import USERS, Told, compared, replay
from sandbox.people import People, kind_and_node
from sandbox.phones.company import Paged
from sandbox.scenario import Cue, Scenario, load
from sandbox.slack import BOT, ClusterCard
from sandbox.slack.state import CAST, SLACKBOT, Change
from sandbox.speed import at_speed, limits, sooner
from store.api import RunRow, Store
from store.opening import read_store

SCENARIOS = Path(__file__).parent.parent / "tests" / "scenarios"
DEFAULT = "slow-heal"
OUTAGE = "outage-2017"
OUTAGE_WATCH = "30m"
"""The demo watches for less long afterwards than the scenario does: by then the routers of 2017 were lost already."""
PATIENCE_S = 60.0
"""Whoever plays by hand waits no longer than this for what the night is about."""
FASTEST_CALL = 60.0
"""Telephones ring, and outages are found, in real seconds: `midnight` is over before at twice this speed."""
START_S = 60.0
"""So long the bot may take until its first answer, on a slow machine; one that ended is told of at once."""
LOOK_S = 0.2


def names() -> list[str]:
    return sorted([OUTAGE, *(path.parent.name for path in SCENARIOS.glob("*/scenario.yaml"))])


def _listed() -> str:
    """All of them, for the help; a name is never broken at its hyphens, for it is copied from there."""
    return "\b\n" + textwrap.fill(f"Scenarios: {', '.join(names())}.", 78, break_on_hyphens=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_listed())
@click.option("--scenario", "name", default=DEFAULT, show_default=True, metavar="NAME", help="See the list below.")
@click.option("--play", is_flag=True, help="The people of the scenario act by themselves; ends with a verdict.")
@click.option(
    "--speed", default=0.0, metavar="N", help="So many times as fast as life.  [default: 20; outage-2017: 60]"
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8070,
    show_default=True,
    help="Of the page, on 127.0.0.1; 0 takes a free one.",
)
@click.option("--keep", is_flag=True, help="Leave settings, database and the bot's log behind, and say where.")
def main(name: str, play: bool, speed: float, port: int, keep: bool) -> None:
    """A cluster, a Slack and the unchanged bot, all on this machine."""
    speed = speed or (60.0 if name == OUTAGE else 20.0)
    if speed <= 0:
        raise click.ClickException("--speed must be more than 0; 1 is as slow as life")
    if speed > FASTEST_CALL and name != OUTAGE and _load(name).oncall is not None:
        raise click.ClickException(
            f"somebody is called in {name}, which takes its time: no --speed over {FASTEST_CALL:.0f}"
        )
    with _folder(keep) as folder:
        try:
            raise SystemExit(Demo(name, speed, play or name == OUTAGE, Leave().rest).run(folder, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            hint = "end the other demo, or take another port: --port 0 finds a free one"
            raise click.ClickException(f"port {port} of 127.0.0.1 is in use; {hint}") from error


class Demo:
    def __init__(self, name: str, speed: float, play: bool, rest: Callable[[float], None]) -> None:
        self._name, self._speed, self._play, self._rest = name, speed, play, rest
        self._pages = 0

    def run(self, folder: Path, port: int) -> int:
        scenario = self._scenario()
        note = f"{self._speed:.0f} times as fast as life"
        with house(scenario, self._speed, folder, port, note, USERS if self._name == OUTAGE else CAST) as around:
            self._greet(around)
            then = self._replay(around) if self._name == OUTAGE else None
            code = self._live(around)
            if then:
                click.echo(compared(then.model.events, around.model.events))
            return code

    def _replay(self, around: House) -> Told:
        def show(card: ClusterCard | None) -> None:
            around.card = card

        click.echo("First as it was, with a fixed delay between the reboots:\n")
        told = replay(_load("night-2017-fixed-delay", replayed=True), around.slack, self._speed, show, self._rest)
        show(None)
        click.echo("\nAnd now the same night with Roundsman:\n")
        return told

    def _scenario(self) -> Scenario:
        name = "night-2017-roundsman" if self._name == OUTAGE else self._name
        scenario = at_speed(_load(name), self._speed, time.time())
        scenario = scenario if self._play else sooner(scenario, PATIENCE_S)
        settings = {**scenario.spec.settings}
        given = settings.get("limits", {}) | ({"watch": OUTAGE_WATCH} if self._name == OUTAGE else {})
        scaled = limits({**settings, "limits": given}, self._speed)
        settings["limits"] = scaled if self._play else {**given, "watch": scaled["watch"]}
        return replace(scenario, spec=replace(scenario.spec, settings=settings))

    # ---- one night -----------------------------------------------------------------------------------------------
    def _live(self, around: House) -> int:
        around.slack.ask(lambda: around.slack.slack.workspace.listeners.append(self._show))
        with around.bot(told=lambda sentence: tell("", sentence)) as bot:
            _await_bot(around, bot, self._rest)
            cues = around.scenario.cues if self._play else ()
            people = People(
                around.slack.slack, cues, tell, lambda cue: self._outage(around, bot, cue), time.time, around.phones
            )
            around.slack.ask(people.begin)
            self._listen(around, people)
            if not self._play:
                self._explain(around, bot)
            self._until_over(around, people)
        return self._verdict(around, people)

    def _listen(self, around: House, people: People) -> None:
        """Telephones ring in the room: counted as pages, and heard by people."""
        if around.phones is None:
            return
        listeners = around.phones.phones.listeners

        def rang(paged: Paged) -> None:
            self._pages += 1
            around.slack.soon(lambda: people.rang(paged.person, paged.how, paged.text))

        around.phones.ask(lambda: listeners.append(rang))

    def _until_over(self, around: House, people: People) -> None:
        """The night of a play ends with its run, or when its time is over; any other when somebody ends it."""
        over = time.monotonic() + around.scenario.lasts
        while not self._play or time.monotonic() < over:
            self._rest(LOOK_S)
            if self._play and not people.busy and _all_done(around):
                return

    def _outage(self, around: House, bot: BotProcess, cue: Cue) -> None:
        """In the loop of Slack."""
        what = "Slack" if cue.slack else "The bot"
        tell("", f"{what} cannot be reached for {cue.lasts:.0f} s.")
        if cue.bot:
            bot.kill(away=cue.lasts)
        else:
            asyncio.get_running_loop().create_task(around.slack.slack.go_away(cue.lasts))

    # ---- the end ---------------------------------------------------------------------------------------------------
    def _verdict(self, around: House, people: People) -> int:
        wrong = around.violations(people)
        expected = around.scenario.pages
        if self._pages != expected:
            wrong.append(f"{self._pages} pages, {expected} were expected")
        if not _runs(around):
            wrong.append("no run was ever started")
        figures = self._figures(around, people)
        for line in wrong:
            click.echo(f"  ✗ {line}")
        click.echo(
            f"FAILED: {figures}; {len(wrong)} wrong, see above" if wrong else f"PASSED: {figures}, invariants held"
        )
        return 1 if wrong else 0

    def _figures(self, around: House, people: People) -> str:
        events = around.faces.run(lambda: list(around.model.events))
        upgraded = {event.node for event in events if event.what is What.UPGRADED and event.text == "0"}
        approvals = sum(mark.given and mark.emoji == "white_check_mark" for mark in people.marked)
        states = ", ".join(str((run.result or {}).get("state", run.state)) for run in _runs(around))
        return f"{states}: {len(upgraded)} nodes upgraded, {approvals} approvals, {self._pages} pages"

    # ---- words -----------------------------------------------------------------------------------------------------
    def _greet(self, around: House) -> None:
        click.echo(f"The page:   {around.slack.url}/")
        click.echo(f"The night:  {self._name} - {' '.join(around.scenario.why.split())}")
        click.echo(f"            {self._speed:.0f} times as fast as life. Files: {around.folder}\n")

    def _explain(self, around: House, bot: BotProcess) -> None:
        cues = self._scenario().cues
        typed = list(dict.fromkeys(cue.types for cue in cues if cue.who == "alice" and cue.types)) or [
            "/upgrade cluster"
        ]
        watch = "watch the storage of pve2 heal slowly, and pve1 wait for it"
        later = any(fault.delay >= PATIENCE_S for fault in around.scenario.faults if isinstance(fault, Fault))
        read = "when the last node is done, wait a minute" if later else "read on in the thread"
        first = "when a telephone rings, within a minute: " if typed[0].startswith("/outage") else ""
        click.echo(
            "\nOpen the page. On its left you choose who you are:\n"
            f"  1. {first}as Alice (on call), type   {', then '.join(typed[:3])}\n"
            "  2. as Carol (may approve), open the thread and click ✅ under each request\n"
            f"  3. {watch if self._name == DEFAULT else read}\n"
            f"Kill the bot in the middle:     kill -9 {bot.pid}\n"
            f"It is started again after {bot.rest:.0f} s and goes on. Ctrl-C ends it all.\n"
            f"The command line, meanwhile:   {around.shell()} check   (or plan lab, gates lab, --help)\n"
        )
        if around.phones:
            click.echo(
                "Telephones ring at the top of the page: answer, and press 1.\n"
                + ("No run starts before Alice's pager is proven (/oncall test).\n" if "/oncall test" in typed else "")
            )

    def _show(self, change: Change) -> None:
        """On the terminal, too. In the loop of Slack."""
        message = change.message
        if change.kind != "posted" or message.user not in (BOT, SLACKBOT):
            return
        if kind_and_node(message)[0] == "page":
            self._pages += 1
        only = f"(only {NAMES.get(message.only_for, message.only_for)}) " if message.only_for else ""
        tell(NAMES.get(message.user, "slack"), only + readable(message.text))


# ---- how -----------------------------------------------------------------------------------------------------------


def tell(who: str, text: str) -> None:
    first, *rest = text.split("\n")
    name = f"{who}: " if who else "-- "
    lines = [f"{time.strftime('%H:%M:%S')} {name}{first}", *(f"{'':9}{line}" for line in rest)]
    click.echo("\n".join(lines))


def _load(name: str, replayed: bool = False) -> Scenario:
    if not (SCENARIOS / name / "scenario.yaml").exists():
        raise click.ClickException(_no_scenario(name))
    scenario = load(SCENARIOS / name)
    if scenario.way != "roundsman" and not replayed:
        raise click.ClickException(f"no bot acts in {name}; it is the first half of --scenario {OUTAGE}")
    return scenario


def _no_scenario(name: str) -> str:
    if not SCENARIOS.is_dir():
        return f"the scenarios lie in {SCENARIOS}, which is not there: the demo wants a clone of the sources"
    return f'there is no scenario "{name}"' + meant(name, names(), f"; known: {', '.join(names())}")


def _await_bot(around: House, bot: BotProcess, rest: Callable[[float], None]) -> None:
    """Until it listens to Slack."""
    end = time.monotonic() + START_S
    while around.slack.ask(lambda: not around.slack.slack.sockets.sockets):
        if bot.starts > 1 or time.monotonic() > end:
            log = (around.folder / "bot.log").read_text()
            raise click.ClickException(f"the bot did not start:\n{log[-2000:]}")
        rest(LOOK_S)


@contextmanager
def _store(around: House) -> Iterator[Store]:
    store = read_store(around.database)
    try:
        yield store
    finally:
        store.close()


def _runs(around: House) -> list[RunRow]:
    with _store(around) as store:
        return store.runs()


def _all_done(around: House) -> bool:
    """Every run has ended, and its last word is said."""
    with _store(around) as store:
        runs = store.runs()
        done = bool(runs) and all(run.state == "done" for run in runs)
        return done and all(row.delivered_at is not None for run in runs for row in store.outbox(run.id))


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    if keep:
        folder = Path(tempfile.mkdtemp(prefix="roundsman-demo-"))
        yield folder
        click.echo(f"Left behind, as you asked: {folder}")
        return
    with tempfile.TemporaryDirectory(prefix="roundsman-demo-") as name:
        yield Path(name)


class Leave:
    """Ctrl-C, a closed terminal and SIGTERM all leave by the same door, past every `finally`.

    A handler that raised could be swallowed wherever it strikes (a callback of the garbage collector does so), so it
    only leaves word; `rest`, the one place where the demo waits, obeys it.
    """

    def __init__(self) -> None:
        self._number, self._asked = 0, threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _: object) -> None:
        self._number = number
        self._asked.set()

    def rest(self, seconds: float) -> None:
        """Raises SystemExit when it is time to go."""
        if self._asked.wait(seconds):
            raise SystemExit(128 + self._number)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # also into a pipe
    main(prog_name="roundsman demo")
