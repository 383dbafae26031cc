"""When each probe is looked at: spread over its interval, always at the same places of it, and in between when it is
wanted; never twice at a time.

Pure: time is given, in seconds of any clock that does not jump.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from math import ceil, inf

from cluster.probes._common import Probe


class Rounds:
    """A probe that is out on a look is not sent again; what it missed meanwhile is left out, not made up for.

    `share`: 0 to 1, another one for each cluster, so that not all of them look at the same moment.
    """

    def __init__(self, probes: Sequence[Probe], now: float, share: float = 0.0) -> None:
        self._probes = {probe.name: probe for probe in probes}
        count = max(len(probes), 1)
        self._due = [
            (now + probe.pace.every * (place + share) / count, probe.name) for place, probe in enumerate(probes)
        ]
        heapq.heapify(self._due)
        self._out: set[str] = set()
        self._again: set[str] = set()
        self._wanted: dict[str, float] = {}

    def due(self, now: float) -> list[Probe]:
        """Those to look at now; each counts as out until `back`."""
        chosen = [name for name, at in self._wanted.items() if at <= now]
        while self._due and self._due[0][0] <= now:
            planned, name = heapq.heappop(self._due)
            every = self._probes[name].pace.every
            missed = ceil((now - planned) / every) if now - planned > every else 0
            heapq.heappush(self._due, (planned + every * max(missed, 1), name))
            if name not in self._out:
                chosen.append(name)
        names = dict.fromkeys(chosen)
        self._out |= names.keys()
        for name in names:
            self._wanted.pop(name, None)
        return [self._probes[name] for name in names]

    def back(self, name: str, sooner: float = inf) -> None:
        """`sooner`: look again then, if its turn does not come before."""
        self._out.discard(name)
        wanted = -inf if name in self._again else sooner
        self._again.discard(name)
        if wanted < inf:
            self._wanted[name] = wanted

    def at_once(self, names: Iterable[str]) -> None:
        """Look at these without waiting for their turn; at those that are out as soon as they are back."""
        for name in names:
            if name in self._out:
                self._again.add(name)
            else:
                self._wanted[name] = -inf

    def next_at(self) -> float:
        """When `due` has something again; -inf for at once."""
        return min([self._due[0][0] if self._due else inf, *self._wanted.values()])
