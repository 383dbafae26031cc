"""A small world to look at: what is dead is dead, whatever can only be reached through it does not answer either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.detector import IDLE, Detector, Doing, Raised
from cluster.probe_settings import Pace
from cluster.probes._common import Failed, Ok, Probe, Result
from cluster.rounds import Rounds

EVERY = 10.0
PACE = Pace(every=EVERY, timeout=3.0, fails=3, of=5, recover=2)


def probe(name: str, *parents: str, pace: Pace = PACE, node: str = "", guest: int = 0, storage: bool = False) -> Probe:
    return Probe(name, "tcp", f"{name}:1", pace, name, parents=parents, node=node, guest=guest, storage=storage)


class Sky:
    """`dead`: what is down by itself. `heard`: what somebody else says of it, over another way. `fired`: what is raised
    now. `raised`: all that ever was, in order."""

    def __init__(self, *probes: Probe, standing: Mapping[str, float] | None = None, start: float = 0.0) -> None:
        self.probes = {probe.name: probe for probe in probes}
        self.dead: set[str] = set()
        self.heard: dict[str, str] = {}
        self.doing: Doing = IDLE
        self.now = start
        self.fired: dict[str, Raised] = {}
        self.raised: list[Raised] = []
        self.looks: list[tuple[float, str]] = []
        self.rounds = Rounds(probes, start)
        self.detector = Detector(probes, standing or {}, start)

    def reachable(self, name: str) -> bool:
        parents = self.probes[name].parents
        return name not in self.dead and (not parents or any(map(self.reachable, parents)))

    def look(self, name: str) -> Result:
        if name in self.heard:
            return Failed(self.heard[name], heard=True)
        return Ok() if self.reachable(name) else Failed(f"{name} does not answer")

    def passes(self, seconds: float) -> Sky:
        end = self.now + seconds
        while (upcoming := max(self.rounds.next_at(), self.now)) <= end:
            self.now = upcoming
            self._step()
        self.now = end
        self._step()
        return self

    def _step(self) -> None:
        while probes := self.rounds.due(self.now):
            for one in probes:
                self.looks.append((self.now, one.name))
                self.detector.saw(one.name, self.look(one.name), self.now, self.now, self.doing)
                self.rounds.back(one.name)
            self._judge()
        self._judge()

    def _judge(self) -> None:
        findings = self.detector.judge(self.now, self.doing)
        for raised in findings.raised:
            self.raised.append(raised)
            self.fired[raised.probe.name] = raised
        for name in findings.cleared:
            del self.fired[name]
        self.rounds.at_once(self.detector.wanted())

    def roots(self) -> set[str]:
        """What should be told: dead by itself, and reached by at least one living way."""
        return {
            name
            for name, one in self.probes.items()
            if name in self.dead and (not one.parents or any(map(self.reachable, one.parents)))
        }

    def kill(self, *names: str) -> Sky:
        self.dead |= set(names)
        return self

    def mend(self, *names: str) -> Sky:
        self.dead -= set(names)
        return self

    def names(self) -> set[str]:
        return set(self.fired)


def feed(detector: Detector, name: str, results: Iterable[Result], every: float = EVERY) -> list[str]:
    """Looks one after the other; what was raised ("+name") and cleared ("-name"), in order."""
    told = []
    for place, result in enumerate(results):
        now = place * every
        detector.saw(name, result, now, now)
        findings = detector.judge(now)
        told += [f"+{raised.probe.name}" for raised in findings.raised] + [f"-{gone}" for gone in findings.cleared]
    return told
