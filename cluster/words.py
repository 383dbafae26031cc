"""The helpers' word on their nodes, asked at most once in a survey, however many topics need it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from threading import Lock

from cluster.api import Unreachable
from cluster.facts import NodeStatus, Read, Reading, Unread
from cluster.helper import Helper, Votes, Word, votes_in
from cluster.reading import reading


class Words:
    """Of one survey. `began`: seconds since the epoch, UTC; nothing in it is older. Safe for several threads."""

    def __init__(self, helpers: Mapping[str, Helper], clock: Callable[[], float], workers: Executor) -> None:
        self._helpers, self._clock, self._workers = helpers, clock, workers
        self._asked: dict[str, Future[Reading[Word]]] = {}
        self._lock = Lock()
        self.began = clock()

    def ask(self, nodes: Iterable[str]) -> list[str]:
        """All of these nodes at the same time, without waiting for an answer."""
        with self._lock:
            for node in (names := list(nodes)):
                if node not in self._asked:
                    self._asked[node] = self._workers.submit(reading, self._clock, self._helpers[node].word)
        return names

    def status(self, node: str) -> Reading[NodeStatus]:
        word = self._of(node)
        return word if isinstance(word, Unread) else Read(word.value.status, word.at)

    def votes(self, nodes: Iterable[str]) -> Votes:
        """As the first of these nodes sees them that answers. Raises Refused, Unreachable."""
        silent: list[str] = []
        for node in nodes:
            word = self._of(node)
            if isinstance(word, Unread):
                silent.append(word.why)
            else:
                return votes_in(word.value)
        raise Unreachable("; ".join(dict.fromkeys(silent)))

    def _of(self, node: str) -> Reading[Word]:
        self.ask([node])
        return self._asked[node].result()
