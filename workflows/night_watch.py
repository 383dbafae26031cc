"""One cluster, looked at from outside: when which probe is due, what its looks mean, and outages for what they show.

It makes no look itself and reads no clock: bot/probing.py drives it in real time, scenarios in virtual time (`step`).
Looks are timed by a clock that does not jump (`now`, seconds); what is written down, by the one on the wall (`wall`,
seconds since the epoch). In a scenario both are the same.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from math import inf

from cluster.detector import IDLE, Detector, Doing, Findings, Raised
from cluster.probes._common import Ok, Probe, Result, Unknown
from cluster.rounds import Rounds
from cluster.watchlist import watchlist
from store.api import Store
from workflows import messages_probes as messages
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.own_work import own_work
from workflows.settings import ManagedCluster

SOURCE = "probe"
STALLED_S = 2.0
"""A look that came back so much later than its time limit says something of the bot's machine, not of others."""
DOING_S = 1.0
"""What our runs do is read again for looks that fail, and before it is judged, but no more often."""
MOST_HIDDEN = 50
"""So many names of what an alert hides are kept."""
SETTLE_S = 1.0
"""While something waits for its parents or is down, it is judged at least so often."""

log = logging.getLogger(__name__)


def fingerprint(probe: str) -> str:
    return f"{SOURCE}:{probe}"


class NightWatch:
    """Not for several threads at a time, but for `doing` and `hand_over`, which only read and write the store.

    `share`: 0 to 1, another one for each cluster, so that not all of them look at the same moment.
    """

    def __init__(self, store: Store, managed: ManagedCluster, now: float, wall: float, share: float = 0.0) -> None:
        self._store, self.managed = store, managed
        self.probes = watchlist(managed)
        self.looks: Counter[tuple[str, str]] = Counter()
        """(kind, "ok", "failed" or "unknown") -> how many looks."""
        self._rounds = Rounds(self.probes, now, share)
        self._detector = Detector(self.probes, self._standing(now, wall), now)
        self._notes: dict[str, str] = {}
        self._ripe, self._settled = False, now
        self._doing, self._doing_at = IDLE, -DOING_S

    def _standing(self, now: float, wall: float) -> dict[str, float]:
        """What was raised before a restart. What is no longer looked at can never be well again: it is cleared."""
        known = {fingerprint(probe.name): probe.name for probe in self.probes}
        rows = [row for row in self._store.firing(self.managed.name) if row.source == SOURCE]
        if gone := [row.fingerprint for row in rows if row.fingerprint not in known]:
            clear_alerts(self._store, self.managed.name, gone, wall)
        return {known[row.fingerprint]: now - max(wall - row.began_at, 0.0) for row in rows if row.fingerprint in known}

    # when -----------------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Probe]:
        """To be looked at now. Each counts as out until `saw` is told of it."""
        return self._rounds.due(now)

    def next_at(self, now: float) -> float:
        """When there is something to do again."""
        if self._ripe:
            return now
        judged = self._settled + SETTLE_S if self._detector.restless else inf
        return min(self._rounds.next_at(), judged)

    # what it means --------------------------------------------------------------------------------------------

    def saw(self, probe: Probe, result: Result, began: float, now: float) -> None:
        """A look has come back; of one that failed, what our runs do is taken from the last `told`."""
        if now - began > probe.pace.timeout + STALLED_S:
            log.warning(
                "probes: a look at '%s' took %.1f s of this process, and does not count", probe.name, now - began
            )
        else:
            self.looks[probe.kind, _word(result)] += 1
            self._note(probe, result)
            self._ripe |= self._detector.saw(probe.name, result, began, now, self._doing)
        self._rounds.back(probe.name, self._sooner(probe, now))

    def _sooner(self, probe: Probe, now: float) -> float:
        """When to look at it again before its turn. What is looked at seldom may be dead for hours else."""
        hurries = probe.pace.doubt_every < probe.pace.every and self._detector.in_doubt(probe.name)
        return now + probe.pace.doubt_every if hurries else inf

    def _note(self, probe: Probe, result: Result) -> None:
        """Once, and again when it says something else: ten seconds later it would say the same."""
        note = result.note if isinstance(result, Ok) else ""
        if note and self._notes.get(probe.name) != note:
            log.warning("probes: '%s' is well, but %s", probe.name, note)
            self._notes[probe.name] = note

    def wants_doing(self, now: float) -> bool:
        """Whether `told` should come first, before a failed look is taken in or anything is judged."""
        return now - self._doing_at >= DOING_S

    def doing(self, wall: float) -> Doing:
        """What our runs take down themselves, read from the store."""
        return own_work(self._store, self.managed.name, wall)

    def told(self, doing: Doing, now: float) -> None:
        self._doing, self._doing_at = doing, now

    def ripe(self, now: float) -> bool:
        """Whether it is time to judge."""
        return self._ripe or (self._detector.restless and now - self._settled >= SETTLE_S)

    def judge(self, now: float) -> Findings:
        """By what was `told` last. Probes that must answer first are due at once afterwards."""
        self._ripe, self._settled = False, now
        findings = self._detector.judge(now, self._doing)
        self._rounds.at_once(self._detector.wanted())
        return findings

    def hand_over(self, findings: Findings, now: float, wall: float) -> None:
        """Into outages; one for each policy."""
        by_policy: dict[str, list[Alert]] = {}
        for raised in findings.raised:
            alert = _alert(raised, self._behind(raised), now, wall)
            by_policy.setdefault(raised.probe.pace.policy, []).append(alert)
        for alerts in by_policy.values():
            outage = raise_alerts(self._store, self.managed, alerts, wall)
            log.info("probes: outage '%s': %s", outage, "; ".join(f"{a.subject}: {a.summary}" for a in alerts))
        if findings.cleared:
            clear_alerts(self._store, self.managed.name, [fingerprint(name) for name in findings.cleared], wall)
            log.info("probes: well again in %s: %s", self.managed.name, ", ".join(findings.cleared))

    def _behind(self, raised: Raised) -> list[str]:
        """What it hides. That a node's own API goes with the node need not be said."""
        own = {probe.name for probe in self.probes if probe.node and probe.node == raised.probe.node}
        return [name for name in raised.hides if name not in own]

    def states(self) -> dict[str, str]:
        """Probe's name -> "up", "down", "hidden" or "unseen"."""
        return self._detector.states()

    # in virtual time ------------------------------------------------------------------------------------------

    def step(self, now: float, look: Callable[[Probe], Result]) -> None:
        """Everything that is due at this moment: looks, judgement, outages. A look takes no time."""
        while probes := self.due(now):
            results = [(probe, look(probe)) for probe in probes]
            if not all(isinstance(result, Ok) for _, result in results):
                self.told(self.doing(now), now)
            for probe, result in results:
                self.saw(probe, result, now, now)
            self._settle(now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        if not self.ripe(now):
            return
        self.told(self.doing(now), now)
        if findings := self.judge(now):
            self.hand_over(findings, now, now)


def _word(result: Result) -> str:
    return "ok" if isinstance(result, Ok) else "unknown" if isinstance(result, Unknown) else "failed"


def _alert(raised: Raised, hides: Sequence[str], now: float, wall: float) -> Alert:
    probe = raised.probe
    return Alert(
        fingerprint=fingerprint(probe.name),
        source=SOURCE,
        subject=probe.subject,
        summary=messages.seen(raised),
        severity=probe.pace.severity,
        began_at=wall - (now - raised.began),
        detail={
            "probe": probe.name,
            "kind": probe.kind,
            "target": probe.target,
            "hides": list(hides[:MOST_HIDDEN]),
        },
        policy=probe.pace.policy,
    )
