"""The bot as one process: the one place that names concrete classes, and the order in which they start and stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bot import logs, lookout, paging_names, systemd
from bot.at_once import AtOnce
from bot.board import EVERY_S, Board
from bot.clock import WallClock
from bot.delivery import Delivery
from bot.handoffs import EVERY_S as HANDOFFS_S
from bot.handoffs import Handoffs
from bot.http import CannotListen, Route
from bot.inbox import Inbox
from bot.lookout import Lookout
from bot.pager_rules import oncall_secrets
from bot.pathwatch import PathWatch
from bot.retention import tidy
from bot.rotas import EVERY_S as CALENDARS_S
from bot.rotas import Rotas
from bot.settings import Settings
from bot.side_by_side import side_by_side
from bot.slack import SlackEdge
from bot.slackchat import SlackChat
from bot.voice import VoiceHook
from bot.votes import Mark, Votes
from bot.worker import Worker
from cluster.api import Cluster
from cluster.install import helper_checksum
from commands import answer
from commands.api import Desk, Reply
from engine.journal import Pace, Rules
from engine.port import Saying
from engine.runner import Runner
from oncall.pagers import all_pagers
from store.api import CommandRow, RunRow, SecondProcess, StoreError
from store.opening import open_store
from workflows import catalogue, messages
from workflows.alerts import FAULT, OUTAGE, Alert, adopt, clear_faults, raise_alerts
from workflows.roles import mention
from workflows.settings import ManagedCluster
from workflows.site import ChatDown, Site, Watchers

FAULTED = 70
"""Exit code after a store error or a fault (EX_SOFTWARE): systemd starts the bot again."""
READ_S = 45.0
"""Reactions are read this often while a request is open, for what no event told."""
ADOPT_S = 10.0
"""So soon an alert that came while its outage was closed becomes an outage again."""
ALIVE_S = 60.0
"""auth.test: cures sockets that look alive and carry nothing."""
TIDY_S = 3600.0
FIRST_READING_S = 60.0
"""Reactions are read before any run goes on; a Slack that is away for longer does not keep the storage waiting: no
reboot happens without reading them anyway."""
WATCH_S = 10.0
"""So long ladders wait for that reading: somebody may have acknowledged while nobody listened."""
GLANCE_S = 0.2

PATIENCE_S = 5.0
"""For passes under way when the bot is told to end; a reboot was sent or it was not, and the journal knows."""
TURN_S = 0.0005
"""A thread that works gives way this often (Python's own 5 ms let acknowledgements wait for passes under way)."""

log = logging.getLogger(__name__)


def live_cluster(managed: ManagedCluster) -> Cluster:
    from cluster.live import LiveCluster

    return LiveCluster(managed, time.time, time.sleep)


def run(settings: Settings) -> None:
    """`roundsman run`: until SIGTERM or SIGINT, which ends the process. Raises SystemExit when it cannot start."""
    logs.set_up(settings.log.format, secrets(settings))
    try:
        bot = Roundsman(settings, os.environ)
    except (SecondProcess, StoreError) as error:
        raise SystemExit(f"roundsman: {error}") from None
    try:
        code = bot.run_forever()
    except CannotListen as error:
        log.critical("bot: process '%d': starting -> ended (%s)", os.getpid(), error)
        code = FAULTED
    logging.shutdown()
    os._exit(code)  # a plain exit would wait for passes under way, minutes at worst: they may be cut off anywhere


def secrets(settings: Settings) -> Iterator[str]:
    yield settings.slack.bot_token.get_secret_value()
    yield settings.slack.app_token.get_secret_value()
    for managed in settings.clusters:
        yield managed.api.token.get_secret_value()
    yield from oncall_secrets(settings.oncall)
    yield from lookout.secrets(settings)


class Roundsman:
    """Everything that runs. `clock` gives seconds since the epoch, UTC. Raises SecondProcess and StoreError."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        cluster: Callable[[ManagedCluster], Cluster] = live_cluster,
        clock: Callable[[], float] = time.time,
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._settings, self._environ, self._exit, self._clock = settings, environ, exit_process, clock
        self._managed = {managed.name: managed for managed in settings.clusters}
        self._scrub = logs.scrubber(secrets(settings))
        self._asked_to_stop, self._stopping, self._spoken = threading.Event(), threading.Event(), threading.Lock()
        self._store = open_store(Path(settings.store.path))
        bot_token, app_token = settings.slack.bot_token.get_secret_value(), settings.slack.app_token.get_secret_value()
        self._chat = SlackChat(bot_token, settings.slack.api_url, self._clock)
        self._rotas: Rotas | None = None
        self._watchers = self._make_watchers()
        self._runner = self._make_runner(cluster)
        self._votes = Votes(self._store, self._chat, self._managed, self._clock, self._runner.wake, self._watchers)
        self._inbox = Inbox(self._store, self._answer, self._reply, self._clock, self._landed)
        channels = [managed.channel for managed in settings.clusters]
        delivery = Delivery(self._store, self._chat, self._channel_of, self._clock, channels)
        self._posting = Worker("delivery", delivery.step, self._fatal)
        self._commands = Worker("inbox", self._inbox.step, self._fatal)
        self._marks = Worker("votes", self._votes.step, self._fatal)
        self._edge = SlackEdge(bot_token, app_token, settings.slack.api_url, self, self._clock, self._fatal)
        self._wall = self._make_wall()
        routes = self._phone_routes()
        self._watching = False
        unheard = delivery.undelivered.trouble
        self._lookout = Lookout(settings, self._store, self._runner, cluster, self._clock, self._fatal, routes, unheard)

    def _make_watchers(self) -> Watchers | None:
        oncall = self._settings.oncall
        if oncall is None:
            return None
        self._rotas = Rotas(oncall, self._store, self._clock)
        pagers = all_pagers(oncall.pagers, self._public_url, self._clock)
        return Watchers(oncall, self._rotas.duty, pagers, side_by_side)

    def _phone_routes(self) -> list[Route]:
        """The way back of a key that was pressed, where a phone can ring and the world can reach this bot."""
        twilio = self._settings.oncall.pagers.twilio if self._settings.oncall else None
        if self._watchers is None or twilio is None or not self._public_url:
            return []
        return VoiceHook(self._store, self._watchers, twilio, self._public_url, self._clock, self._runner.wake).routes

    @property
    def _public_url(self) -> str:
        return self._settings.http.public_url if self._settings.http else ""

    def _make_runner(self, cluster: Callable[[ManagedCluster], Cluster]) -> Runner:
        checksum, pace = helper_checksum(), self._settings.pace
        sites = {
            name: Site(managed, cluster(managed), self._chat, self._store, self._clock, checksum, self._watchers)
            for name, managed in self._managed.items()
        }
        self._path_watches = [self._path_watch(site) for site in sites.values()]
        self._at_once = AtOnce({name: site.cluster for name, site in sites.items()})
        rules = Rules(Pace(pace.divisor, pace.least, pace.most), page=self._fault, scrub=self._scrub)
        return Runner(
            self._store,
            catalogue(sites),
            self._clock,
            self._last_word,
            rules=rules,
            ladders=(OUTAGE,),
            exit_process=self._leave,
        )

    def _path_watch(self, site: Site) -> Worker:
        watched = self._watchers is not None
        wake = lambda: self._runner.wake()  # noqa: E731  # there is no runner yet
        watch = PathWatch(self._store, site.managed, site.cluster, self._clock, watched, wake)
        return Worker(f"paths-{site.managed.name}", watch.step, self._fatal)

    def _fault(self, row: RunRow, sentence: str) -> Saying:
        """The run of a cluster that is no longer in the settings stands still too; the people of the first one hear of
        it, for it may have left a node in maintenance mode."""
        managed = self._managed.get(row.cluster, self._settings.clusters[0])
        if self._watchers and row.workflow != OUTAGE:
            what = f"stands still, a fault of the bot itself: {sentence}"
            alert = Alert(f"{FAULT}/{row.id}", FAULT, f"run {row.id}", what, "critical", self._clock())
            raise_alerts(self._store, managed, [alert], self._clock())
        return messages.fault(managed, row.id, sentence)

    def _make_wall(self) -> WallClock:
        wall, board = WallClock(self._fatal), Board(self._store, self._chat, self._clock)
        wall.every("board", EVERY_S, board.refresh)
        wall.every("reactions", READ_S, self._read_again)
        wall.every("alive", ALIVE_S, self._keep_alive)
        wall.every("adopt", ADOPT_S, lambda: adopt(self._store, self._managed, self._clock()))
        wall.every("faults", ADOPT_S, lambda: clear_faults(self._store, self._clock()))
        wall.every("tidy", TIDY_S, lambda: tidy(self._store, self._settings.store, self._clock()), at_once=True)
        self._follow_rotas(wall)
        if beat := systemd.watchdog_s(self._environ):
            wall.every("watchdog", beat, self._beat)
        return wall

    # life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """
        1. People are listened to first: commands are saved and acknowledged whatever else is slow.
        2. What they did while nobody listened is read, and what they do meanwhile waits its turn.
        3. Only then do runs go on. People are woken all the same: that waits for no Slack.
        """
        sys.setswitchinterval(TURN_S)
        for worker in (self._commands, self._posting):
            worker.start()
        self._edge.start()
        self._warn_of_pagers()
        self._votes.read_again()
        self._marks.start()
        self._first_reading()
        self._keep_watch()
        self._runner.begin()
        self._wall.start()
        for watch in self._path_watches:
            watch.start()
        systemd.notify(self._environ, "READY=1")
        log.info("bot: process '%d': starting -> running (%d clusters)", os.getpid(), len(self._managed))

    def run_forever(self) -> int:
        """Until SIGTERM or SIGINT; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked_to_stop.set())
        self.start()
        self._asked_to_stop.wait()
        self.stop()
        return 0

    def stop(self) -> None:
        """What is under way may be cut off anywhere: the next start goes on from the journal. Twice is harmless."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        systemd.notify(self._environ, "STOPPING=1")
        self._asked_to_stop.set()
        self._wall.stop()
        self._lookout.stop()
        self._edge.stop()
        self._runner.stop(PATIENCE_S)
        for watch in self._path_watches:
            watch.stop(patience=0.0)
        for worker in (self._commands, self._marks, self._posting):
            worker.stop()
        self._inbox.stop()
        self._at_once.stop()
        self._store.close()

    def _warn_of_pagers(self) -> None:
        for pager in self._watchers.pagers.values() if self._watchers else ():
            if pager.warning:
                log.warning("bot: %s", pager.warning)

    def _first_reading(self) -> None:
        """By the thread of the votes: a Slack that drips may hold that for ever, and nobody else."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < FIRST_READING_S:
            if self._votes.were_read(GLANCE_S) or self._asked_to_stop.is_set():
                return
            if waited >= WATCH_S:
                self._keep_watch()
        log.error("bot: reactions were not read for %.0f s; runs go on, none reboots without them", FIRST_READING_S)

    def _keep_watch(self) -> None:
        """Things are looked at, and outages wake people. Again is harmless."""
        if not self._watching:
            self._watching = True
            self._runner.begin(ladders_only=True)
            self._lookout.start()

    def _follow_rotas(self, wall: WallClock) -> None:
        rotas = self._rotas
        if rotas is None or self._settings.oncall is None:
            return
        channel = self._settings.oncall.channel or self._settings.clusters[0].channel
        told = Handoffs(self._store, rotas.duty, self._chat, self._managed, channel, self._clock, rotas.looked)
        wall.every("calendars", CALENDARS_S, rotas.refresh, at_once=True)
        wall.every("handoffs", HANDOFFS_S, told.step)
        pagers = self._settings.oncall.pagers
        wall.every("names", paging_names.EVERY_S, lambda: paging_names.look_up(pagers), at_once=True)

    # Slack ----------------------------------------------------------------------------------------------------

    async def received(self, row: CommandRow) -> str:
        return await self._inbox.receive(row)

    def marked(self, mark: Mark) -> None:
        self._votes.put(mark)
        self._marks.wake()

    def connected(self) -> None:
        self._lookout.doctor.slack_answered()
        self._read_again()

    def _landed(self) -> None:
        self._commands.wake()

    def _answer(self, row: CommandRow) -> Reply:
        known, chat = self._at_once.guests, self._chat
        desk = Desk(self._managed, self._store, chat, self._clock(), chat.link, self._watchers, known)
        reply = answer(desk, row)
        self._runner.wake()
        self._posting.wake()
        return reply

    def _reply(self, row: CommandRow, reply: Reply) -> None:
        self._chat.reply(row.response_url, row.channel, row.user, reply.text, reply.public)

    def _channel_of(self, cluster: str) -> str:
        """What concerns a cluster that left the settings must be read somewhere: in the first one's."""
        return self._managed.get(cluster, self._settings.clusters[0]).channel

    # every so often -------------------------------------------------------------------------------------------

    def _read_again(self) -> None:
        self._votes.read_again()
        self._marks.wake()

    def _keep_alive(self) -> None:
        try:
            self._chat.alive()
        except ChatDown as down:
            log.warning("bot: %s", down)
        else:
            self._lookout.doctor.slack_answered()

    def _beat(self) -> None:
        """Only while somebody looks after the runs: a bot that hangs is started again, and goes on from its journal."""
        if self._runner.alive:
            systemd.notify(self._environ, "WATCHDOG=1")

    # the end --------------------------------------------------------------------------------------------------

    def _fatal(self, error: BaseException) -> None:
        """Whatever ends a thread ends the process; what a stop cuts off is no fault."""
        if not self._stopping.is_set() and self._spoken.acquire(blocking=False):
            try:
                self._last_word(error)
            finally:
                self._leave()

    def _leave(self, _: int = FAULTED) -> None:
        if not self._stopping.is_set():
            self._exit(FAULTED)

    def _last_word(self, error: BaseException) -> None:
        """Past the outbox, for the outbox is what may be broken."""
        if self._stopping.is_set():
            return
        log.critical("bot: process '%d': running -> ended (%s)", os.getpid(), error)
        why = messages.host(self._scrub(str(error)))
        for managed in self._managed.values():
            text = (
                f"{mention(managed.people.operators)} 🚨 Roundsman of *{managed.name}* ends here: {why}. No run goes "
                "on until it is started again; nodes stay as they are.\n*Hint:* `systemctl status roundsman`."
            )
            try:
                self._chat.post(managed.channel, "", text, (), "", "last-word")
            except ChatDown as down:
                log.critical("bot: nobody in '%s' was told: %s", managed.channel, down)
