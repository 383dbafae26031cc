"""The live cluster: `cluster.api.Cluster` over the PVE API, SSH and the node helper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from cluster.api import NOT_AFTER_S, ClusterError, TaskRef, TaskState, UnitState
from cluster.ceph import CephApi
from cluster.facts import (
    Guest,
    HealProgress,
    Machines,
    Move,
    NodeStatus,
    PathDrill,
    PathTest,
    Read,
    ReplicationJob,
    Serving,
    Topic,
    WaysIn,
    processes_of,
)
from cluster.harules import HaApi
from cluster.helper import Helper, first_to_answer, helper_of
from cluster.kin import Kin
from cluster.paths import Paths, PathTests
from cluster.peers import Peers
from cluster.proxmox import Proxmox
from cluster.pve import Pve
from cluster.reading import reading
from cluster.replication import ReplicationApi
from cluster.restores import LiveRescue
from cluster.series import KEPT_S
from cluster.serving import Health
from cluster.settings import ClusterSettings
from cluster.ways import narrowed
from cluster.words import Words

T = TypeVar("T")

TOPIC_WORKERS = len(Topic)
NODE_WORKERS = 32

AGES_SLOWLY = frozenset({Topic.CAPACITY, Topic.STORAGES, Topic.BACKUPS, Topic.MOVES, Topic.PACKAGES})
YOUNG_S = KEPT_S
"""What gates want to be young is read again if it had to wait for the other topics for longer than this."""
PASSES = 3
"""`apt-get update` takes minutes on a slow mirror; then Gluster is read again, whose `volume status` of many volumes
may take minutes, too; then what that kept waiting."""

TESTS_S = 90.0
"""Paths are tried every minute; tests that are older than this are made anew before they are judged."""

OF_THE_NODE = frozenset({Topic.PACKAGES, Topic.MOVES})


class LiveCluster:
    """`clock` stamps the readings (seconds since the epoch, UTC); `pause(seconds)` waits between reads of the heal.

    The node that was last under the knife is never the entry to the API.
    """

    def __init__(self, settings: ClusterSettings, clock: Callable[[], float], pause: Callable[[float], None]) -> None:
        self._settings, self._clock = settings, clock
        self._topics = ThreadPoolExecutor(TOPIC_WORKERS, f"{settings.name}-topics")
        self._workers = ThreadPoolExecutor(NODE_WORKERS, f"{settings.name}-nodes")
        self._paths = Paths(settings)
        self._helpers = {name: Helper(shell, settings) for name, shell in self._paths.shells.items()}
        self._api = Proxmox(settings, self._paths)
        self._pve = Pve(self._api, settings, self._workers.map)
        self._ha = HaApi(self._api)
        self._ceph = CephApi(self._api, settings, self._workers.map)
        self._replication = ReplicationApi(self._api, settings, self._workers.map)
        self._health = Health(self._api, settings, self._workers.map)
        self._tests = PathTests(settings, self._paths, self._api, clock)
        self._kin = Kin(settings, self._api.get, self._workers.map)
        self._peers = Peers(self._helpers, settings, clock, pause, self._workers)
        self._knife = ""
        self._rescue = LiveRescue(self._api, self._helpers, settings, self._workers.map, lambda: self._knife)

    @property
    def settings(self) -> ClusterSettings:
        return self._settings

    @property
    def rescue(self) -> LiveRescue:
        return self._rescue

    def close(self) -> None:
        """Break every line: whoever still waits for an answer gets an error at once."""
        self._paths.close()
        self._api.close()
        self._tests.close()
        self._topics.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)

    # ---- reads ---------------------------------------------------------------------------------------------------

    def survey(self, topics: frozenset[Topic], node: str | None) -> Machines:
        if node:
            self._knife = node
        found, asked = dict[str, Any](), topics if node else topics - OF_THE_NODE
        for _ in range(PASSES):
            answers, asked = self._read(asked, node or "")
            found |= answers
        return Machines(**found)

    def _read(self, topics: frozenset[Topic], node: str) -> tuple[dict[str, Any], frozenset[Topic]]:
        """All at the same time; and which of them had to wait for the others for so long that they have aged."""
        words = Words(self._helpers, self._clock, self._workers)
        asked = topics - {Topic.PROCESSES} | ({Topic.GLUSTER} if Topic.PROCESSES in topics else frozenset())
        answers = {topic: self._topics.submit(self._timed, topic, node, words, topics) for topic in sorted(asked)}
        found: dict[str, Any] = {topic.value: answers[topic].result()[0] for topic in asked}
        ended = self._clock()
        aged = {topic for topic in asked - AGES_SLOWLY if ended - answers[topic].result()[1] > YOUNG_S}
        if Topic.PROCESSES in topics:
            found[Topic.PROCESSES.value] = processes_of(found[Topic.GLUSTER.value])
            aged |= {Topic.PROCESSES} if Topic.GLUSTER in aged else set()
        return found, frozenset(aged)

    def _timed(self, topic: Topic, node: str, words: Words, all_asked: frozenset[Topic]) -> tuple[Any, float]:
        """Its answer, and when that was there."""
        answer = self._reading(topic, node, words, all_asked)
        return answer, self._clock()

    def _reading(self, topic: Topic, node: str, words: Words, all_asked: frozenset[Topic]) -> Any:
        """A topic's Reading; of NODES one for each node."""
        if topic is Topic.PATHS:
            ways = self._ways(self._tests.latest(TESTS_S))
            return Read(ways, min(test.at for test in ways.tests))
        pve, avoid = self._pve, self._knife
        if topic is Topic.NODES:
            return {name: words.status(name) for name in words.ask(self._helpers)}
        if topic is Topic.MEMBERSHIP:
            entries = sorted(self._helpers, key=lambda name: name == self._knife)
            told = reading(self._clock, lambda: pve.membership(words.votes(entries), avoid))
            return replace(told, at=min(told.at, words.began))
        if topic is Topic.GLUSTER:
            gluster = self._peers.survey(Topic.PROCESSES in all_asked)
            return Read(gluster, gluster.at)
        questions: dict[Topic, Callable[[], Any]] = {
            Topic.GUESTS: lambda: pve.guests(avoid),
            Topic.HA: lambda: pve.ha(avoid),
            Topic.CAPACITY: lambda: pve.capacity(avoid),
            Topic.STORAGES: lambda: pve.storages(avoid),
            Topic.TASKS: lambda: pve.tasks(avoid),
            Topic.BACKUPS: lambda: pve.backups(avoid),
            Topic.MOVES: lambda: self._moves(node),
            Topic.PACKAGES: lambda: self._helper(node).packages(),
            Topic.SERVING: self._serving,
            Topic.RULES: lambda: self._ha.rules(avoid) if self._settings.groups else (),
            Topic.CEPH: lambda: self._ceph.read(avoid),
            Topic.REPLICATION: lambda: self._replication.read(avoid),
        }
        return reading(self._clock, questions[topic])

    def test_paths(self) -> WaysIn:
        return self._ways(self._tests.run())

    def detours(self) -> Mapping[str, str]:
        return self._paths.routes.detours()

    def drill_paths(self) -> PathDrill:
        return self._tests.drill()

    def _ways(self, tests: tuple[PathTest, ...]) -> WaysIn:
        """Where the guests cannot be listed, only the settings say what a path depends on."""
        try:
            guests = self._pve.guests(self._knife)
        except ClusterError:
            guests = ()
        depends, home = self._kin.look(guests)
        return WaysIn(tests, depends, self._paths.routes.detours(), home)

    def _moves(self, node: str) -> tuple[Move, ...]:
        there = [guest for guest in self._pve.guests(self._knife) if guest.node == node and not guest.template]
        jobs = self._replication.read(self._knife)
        return tuple(narrowed(move, jobs) for move in self._workers.map(self.move_options, there))

    def _serving(self) -> tuple[Serving, ...]:
        listing = self._pve.guests(self._knife) if self._health.probes_agents else ()
        return self._health.read(listing, self._knife)

    def heal_progress(self, avoid: str) -> HealProgress:
        return self._peers.progress(avoid)

    def node_status(self, node: str) -> NodeStatus:
        return self._helper(node).status()

    def guests(self) -> tuple[Guest, ...]:
        return self._pve.guests(self._knife)

    def move_options(self, guest: Guest) -> Move:
        return self._pve.move_options(guest, self._knife)

    def ask_api(self, node: str) -> None:
        self._helper(node)
        self._api.ask(node, "get", "version")

    # ---- acts on guests ------------------------------------------------------------------------------------------

    def migrate(self, guest: Guest, target: str) -> TaskRef:
        return self._pve.migrate(guest, target, self._knife)

    def shutdown(self, guest: Guest, timeout_s: int) -> TaskRef:
        return self._pve.shutdown(guest, timeout_s, self._knife)

    def start(self, guest: Guest) -> TaskRef:
        return self._pve.start(guest, self._knife)

    def find_task(self, kind: str, guest: int, since: float) -> TaskRef | None:
        return self._pve.find_task(kind, guest, since, self._knife)

    def task(self, ref: TaskRef) -> TaskState:
        return self._pve.task(ref, self._knife)

    def onboot(self, guest: Guest) -> bool:
        return self._pve.onboot(guest, self._knife)

    def set_onboot(self, guest: Guest, on: bool) -> None:
        self._pve.set_onboot(guest, on, self._knife)

    def ha_request(self, guest: Guest) -> str:
        return self._ha.request(guest, self._knife)

    def replicate(self, job: ReplicationJob) -> None:
        self._replication.run_now(job, self._knife)

    def ceph_flag(self, flag: str, on: bool) -> None:
        self._ceph.set_flag(flag, on, self._knife)

    # ---- acts on nodes -------------------------------------------------------------------------------------------

    def maintenance(self, node: str, on: bool, not_after_uptime: float | None = None) -> None:
        """Any node can pass on that it is over, so one that does not answer is passed over."""
        if on:
            if not_after_uptime is None:
                raise ValueError("maintenance mode is asked for with the time after which it must not go on any more")
            self._helper(node).maintenance_on(not_after_uptime)
            return
        self._helper(node)
        helpers = sorted(self._helpers.values(), key=lambda helper: helper.node != node)
        first_to_answer(helpers, lambda helper: helper.maintenance_off(node, helper.status().uptime + NOT_AFTER_S))

    def upgrade(self, node: str, unit: str, plan_checksum: str, not_after_uptime: float) -> None:
        self._knife = node
        with self._touching_storage():
            self._helper(node).upgrade(unit, plan_checksum, not_after_uptime)

    def unit(self, node: str, unit: str) -> UnitState:
        return self._helper(node).unit(unit)

    def reboot(self, node: str, boot_id: str, not_after_uptime: float) -> None:
        self._knife = node
        with self._touching_storage():
            self._helper(node).reboot(boot_id, not_after_uptime)

    @contextmanager
    def _touching_storage(self) -> Iterator[None]:
        """Whatever was read of the storage before, or while it happens, proves nothing afterwards."""
        self._peers.forget()
        try:
            yield
        finally:
            self._peers.forget()

    # ---- who is asked --------------------------------------------------------------------------------------------

    def _helper(self, node: str) -> Helper:
        return helper_of(node, self._helpers, self._settings)
