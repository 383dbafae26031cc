"""Tries the paths of one cluster every minute, in a thread of its own, and tells what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cluster.api import Cluster, ClusterError
from cluster.reach import sentences
from store.api import Store
from workflows.own_work import own_work
from workflows.path_watch import Died, take_in
from workflows.settings import ManagedCluster

EVERY_S = 60.0
AGAIN_S = 10.0
"""While a node is down for us, and paths to it with it: the next node waits until it is seen that they are back."""
LEAST_REST_S = 5.0

log = logging.getLogger(__name__)


class PathWatch:
    """`step` makes one round and returns the seconds to rest. `clock`: seconds since the epoch, UTC. `watched`:
    somebody is on call. `told`: called when there is something to say."""

    def __init__(
        self,
        store: Store,
        managed: ManagedCluster,
        cluster: Cluster,
        clock: Callable[[], float],
        watched: bool,
        told: Callable[[], None],
    ) -> None:
        self._store, self._managed, self._cluster, self._clock = store, managed, cluster, clock
        self._watched, self._told = watched, told

    def step(self) -> float:
        began = self._clock()
        ways = self._cluster.test_paths()
        try:
            guests = self._cluster.guests()
        except ClusterError:
            guests = ()  # then the sentences name guests by their ids only where they are known
        said = sentences(self._managed, ways, guests)
        knife = own_work(self._store, self._managed.name, self._clock()).nodes
        for news in take_in(self._store, self._managed, ways, said, knife, self._clock(), self._watched):
            word = "live -> dead" if isinstance(news, Died) else "dead -> live"
            self._told()
            log.warning("paths: path '%s' of '%s': %s", news.path, self._managed.name, word)
        dead = any(not test.alive for test in ways.tests)
        every = AGAIN_S if knife and dead else EVERY_S
        return max(every - max(self._clock() - began, 0.0), LEAST_REST_S)
