"""The Gluster pool, asked peer by peer: every peer in parallel, one query per peer at a time.

The cheap question (`heal info summary`) takes no lock. `volume status` takes the cluster's lock and may hang for two
minutes after a power cut, so it is asked one node after the other, and only when all reads said healed. Where that
takes long, the heal is read anew after it: that is what must be young.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from threading import Lock
from typing import NamedTuple, TypeVar

from cluster import gluster
from cluster.api import Unreachable
from cluster.facts import (
    BrickHeal,
    Gluster,
    HealProgress,
    Peer,
    PeerView,
    Read,
    Reading,
    Unread,
    Volume,
    VolumeStatus,
)
from cluster.gluster import AskAgain
from cluster.helper import Helper
from cluster.reading import reading
from cluster.series import KEPT_S, Answer, Going, Round, Series, Statuses
from cluster.settings import ClusterSettings
from cluster.ssh import Done

STATUS_TRIES = 5
STATUS_PAUSE_S = 2.0
STATUSES_S = 240.0
"""So long all peers may take together: the word of the first one is believed for five minutes."""
VOLUMES_S = 60.0
NAMED_AT_MOST = 20  # entries named per brick
WORTH_NAMING = 1000  # of more entries only images of guests are named: a whole listing slows the heal, 1 ms an entry
NOT_YET = "volume status takes the cluster's lock; it is not asked while anything is still to be healed"

T = TypeVar("T")
Volumes = Reading[tuple[Volume, ...]]


class _Seen(NamedTuple):
    """What one peer's glusterd knows."""

    pool: Reading[tuple[Peer, ...]]
    volumes: Volumes

    @property
    def at(self) -> float:
        return min(self.pool.at, self.volumes.at)


class Peers:
    """Asks the peers. `pause(seconds)` waits; `workers` runs what is asked at the same time."""

    def __init__(
        self,
        helpers: Mapping[str, Helper],
        settings: ClusterSettings,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        workers: Executor,
    ) -> None:
        self._helpers = {node: helpers[node] for node in settings.gluster.nodes or settings.nodes}
        self._turn = {node: Lock() for node in self._helpers}
        self._settings = settings.gluster
        self._clock, self._pause, self._workers = clock, pause, workers
        self._series = Series(self._settings.reads, self._settings.gap)
        self._looked: Mapping[str, _Seen] = {}
        self._volumes: dict[str, Read[tuple[Volume, ...]]] = {}
        """As each peer told them last: which ones to ask for, never evidence."""

    # ---- the whole question --------------------------------------------------------------------------------------

    def survey(self, processes: bool = True) -> Gluster:
        """Consecutive heal reads, together with those that are still young; then, if all is healed, volume status (of
        `processes`: it takes the cluster's lock); else the names of what is to be healed. Pool and volumes are read
        while the next round is waited for."""
        going = self._series.resume(self._clock())
        seen = self._kept() or ({} if self._volumes.keys() == self._helpers.keys() else self._of_each(self._look))
        seen = self._rounds(going, seen)
        if going.healed and all(isinstance(look.volumes, Read) for look in seen.values()):
            began = self._clock()
            status = going.status or (self._statuses(seen) if processes else {})
            going.lapse(self._clock() - began)
            seen = self._rounds(going, seen)
            if going.healed:
                self._series.keep(going, status)
                return self._gluster(seen, going, status, {})
        self.forget()
        nothing = {node: self._not_yet(look) for node, look in seen.items()}
        return self._gluster(seen, going, nothing, self._entries(going))

    def forget(self) -> None:
        """Something was done to the storage: nothing that was read before counts any more."""
        self._series.forget()
        self._looked = {}

    def _gluster(
        self, seen: Mapping[str, _Seen], going: Going, status: Statuses, entries: Mapping[str, tuple[str, ...]]
    ) -> Gluster:
        views = (
            PeerView(node, _own_uuid(look.pool), look.pool, look.volumes, going.heals(node), status.get(node, {}))
            for node, look in seen.items()
        )
        return Gluster(tuple(views), self._settings.reads, self._settings.gap, entries)

    def _rounds(self, going: Going, seen: Mapping[str, _Seen]) -> Mapping[str, _Seen]:
        """As many as are wanted; and what each peer's glusterd knows, `seen` if that is young."""
        while (rest := going.rest(self._clock())) is not None:
            until = self._clock() + rest
            seen = seen or (self._of_each(self._look) if rest else {})
            self._pause_until(until)
            going.add(self._clock(), *self._round(seen))
        return self._young(seen)

    def _of_each(self, ask: Callable[[str], T]) -> dict[str, T]:
        return dict(zip(self._helpers, self._workers.map(ask, self._helpers), strict=True))

    def _kept(self) -> Mapping[str, _Seen]:
        """What each peer's glusterd knows, if all of it was read within the last seconds; else nothing."""
        whole = all(isinstance(look.volumes, Read) for look in self._looked.values())
        return self._looked if whole and self._is_young(self._looked) else {}

    def _young(self, seen: Mapping[str, _Seen]) -> Mapping[str, _Seen]:
        return self._remembered(seen if seen and self._is_young(seen) else self._of_each(self._look))

    def _is_young(self, seen: Mapping[str, _Seen]) -> bool:
        now = self._clock()
        return all(0.0 <= now - look.at <= KEPT_S for look in seen.values())

    def _remembered(self, seen: Mapping[str, _Seen]) -> Mapping[str, _Seen]:
        self._looked = seen
        return seen

    def _look(self, node: str) -> _Seen:
        """A peer that does not tell its pool is not asked for its volumes: silence takes seconds each time."""
        pool = reading(self._clock, self._pool, node)
        return _Seen(pool, pool if isinstance(pool, Unread) else reading(self._clock, self._volume_info, node))

    def _pause_until(self, moment: float) -> None:
        if (left := moment - self._clock()) > 0.0:
            self._pause(left)

    def _round(self, seen: Mapping[str, _Seen]) -> tuple[Round, bool]:
        """One read of all peers in step, and whether every one of them said healed. Where what a peer knows was not
        read yet, it is asked for the volumes that it knew before."""
        volumes = {node: seen[node].volumes if seen else self._volumes[node] for node in self._helpers}
        answers = self._of_each(lambda node: self._read_heal(node, volumes[node]))
        return answers, all(_all_healed(volumes[node], answers[node]) for node in volumes)

    def _read_heal(self, node: str, volumes: Volumes) -> dict[str, Answer]:
        wanted = [volume.name for volume in self._wanted(volumes) if can_heal(volume)]
        return {volume: reading(self._clock, self._summary, node, volume) for volume in wanted}

    def _statuses(self, seen: Mapping[str, _Seen]) -> Statuses:
        """One node after the other. After the first that gives no answer the others are not asked: a `volume status`
        that hangs locks the whole pool out for minutes. Nor are they once the first answers grow too old."""
        found: dict[str, dict[str, Reading[VolumeStatus]]] = {node: {} for node in seen}
        wanted = [(node, volume.name) for node, look in seen.items() for volume in self._wanted(look.volumes)]
        stopped, began = None, self._clock()
        for number, (node, volume) in enumerate(wanted):
            if not stopped and (took := self._clock() - began) > STATUSES_S:
                stopped = Unread(_too_slow(took, number, len(wanted)), self._clock())
            answer = found[node][volume] = stopped or reading(self._clock, self._status, node, volume)
            if isinstance(answer, Unread) and not stopped:
                stopped = Unread(f"not asked, because {node} gave no volume status", answer.at)
        return found

    def _status(self, node: str, volume: str) -> VolumeStatus:
        """Somebody else's gluster command may hold the lock: asked again a few times."""
        for _ in range(STATUS_TRIES - 1):
            try:
                return gluster.volume_status(self._ask(node, "volume-status", volume), node)
            except AskAgain:
                self._pause(STATUS_PAUSE_S)
        return gluster.volume_status(self._ask(node, "volume-status", volume), node)

    def _not_yet(self, seen: _Seen) -> dict[str, Reading[VolumeStatus]]:
        return {volume.name: Unread(NOT_YET, self._clock()) for volume in self._wanted(seen.volumes)}

    def _entries(self, going: Going) -> dict[str, tuple[str, ...]]:
        """Names of a few entries of each brick; of a volume from the first peer that counts some and sees every brick
        (else it takes 10 s). Of very many entries, images of guests alone, as far as the node gets in some seconds.
        They are for people: without them the counts block all the same."""
        asked: dict[str, tuple[str, bool]] = {}
        for node, peer in going.rounds[-1][1].items():
            for volume, answer in peer.items():
                if count := _entries_in(answer):
                    asked.setdefault(volume, (node, count <= WORTH_NAMING))
        named = (reading(self._clock, self._named, node, volume, few) for volume, (node, few) in asked.items())
        return {brick: names for answer in named if isinstance(answer, Read) for brick, names in answer.value.items()}

    def _named(self, node: str, volume: str, few: bool) -> dict[str, tuple[str, ...]]:
        if few:
            return gluster.heal_entries(self._ask(node, "heal-info", volume), node, NAMED_AT_MOST)
        with self._turn[node]:
            return self._helpers[node].images(volume)

    # ---- the cheap question --------------------------------------------------------------------------------------

    def progress(self, avoid: str) -> HealProgress:
        """From the first peer that answers, never from `avoid`. Raises Unreachable when nobody does."""
        silent: list[str] = []
        for node in self._helpers:
            if node != avoid:
                answer = reading(self._clock, self._progress, node)
                if isinstance(answer, Read):
                    if not answer.value.healed:
                        self.forget()
                    return answer.value
                silent.append(answer.why)
        raise Unreachable(f"nobody says how far the heal is: {'; '.join(silent) or f'{avoid} is the only peer'}")

    def _progress(self, node: str) -> HealProgress:
        volumes = [volume for volume in self._wanted(self._volumes_of(node)) if can_heal(volume)]
        bricks = [brick.name for volume in volumes for brick in volume.bricks]
        told = {volume.name: self._summary(node, volume.name) for volume in volumes}
        return progress_of(node, bricks, told)

    def _volumes_of(self, node: str) -> Volumes:
        """Only a person changes them, so the waiting loop asks for them once a minute."""
        known = self._volumes.get(node)
        if known and 0.0 <= self._clock() - known.at <= VOLUMES_S:
            return known
        return Read(self._volume_info(node), self._clock())

    # ---- one question --------------------------------------------------------------------------------------------

    def _ask(self, node: str, read: str, *volume: str) -> Done:
        with self._turn[node]:
            return self._helpers[node].gluster(read, *volume)

    def _pool(self, node: str) -> tuple[Peer, ...]:
        return gluster.pool_list(self._ask(node, "pool-list"), node)

    def _volume_info(self, node: str) -> tuple[Volume, ...]:
        at = self._clock()
        found = gluster.volume_info(self._ask(node, "volume-info"), node)
        self._volumes[node] = Read(found, at)
        return found

    def _summary(self, node: str, volume: str) -> tuple[BrickHeal, ...]:
        return gluster.heal_summary(self._ask(node, "heal-summary", volume), node)

    def _wanted(self, volumes: Volumes) -> list[Volume]:
        """The started volumes that must be healed; none if they could not be read."""
        named = self._settings.volumes
        known = volumes.value if isinstance(volumes, Read) else ()
        return [volume for volume in known if volume.started and (not named or volume.name in named)]


def _too_slow(took: float, answers: int, wanted: int) -> str:
    what = f"`volume status` took {took:.0f} s for {answers} of {wanted} answers"
    hint = "who else asks Gluster all the time? it answers one at a time"
    return f"not asked: {what}, and the first ones would be too old by the end ({hint})"


def can_heal(volume: Volume) -> bool:
    """A plain distributed volume has one copy of everything, and nothing to heal from."""
    return volume.replica > 1 or volume.disperse > 0


def progress_of(asked: str, bricks: Sequence[str], told: Mapping[str, tuple[BrickHeal, ...]]) -> HealProgress:
    """`told`: volume -> what its summary lists. Each of the `bricks` must be listed as connected; of one that is not,
    nothing is known."""
    rows = [row for answer in told.values() for row in answer]
    totals = {row.brick: row.total for row in rows if row.status == "Connected"}
    return HealProgress(
        asked=asked,
        pending={brick: totals.get(brick) for brick in bricks},
        split_brain=max((row.split_brain or 0 for row in rows), default=0),
        healing=max((row.possibly_healing or 0 for row in rows), default=0),
        volumes=tuple(name for name, answer in told.items() if any(row.total for row in answer)),
        down=tuple(brick for brick in bricks if brick not in totals),
    )


def _all_healed(volumes: Volumes, answers: Mapping[str, Answer]) -> bool:
    """One peer's answers of one round. A peer whose volumes are not known is not healed."""
    return isinstance(volumes, Read) and all(map(_healed, answers.values()))


def _healed(answer: Answer) -> bool:
    return isinstance(answer, Read) and bool(answer.value) and all(row.healed for row in answer.value)


def _entries_in(answer: Answer) -> int:
    """0 if a brick is away or did not count."""
    totals = [row.total for row in answer.value] if isinstance(answer, Read) else []
    return 0 if None in totals else sum(total or 0 for total in totals)


def _own_uuid(pool: Reading[tuple[Peer, ...]]) -> str:
    peers = pool.value if isinstance(pool, Read) else ()
    return next((peer.uuid for peer in peers if peer.host == "localhost"), "")
