"""Random nights of the main job with somebody on call: the cluster, the run, its faults and crashes of sandbox/luck.py,
and beside them the real probes, the real ladder, and phones that people answer or sleep through.

What the model knows and nobody else has to know in time: that too few of a guest group are left, and that all is well
again. So an outage that nobody hears of is found, an alarm that nobody takes back, and one that was for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sandbox.invariants_outage import silent_outages
from sandbox.luck import HOUR, MINUTE, WILD, LuckyNight, Odds, scenario_of
from sandbox.model.machines import Power
from sandbox.scenario import Scenario
from workflows.phases import UPGRADE
from workflows.picture import state_of, wait_of
from workflows.wheel import run_of

LASTS, CALM_S = 9 * HOUR, 2 * HOUR
"""In the last of these hours luck does nothing more, so that what is left at the end was left for good."""
PROBING = {"every": "30s", "serving_every": "60s", "gluster_every": "15m"}
"""Looks are rarer than in life, for each one costs time."""
LOOKS_S = 20.0
HEARD_S = 7 * MINUTE
"""A group that is down for so long fires: three of five looks, 30 s apart, after a line that was down meanwhile."""
CLEARED_S = 95 * MINUTE
"""When all has been well for so long nothing fires any more: an hour until processes are looked at, and half an hour of
calm for what went up and down."""
DRILL = "This is a drill"
SLEEPS, NODS_OFF = 0.5, 0.15
"""How likely a ring is not answered: in nights of a sound sleeper, and in all others."""


def watched_scenario(seed: int, odds: Odds = WILD) -> Scenario:
    """The same seed always makes the same night."""
    night = scenario_of(seed, odds)
    spec = replace(night.spec, settings={**night.spec.settings, "probing": PROBING})
    return replace(night, spec=spec, oncall={}, lasts=LASTS)


@dataclass
class WatchedLuck(LuckyNight):
    """`rings`: what rang, beside the drill that proves Alice's pager before the run."""

    opening: tuple[float, str] = (5 * MINUTE, "/upgrade cluster")
    rings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._sleeper = self._happens(0.3)
        self._up_since = self._well_since = self.clock.now
        self._down_since: dict[str, float] = {}
        self._soon(1.0, partial(self.type, "alice", "/oncall test"))
        self._soon(LOOKS_S, self._look_around)

    def live(self) -> WatchedLuck:
        super().live()
        self.wrong += self._forgotten()
        return self

    def _happens(self, odds: float) -> bool:
        return self.clock.now < self.scenario.start + LASTS - CALM_S and super()._happens(odds)

    # people ---------------------------------------------------------------------------------------------------------
    def _cue(self, kind: str, node: str, text: str, ts: str) -> None:
        super()._cue(kind, node, text, ts)
        if kind != "ring":
            return
        if DRILL in text:
            self._soon(20.0, partial(self._picks_up, ts))
            return
        self.rings.append(text)
        if not self._happens(SLEEPS if self._sleeper else NODS_OFF):
            self._soon(self.luck.uniform(10, 50), partial(self._picks_up, ts))

    def _picks_up(self, receipt: str) -> None:
        if self.watched and not self.bot_down:
            self.watched.presses_one(receipt)

    # the process ----------------------------------------------------------------------------------------------------
    def _starts(self) -> None:
        super()._starts()
        self._up_since = self.clock.now

    # what must never happen -----------------------------------------------------------------------------------------
    def _look_around(self) -> None:
        self._soon(LOOKS_S, self._look_around)
        now, down = self.clock.now, self._trouble()
        self._down_since = {what: self._down_since.get(what, now) for what in down}
        if down:
            self._well_since = now
        if not self.bot_down:
            self.wrong += silent_outages(self.store, now, self._up_since)
            self.wrong += self._unheard(now)

    def _trouble(self) -> list[str]:
        """By the model's truth."""
        self.model.advance(self.clock.now)
        guests, machines = self.model.guests.all, self.model.machines.all
        up = {vm.id for vm in guests.values() if vm.healthy and machines[vm.node].power is Power.UP}
        members = {guest for group in self.managed.groups for guest in group.guests}
        groups = [group.name for group in self.managed.groups if len(up & set(group.guests)) < group.keep_running]
        nodes = [node.name for node in machines.values() if node.power is not Power.UP]
        storage = [] if self.model.gluster.unhealed_since is None else ["storage"]
        return [*groups, *map(str, sorted(members - up)), *nodes, *storage]

    def _unheard(self, now: float) -> list[str]:
        """A guest group has fallen, and nothing at all fires."""
        names = {group.name for group in self.managed.groups}
        long = [
            what
            for what, since in self._down_since.items()
            if what in names and now - max(since, self._up_since) > HEARD_S
        ]
        if not long or self.store.firing(self.managed.name):
            return []
        return [f"{now:.0f} {what} is down since {self._down_since[what]:.0f}, and nothing fires" for what in long]

    def _forgotten(self) -> list[str]:
        """All is well, and still something fires that no person has to end: a run that holds waits for somebody's word,
        and what an aborted one left fires until the next run (its last word says so)."""
        calm = min(self.clock.now - self._well_since, self.clock.now - self._up_since)
        if self.bot_down or calm < CLEARED_S:
            return []
        runs = self.store.runs(workflow=UPGRADE)
        excused = {run.id for run in runs if state_of(run, wait_of(run)) in ("holding", "aborted")}
        return [
            f"{row.fingerprint} still fires: {row.subject} {row.summary}"
            for row in self.store.firing(self.managed.name)
            if run_of(row.fingerprint) not in excused
        ]


def watched_night_of(seed: int, odds: Odds = WILD, **more: Any) -> WatchedLuck:
    """A whole night from a seed, lived and judged."""
    return WatchedLuck(watched_scenario(seed, odds), odds=odds, **more).live()
