"""The ways in to a model cluster: which of them live, what a call costs that meets a dead one, what tests of them say.

The choice itself is the bot's own (cluster/routes.py). A path that goes through guests lives while one of them does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from cluster.api import Unreachable
from cluster.facts import PathDrill, PathTest, WaysIn
from cluster.kin import Nets, dependences, hosts_of, outside
from cluster.routes import Face, Routes
from cluster.settings import ClusterSettings, PathSettings
from sandbox.faults import Kind
from sandbox.model import Model

LATENCY_S = 0.02
"""Of the first path; each further one takes that much longer."""
NO_ANSWER = "it says nothing"


def lives(model: Model, now: float, path: PathSettings, node: str = "") -> bool:
    """Whether the path carries anything (to this node)."""
    model.core.advance(now)
    trouble = model.trouble
    if trouble.has(Kind.PATH_CUT, path.name) or (node and trouble.has(Kind.PATH_CUT, f"{path.name} {node}")):
        return False
    through = [model.guests.get(guest) for guest in path.guests if guest in model.guests.all]
    return not through or any(vm.healthy for vm in through)


class SimPaths:
    """`clock` gives seconds since the epoch; `sleep` lets them pass."""

    def __init__(
        self, model: Model, settings: ClusterSettings, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._model, self._settings, self._clock, self._sleep = model, settings, clock, sleep
        self._ways = {path.name: path for path in settings.ways}
        self.routes = Routes(list(self._ways), settings.paths_back_after)
        self._answered: dict[tuple[str, str], float] = {}
        self._calm = -1
        self._tried, self._said = -1, dict[tuple[str, str], tuple[str, str, float]]()

    def take(self) -> None:
        """A call goes out: time passes for every dead path that is tried first. Raises Unreachable when none lives."""
        now = self._clock()
        self._model.advance(now)
        if self._calm == self._model.version:
            return
        dead = {name for name, path in self._ways.items() if not lives(self._model, now, path)}
        if not dead and not self.routes.detours():
            self._calm = self._model.version  # until something changes, every call takes the first path and no time
            return
        silent = 0.0
        reached = False
        for node in self._settings.nodes:
            bad: list[str] = []
            for way in self.routes.order(node, Face.SSH):
                if way not in dead:
                    self.routes.used(node, Face.SSH, way, bad, now)
                    reached = True
                    break
                bad.append(way)
            silent = max(silent, sum(self._ways[way].silence for way in bad))
        self._sleep(silent)
        if not reached:
            raise Unreachable(f"No path to {self._settings.name} lives: {', '.join(self._ways)} say nothing")

    def alive(self) -> int:
        """How many paths carry something now."""
        now = self._clock()
        return sum(lives(self._model, now, path) for path in self._ways.values())

    def ways(self) -> WaysIn:
        return WaysIn(self.tests(), self._depends, self.routes.detours())

    def tests(self) -> tuple[PathTest, ...]:
        now = self._clock()
        self._model.advance(now)
        if self._tried != self._model.version:
            places = [(path, node) for path in self._ways.values() for node in self._settings.nodes]
            self._said = {(path.name, node): self._try(now, path, node) for path, node in places}
            self._tried = self._model.version
        found = tuple(self._test(now, path, node, *said) for (path, node), said in self._said.items())
        for node in self._settings.nodes:
            good = [test.path for test in found if test.node == node and test.alive]
            bad = [test.path for test in found if test.node == node and not test.alive]
            for face in Face:
                self.routes.told(node, face, good, bad, now)
        return found

    def drill(self) -> PathDrill:
        first, *others = self._ways
        tests = {(test.path, test.node): test for test in self.tests()}
        alone = tuple(tests[way, node] for way in others for node in self._settings.nodes)
        usual = {node: self._best([test for test in alone if test.node == node]) for node in self._settings.nodes}
        return PathDrill(first, usual, alone)

    @staticmethod
    def _best(tests: list[PathTest]) -> tuple[str, float]:
        for test in tests:
            if test.alive:
                return "", test.latency
        return "; ".join(test.why for test in tests) or "there is no other path", 0.0

    def _try(self, now: float, path: PathSettings, node: str) -> tuple[str, str, float]:
        """Why ssh and the API do not answer, and how long an answer takes."""
        carried = lives(self._model, now, path, node)
        where = f"{node} over {path.name}"
        ssh = "" if carried and self._model.ssh_answers(now, node) else f"{where}: {NO_ANSWER}"
        api = "" if carried and self._model.api_answers(now, node) else f"the API of {where}: {NO_ANSWER}"
        slow = self._model.trouble.has(Kind.PATH_SLOW, path.name)
        return ssh, api, LATENCY_S * (1 + list(self._ways).index(path.name)) + (slow.amount if slow else 0.0)

    def _test(self, now: float, path: str, node: str, ssh: str, api: str, latency: float) -> PathTest:
        if not ssh and not api:
            self._answered[path, node] = now
        return PathTest(path, node, now, ssh, api, latency, self._answered.get((path, node)))

    @cached_property
    def _depends(self) -> Mapping[str, Mapping[int | str, str]]:
        nets = [Nets(g.id, addresses=frozenset({g.address})) for g in self._model.spec.guests if g.address]
        hosts = {host: outside([host]) for path in self._settings.ways for host in hosts_of(path)}
        return dependences(self._settings, nets, hosts)
