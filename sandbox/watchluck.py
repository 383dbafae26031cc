"""Random nights of watching: something dies, people sleep, answer, forget; services fail; the bot dies around its
writes and its rings; all out of one seed. After every step it is asked whether anybody knows.

Luck is aimed, as in sandbox/luck.py: the bot dies right after a ring and before it is written down, an acknowledgement
comes while a ring is on its way, whoever has it falls asleep again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

from cluster.api import Unreachable
from cluster.facts import WaysIn
from engine.journal import Pace, Rules
from oncall.pagers import Page
from sandbox.cast import IDS
from sandbox.invariants_outage import held, silent_outages
from sandbox.luck import Crash, FragileStore
from sandbox.nightwatch import DAY, MIDNIGHT, NightWatch
from sandbox.simpagers import SimPager, Woken
from store.api import RunRow, ShiftOverrideRow
from workflows.alerts import Alert, raise_alerts

T = TypeVar("T")

MINUTE, HOUR = 60.0, 3600.0
PEOPLE = ("alice", "bob", "carol")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
SIMULATED = Rules(pace=Pace(4.0, 2 * MINUTE, 30 * MINUTE), strict=True)
LASTS = 3 * HOUR
CRASH_AT_ADOPTION = 0.3
"""Before and after each write of it: it is seldom, and what it loses is lost for good."""


def oncall_of(rng: Random) -> dict[str, Any]:
    """Two rotas, people in different zones, and a policy of one to three rungs."""
    people = {
        name: {"slack": IDS[name], "zone": rng.choice(ZONES), "phone": "+4930123456", "night": {"start": "22:00"}}
        for name in PEOPLE
    }
    layers: list[dict[str, Any]] = [
        {"people": rng.sample(PEOPLE, rng.randint(1, 3)), "start": "2026-01-05T09:00", "turn": "daily"}
    ]
    if rng.random() < 0.4:
        layers = [{**layers[0], "turn": "hours", "hours": rng.choice((1, 3, 7))}]
    if rng.random() < 0.2:
        layers = [{**layers[0], "window": {"start": "08:00", "end": "20:00"}}]
    rotas = [{"name": "primary", "zone": rng.choice(ZONES), "layers": layers}]
    return {
        "people": people,
        "rotas": rotas,
        "policies": [{"rungs": [_rung(rng) for _ in range(rng.randint(1, 3))], "pause": rng.choice(("0s", "10m"))}],
        "last_resort": rng.sample(PEOPLE, rng.randint(1, 2)),
        "stale_after": rng.choice(("20m", "1h")),
    }


def _rung(rng: Random) -> dict[str, Any]:
    who = rng.choice((["rota:primary"], ["rota:primary"], ["bob"], ["alice", "carol"], ["everybody"]))
    ways = rng.choice((["mention"], ["mention", "voice"], ["pushover"], ["voice", "direct"], ["apprise"]))
    night = rng.choice(([], ["mention", "pushover", "voice"]))
    return {"who": who, "how": ways, "night": night, "wait": rng.choice(("2m", "5m", "15m"))}


class NoMachines:
    """What dies takes the way to it along: nobody answers."""

    def guests(self) -> Any:
        raise Unreachable("nobody answers")

    def test_paths(self) -> WaysIn:
        return WaysIn((), {})


class WatchStore(FragileStore):
    """Something may die in the very moment in which an outage ends."""

    last_moment: Callable[[str], None] = staticmethod(lambda _: None)

    def finish(self, run_id: str, result: Any, at: float) -> None:
        self.last_moment(run_id)
        super().finish(run_id, result, at)


class FragilePager(SimPager):
    """Tells before and after every ring, so that the bot can die there; a line may break after the service rang."""

    around: Callable[[], None] = staticmethod(lambda: None)

    def send(self, page: Page) -> str:
        self.around()
        receipt = super().send(page)
        self.around()
        return receipt


@dataclass
class Lived:
    """What came of a night. `wrong`: in words, what must never happen and did."""

    seed: int
    crashes: int = 0
    rings: int = 0
    wrong: list[str] = field(default_factory=list)


class LuckyWatch(NightWatch):
    def __init__(self, seed: int, *, crash_at_write: float = 0.004, crash_at_ring: float = 0.06) -> None:
        self.luck, self.lived = Random(f"watch {seed}"), Lived(seed)
        self._crash_at_ring = crash_at_ring
        self._in_pass, self._known_at, self._adopting = False, 0.0, False
        self._dead: set[str] = set()
        start = MIDNIGHT + self.luck.uniform(0, 300 * DAY)
        store = WatchStore(partial(self._maybe, crash_at_write))
        store.last_moment = self._at_the_end
        super().__init__(oncall_of(self.luck), start=start, rules=SIMULATED, store=store, machines=NoMachines())
        self._known_at = start

    def _make_pager(self, how: str) -> SimPager:
        pager = FragilePager(how, self.clock, self._rang)
        pager.around = partial(self._maybe, self._crash_at_ring)
        return pager

    def _together(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """Side by side nobody knows which comes first."""
        order = self.luck.sample(range(len(works)), len(works))
        answers = {n: works[n]() for n in order}
        return [answers[n] for n in range(len(works))]

    def live(self) -> Lived:
        self._stand_in()
        self._soon(0, self._something_dies)
        for trouble in (self._slack_away, self._service_away, self._bot_away):
            if self._happens(0.25):
                self._soon(self.luck.uniform(0, HOUR), trouble)
        self.fast_forward(seconds=LASTS)
        return self.lived

    # luck -----------------------------------------------------------------------------------------------------------

    def _happens(self, odds: float) -> bool:
        return self.luck.random() < odds

    def _soon(self, delay: float, act: Callable[[], object]) -> None:
        self.clock.at(self.clock.now + delay, lambda: _void(act()))

    def _maybe(self, odds: float) -> None:
        if (self._in_pass and self._happens(odds)) or (self._adopting and self._happens(CRASH_AT_ADOPTION)):
            raise Crash

    def advance(self, run_id: str) -> None:
        self._in_pass = True
        try:
            super().advance(run_id)
        except Crash:
            self._dies_itself()
        finally:
            self._in_pass = False

    def _adopt(self) -> list[str]:
        """It may die between any two writes of this too."""
        self._adopting = True
        try:
            return super()._adopt()
        except Crash:
            self._dies_itself()
            return []
        finally:
            self._adopting = False

    def _dies_itself(self) -> None:
        self.lived.crashes += 1
        self._bot_away(self.luck.choice((3.0, 3.0, MINUTE, 10 * MINUTE)))

    def settle(self) -> None:
        super().settle()
        self._judge()

    # what happens ---------------------------------------------------------------------------------------------------

    def _stand_in(self) -> None:
        """Somebody stands in for a while, perhaps until the middle of a ladder."""
        if self._happens(0.4):
            start = self.clock.now - HOUR
            row = ShiftOverrideRow(0, "primary", "replace", "bob", "", start, start + HOUR + 900, "U0BOB", start, "o1")
            self.store.override_shift([row])

    def _something_dies(self) -> None:
        number = self.luck.randint(1, 3)
        self.dies(f"guest {number}")
        if self._happens(0.5):
            self._soon(self.luck.uniform(MINUTE, HOUR), partial(self.recovers, f"guest {number}"))
        if self._happens(0.4):
            self._soon(self.luck.uniform(0, HOUR), self._something_dies)

    def dies(self, subject: str, summary: str = "is silent", policy: str = "") -> str:
        self._dead.add(f"probe/{subject}")
        return super().dies(subject, summary, policy)

    def recovers(self, subject: str) -> None:
        self._dead.discard(f"probe/{subject}")
        super().recovers(subject)

    def _at_the_end(self, run_id: str) -> None:
        if self._happens(0.25) and run_id.startswith("outage") and not run_id.endswith(".known"):
            alert = Alert("probe/late", "probe", "late", "is silent", "critical", self.clock.now)
            raise_alerts(self.store, self.managed, [alert], self.clock.now)
            self._dead.add("probe/late")  # had it died before, a probe would have told again

    def _slack_away(self) -> None:
        self.slack_down = True
        self._soon(self.luck.uniform(MINUTE, HOUR), partial(setattr, self, "slack_down", False))

    def _service_away(self) -> None:
        pager = self.pagers[self.luck.choice(("pushover", "voice", "apprise"))]
        if self._happens(0.3):
            pager.refuses["alice"] = "the number is not valid"
        pager.down = True
        self._soon(self.luck.uniform(MINUTE, HOUR), partial(setattr, pager, "down", False))

    def _bot_away(self, lasts: float = 20 * MINUTE) -> None:
        self.bot_down = True
        self.waits.clear()  # its memory is gone
        self._soon(lasts, self._starts)

    def _starts(self) -> None:
        self.bot_down, self._known_at = False, self.clock.now

    # people ---------------------------------------------------------------------------------------------------------

    def _rang(self, page: Woken, receipt: str) -> None:
        """Who is rung while somebody has it was rung for nothing."""
        self.lived.rings += 1
        run = self.store.run(next(iter(self.pagers[page.how].sent[receipt].run_id.split())))
        if run and self._held(run):
            self.lived.wrong.append(f"{page.person} was rung by {page.how} although somebody had it")
        self._wake(page, partial(self._acknowledged, page.how, receipt))

    def _wake(self, page: Woken, answer: Callable[[], object]) -> None:
        if self._happens(0.25):
            self._soon(self.luck.uniform(1, 6 * MINUTE), answer)
            self._soon(self.luck.uniform(MINUTE, HOUR), partial(self._second_thoughts, page.person))

    def _second_thoughts(self, who: str) -> None:
        if not self.outages() or self.bot_down:
            return
        what = self.luck.choice(("ack", "ack", "snooze 20m", "release", "resolve", "timeline", "", "report"))
        self.types(who, f"/outage {what}".strip())

    def _posted(self, who: str, page: Woken) -> None:
        self._wake(page, partial(self._takes, who))

    def _takes(self, who: str) -> None:
        """Under the newest outage of which something stands in Slack."""
        told = (run for run in self.outages() if any(row.ts for row in self.store.outbox(run.id)))
        if (run := next(told, None)) and not self.bot_down:
            self.reacts(who, on=run)

    # what must never happen -----------------------------------------------------------------------------------------

    def _held(self, run: RunRow) -> bool:
        return held(self.store, run, self.clock.now)

    def _judge(self) -> None:
        """Invariants 5, 6 and 7 of the design, after every step."""
        if self.bot_down:
            return
        for run in self.store.runs(state="active"):
            if not run.parked or run.parked["deadline"] is None:
                self.lived.wrong.append(f"{run.id} waits without a deadline")
        self.lived.wrong += silent_outages(self.store, self.clock.now, self._known_at)
        lost = self._dead - {row.fingerprint for row in self.store.firing()}
        self.lived.wrong += [f"{mark} is dead, and nobody knows any more" for mark in sorted(lost)]


def _void(_: object) -> None:
    """What people's deeds return is nobody's business."""


def watch_of(seed: int, **more: float) -> Lived:
    return LuckyWatch(seed, **more).live()
