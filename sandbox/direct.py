"""The model's direct face: `cluster.api.Cluster` without any wire, under a clock that the test moves.

It fails as the live one does: `Refused` when the machine says no, `Unreachable` when nobody answers, `Uncertain` when
the line breaks after the act; and a command whose line broke may still arrive, minutes later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, TypeVar

from cluster.api import NOT_AFTER_S, Refused, TaskRef, TaskState, Uncertain, UnitState, Unreachable
from cluster.facts import (
    Backup,
    BrickHeal,
    Ceph,
    Gluster,
    Guest,
    HealProgress,
    Machines,
    Move,
    NodeStatus,
    PathDrill,
    PeerView,
    Read,
    Reading,
    ReplicationJob,
    Serving,
    Topic,
    Unread,
    Volume,
    VolumeStatus,
    WaysIn,
    processes_of,
)
from cluster.gluster import images_first
from cluster.helper import GUARDED
from cluster.peers import NAMED_AT_MOST, WORTH_NAMING, progress_of
from cluster.series import Answer, Round, Series
from cluster.settings import ClusterSettings
from cluster.ways import narrowed
from sandbox.faults import Fault, How
from sandbox.lines import Act, Moment
from sandbox.model import Away, Denied, Model
from sandbox.model.gluster import SELF
from sandbox.rescue import SimRescue
from sandbox.simpaths import SimPaths

T = TypeVar("T")

HANGING = (595, 596)
"""What the API of one node says when another does not answer."""
NOT_ASKED_YET = "volume status takes the cluster's lock; it is not asked while anything is still to be healed"
_Stamp = tuple[int, tuple[int, ...]]
"""The model's version, and what changes of its Ceph in between."""
Wanted = Mapping[str, tuple[str, ...]]
"""Peer -> volumes that it is asked about."""
TOPICS_OF_A_NODE = frozenset({Topic.MOVES, Topic.PACKAGES})


class Clock(Protocol):
    """Seconds since the epoch; `sleep` lets time pass, and with it whatever else happens meanwhile."""

    def __call__(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SimCluster:
    """`on_act` is told of every act, on receipt and after its effect; it may crash the bot there or move the clock.
    `line` tells what the line does to a call of (verb, about); by default what the model's faults plan.
    `guard=False`: the node helper obeys without asking."""

    def __init__(
        self,
        model: Model,
        settings: ClusterSettings,
        clock: Clock,
        *,
        guard: bool = True,
        on_act: Callable[[Act], None] = lambda _: None,
        line: Callable[[str, str], Fault | None] | None = None,
    ) -> None:
        self._model, self._settings, self._clock = model, settings, clock
        self._guard, self._on_act, self._line = guard, on_act, line or model.trouble.line
        self._rescue = SimRescue(model, settings, _Lines(self))
        self._peers = settings.gluster.nodes or tuple(settings.nodes)
        self._volumes = settings.gluster.volumes or tuple(volume.name for volume in model.spec.volumes)
        self._series = Series(settings.gluster.reads, settings.gluster.gap)
        self._paths = SimPaths(model, settings, clock, clock.sleep)
        self._stamp: _Stamp = (-1, ())
        self._kept: dict[tuple[object, ...], Reading[Any]] = {}
        self._told: dict[tuple[frozenset[Topic], str], dict[str, Reading[Any]]] = {}
        self._healed: tuple[Wanted, Round] = ({}, {})
        self._readers: Mapping[Topic, Callable[[float, str], Any]] = {
            Topic.MEMBERSHIP: lambda now, _: model.membership(now),
            Topic.GUESTS: lambda now, _: model.listing(now),
            Topic.HA: lambda now, _: model.ha(now),
            Topic.CAPACITY: lambda now, _: model.capacity(now),
            Topic.STORAGES: lambda now, _: self._of_every_node(now, model.storages),
            Topic.TASKS: lambda now, _: self._of_every_node(now, model.running_tasks),
            Topic.BACKUPS: self._backups,
            Topic.MOVES: self._moves,
            Topic.SERVING: self._serving,
            Topic.RULES: lambda now, _: model.rules(now),
            Topic.CEPH: self._ceph,
            Topic.REPLICATION: self._replication,
        }

    @property
    def settings(self) -> ClusterSettings:
        return self._settings

    @property
    def rescue(self) -> SimRescue:
        return self._rescue

    # ---- reads -----------------------------------------------------------------------------------------------------
    def survey(self, topics: frozenset[Topic], node: str | None) -> Machines:
        """Gluster is read last, several times, and time passes between these reads."""
        try:
            self._paths.take()
        except Unreachable as none:
            return self._nothing_read(str(none))
        now = self._look()
        asked = topics if node else topics - TOPICS_OF_A_NODE
        found: dict[str, Any] = self._topics(asked, node or "", now)
        if Topic.NODES in asked:
            found["nodes"] = {name: self._reading(now, self._model.status, now, name) for name in self._settings.nodes}
        if Topic.PACKAGES in asked:
            found["packages"] = self._fresh("plan", now, self._model.plan, node)
        if asked & {Topic.GLUSTER, Topic.PROCESSES}:
            found["gluster"] = self._gluster(Topic.PROCESSES in asked)
        if Topic.PROCESSES in asked:
            found["processes"] = processes_of(found["gluster"])
        if Topic.PATHS in asked:
            found["paths"] = Read(self._paths.ways(), self._clock())
        return Machines(**found)

    def _nothing_read(self, why: str) -> Machines:
        now = self._clock()
        topics = {topic.value: Unread(why, now) for topic in Topic if topic not in (Topic.NODES, Topic.PATHS)}
        nodes = {name: Unread(why, now) for name in self._settings.nodes}
        return Machines(**topics, nodes=nodes, paths=Read(self._paths.ways(), now))

    def test_paths(self) -> WaysIn:
        return self._paths.ways()

    def detours(self) -> Mapping[str, str]:
        return self._paths.routes.detours()

    def drill_paths(self) -> PathDrill:
        return self._paths.drill()

    def heal_progress(self, avoid: str) -> HealProgress:
        self._paths.take()
        now = self._look()
        why = "no other node is a peer"
        for asked in (name for name in self._peers if name != avoid):
            told = self._heal(now, asked)
            if isinstance(told, Read):
                bricks = [row.brick for answer in told.value.values() for row in answer]
                progress = progress_of(asked, bricks, told.value)
                if not progress.healed:
                    self._series.forget()
                return progress
            why = told.why
        raise Unreachable(f"No node answers how far the heal is: {why}")

    def node_status(self, node: str) -> NodeStatus:
        self._paths.take()
        with _told:
            return self._model.status(self._clock(), node)

    def guests(self) -> tuple[Guest, ...]:
        with self._api() as now:
            return self._model.listing(now)

    def move_options(self, guest: Guest) -> Move:
        with self._api() as now:
            return narrowed(self._model.move(now, guest.id), self._model.replication(now))

    def ask_api(self, node: str) -> None:
        self._paths.take()
        with _told:
            self._model.need_api(self._clock(), node)

    def find_task(self, kind: str, guest: int, since: float) -> TaskRef | None:
        with self._api() as now:
            found = self._model.newest_task(now, kind, guest, since)
            for name in [found.node] if found else self._settings.nodes:  # a node that cannot be asked may have it
                self._model.need_api(now, name)
            return TaskRef(found.upid) if found else None

    def task(self, ref: TaskRef) -> TaskState:
        with self._api() as now:
            task = self._model.task(now, ref.upid)
            return TaskState(task.running, "" if task.exit == "OK" else task.exit)

    def onboot(self, guest: Guest) -> bool:
        with self._api() as now:
            return self._model.guest(now, guest.id).onboot

    def ha_request(self, guest: Guest) -> str:
        with self._api() as now:
            return self._model.guest(now, guest.id).wanted

    def unit(self, node: str, unit: str) -> UnitState:
        self._paths.take()
        with _told:
            return self._model.unit(self._clock(), node, unit)

    # ---- acts ------------------------------------------------------------------------------------------------------
    def migrate(self, guest: Guest, target: str) -> TaskRef:
        return TaskRef(self._act("migrate", str(guest.id), lambda now: self._model.migrate(now, guest.id, target)))

    def shutdown(self, guest: Guest, timeout_s: int) -> TaskRef:
        return TaskRef(self._act("shutdown", str(guest.id), lambda now: self._model.shutdown(now, guest.id, timeout_s)))

    def start(self, guest: Guest) -> TaskRef:
        return TaskRef(self._act("start", str(guest.id), lambda now: self._model.start(now, guest.id)))

    def set_onboot(self, guest: Guest, on: bool) -> None:
        self._act("set_onboot", str(guest.id), lambda now: self._model.set_onboot(now, guest.id, on))

    def replicate(self, job: ReplicationJob) -> None:
        self._act("replicate", job.id, lambda now: self._model.replicate(now, job.id))

    def ceph_flag(self, flag: str, on: bool) -> None:
        self._act("ceph_flag", flag, lambda now: self._model.ceph_flag(now, flag, on))

    def maintenance(self, node: str, on: bool, not_after_uptime: float | None = None) -> None:
        """That it is over any node passes on; by its own uptime the order expires."""
        now = self._clock()
        others = (name for name in self._settings.nodes if self._model.ssh_answers(now, name))
        via = node if on or self._model.ssh_answers(now, node) else next(others, node)
        late = not_after_uptime if on else now - self._model.node(via).booted_at + NOT_AFTER_S

        def ask(now: float) -> None:
            self._model.maintenance(now, via, node, on, late if self._guard else None)

        self._act("maintenance", node, ask)

    def upgrade(self, node: str, unit: str, plan_checksum: str, not_after_uptime: float) -> None:
        def ask(now: float) -> None:
            self._model.upgrade(now, node, unit, plan_checksum, not_after_uptime, guard=self._guard)

        self._touch_storage("upgrade", node, ask)

    def reboot(self, node: str, boot_id: str, not_after_uptime: float) -> None:
        def ask(now: float) -> None:
            self._model.reboot(now, node, boot_id, not_after_uptime, guard=self._guard)

        self._touch_storage("reboot", node, ask)

    def _touch_storage(self, verb: str, node: str, ask: Callable[[float], None]) -> None:
        """As the live one: what was read of the storage before, or while it happens, proves nothing afterwards."""
        self._series.forget()
        try:
            self._act(verb, node, ask)
        finally:
            self._series.forget()

    # ---- the line --------------------------------------------------------------------------------------------------
    def _act(self, verb: str, about: str, act: Callable[[float], T]) -> T:
        """Over one path after the other, as the live one: on to the next while nothing was sent, and an order that
        guards itself also when its line broke; what is refused then may have been done before."""
        self._paths.take()
        doubt: list[str] = []
        for left in reversed(range(self._paths.alive())):
            try:
                return self._once(verb, about, act)
            except Uncertain as lost:
                if verb not in GUARDED or not left:
                    raise
                doubt.append(str(lost))
            except (Refused, Unreachable) as no:
                if isinstance(no, Unreachable) and left:
                    continue
                if doubt:
                    raise Uncertain(f"{doubt[0]}; tried again over another path: {no}", no.hint) from no
                raise
        raise Unreachable(f"No path to {self._settings.name} lives")

    def _once(self, verb: str, about: str, act: Callable[[float], T]) -> T:
        """1. it is received, 2. the line may fail before, 3. it is done, 4. the line may fail before the answer."""
        self._on_act(Act(about, verb, Moment.RECEIVED))
        fault = self._line(verb, about)
        now = self._clock()
        self._fails_before(fault, now, verb, about, act)
        with _told:
            self._needs_api(verb, now)
            result = act(now)
        self._on_act(Act(about, verb, Moment.DONE))
        if fault:
            raise Uncertain(f"The line broke after {verb} {about}; it may have happened")
        return result

    def _fails_before(
        self, fault: Fault | None, now: float, verb: str, about: str, act: Callable[[float], object]
    ) -> None:
        if fault is None or fault.how is How.BROKEN:
            return
        if fault.how is How.UNREACHABLE:
            raise Unreachable(f"No connection for {verb} {about}")
        if fault.how is How.LATE:
            self._model.later(now, fault.amount, lambda: self._arrives_late(act))
        raise Uncertain(f"The line broke during {verb} {about}; it may have happened")

    def _arrives_late(self, act: Callable[[float], object]) -> None:
        try:
            act(self._model.core.now)
        except (Denied, Away) as nobody:
            self._model.lost_word(str(nobody))  # there is nobody left to answer; the record keeps it

    def _needs_api(self, verb: str, now: float) -> None:
        if verb in ("migrate", "shutdown", "start", "set_onboot", "replicate", "ceph_flag"):
            self._entry(now)

    def _entry(self, now: float) -> None:
        """Some node's API must answer, whichever."""
        if not any(self._model.api_answers(now, name) for name in self._settings.nodes):
            raise Away(self._settings.name, "the API of no node answers")

    @contextmanager
    def _api(self) -> Iterator[float]:
        self._paths.take()
        now = self._clock()
        with _told:
            self._entry(now)
            yield now

    @contextmanager
    def _helpers(self) -> Iterator[float]:
        self._paths.take()
        now = self._clock()
        with _told:
            self._model.advance(now)
            yield now

    # ---- readings --------------------------------------------------------------------------------------------------
    def _look(self) -> float:
        """Let happen what is due, and see whether anything changed since answers were kept. To be called whenever time
        may have passed."""
        now = self._clock()
        self._model.advance(now)
        stamp = (self._model.version, self._model.ceph.counts())
        if stamp != self._stamp:
            self._stamp, self._kept, self._told, self._healed = stamp, {}, {}, ({}, {})
        return now

    def _topics(self, asked: frozenset[Topic], node: str, now: float) -> dict[str, Reading[Any]]:
        """What the API says of these topics. A night asks the same a hundred times: answers are kept for as long as
        nothing has changed in the cluster, and only dated anew."""
        told = self._told.get((asked, node))
        if told is None:
            entry = self._fresh("entry", now, self._entry)
            topics = asked & self._readers.keys()
            told = self._told[asked, node] = {
                topic.value: entry
                if isinstance(entry, Unread)
                else self._fresh(topic.value, now, self._readers[topic], node)
                for topic in topics
            }
        return {topic: _dated(answer, now) for topic, answer in told.items()}

    def _fresh(self, name: str, now: float, ask: Callable[..., T], *about: Any) -> Reading[T]:
        """What `ask(now, *about)` reads at the last `_look`, kept like the topics."""
        answer = self._kept.get((name, *about))
        if answer is None:
            answer = self._kept[name, *about] = self._reading(now, ask, now, *about)
        return _dated(answer, now)

    def _reading(self, now: float, ask: Callable[..., T], *args: Any) -> Reading[T]:
        try:
            return Read(ask(*args), now)
        except (Denied, Away) as no:
            return Unread(str(no), now)

    def _backups(self, now: float, avoid: str) -> tuple[Backup, ...]:
        """Every node but the one under the knife is asked which storages it has."""
        for name in self._settings.nodes:
            if name != avoid:
                self._model.need_api(now, name)
        return self._model.backups(now)

    def _moves(self, now: float, node: str) -> tuple[Move, ...]:
        jobs = self._model.replication(now)
        return tuple(narrowed(move, jobs) for move in self._model.moves(now, node))

    def _serving(self, now: float, _: str) -> tuple[Serving, ...]:
        probes = [(guest, probe) for group in self._settings.groups for guest, probe in group.health.items()]
        found = [(self._model.serving(now, guest), probe) for guest, probe in probes]
        return tuple(
            replace(row, said="its guest agent answers") if row.serves and p.agent else row for row, p in found
        )

    def _ceph(self, now: float, avoid: str) -> Ceph | None:
        """From the first node that has it; a silent one may have it."""
        silent: Away | None = None
        for name in self._settings.nodes:
            if name != avoid:
                try:
                    self._model.need_api(now, name)
                except Away as away:
                    silent = silent or away
                    continue
                if name in self._model.ceph.hosts:
                    return self._model.ceph_status(now, name)
        if silent:
            raise silent
        return None

    def _replication(self, now: float, _: str) -> tuple[ReplicationJob, ...]:
        """Every node is asked, if there is any job."""
        jobs = self._model.replication(now)
        for name in self._settings.nodes if jobs else ():
            self._model.need_api(now, name)
        return jobs

    def _of_every_node(self, now: float, ask: Callable[[float, str], tuple[T, ...]]) -> tuple[T, ...]:
        rows: list[T] = []
        for name in self._settings.nodes:
            self._model.need_api(now, name)
            rows += ask(now, name)
        return tuple(rows)

    # ---- gluster ---------------------------------------------------------------------------------------------------
    def _gluster(self, processes: bool) -> Read[Gluster]:
        """Asked as the live one asks: rounds of heal reads, together with those that are still young, until one finds
        anything not healed; then volume status of each node, or names of entries."""
        settings, began = self._settings.gluster, self._look()
        known = {peer: self._fresh("volumes", began, self._model.volumes, peer) for peer in self._peers}
        everybody = all(isinstance(volumes, Read) for volumes in known.values())
        wanted = {peer: self._wanted(volumes) for peer, volumes in known.items()}
        going = self._series.resume(began)
        while (rest := going.rest(self._clock())) is not None:
            self._clock.sleep(rest)
            answers, healed = self._read_heal(wanted)
            going.add(self._clock(), answers, everybody and healed)
        heal, healed = going.rounds[-1][1], going.healed
        status = (going.status if healed else {}) or (self._statuses(heal, healed) if processes or not healed else {})
        if healed:
            self._series.keep(going, status)
        else:
            self._series.forget()
        views = tuple(self._view(peer, going.heals(peer), status.get(peer, {})) for peer in known)
        return Read(Gluster(views, settings.reads, settings.gap, {} if healed else self._entries(heal)), began)

    def _wanted(self, volumes: Reading[tuple[Volume, ...]]) -> tuple[str, ...]:
        known = volumes.value if isinstance(volumes, Read) else ()
        return tuple(volume.name for volume in known if volume.name in self._volumes)

    def _read_heal(self, wanted: Wanted) -> tuple[Round, bool]:
        """What each peer answers, and whether that is healed everywhere; then it is kept like the topics."""
        now = self._look()
        if self._healed[0] == wanted:
            told = self._healed[1].items()
            return {peer: {v: _dated(answer, now) for v, answer in volumes.items()} for peer, volumes in told}, True
        answers = {
            peer: {volume: self._reading(now, self._model.heal, now, peer, volume) for volume in volumes}
            for peer, volumes in wanted.items()
        }
        healed = _all_healed(answers)
        self._healed = (wanted, answers) if healed else ({}, {})
        return answers, healed

    def _view(
        self, peer: str, heal: Mapping[str, tuple[Answer, ...]], status: Mapping[str, Reading[VolumeStatus]]
    ) -> PeerView:
        now, model = self._clock(), self._model
        pool = self._fresh("pool", now, model.pool, peer)
        uuid = next((one.uuid for one in pool.value if one.host == SELF), "") if isinstance(pool, Read) else ""
        volumes = self._fresh("volumes", now, model.volumes, peer)
        return PeerView(peer, uuid, pool, volumes, heal, status)

    def _statuses(self, heal: Round, healed: bool) -> dict[str, dict[str, Reading[VolumeStatus]]]:
        """After the first node that gives none the others are not asked."""
        now = self._clock()
        found: dict[str, dict[str, Reading[VolumeStatus]]] = {peer: {} for peer in heal}
        stopped = None if healed else Unread(NOT_ASKED_YET, now)
        for peer, volumes in heal.items():
            for volume in volumes:
                answer = stopped or self._fresh("status", now, self._model.volume_status, peer, volume)
                found[peer][volume] = answer
                if stopped is None and isinstance(answer, Unread):
                    stopped = Unread(f"not asked, because {peer} gave no volume status", now)
        return found

    def _entries(self, heal: Round) -> dict[str, tuple[str, ...]]:
        """Of each volume, from the first peer that counts some on every brick; of very many images alone."""
        asked: dict[str, tuple[str, bool]] = {}
        for peer, volumes in heal.items():
            for volume, last in volumes.items():
                totals = [row.total for row in last.value] if isinstance(last, Read) else []
                total = 0 if None in totals else sum(count or 0 for count in totals)
                if total:
                    asked.setdefault(volume, (peer, total <= WORTH_NAMING))
        now, found = self._clock(), dict[str, tuple[str, ...]]()
        for volume, (peer, few) in asked.items():
            ask = self._model.entries if few else self._model.images
            answer = self._reading(now, ask, now, peer, volume)
            found |= answer.value if isinstance(answer, Read) else {}
        return {brick: tuple(images_first(names, NAMED_AT_MOST)) for brick, names in found.items()}

    def _heal(self, now: float, asked: str) -> Reading[Mapping[str, tuple[BrickHeal, ...]]]:
        """All volumes as one node tells them; unread if one of them is."""
        told: dict[str, tuple[BrickHeal, ...]] = {}
        for volume in self._volumes:
            answer = self._reading(now, self._model.heal, now, asked, volume)
            if isinstance(answer, Unread):
                return answer
            told[volume] = answer.value
        return Read(told, now)


class _Lines:
    """The cluster's own lines, lent to its rescue verbs."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster

    def act(self, verb: str, about: str, act: Callable[[float], T]) -> T:
        return self._cluster._act(verb, about, act)

    def api(self) -> AbstractContextManager[float]:
        return self._cluster._api()

    def ssh(self) -> AbstractContextManager[float]:
        return self._cluster._helpers()


def _dated(answer: Reading[T], now: float) -> Reading[T]:
    """The same answer, as it is read now."""
    if answer.at == now:
        return answer
    return Read(answer.value, now) if isinstance(answer, Read) else Unread(answer.why, now)


def _all_healed(heal: Round) -> bool:
    """Nearly always all peers say the same of a volume."""
    last = [answer for volumes in heal.values() for answer in volumes.values()]
    said: list[tuple[BrickHeal, ...]] = []
    for answer in last:
        if not isinstance(answer, Read):
            return False
        if answer.value not in said:
            said.append(answer.value)
    return all(row.healed for rows in said for row in rows)


class _Told:
    """The model's words as those of `cluster.api`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, no: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(no, Away):
            raise Unreachable(str(no)) from no
        if isinstance(no, Denied):
            raise (Unreachable if no.status in HANGING else Refused)(str(no)) from no


_told = _Told()
