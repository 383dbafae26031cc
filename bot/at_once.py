"""What a machine tells at once, for an answer in Slack that waits for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from cluster.api import Cluster, ClusterError
from cluster.facts import Guest

AT_ONCE_S = 0.5
WORKERS = 2
"""A cluster that is silent holds one for as long as its adapter waits; who finds none free does without."""


class AtOnce:
    """`clusters` by name."""

    def __init__(self, clusters: Mapping[str, Cluster]) -> None:
        self._clusters, self._askers = clusters, ThreadPoolExecutor(WORKERS, "at-once")

    def guests(self, cluster: str) -> Sequence[Guest] | None:
        """None: not known in time."""
        asked = self._askers.submit(self._clusters[cluster].guests)
        try:
            return asked.result(AT_ONCE_S)
        except (TimeoutError, ClusterError):
            asked.cancel()
            return None

    def stop(self) -> None:
        self._askers.shutdown(wait=False, cancel_futures=True)
