"""Outages lived in milliseconds: the real workflows and journal over a store in memory, a clock that only a test moves,
phones that ring, and people who sleep, answer, or press 1.

    watch.dies("router-a (101)")
    watch.assert_paged("alice", "voice")
    watch.fast_forward(minutes=5)
    watch.assert_paged("bob", "voice")

Every page has to be expected: `unexpected` lists those that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from commands import answer
from commands.api import Desk
from engine.journal import Rules, Waits, advance
from oncall.duty import Duty
from oncall.pagers import Delivery, Pager, State
from oncall.settings import OnCallSettings
from sandbox.cast import IDS, NAMES, readable
from sandbox.clock import VirtualClock
from sandbox.direct import SimCluster
from sandbox.model.model import Model
from sandbox.simchat import SimChat
from sandbox.simpagers import ONCALL, SimPager, Woken
from sandbox.spec import ClusterSpec, default_spec, managed_settings
from store.api import CommandRow, OutboxRow, RunRow, ShiftOverrideRow
from store.memory import MemoryStore
from workflows import acknowledging, catalogue
from workflows.alerts import OUTAGE, Alert, adopt, clear_alerts, raise_alerts
from workflows.site import Site, Watchers, one_by_one

T = TypeVar("T")

MIDNIGHT = 1772496000.0  # 2026-03-03 00:00 UTC
STRICT = Rules(strict=True)
DAY = 86400.0


class NightWatch:
    """`oncall`: the section of that name in the settings, None = there is none."""

    def __init__(
        self,
        oncall: Mapping[str, object] | None = ONCALL,
        *,
        start: float = MIDNIGHT,
        spec: ClusterSpec | None = None,
        rules: Rules = STRICT,
        store: MemoryStore | None = None,
        clock: VirtualClock | None = None,
        machines: Any = None,
    ) -> None:
        self.clock = clock or VirtualClock(start)
        self.rules = rules
        self.spec = spec or default_spec()
        self.managed = managed_settings(self.spec)
        self.chat = SimChat()
        self.store = store or MemoryStore(check_plain=True)
        self.woken: list[Woken] = []
        self.said: list[tuple[float, str]] = []
        self.answers: dict[tuple[str, str], tuple[float, Callable[[str], None]]] = {}
        self.pagers = {how: self._make_pager(how) for how in ("pushover", "voice", "apprise")}
        self.pagers["apprise"].acknowledges = self.pagers["apprise"].lookup = False
        self.bot_down, self.slack_down = False, False
        self.waits: Waits = {}
        self._on_duty: Duty | None = None
        self._overrides: list[ShiftOverrideRow] = []
        settings = None if oncall is None else OnCallSettings.model_validate(oncall)
        self.watchers = self._watchers(settings) if settings else None
        cluster = machines or SimCluster(Model(self.spec, 1, start, ()), self.managed, self.clock)
        self.site = Site(
            self.managed, cluster, self.chat, self.store, self.clock, self.spec.helper_checksum, self.watchers
        )
        self.workflows = catalogue({self.managed.name: self.site})
        self._typed = 0

    def _make_pager(self, how: str) -> SimPager:
        return SimPager(how, self.clock, self._rang)

    def _watchers(self, settings: OnCallSettings) -> Watchers:
        return Watchers(settings, partial(self._duty, settings), self._pagers(), self._together)

    def _together(self, works: Sequence[Callable[[], T]]) -> list[T]:
        return one_by_one(works)

    def _duty(self, settings: OnCallSettings) -> Duty:
        """Worked out anew only when an override was written: a ladder asks at every rung."""
        overrides = self.store.shift_overrides(self.clock.now - DAY)
        if self._on_duty is None or overrides != self._overrides:
            self._on_duty, self._overrides = Duty(settings, overrides), overrides
        return self._on_duty

    def _pagers(self) -> Mapping[str, Pager]:
        return {**self.pagers}

    # what happens outside ---------------------------------------------------------------------------------------

    def dies(self, subject: str, summary: str = "is silent", policy: str = "") -> str:
        """A probe says so; the id of the outage."""
        alert = Alert(f"probe/{subject}", "probe", subject, summary, "critical", self.clock.now, {}, policy)
        outage = raise_alerts(self.store, self.managed, [alert], self.clock.now)
        self.settle()
        return outage

    def recovers(self, subject: str) -> None:
        clear_alerts(self.store, self.managed.name, [f"probe/{subject}"], self.clock.now)
        self.settle()

    def fast_forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Live on for so long."""
        end = self.clock.now + hours * 3600 + minutes * 60 + seconds
        self.settle()
        while self.clock.now < end:
            upcoming = [when for when in (self._next_wake(), self.clock.next_at()) if when is not None]
            self.clock.advance_to(min([max(min(upcoming), self.clock.now), end] if upcoming else [end]))
            self.settle()

    # what people do ---------------------------------------------------------------------------------------------

    def presses_one(self, who: str, how: str = "voice", after: float = 0.0) -> None:
        """From now on this person answers: so many seconds after it rings they press 1 (or tap on the push)."""
        self.answers[who, how] = (after, partial(self._acknowledged, how))

    def voicemail(self, who: str, after: float = 20.0) -> None:
        """The phone is answered, by nobody: the call ends and no key was pressed."""
        self.answers[who, "voice"] = (after, partial(self._ended, "answered, no key was pressed"))

    def reacts(self, who: str, emoji: str = "eyes", given: bool = True, on: RunRow | None = None) -> None:
        """Under the newest message of that run; by default of the newest outage."""
        row = next(row for row in reversed(self.store.outbox((on or self.outages()[0]).id)) if row.ts)
        acknowledging.react(self.store, self.watchers, row, IDS[who], emoji, given, self.clock.now)
        self.settle()

    def types(self, who: str, text: str) -> str:
        """A slash command; what the bot answers."""
        self._typed += 1
        slash, _, rest = text.partition(" ")
        row = CommandRow(f"typed-{self._typed}", rest, slash, IDS[who], self.managed.channel, "", self.clock.now)
        reply = answer(self.desk(), row)
        self.settle()
        return readable(reply.text)

    def desk(self) -> Desk:
        return Desk(
            {self.managed.name: self.managed}, self.store, self.chat, self.clock.now, lambda *_: "", self.watchers
        )

    # what is asserted -------------------------------------------------------------------------------------------

    def assert_paged(self, who: str, *ways: str) -> None:
        """Each of these ways reached this person, oldest page first; those pages are expected."""
        for how in ways:
            found = next((page for page in self.woken if (page.person, page.how) == (who, how)), None)
            assert found, f"{who} was not paged by {how}; there were: {self.unexpected() or 'no pages'}"
            self.woken.remove(found)

    def assert_quiet(self) -> None:
        assert not self.woken, self.unexpected()

    def assert_said(self, text: str) -> None:
        assert any(text in said for _, said in self.said), (
            f"nobody said {text!r}; said was: {[s for _, s in self.said]}"
        )

    def unexpected(self) -> list[str]:
        return [f"{page.person} by {page.how} after {page.at - MIDNIGHT:.0f} s: {page.text}" for page in self.woken[:8]]

    def outages(self, state: str = "active") -> list[RunRow]:
        return self.store.runs(workflow=OUTAGE, state=state)

    # the bot ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Passes and deliveries until nothing is due at this moment."""
        while not self.bot_down:
            due = self.store.due(self.clock.now)
            for run_id in due:
                self.advance(run_id)
            if not self._deliver() and not due and not self._adopt():
                return

    def _adopt(self) -> list[str]:
        return adopt(self.store, {self.managed.name: self.managed}, self.clock.now)

    def advance(self, run_id: str) -> None:
        row = self.store.run(run_id)
        if row and not self.bot_down:
            advance(self.store, run_id, self.workflows[row.workflow], self.clock, self.rules, self.waits)

    def _next_wake(self) -> float | None:
        return None if self.bot_down else self.store.next_wake()

    def _deliver(self) -> bool:
        if self.slack_down:
            return False
        rows = self.store.undelivered(self.clock.now)
        for row in rows:
            self._post(row)
        return bool(rows)

    def _post(self, row: OutboxRow) -> None:
        ts = self.chat.post(self.clock.now, row.message["kind"], "")
        self.store.delivered(row.id, self.clock.now, self.managed.channel, ts)
        text = readable(row.message["text"])
        self.said.append((self.clock.now, text))
        if row.message["kind"] == "page":
            for user in row.message["mention"]:
                self._posted(NAMES[user], Woken(self.clock.now, NAMES[user], "mention", text))
        elif row.message["kind"] == "direct":
            name = NAMES[row.message["to"]]
            self._posted(name, Woken(self.clock.now, name, "direct", text))

    def _posted(self, who: str, page: Woken) -> None:
        self.woken.append(page)

    # phones -------------------------------------------------------------------------------------------------------

    def _rang(self, page: Woken, receipt: str) -> None:
        self.woken.append(page)
        if (page.person, page.how) in self.answers:
            after, act = self.answers[page.person, page.how]
            self.clock.at(self.clock.now + after, lambda: act(receipt))

    def _acknowledged(self, how: str, receipt: str) -> None:
        """The service tells when it is polled; a key press also comes by webhook, which writes the same rows."""
        self.pagers[how].states[receipt] = Delivery(State.ACKNOWLEDGED, at=self.clock.now)
        row = self.store.page_of(receipt)
        run = self.store.run(row.run_id) if row else None
        if how == "voice" and row and run:
            user = IDS[row.person]
            acknowledging.take(self.store, self.watchers, run, user, how, f"{row.run_id} {receipt}", self.clock.now)
            self.store.page(replace(row, state="acknowledged", changed_at=self.clock.now))

    def _ended(self, why: str, receipt: str) -> None:
        self.pagers["voice"].states[receipt] = Delivery(State.EXPIRED, why)
