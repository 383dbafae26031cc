"""Random nights: a cluster, faults, people and crashes out of one seed.

Even luck finds little (with it 14 of 30 planted faults went unseen in 150 nights, facts in docs/decisions): so it is
*aimed* at the moments that matter. The bot dies right after an effect; an order comes while an act runs; a mind changes
while gates are read; everybody answers late while the bot is down; a command arrives after its line broke.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from random import Random
from typing import Any, Self

from engine.journal import Pace, Rules
from sandbox.cast import IDS
from sandbox.faults import RESCUE, Fault, How, Kind
from sandbox.invariants import Invariants
from sandbox.lines import Act, Moment
from sandbox.night import Night
from sandbox.scenario import Scenario
from sandbox.spec import GLUSTER_UPDATE, ClusterSpec, GuestSpec, VolumeSpec, default_spec
from store.memory import MemoryStore

MINUTE, HOUR = 60.0, 3600.0
NODES = ("pve1", "pve2", "pve3")
GUESTS = (101, 102, 103, 104)
EXPIRES = ("reboot", "upgrade", "maintenance")
SIMULATED = Rules(pace=Pace(4.0, MINUTE, 30 * MINUTE), strict=True)
"""Looks are rarer than in life, for each one costs a replay."""
LASTS = 6 * 24 * HOUR


class Crash(BaseException):
    """The process is gone, here and now. No Exception: nothing in the bot may catch it."""


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely each kind of luck is, at each of its chances. All 0: a night that must go well."""

    faults: tuple[int, ...] = (0, 1, 1, 2, 3)  # so many, one of these
    crash_at_write: float = 0.003
    crash_at_act: float = 0.04
    order_at_act: float = 0.02
    order_at_read: float = 0.01
    order_any_time: float = 0.4
    arrives_late: float = 0.08
    change_of_mind: float = 0.04
    late: float = 0.06
    careless: float = 0.15  # somebody rejects, or who may nothing tries
    slack_down: float = 0.1


GOOD = Odds((0,), *([0.0] * 10))
WILD = Odds()


# ---- what the night is made of -----------------------------------------------------------------------------------


def scenario_of(seed: int, odds: Odds = WILD) -> Scenario:
    """The same seed always makes the same night."""
    rng = Random(seed)
    spec = rng.choice(_clusters())
    faults = tuple(_fault(rng) for _ in range(rng.choice(odds.faults)))
    return Scenario(f"seed {seed}", "", spec, faults, (), lasts=LASTS, seed=seed)


@cache
def _clusters() -> tuple[ClusterSpec, ...]:
    """Every mixture of storage, guests, packages and approvers that this simulator knows."""
    return tuple(
        _cluster(volume, stays, packages, needed, heal)
        for volume in (VolumeSpec(), VolumeSpec(arbiters=1), VolumeSpec(replica=2, nodes=("pve1", "pve2")))
        for stays in (False, True)
        for packages in ((), (GLUSTER_UPDATE,))
        for needed in (1, 1, 2)
        for heal in (20.0, 30 * MINUTE)
    )


def _cluster(volume: VolumeSpec, stays: bool, packages: tuple[Any, ...], needed: int, heal: float) -> ClusterSpec:
    usual = default_spec()
    pbx = (GuestSpec(105, "pbx", "pve2", stays="has a passed-through card"),) if stays else ()
    people = {"operators": ["U0ALICE", "U0BOB"], "approvers": ["U0CAROL", "U0BOB"], "approvals_needed": needed}
    return replace(
        usual,
        volumes=(volume,),
        guests=(*usual.guests, *pbx),
        packages=(*usual.packages, *packages),
        timings=replace(usual.timings, spread=0.25, heal_base=heal),
        settings={"people": people, "cannot_move": "shutdown"},
    )


def _fault(rng: Random) -> Fault:
    """One trouble, at any time or hung on a moment that matters, over in a quarter of an hour to some hours."""
    kind = Kind.LINE if rng.random() < 0.1 else rng.choice(KINDS)
    node, guest = rng.choice(NODES), rng.choice(GUESTS)
    if kind is Kind.LINE:
        return _line(rng, node, guest)
    if kind in (Kind.PATH_CUT, Kind.PATH_SLOW):
        text, lasts = rng.choice(("direct", "lte")), rng.choice((15 * MINUTE, HOUR))
        return Fault(kind, text=text, lasts=lasts, amount=rng.choice((0.5, 5.0)), **_begin(rng, node))
    return Fault(
        kind,
        node=node,
        guest=guest if kind in OF_GUESTS else 0,
        lasts=rng.choice((15 * MINUTE, HOUR, 4 * HOUR)),
        amount=rng.choice((0.1, 0.5)) if kind is Kind.HEAL_SLOW else 0.0,
        text="openssl" if kind is Kind.NEW_PACKAGES else "",
        **_begin(rng, node),
    )


ELSEWHERE = frozenset(
    {
        Kind.NOT_SERVING,
        Kind.PROBE_SILENT,
        Kind.REPLICATION_FAILS,
        Kind.CEPH_STUCK,
        Kind.CEPH_WARNS,
        Kind.CEPH_FLAGGED,
        Kind.GUEST_STARTS,
    }
)
"""Faults of what these clusters do not have: health probes, Ceph, ZFS replication; and people who mend by hand."""
KINDS = [kind for kind in Kind if kind not in ELSEWHERE | RESCUE]
OF_GUESTS = frozenset(list(Kind)[: list(Kind).index(Kind.STAYS_DOWN)])
MOMENTS = ("maintenance-on", "maintenance-reached", "upgrade", "upgraded", "reboot", "dark", "booted", "bricks-up")


def _begin(rng: Random, node: str) -> dict[str, Any]:
    if rng.random() < 0.4:
        return {"at": rng.choice((0.0, rng.uniform(0, 2 * HOUR)))}
    about = node if rng.random() < 0.6 else rng.choice(NODES)
    return {"after": f"{rng.choice(MOMENTS)} {about}", "delay": rng.choice((0.0, rng.uniform(0, 5 * MINUTE)))}


def _line(rng: Random, node: str, guest: int) -> Fault:
    """Which call goes wrong, and how; calls that arrive late are aimed (LuckyNight)."""
    verb = rng.choice(("reboot", "upgrade", "maintenance", "migrate", "start", "shutdown", "set_onboot"))
    to_node = verb in EXPIRES
    how = rng.choice((How.UNREACHABLE, How.LOST, How.BROKEN))
    return Fault(Kind.LINE, node=node if to_node else "", guest=0 if to_node else guest, text=verb, how=how)


# ---- the night ---------------------------------------------------------------------------------------------------


class FragileStore(MemoryStore):
    """Tells before and after every write of the bot, so that the bot can die there."""

    def __init__(self, at_write: Callable[[], None]) -> None:
        super().__init__()
        self._at_write = at_write


def _fragile(name: str) -> Callable[..., Any]:
    write = getattr(MemoryStore, name)

    def wrapped(self: FragileStore, *args: Any, **more: Any) -> Any:
        self._at_write()
        value = write(self, *args, **more)
        self._at_write()
        return value

    return wrapped


for _name in ("write", "park", "unpoke", "finish", "again", "audit", "alert", "clear", "page", "keep"):
    setattr(FragileStore, _name, _fragile(_name))


@dataclass
class LuckyNight(Night):
    """A night under luck. `crashes` and `wrong` are what came of it; every step is judged."""

    odds: Odds = WILD
    rules: Rules = SIMULATED
    transcript: bool = False
    crashes: int = 0
    wrong: list[str] = field(default_factory=list)
    opening: tuple[float, str] = (0.0, "/upgrade cluster")
    """What Alice types, so many seconds after the night's start."""

    def __post_init__(self) -> None:
        self.luck = Random(f"luck {self.scenario.seed}")
        self._in_pass, self._asked, self._holds = False, "", 0
        super().__post_init__()
        self._judge = Invariants(self)
        after, text = self.opening
        self.clock.at(self.scenario.start + after, partial(self.type, "alice", text))
        if self._happens(self.odds.order_any_time):
            self._soon(self.luck.uniform(0, 3 * HOUR), self._order)
        if self._happens(self.odds.slack_down):
            self._soon(self.luck.uniform(0, 2 * HOUR), partial(self._slack_down, self.luck.uniform(60, HOUR)))

    def live(self) -> Self:
        super().live()
        self._look()
        self.wrong += self._judge.at_the_end()
        return self

    def _open_store(self) -> MemoryStore:
        return FragileStore(self._at_write)

    # luck ---------------------------------------------------------------------------------------------------------
    def _happens(self, odds: float) -> bool:
        return odds > 0 and self.luck.random() < odds

    def _soon(self, delay: float, act: Callable[[], object]) -> None:
        self.clock.at(self.clock.now + delay, lambda: void(act()))

    def _at_write(self) -> None:
        if self._in_pass and self._happens(self.odds.crash_at_write):
            raise Crash

    def _on_act(self, act: Act) -> None:
        """Orders come while an act is on its way; the bot dies before it, or right after its effect."""
        if self._happens(self.odds.order_at_act):
            self._order()
        likely = 1.0 if act.moment is Moment.DONE else 0.3
        if self._in_pass and self._happens(self.odds.crash_at_act * likely):
            raise Crash

    def _line(self, verb: str, about: str) -> Fault | None:
        """What the node refuses when it is late may come late; all else goes wrong as the night has planned it."""
        if verb in EXPIRES and self._happens(self.odds.arrives_late):
            amount = self.luck.choice((5.0, self.luck.uniform(10, 60), self.luck.uniform(60, 30 * MINUTE)))
            return Fault(Kind.LINE, text=verb, how=How.LATE, amount=amount)
        return super()._line(verb, about)

    def _while_reading(self, seconds: float) -> None:
        """Gates take seconds: a mind may change meanwhile. (In no time at all it could not: a mark of the very moment
        of an act could not be told from one before it.)"""
        if not seconds:
            return
        if self._asked and self._happens(self.odds.change_of_mind):
            self._soon(self.luck.uniform(0, seconds), partial(self._takes_back, self._asked))
        if self._happens(self.odds.order_at_read):
            self._soon(self.luck.uniform(0, seconds), self._order)

    # the process ----------------------------------------------------------------------------------------------------
    def _pass(self, run_id: str) -> None:
        self._in_pass = True
        try:
            super()._pass(run_id)
        except Crash:
            self._dies(self.luck.choice((5.0, 5.0, 90.0, 10 * MINUTE, HOUR)))
        finally:
            self._in_pass = False
        self._look()

    def _dies(self, pause: float) -> None:
        """Its memory is gone: only the store is left, and what Slack knows is read again before anything goes on."""
        self.crashes += 1
        self._stop_bot()
        self._soon(pause, self._starts)

    def _starts(self) -> None:
        self.bot_down = False
        self.reconcile()

    def _slack_down(self, lasts: float) -> None:
        self.chat.down = True
        self._soon(lasts, self._slack_back)

    def _slack_back(self) -> None:
        self.chat.down = False
        self.reconcile()

    def _look(self) -> None:
        self.wrong += self._judge.look()

    # people ---------------------------------------------------------------------------------------------------------
    def _cue(self, kind: str, node: str, text: str, ts: str) -> None:
        """People read what is posted."""
        if kind == "approval":
            self._asked = ts
            self._answer(ts)
        elif "I hold" in text:
            self._holds += 1
            self._soon(self.luck.uniform(5 * MINUTE, HOUR), self._end_hold)
        elif "Paused" in text:
            self._soon(self.luck.uniform(MINUTE, 2 * HOUR), partial(self.type, "bob", "/upgrade resume"))

    def _answer(self, ts: str) -> None:
        if self._happens(self.odds.careless):
            who, emoji = self.luck.choice((("mallory", "white_check_mark"), ("carol", "x"), ("bob", "eyes")))
            self._soon(self.luck.uniform(0, 20 * MINUTE), partial(self.react, who, ts, emoji))
        wait = self.managed.limits.approval_wait
        if self._happens(self.odds.late):
            self._stop_bot()
            self._soon(wait + 10 * MINUTE, self._starts)
            self._approve(ts, wait + MINUTE)
        elif self._happens(self.odds.late):
            self._soon(wait * self.luck.uniform(0.9, 1.1), partial(self.react, "carol", ts, "white_check_mark"))
        else:
            self._approve(ts, self.luck.uniform(0, 5 * MINUTE))
        if self._happens(self.odds.change_of_mind):
            self._soon(self.luck.uniform(0, 40 * MINUTE), partial(self._takes_back, ts))

    def _approve(self, ts: str, after: float) -> None:
        for who in ("carol", "bob")[: self.managed.people.approvals_needed]:
            self._soon(after, partial(self.react, who, ts, "white_check_mark"))

    def _takes_back(self, ts: str) -> None:
        self.react("carol", ts, "white_check_mark", given=False)

    def _end_hold(self) -> None:
        """Mostly somebody mends it and tries again; a night of holds is given up."""
        node = self.luck.choice(NODES)
        rejected = self.chat.posted[self._asked].marks.get("x", []) if self._asked else []
        for user in tuple(rejected):
            self.react(next(name for name, known in IDS.items() if known == user), self._asked, "x", given=False)
        what = self.luck.choice(("retry", "retry", "retry", "retry", f"skip {node}", "abort"))
        self.type("bob", f"/upgrade {'abort' if self._holds > 6 else what}")

    def _order(self) -> None:
        """Anything that anybody may think of."""
        node = self.luck.choice(NODES)
        who, what = self.luck.choice(_ORDERS)
        self.type(who, f"/upgrade {what.format(node=node)}")


_ORDERS: Sequence[tuple[str, str]] = (
    ("alice", "pause"),
    ("carol", "pause"),
    ("mallory", "pause"),
    ("bob", "resume"),
    ("alice", "abort"),
    ("bob", "skip {node}"),
    ("bob", "retry"),
    ("carol", "override services {node} seen to it"),
    ("carol", "override nodes-online {node} it is known"),
    ("mallory", "abort"),
    ("alice", "cluster"),
)


def void(_: object) -> None:
    """What people's deeds return is nobody's business."""


def night_of(seed: int, odds: Odds = WILD, **more: Any) -> LuckyNight:
    """A whole night from a seed, lived and judged."""
    return LuckyNight(scenario_of(seed, odds), odds=odds, **more).live()


def how_it_ended(night: LuckyNight) -> str:
    """ "" if it ended as it should: over, or held and said; else what it still does."""
    for run in night.store.runs(state="active"):
        key = (run.parked or {}).get("key", "")
        if ".hold" not in key and ".paused" not in key:
            return f"{run.id} still waits for {(run.parked or {}).get('why', 'nothing')} ({key})"
        said = night.store.outbox_row(run.id, key.replace(".answer", ".said"))
        if said is None or said.delivered_at is None:
            return f"{run.id} holds at {key}, and nobody was told"
    return ""
