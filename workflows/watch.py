"""The hours after the last node: the routers of 2017 died long after the last reboot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any

from cluster.gates import all_gates
from cluster.world import GatePhase, OwnChanges
from engine.port import Look, Waiting
from store.api import RunRow, Store
from workflows import messages
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.judging import judge_now
from workflows.orders import Order
from workflows.phases import UPGRADE
from workflows.wheel import Wheel, run_of

TWICE = 2
"""A gate must be seen shut so many looks in a row: one look may meet a lock or a slow answer."""
CHECKUP_EVERY_S = 900.0
"""So often the watch asks what takes Gluster's lock: `volume status`, which alone shows a dead self-heal daemon. A dead
brick shows at every look, in what takes no lock."""
PREFIX = "watch/"
"""Alerts of a watch have fingerprints that begin so, then the run's id."""
GATES_PASSED = "run.gates"
"""Key of a run's preflight (workflows/rolling_upgrade.py)."""
NEWER, STOPPED = "A new run of this cluster watches from now on", "An operator aborted"


def watch(wheel: Wheel, nodes: Sequence[str]) -> None:
    """Gates and guest groups until the time is over, an operator aborts, or a newer run of this cluster takes over.
    What is shut pages; what is shut beside it later pages again; what is still shut at the end pages once more."""
    run, site = wheel.run, wheel.site
    if not site.managed.limits.watch:
        return
    began = run.step("watch.began", site.clock)
    over = began + site.managed.limits.watch
    now, known, reasons = began, list[str](), list[str]()
    for n in count(1):
        seen = run.until(
            f"watch.look#{n}",
            partial(_look, wheel, nodes[0], known),
            max(over - now, 0.0),
            why="the end of the watch after the last node",
            who="time, or a new run of this cluster",
        )
        if seen is None:
            watched = site.managed.limits.watch
            run.say(
                "watch.over", partial(messages.watch_over, site.managed, watched, reasons, site.watchers is not None)
            )
            return
        if seen["end"]:
            run.say("watch.ended", partial(messages.watch_ended, seen["end"]))
            return
        now, known, reasons = seen["at"], seen["marks"], seen["reasons"]
        alarmed = _alarm(wheel, n, reasons)
        if reasons:
            trouble = messages.watch_alarm if alarmed else messages.watch_trouble
            run.say(f"watch.trouble#{n}", partial(trouble, site.managed, reasons, now - began))
        else:
            run.say(f"watch.better#{n}", messages.watch_good_again)


def take_over(wheel: Wheel) -> None:
    """What an earlier run left alarmed, because its watch ended or because it was aborted with gates still shut: all
    gates are open again, so it is over; what gets shut is this run's, and later its own watch's."""
    run, site = wheel.run, wheel.site
    if site.watchers is None:
        return

    def clear() -> None:
        rows = [row for row in site.store.firing(site.managed.name) if _left_behind(site.store, row.fingerprint)]
        clear_alerts(site.store, site.managed.name, [row.fingerprint for row in rows], site.clock())

    run.step("watch.takes-over", clear)


def _left_behind(store: Store, fingerprint: str) -> bool:
    if fingerprint.startswith(PREFIX):
        return True
    run = store.run(run_of(fingerprint))
    return run is not None and run.state != "active"


def still_alarmed(wheel: Wheel) -> list[str]:
    """What a run that ends here woke people for, and whose end it does not see. It stays an outage: it is true."""
    run, site = wheel.run, wheel.site
    if site.watchers is None:
        return []

    def firing() -> list[str]:
        rows = site.store.firing(site.managed.name)
        mine = [row.summary for row in rows if run_of(row.fingerprint) == run.id]
        return list(dict.fromkeys(mine))

    found: list[str] = run.step("run.alarmed", firing)
    return found


def _look(wheel: Wheel, node: str, known: Sequence[str], at: Look) -> Any:
    """A value when something changed: the watch ends, all is open again, or something new is shut, seen twice."""
    if end := _end(wheel):
        return {"end": end}
    reasons, seen = _reasons(wheel, node, at)
    marks = sorted(map(_mark, reasons))
    if bool(reasons) == bool(known) and set(marks) <= set(known):
        return Waiting("; ".join(reasons) or "all gates are open", seen)
    times = int((at.last or {}).get("times", 0)) + 1
    if times < TWICE:
        return Waiting("; ".join(reasons) or "all gates are open", {**seen, "times": times})
    return {"end": "", "reasons": reasons, "marks": marks, "at": at.now}


def _reasons(wheel: Wheel, node: str, at: Look) -> tuple[list[str], dict[str, Any]]:
    """What is shut, and what the next look must know of this one. What takes Gluster's lock is asked now and then, and
    when something seems to have changed; in between its last answer stands."""
    last = at.last or {}
    locked: list[str] = last.get("locked", [])
    checked = float(last.get("checked", 0.0))
    due = bool(last.get("times")) or not 0.0 <= at.now - checked < CHECKUP_EVERY_S
    moment = GatePhase.CHECKUP if due else GatePhase.WATCH
    reasons = judge_now(wheel.site, wheel.run.id, node, moment, OwnChanges(), None, "").reasons
    if due:
        locked, checked = [reason for reason in reasons if _mark(reason) in _only_checked()], at.now
        return reasons, {"watching": True, "locked": locked, "checked": checked}
    return [*reasons, *locked], {"watching": True, "locked": locked, "checked": checked}


def _only_checked() -> frozenset[str]:
    """The gates that a checkup asks and a plain look does not."""
    return frozenset(
        gate.name for gate in all_gates() if GatePhase.CHECKUP in gate.phases and GatePhase.WATCH not in gate.phases
    )


def _alarm(wheel: Wheel, n: int, reasons: Sequence[str]) -> bool:
    """What the watch sees is an outage, with this run linked, as long as it is seen. False: nobody is on call by the
    settings, and a page says so instead."""
    run, site = wheel.run, wheel.site
    if site.watchers is None:
        return False

    def tell() -> None:
        now, prefix = site.clock(), f"{PREFIX}{run.id}/"
        alerts = [Alert(prefix + _mark(r), "watch", f"after run {run.id}", r, "critical", now) for r in reasons]
        gone = [row.fingerprint for row in site.store.firing(site.managed.name) if row.fingerprint.startswith(prefix)]
        raise_alerts(site.store, site.managed, alerts, now)
        clear_alerts(site.store, site.managed.name, sorted(set(gone) - {a.fingerprint for a in alerts}), now)

    run.step(f"watch.alarm#{n}", tell)
    return True


def _mark(reason: str) -> str:
    """What makes trouble new: the gate; of guest groups the whole sentence: a second router may follow the first."""
    gate = reason.partition(":")[0]
    return reason if gate == "guest-groups" else gate


def _goes(wheel: Wheel, newer: RunRow) -> bool:
    """Its preflight is over. Until then it may be refused or aborted, and nobody would watch."""
    return any(entry.key == GATES_PASSED and entry.kind == "result" for entry in wheel.site.store.entries(newer.id))


def _end(wheel: Wheel) -> str:
    """Why the watch ends before its time, or ""."""
    rows = wheel.site.store.runs(cluster=wheel.site.managed.name, state="active", workflow=UPGRADE)
    mine = next((row for row in rows if row.id == wheel.run.id), None)
    if mine is not None and any(row.created_at > mine.created_at and _goes(wheel, row) for row in rows):
        return NEWER
    return STOPPED if wheel.ordered() is Order.ABORT else ""
