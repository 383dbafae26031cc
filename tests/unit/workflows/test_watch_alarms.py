"""What a watch, and the run after it, take back: only what a run raised. A dead router stays somebody's trouble."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from sandbox.nightwatch import MIDNIGHT, NightWatch
from workflows.alerts import Alert, raise_alerts
from workflows.watch import PREFIX, _alarm, take_over
from workflows.wheel import Wheel

ROUTER = "router-a (101)"


def test_a_new_run_and_its_watch_end_nothing_but_what_a_run_raised() -> None:
    night = NightWatch()
    night.dies(ROUTER)
    former = Alert(f"{PREFIX}run-1/heal", "watch", "after run run-1", "heal: 3 entries", "critical", MIDNIGHT)
    raise_alerts(night.store, night.managed, [former], MIDNIGHT)
    run = SimpleNamespace(id="run-2", step=lambda key, act: act())
    wheel = cast(Wheel, SimpleNamespace(run=run, site=night.site))
    take_over(wheel)
    assert [row.fingerprint for row in night.store.firing()] == [f"probe/{ROUTER}"]
    _alarm(wheel, 1, ["heal: 5 entries are pending"])
    _alarm(wheel, 2, ["storages: vmstore is not active on pve3"])
    assert [row.fingerprint for row in night.store.firing()] == [f"probe/{ROUTER}", f"{PREFIX}run-2/storages"]
