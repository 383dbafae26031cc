"""A whole night in milliseconds: the real workflow and the real journal code over a store in memory, a simulated
cluster, a simulated Slack, and people who act when their cue comes. Time is virtual, luck comes from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

from bot.story import Story
from cluster.rescue import Split
from commands import answer
from commands.api import Desk
from engine.journal import Rules, Waits, advance
from engine.port import Plain, Workflow
from sandbox.at_once import at_once
from sandbox.cast import IDS, NAMES, readable
from sandbox.clock import VirtualClock
from sandbox.direct import SimCluster
from sandbox.faults import Fault, faults_from
from sandbox.fixed_delay import fixed_delay
from sandbox.invariants import Marked, Sent
from sandbox.lines import Act
from sandbox.model import Model, What
from sandbox.scenario import Cue, Scenario
from sandbox.simchat import SimChat
from sandbox.simpagers import Woken
from sandbox.spec import managed_settings
from sandbox.watched import Watched
from store.api import CommandRow, OutboxRow
from store.memory import MemoryStore
from workflows import catalogue
from workflows.acknowledging import react
from workflows.approvals import MARKS, normalised, note_vote
from workflows.settings import ManagedCluster
from workflows.site import Site

STRICT = Rules(strict=True)
BAD_NEWS = frozenset({What.GUEST_DIED, What.IMAGES_LOST, What.SPLIT_BRAIN, What.FENCED, What.QUORUM_LOST, What.FAULT})


@dataclass
class Night:
    """One scenario being lived. `lines` is the transcript; `pages` the texts that woke people, with their time; `sent`
    and `marked` what the bot ordered and what people clicked, to be judged by (sandbox/invariants.py)."""

    scenario: Scenario
    rules: Rules = STRICT
    transcript: bool = True
    lines: list[str] = field(default_factory=list)
    pages: list[tuple[float, str]] = field(default_factory=list)
    bot_down: bool = False
    sent: list[Sent] = field(default_factory=list)
    marked: list[Marked] = field(default_factory=list)

    def __post_init__(self) -> None:
        s = self.scenario
        self.clock = VirtualClock(s.start, self._while_reading)
        self.managed: ManagedCluster = managed_settings(s.spec)
        self.model = Model(s.spec, s.seed, s.start, faults_from(s.faults))
        self.chat = SimChat()
        self.store = self._open_store()
        guard = s.way == "roundsman"
        cluster = SimCluster(self.model, self.managed, self.clock, guard=guard, on_act=self._on_act, line=self._line)
        self.cluster = Calls(cluster, self._call)
        self._at_once = at_once(self.model, self.managed, self.clock)
        self.watched = None if s.oncall is None else Watched(self, s.oncall, self._rang)
        self.watchers = self.watched.watchers if self.watched else None
        checksum = s.spec.helper_checksum
        site = Site(self.managed, self.cluster, self.chat, self.store, self.clock, checksum, self.watchers)
        self.workflows: Mapping[str, Workflow] = catalogue({s.spec.name: site})
        if s.way == "fixed-delay":
            self.workflows = {"rolling_upgrade": partial(fixed_delay, site, s.fixed_delay)}
        if self.watched:
            self.watched.begin(site.cluster)
        self._waits: Waits = {}
        self._waiting = [cue for cue in s.cues if cue.when]
        self._typed, self._told = 0, 0
        for cue in s.cues:
            if cue.at is not None:
                self.clock.at(s.start + cue.at, partial(self._perform, cue, ""))

    # the night ------------------------------------------------------------------------------------------------

    def live(self) -> Self:
        """Until nothing is left to happen, or the night is over."""
        end = self.scenario.start + self.scenario.lasts
        while self.clock.now < end:
            self._settle()
            upcoming = [t for t in (self._next_wake(), self.clock.next_at()) if t is not None]
            if not upcoming:
                break
            self.clock.advance_to(min(max(min(upcoming), self.clock.now), end))
        self.model.advance(end)  # what the night left behind still comes to light
        self.clock.advance_to(max((event.at for event in self.model.events if event.what in BAD_NEWS), default=0.0))
        self.write("(the night is over)")
        return self

    def _next_wake(self) -> float | None:
        return None if self.bot_down else self.store.next_wake()

    def _settle(self) -> None:
        """Passes and deliveries until nothing is due at this moment."""
        while True:
            due = [] if self.bot_down else self.store.due(self.clock.now)
            for run_id in due:
                if not self.bot_down:
                    self._pass(run_id)
            delivered = self._deliver()
            if not due and not delivered:
                return

    def _pass(self, run_id: str) -> None:
        row = self.store.run(run_id)
        if row:
            advance(self.store, run_id, self.workflows[row.workflow], self.clock, self.rules, self._waits)

    def _stop_bot(self) -> None:
        """What its process kept in memory is gone."""
        self.bot_down = True
        self._waits.clear()

    # what a simulation of luck does more ------------------------------------------------------------------------

    def _open_store(self) -> MemoryStore:
        return MemoryStore(check_plain=self.transcript)

    def _on_act(self, act: Act) -> None:
        """An act is on its way, or was just done."""

    def _line(self, verb: str, about: str) -> Fault | None:
        """What the line does to this call."""
        return self.model.trouble.line(verb, about)

    def _while_reading(self, seconds: float) -> None:
        """So many seconds pass now, while gates are read."""

    # what the bot's edges do ------------------------------------------------------------------------------------

    def _deliver(self) -> bool:
        if self.chat.down or self.bot_down:
            return False
        waiting = self.store.undelivered(self.clock.now)
        rows = sorted(waiting, key=lambda row: row.message["kind"] != "page")  # in order within a thread, pages first
        for row in rows:
            if row.message["kind"] == "page" and (story := Story.read(self.store, row.run_id)) and story.stale(row):
                self.store.delivered(row.id, self.clock.now, "", "")
            else:
                self._post(row)
        return bool(rows)

    def _post(self, row: OutboxRow) -> None:
        message = row.message
        detail = message.get("detail") or {}
        node = str(detail.get("subject") or detail.get("node", ""))
        ts = self.chat.post(self.clock.now, message["kind"], node)
        self.store.delivered(row.id, self.clock.now, self.managed.channel, ts)
        text = message["text"]
        if message["kind"] == "page":
            who = " ".join(f"@{NAMES.get(user, user)}" for user in message.get("mention", ()))
            self.pages.append((self.clock.now, text))
            self.write(f"PAGE {who}", text)
        else:
            self.write("roundsman", text)
        self._cue(message["kind"], node, text, ts)

    def _rang(self, page: Woken, receipt: str) -> None:
        self.pages.append((self.clock.now, page.text))
        self.write(f"RING @{page.person} ({page.how})", page.text)
        self._cue("ring", f"{page.person} {page.how}", page.text, receipt)

    def reconcile(self) -> None:
        """Reactions that were given while nobody listened are found by reading; they count from now."""
        if self.chat.down or self.bot_down:
            return
        for ts, posted in self.chat.posted.items():
            row = self.store.posted(self.managed.channel, ts)
            if posted.kind == "approval" and row:
                for emoji in MARKS:
                    self._reconcile_mark(row, emoji, set(posted.marks.get(emoji, ())))

    def _reconcile_mark(self, row: OutboxRow, emoji: str, users: set[str]) -> None:
        known = {v.user for v in self.store.votes(row.run_id, row.key) if v.mark == MARKS[emoji]}
        for user in sorted(users | known):
            self._vote(row, user, emoji, user in users)

    def _vote(self, row: OutboxRow, user: str, emoji: str, given: bool) -> None:
        now = self.clock.now
        if row.message["kind"] == "approval":
            why = note_vote(self.store, self.chat, self.managed, row.run_id, row.key, user, emoji, given, now)
        else:
            why = react(self.store, self.watchers, row, user, normalised(emoji), given, now)
        if why:
            self.write("roundsman", f"(only {NAMES[user]}) your :{emoji}: does not count: {why}")

    # people ---------------------------------------------------------------------------------------------------

    def _cue(self, kind: str, node: str, text: str, ts: str) -> None:
        for cue in list(self._waiting):
            if cue.meant_by(kind, node, readable(text)):
                if not cue.each:
                    self._waiting.remove(cue)
                self.clock.at(self.clock.now + cue.after, partial(self._perform, cue, ts))

    def _perform(self, cue: Cue, ts: str) -> None:
        if cue.slack or cue.bot:
            self._outage(cue)
        elif cue.types:
            self.type(cue.who, cue.types)
        elif cue.presses and self.watched:
            self.write(cue.who, f"presses {cue.presses}")
            self.watched.presses_one(ts)
        else:
            self.react(cue.who, self._request(ts), cue.reacts or cue.unreacts, given=bool(cue.reacts))

    def _request(self, ts: str) -> str:
        """The message that a reaction is meant for: the cue's own if it can be answered, else the last request."""
        asking = [posted.ts for posted in self.chat.posted.values() if posted.kind == "approval"]
        pages = [posted.ts for posted in self.chat.posted.values() if posted.kind == "page"]
        return ts if ts in (*asking, *pages) else asking[-1]

    def type(self, who: str, text: str) -> None:
        self.write(who, text)
        if self.bot_down or self.chat.down:
            self.write("slack", f"(only {who}) {text.split()[0]} failed because the app did not respond")
            return
        self._typed += 1
        slash, _, rest = text.partition(" ")
        row = CommandRow(f"typed-{self._typed}", rest, slash, IDS[who], self.managed.channel, "", self.clock.now)
        here = {self.managed.name: self.managed}
        desk = Desk(here, self.store, self.chat, self.clock.now, lambda *_: "", self.watchers, self._at_once)
        reply = answer(desk, row)
        self.write("roundsman", reply.text if reply.public else f"(only {who}) {reply.text}")

    def react(self, who: str, ts: str, emoji: str, given: bool = True) -> None:
        self.write(who, f"{'reacts' if given else 'takes back'} :{emoji}:")
        (self.chat.react if given else self.chat.unreact)(ts, IDS[who], normalised(emoji))
        self.marked.append(Marked(self.clock.now, ts, IDS[who], normalised(emoji), given))
        row = self.store.posted(self.managed.channel, ts)
        if row and not self.chat.down and not self.bot_down:
            self._vote(row, IDS[who], emoji, given)

    def _outage(self, cue: Cue) -> None:
        if cue.slack:
            self.chat.down = True
        else:
            self._stop_bot()
        self.write("slack" if cue.slack else "bot", f"(cannot be reached for {int(cue.lasts)} s)")
        self.clock.at(self.clock.now + cue.lasts, partial(self._back, cue))

    def _back(self, cue: Cue) -> None:
        if cue.slack:
            self.chat.down = False
        else:
            self.bot_down = False
        self.write("slack" if cue.slack else "bot", "(is back)")
        self.reconcile()

    # the transcript -------------------------------------------------------------------------------------------

    def _call(self, verb: str, args: tuple[Any, ...]) -> None:
        self.sent.append(Sent(self.clock.now, verb, _shown(args[0]), args))
        if self.transcript:
            self.write("  ->", " ".join([verb, *map(_shown, args)]))

    def unexpected_pages(self) -> list[str]:
        """Pages beyond those that the scenario expects; or, in words, that fewer came."""
        texts, expected = [text for _, text in self.pages], self.scenario.pages
        return texts[expected:] or [f"{expected} pages are expected, {len(texts)} came"] * (len(texts) < expected)

    def write(self, who: str, text: str = "") -> None:
        if not self.transcript:
            return
        self._tell_of_the_world()
        first, *rest = readable(text).split("\n")
        self.lines.append(f"{_stamp(self.clock.now)} {who}{': ' if text and who != '  ->' else ' '}{first}".rstrip())
        self.lines.extend(f"{'':13}{line}" for line in rest)

    def _tell_of_the_world(self) -> None:
        """What happened outside since the last line, if it is of the kind that people are woken for."""
        events = self.model.events
        for event in events[self._told :]:
            if event.what in BAD_NEWS:
                who = f"guest {event.guest}" if event.guest else event.node
                self.lines.append(f"{_stamp(event.at)}   !! {event.what} {who} {event.text}".rstrip())
        self._told = len(events)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a %H:%M:%S")


ACTS = ("migrate", "shutdown", "start", "set_onboot", "maintenance", "upgrade", "reboot", "replicate", "ceph_flag")
RESCUE_ACTS = (
    *("stop", "detach", "unplug", "restore", "back_up"),
    *("delete", "forget", "unlock", "ha_state", "choose", "power_cycle"),
)


class Calls:
    """Writes down every act on the cluster before it is done; reads pass as they are."""

    def __init__(self, inner: Any, told: Callable[[str, tuple[Any, ...]], None], acts: tuple[str, ...] = ACTS) -> None:
        self._inner, self._told, self._acts = inner, told, acts

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)
        if name == "rescue":
            verb = Calls(verb, self._told, RESCUE_ACTS)
        elif name in self._acts:
            verb = partial(self._call, name, verb)
        setattr(self, name, verb)  # it is found there the next time
        return verb

    def _call(self, name: str, verb: Callable[..., Any], *args: Plain, **named: Plain) -> Any:
        self._told(name, args)
        return verb(*args, **named)


def _shown(arg: Any) -> str:
    if isinstance(arg, Split):
        return arg.image
    if isinstance(arg, list | tuple):
        return ",".join(map(_shown, arg))
    return str(arg.id) if hasattr(arg, "id") else f"{arg:.0f}" if isinstance(arg, float) else str(arg)
