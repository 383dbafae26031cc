"""The ways in to one cluster's nodes: made from the settings, taken in order, all of them tried again and again.

A call goes over the first way that lives. What fails before anything was sent goes on to the next one, whatever it is.
What breaks afterwards goes on only if twice does no harm: reads, and the node helper's orders that guard themselves by
boot id, deadline or unit name. Anything else is *uncertain*, and its caller asks the world.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cluster.api import ClusterError, Refused, Uncertain, Unreachable
from cluster.facts import PathDrill, PathTest
from cluster.lines import dialer_of
from cluster.login import Stranger
from cluster.routes import Face, Routes
from cluster.settings import ClusterSettings
from cluster.ssh import LIMIT_BYTES, Done, LineLost, SshNode

if TYPE_CHECKING:
    from cluster.proxmox import Proxmox

WORKERS = 32
TEST_S = 20.0  # for one command or question of a test
NEVER = "roundsman-path-test"
"""A unit that nobody ever starts: asking for it runs the helper, and costs the node next to nothing."""


class Shell(Protocol):
    """Runs commands on one node. `twice`: the same command may be sent again where it is not known whether it ran."""

    @property
    def name(self) -> str: ...

    def run(
        self,
        argv: Sequence[str],
        timeout: float,
        limit_bytes: int = LIMIT_BYTES,
        stdin: bytes = b"",
        *,
        twice: bool = False,
    ) -> Done: ...


class Paths:
    """`ways` in the order of the settings. Connections are kept; `close` breaks them all."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.ways = {path.name: dialer_of(path, settings) for path in settings.ways}
        self.routes = Routes(list(self.ways), settings.paths_back_after)
        alone = len(self.ways) == 1
        self._lines = {
            node: {
                name: SshNode(node, place, settings.ssh, way, "" if alone else name) for name, way in self.ways.items()
            }
            for node, place in settings.nodes.items()
        }
        self.shells: Mapping[str, Shell] = {
            node: ManyWays(node, lines, self.routes) for node, lines in self._lines.items()
        }

    def line(self, node: str, way: str) -> SshNode:
        """One way alone."""
        return self._lines[node][way]

    def close(self) -> None:
        for lines in self._lines.values():
            for line in lines.values():
                line.close()
        for way in self.ways.values():
            way.close()


class ManyWays:
    """One node over SSH, by whichever way lives."""

    def __init__(self, name: str, lines: Mapping[str, SshNode], routes: Routes) -> None:
        self.name = name
        self._lines, self._routes = lines, routes

    def run(
        self,
        argv: Sequence[str],
        timeout: float,
        limit_bytes: int = LIMIT_BYTES,
        stdin: bytes = b"",
        *,
        twice: bool = False,
    ) -> Done:
        """`timeout` is each way's own. Raises as SshNode does; Uncertain as soon as one way may have carried it."""
        errors: dict[str, ClusterError] = {}
        for way in self._routes.order(self.name, Face.SSH):
            try:
                done = self._lines[way].run(argv, timeout, limit_bytes, stdin)
            except (LineLost, Unreachable, Stranger) as error:
                errors[way] = error
                if isinstance(error, LineLost) and not twice:
                    break
            except ClusterError as error:
                errors[way] = error
                break
            else:
                self._routes.used(self.name, Face.SSH, way, errors, time.monotonic())
                return Done(done.rc, done.out, done.err, _doubt(errors))
        else:
            self._routes.told(self.name, Face.SSH, [], errors, time.monotonic())
        raise all_failed(errors)


def _doubt(errors: Mapping[str, ClusterError]) -> str:
    return "; ".join(str(error) for error in errors.values() if isinstance(error, Uncertain))


def all_failed(errors: Mapping[str, ClusterError]) -> ClusterError:
    """What is said when no way brought an answer: uncertain as soon as one of them may have carried the request."""
    found = list(errors.values())
    if len(found) == 1:
        return found[0]
    if not found:
        return Unreachable("every path is cut for a drill")
    kinds = (Uncertain, Unreachable, Refused)
    kind = next(kind for kind in kinds if any(isinstance(error, kind) for error in found))
    text = "; ".join(dict.fromkeys(str(error) for error in found))
    return kind(text, next((error.hint for error in found if error.hint), ""))


# ---- trying them all -----------------------------------------------------------------------------------------------


class PathTests:
    """Tries every path to every node for what it is needed for: the helper runs, the API answers. `clock` stamps the
    results (seconds since the epoch, UTC)."""

    def __init__(self, settings: ClusterSettings, paths: Paths, api: Proxmox, clock: Callable[[], float]) -> None:
        self._settings, self._paths, self._api, self._clock = settings, paths, api, clock
        self._argv = [*shlex.split(settings.ssh.helper), "unit", NEVER]
        self._timeout = min(settings.ssh.timeout, TEST_S)
        self._workers = ThreadPoolExecutor(WORKERS, f"{settings.name}-paths")
        self._latest: dict[tuple[str, str], PathTest] = {}
        self._running = threading.Lock()
        self._ended = float("-inf")

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    def latest(self, max_age: float) -> tuple[PathTest, ...]:
        """The last round if it is not older than that many seconds, else a new one."""
        if time.monotonic() - self._ended > max_age:
            return self.run()
        return tuple(self._latest.values())

    def run(self) -> tuple[PathTest, ...]:
        """One round; whoever asks while one is going on gets that one's results."""
        asked = time.monotonic()
        with self._running:
            if self._ended < asked:
                self._round()
            return tuple(self._latest.values())

    def _round(self) -> None:
        pairs = [(way, node) for way in self._paths.ways for node in self._settings.nodes]
        answers = {
            (way, node): {
                Face.SSH: self._workers.submit(timed, self._ssh, way, node),
                Face.API: self._workers.submit(timed, self._ask_api, way, node),
            }
            for way, node in pairs
        }
        at = self._clock()
        tested = {pair: {face: answer.result() for face, answer in both.items()} for pair, both in answers.items()}
        for pair, both in tested.items():
            before = self._latest.get(pair)
            self._latest[pair] = _test(*pair, both, at, before.answered_at if before else None)
        for node in self._settings.nodes:
            for face in Face:
                good = [way for way in self._paths.ways if not tested[way, node][face].why]
                bad = [way for way in self._paths.ways if way not in good]
                self._paths.routes.told(node, face, good, bad, time.monotonic())
        self._ended = time.monotonic()

    def drill(self) -> PathDrill:
        """With the first path cut for the bot alone: what calls do then, and each other path by itself. The only path
        is not cut: runs may need it just now."""
        first, *others = self._paths.ways
        if not others:
            return PathDrill(first, {}, ())
        self._paths.routes.cut([first])
        try:
            usual = {node: self._workers.submit(self._usual, node) for node in self._settings.nodes}
            alone = [self._workers.submit(self.one, way, node) for way in others for node in self._settings.nodes]
            return PathDrill(
                first,
                {node: answer.result() for node, answer in usual.items()},
                tuple(answer.result() for answer in alone),
            )
        finally:
            self._paths.routes.cut([])

    def _usual(self, node: str) -> tuple[str, float]:
        """A command and a question to the API as every call goes: over whichever path lives."""

        def ask(_: str, node: str) -> None:
            self._judged(node, self._paths.shells[node].run(self._argv, self._timeout, twice=True))
            self._api.ask(node, "get", "version")

        found = timed(ask, "", node)
        return found.why, found.took

    def one(self, way: str, node: str) -> PathTest:
        """One path to one node, now; kept nowhere."""
        both = {Face.SSH: timed(self._ssh, way, node), Face.API: timed(self._ask_api, way, node)}
        return _test(way, node, both, self._clock(), None)

    def _ssh(self, way: str, node: str) -> None:
        self._judged(node, self._paths.line(node, way).run(self._argv, self._timeout))

    def _judged(self, node: str, done: Done) -> None:
        """Any JSON is an answer: an older helper may know other words, but it ran."""
        if not done.out.startswith(b"{"):
            said = (done.err or done.out).decode(errors="replace").strip().rpartition("\n")[2][:200]
            raise Refused(f"{node}: the node helper does not run ({said or f'exit code {done.rc}'})")

    def _ask_api(self, way: str, node: str) -> None:
        self._api.once(node, way, "get", "version", {}, min(self._settings.api.timeout, TEST_S))


class Timed(NamedTuple):
    """`why` it did not work, or ""; what to do about it; the seconds that it took."""

    why: str
    hint: str
    took: float


def timed(ask: Callable[[str, str], None], way: str, node: str) -> Timed:
    began = time.monotonic()
    try:
        ask(way, node)
    except ClusterError as error:
        return Timed(str(error), error.hint, time.monotonic() - began)
    return Timed("", "", time.monotonic() - began)


def _test(way: str, node: str, both: Mapping[Face, Timed], at: float, answered_at: float | None) -> PathTest:
    ssh, api = both[Face.SSH], both[Face.API]
    answered = answered_at if ssh.why or api.why else at
    return PathTest(way, node, at, ssh.why, api.why, max(ssh.took, api.took), answered, ssh.hint or api.hint)
