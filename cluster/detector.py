"""From looks to outages. Pure: looks come in with their time, findings come out.

- A probe is down when `fails` of its last `of` looks failed, and up again after `recover` good ones in a row; one that
  goes up and down again and again must stay up for longer each time, so that it remains one alert.
- A probe that is reached through others (its parents) is raised only when one of them answers a look that was made for
  this very question; so it does not matter who failed first. When all of them are down it is hidden, and told with
  them. A parent whose child is down already needs no more than one failed look. What was heard of itself (a guest that
  the cluster says is stopped, over whichever way in still lives) is raised whatever its parents do.
- What a run of ours takes down itself is not counted. Neither are looks at what is hidden: whatever is still down when
  its parent is back, or when the run has put it back, is counted anew and raised then.

Time is in seconds of a clock that does not jump.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cluster.probes._common import Failed, Ok, Probe, Result, Unknown

FLAPS_S = 3600.0
"""Alerts of the same probe within this time are one that flaps."""
CALM_S, CALM_MOST_S = 300.0, 1800.0
"""The second alert within that time ends after so long without a failed look; each further one takes twice as long."""
MOST_FLAPS = 16
ASKED_S = 5.0
"""Beyond its own time limit: a parent that gives no answer for longer cannot hide its child."""
LOOK_OVER_S = 1.0
"""All that waits for its parents is looked over so often, for parents that never answer."""
REPEAT_S = 1800.0
"""What is still down is told again so often: somebody may have taken it for mended."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What runs of ours take down themselves just now: nodes, guests (stopped, on the move), a copy of the storage."""

    nodes: frozenset[str] = frozenset()
    guests: frozenset[int] = frozenset()
    storage: bool = False

    def excuses(self, probe: Probe) -> bool:
        return probe.node in self.nodes or probe.guest in self.guests or (self.storage and probe.storage)


IDLE = Doing()


@dataclass(frozen=True, slots=True)
class Raised:
    """A probe that is down. `began`: its first failed look. `unknown`: nobody could tell how it is. `hides`: probes
    that are not judged meanwhile, for they are reached through it. `flaps`: alerts of it within FLAPS_S, with this."""

    probe: Probe
    began: float
    why: str
    unknown: bool
    hides: tuple[str, ...]
    flaps: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What changed: alerts to raise (or to tell again), and names of probes that are well again."""

    raised: tuple[Raised, ...] = ()
    cleared: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.raised or self.cleared)


@dataclass(slots=True, eq=False)
class _Watched:
    """`window`: the last looks as bits, 1 for a failed one. `good`: good looks in a row, since `good_since`."""

    probe: Probe
    mask: int
    window: int = 0
    good: int = 0
    good_since: float = 0.0
    began: float = 0.0
    looked: float = -1.0
    failed: bool = False
    heard: bool = False
    why: str = ""
    unknown: bool = False
    down: bool = False
    hidden: bool = False
    told_at: float | None = None
    asked_at: float | None = None
    raises: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_FLAPS))

    def forget(self) -> None:
        """Count anew."""
        self.window, self.down, self.hidden, self.asked_at = 0, False, False, None


class _Answer(Enum):
    UP = "up"
    DOWN = "down"
    OURS = "taken down by us"
    ASKED = "being asked"


class Detector:
    """`standing`: what was raised before a restart, probe's name -> when it began."""

    def __init__(self, probes: Sequence[Probe], standing: Mapping[str, float], now: float) -> None:
        self._all = {probe.name: _Watched(probe, (1 << probe.pace.of) - 1) for probe in probes}
        self._children: dict[str, list[_Watched]] = {name: [] for name in self._all}
        for watched in self._all.values():
            for parent in watched.probe.parents:
                self._children[parent].append(watched)
        self._pending: dict[str, _Watched] = {}  # down, and neither raised nor hidden yet
        self._ripe: dict[str, None] = {}  # of these, the ones that the next judgement decides
        self._asked: dict[str, set[str]] = {}  # parent that is to answer -> its children that wait for it
        self._told: dict[str, _Watched] = {}
        self._cleared: list[str] = []
        self._wanted: dict[str, None] = {}
        self._looked_over = now
        for name, began in standing.items():
            self._stands(self._all[name], began, now)

    def _stands(self, watched: _Watched, began: float, now: float) -> None:
        watched.down, watched.failed, watched.began, watched.told_at = True, True, began, now
        watched.raises.append(began)
        self._told[watched.probe.name] = watched

    # looks ----------------------------------------------------------------------------------------------------

    def saw(self, name: str, result: Result, began: float, now: float, doing: Doing = IDLE) -> bool:
        """A look that began at `began` has answered. True if it is time to judge."""
        watched = self._all[name]
        watched.looked, watched.failed = began, not isinstance(result, Ok)
        watched.heard = isinstance(result, Failed) and result.heard
        if isinstance(result, Ok):
            self._good(watched, began, now)
        else:
            self._relapses(watched, now)
            watched.good, watched.why, watched.unknown = 0, result.why, isinstance(result, Unknown)
            if doing.excuses(watched.probe) and watched.told_at is None:
                self._forget(watched)
            elif not watched.hidden or watched.heard:
                watched.hidden = False
                self._bad(watched, began)
        self._ripe |= dict.fromkeys(self._asked.pop(name, ()))
        return bool(self._ripe or self._cleared)

    def in_doubt(self, name: str) -> bool:
        """Whether the last looks speak against what it is taken for, and it is not decided yet."""
        watched = self._all[name]
        return watched.good > 0 if watched.down or watched.hidden else watched.window > 0

    def _good(self, watched: _Watched, began: float, now: float) -> None:
        watched.good_since = watched.good_since if watched.good else began
        watched.good += 1
        watched.window = (watched.window << 1) & watched.mask
        enough = watched.good >= watched.probe.pace.recover and self._calm(watched, now)
        if enough and (watched.down or watched.hidden):
            self._up(watched)

    def _bad(self, watched: _Watched, began: float) -> None:
        if not watched.window and not watched.down:
            watched.began = began
        watched.window = (watched.window << 1 | 1) & watched.mask
        if not watched.down and watched.window.bit_count() >= watched.probe.pace.fails:
            self._goes_down(watched)

    def _relapses(self, watched: _Watched, now: float) -> None:
        """It was well for so long that it would be an alert of its own, were it not held together with the last one."""
        if watched.told_at is not None and watched.good >= watched.probe.pace.recover:
            watched.raises.append(now)

    def _goes_down(self, watched: _Watched) -> None:
        watched.down = True
        self._pending[watched.probe.name] = watched
        self._ripe[watched.probe.name] = None

    def _calm(self, watched: _Watched, now: float) -> bool:
        flaps = self._flaps(watched, now)
        if watched.told_at is None or flaps < 2:
            return True
        return now - watched.good_since >= min(CALM_S * 2.0 ** (flaps - 2), CALM_MOST_S)

    def _flaps(self, watched: _Watched, now: float) -> int:
        while len(watched.raises) > 1 and now - watched.raises[0] > FLAPS_S:
            watched.raises.popleft()
        return len(watched.raises)

    def _up(self, watched: _Watched) -> None:
        if watched.told_at is not None:
            watched.told_at = None
            del self._told[watched.probe.name]
            self._cleared.append(watched.probe.name)
        self._forget(watched)

    def _forget(self, watched: _Watched) -> None:
        """Count anew; and what it hid is judged by itself from now on."""
        watched.forget()
        self._pending.pop(watched.probe.name, None)
        for child in self._children[watched.probe.name]:
            if child.hidden:
                self._forget(child)

    # judging --------------------------------------------------------------------------------------------------

    def judge(self, now: float, doing: Doing = IDLE) -> Findings:
        """What changed since. Afterwards `wanted` names the probes that must be looked at, at once."""
        if now - self._looked_over >= LOOK_OVER_S:
            self._looked_over = now
            self._ripe |= dict.fromkeys(self._pending)
        raised: list[Raised] = []
        while self._ripe:  # a parent that turns out to be down is itself judged by its own parents
            ripe, self._ripe = self._ripe, {}
            for name in ripe:
                if name in self._pending:
                    raised += self._decide(self._pending[name], now, doing)
        raised += [self._raise(watched, now) for watched in self._told.values() if self._old(watched, now)]
        cleared, self._cleared = tuple(self._cleared), []
        return Findings(tuple(raised), cleared)

    def _old(self, watched: _Watched, now: float) -> bool:
        return watched.told_at is not None and now - watched.told_at >= REPEAT_S

    def _decide(self, watched: _Watched, now: float, doing: Doing) -> list[Raised]:
        if doing.excuses(watched.probe):
            self._forget(watched)
            return []
        if watched.heard:
            return [self._first_raise(watched, now)]
        if watched.asked_at is None:
            watched.asked_at = now
        parents = [self._all[name] for name in watched.probe.parents]
        answers = [self._answer(watched.asked_at, parent, now, doing) for parent in parents]
        if not parents or _Answer.UP in answers:
            return [self._first_raise(watched, now)]
        if _Answer.ASKED in answers:
            self._ask([p for p, answer in zip(parents, answers, strict=True) if answer is _Answer.ASKED], watched)
        elif _Answer.OURS in answers:
            self._forget(watched)
        else:
            self._hide(watched, parents)
        return []

    def _answer(self, asked_at: float, parent: _Watched, now: float, doing: Doing) -> _Answer:
        """What is known of a parent since its child asked."""
        if parent.down or parent.hidden:
            return _Answer.DOWN
        if parent.looked >= asked_at:
            if not parent.failed:
                return _Answer.UP
            return _Answer.OURS if doing.excuses(parent.probe) else _Answer.DOWN
        return _Answer.UP if now - asked_at > parent.probe.pace.timeout + ASKED_S else _Answer.ASKED

    def _ask(self, parents: Iterable[_Watched], child: _Watched) -> None:
        for parent in parents:
            waiting = self._asked.setdefault(parent.probe.name, set())
            if not waiting:
                self._wanted[parent.probe.name] = None
            waiting.add(child.probe.name)

    def _hide(self, watched: _Watched, parents: Iterable[_Watched]) -> None:
        """One failed look is enough for a parent whose child has failed as often as it takes."""
        del self._pending[watched.probe.name]
        watched.forget()
        watched.hidden = True
        for parent in parents:
            if not parent.down and not parent.hidden:
                self._goes_down(parent)

    def _first_raise(self, watched: _Watched, now: float) -> Raised:
        del self._pending[watched.probe.name]
        watched.raises.append(now)
        self._told[watched.probe.name] = watched
        return self._raise(watched, now)

    def _raise(self, watched: _Watched, now: float) -> Raised:
        watched.told_at, watched.asked_at = now, None
        flaps = self._flaps(watched, now)
        return Raised(watched.probe, watched.began, watched.why, watched.unknown, self._hides(watched), flaps)

    def _hides(self, watched: _Watched) -> tuple[str, ...]:
        """All that can be reached through it alone, or through others that are down too."""
        found: dict[str, None] = {}
        ways = [watched]
        while ways:
            for child in self._children[ways.pop().probe.name]:
                name = child.probe.name
                if name not in found and not child.heard and child.told_at is None and self._cut_off(child, found):
                    found[name] = None
                    ways.append(child)
        return tuple(found)

    def _cut_off(self, child: _Watched, found: Mapping[str, None]) -> bool:
        parents = (self._all[name] for name in child.probe.parents)
        return all(parent.down or parent.hidden or parent.probe.name in found for parent in parents)

    def wanted(self) -> tuple[str, ...]:
        """Probes to look at, at once; asked for once."""
        names, self._wanted = tuple(self._wanted), {}
        return names

    # for those who show it ------------------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """Probe's name -> "up", "down", "hidden" or "unseen"."""
        return {name: _state(watched) for name, watched in self._all.items()}

    @property
    def restless(self) -> bool:
        """Something is to be judged even if no look comes in: parents are being asked, or alerts told again."""
        return bool(self._pending or self._told)


def _state(watched: _Watched) -> str:
    if watched.hidden:
        return "hidden"
    if watched.down:
        return "down"
    return "up" if watched.looked >= 0 or watched.good else "unseen"
