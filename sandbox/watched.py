"""A simulated night with somebody on call: probes look at the cluster from outside, phones ring, people press 1.

A scenario that has `oncall: {}` (the usual three people) or a section of its own is lived with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cluster.api import Cluster
from oncall.duty import Duty
from oncall.settings import OnCallSettings
from sandbox.cast import IDS
from sandbox.clock import VirtualClock
from sandbox.model import Model
from sandbox.outside import Outside
from sandbox.simpagers import ONCALL, SimPager, Woken
from store.api import Store
from workflows.acknowledging import take
from workflows.alerts import adopt
from workflows.night_watch import NightWatch
from workflows.settings import ManagedCluster
from workflows.site import Watchers

DAY = 86400.0
ADOPT_S = 10.0


class Around(Protocol):
    """What a watched night needs of the night."""

    clock: VirtualClock
    store: Any
    model: Model
    managed: ManagedCluster
    bot_down: bool


class Watched:
    """`rang(page, receipt)` is told of every ring."""

    def __init__(self, night: Around, oncall: Mapping[str, Any], rang: Callable[[Woken, str], None]) -> None:
        self._night, self._store = night, night.store
        self._settings = OnCallSettings.model_validate({**ONCALL, **oncall})
        self.pagers = {how: SimPager(how, night.clock, rang) for how in ("pushover", "voice")}
        self.watchers = Watchers(self._settings, self._duty, {**self.pagers})
        self._outside: Outside | None = None
        self._watch: NightWatch | None = None

    def _duty(self) -> Duty:
        store: Store = self._store
        return Duty(self._settings, store.shift_overrides(self._night.clock.now - DAY))

    # looking from outside ---------------------------------------------------------------------------------------

    def begin(self, cluster: Cluster) -> None:
        clock = self._night.clock
        self._outside = Outside(self._night.model, cluster, clock)
        clock.at(clock.now, self._look)
        clock.at(clock.now, self._adopt)

    def _look(self) -> None:
        """A bot that was away looks anew: what stood open is in the store."""
        clock = self._night.clock
        if self._night.bot_down:
            self._watch = None
            clock.at(clock.now + 1.0, self._look)
            return
        assert self._outside is not None
        self._watch = self._watch or NightWatch(self._store, self._night.managed, clock.now, clock.now)
        self._watch.step(clock.now, self._outside)
        clock.at(max(self._watch.next_at(clock.now), clock.now + 0.1), self._look)

    def _adopt(self) -> None:
        clock, managed = self._night.clock, self._night.managed
        if not self._night.bot_down:
            adopt(self._store, {managed.name: managed}, clock.now)
        clock.at(clock.now + ADOPT_S, self._adopt)

    # phones -----------------------------------------------------------------------------------------------------

    def presses_one(self, receipt: str) -> None:
        """By webhook, as Twilio tells it; the service itself knows it too."""
        row = self._store.page_of(receipt)
        run = self._store.run(row.run_id) if row else None
        if row and run:
            source = f"{row.run_id} {receipt}"
            take(self._store, self.watchers, run, IDS[row.person], row.how, source, self._night.clock.now)
