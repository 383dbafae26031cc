"""The Gluster pool, asked peer by peer: every peer in parallel, one query per peer at a time.

The cheap question (`heal info summary`) takes no lock. `volume status` takes the cluster's lock and may hang for two
minutes after a power cut, so it is asked last, one node after the other, and only when all reads said healed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from cluster.settings import ClusterSettings
from cluster.ssh import Done

STATUS_TRIES = 5
STATUS_PAUSE_S = 2.0
NAMED_AT_MOST = 20  # entries named per brick
WORTH_NAMING = 1000  # with more entries nobody reads names, and listing them slows the heal (1 ms an entry)
NOT_YET = "volume status takes the cluster's lock; it is not asked while anything is still to be healed"

T = TypeVar("T")
Volumes = Reading[tuple[Volume, ...]]
Answers = list[Reading[tuple[BrickHeal, ...]]]
Heals = dict[str, Answers]
"""Volume -> one peer's answers, oldest first."""
Statuses = dict[str, Reading[VolumeStatus]]


class _Seen(NamedTuple):
    """What one peer's glusterd knows."""

    pool: Reading[tuple[Peer, ...]]
    volumes: Volumes


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

    # ---- the whole question --------------------------------------------------------------------------------------

    def survey(self) -> Gluster:
        """Consecutive heal reads; then, if all is healed, volume status, and pool and volumes once more, so that what
        ages is young; else the names of what is to be healed."""
        seen = self._of_each(self._look)
        heals = self._heals(seen)
        if all(_all_healed(seen[node].volumes, heals[node]) for node in seen):
            status = self._statuses(seen)
            return self._gluster(self._of_each(self._look), heals, status, {})
        nothing = {node: self._not_yet(volumes) for node, volumes in heals.items()}
        return self._gluster(seen, heals, nothing, self._entries(heals))

    def _gluster(
        self,
        seen: Mapping[str, _Seen],
        heals: Mapping[str, Heals],
        status: Mapping[str, Statuses],
        entries: Mapping[str, tuple[str, ...]],
    ) -> Gluster:
        views = (
            PeerView(node, _own_uuid(look.pool), look.pool, look.volumes, _kept(heals[node]), status[node])
            for node, look in seen.items()
        )
        return Gluster(tuple(views), self._settings.reads, self._settings.gap, entries)

    def _of_each(self, ask: Callable[[str], T]) -> dict[str, T]:
        return dict(zip(self._helpers, self._workers.map(ask, self._helpers), strict=True))

    def _look(self, node: str) -> _Seen:
        """A peer that does not tell its pool is not asked for its volumes: silence takes seconds each time."""
        pool = reading(self._clock, self._pool, node)
        return _Seen(pool, pool if isinstance(pool, Unread) else reading(self._clock, self._volume_info, node))

    def _heals(self, seen: Mapping[str, _Seen]) -> dict[str, Heals]:
        """Consecutive reads, `gap` seconds apart, of all peers in step. The first round in which anything is not healed
        is the last: asking slows the heal down."""
        heals: dict[str, Heals] = {
            node: {volume.name: [] for volume in self._wanted(look.volumes) if can_heal(volume)}
            for node, look in seen.items()
        }
        for number in range(self._settings.reads):
            if number:
                self._pause(self._settings.gap)
            list(self._workers.map(self._read_heal, heals, heals.values()))
            if not all(_all_healed(seen[node].volumes, heals[node]) for node in heals):
                break
        return heals

    def _read_heal(self, node: str, heals: Heals) -> None:
        for volume, answers in heals.items():
            answers.append(reading(self._clock, self._summary, node, volume))

    def _statuses(self, seen: Mapping[str, _Seen]) -> dict[str, Statuses]:
        """One node after the other. After the first that gives no answer the others are not asked: a `volume status`
        that hangs locks the whole pool out for minutes."""
        found: dict[str, Statuses] = {node: {} for node in seen}
        stopped: Unread | None = None
        for node, look in seen.items():
            for volume in self._wanted(look.volumes):
                answer = stopped or reading(self._clock, self._status, node, volume.name)
                found[node][volume.name] = answer
                if isinstance(answer, Unread) and stopped is None:
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

    def _not_yet(self, heals: Heals) -> Statuses:
        return {volume: Unread(NOT_YET, self._clock()) for volume in heals}

    def _entries(self, heals: Mapping[str, Heals]) -> dict[str, tuple[str, ...]]:
        """Names of a few entries of each brick; of a volume from the first peer that counts some, but not too many, and
        sees every brick (else it takes 10 s). They are for people: without them the counts block all the same."""
        asked: dict[str, str] = {}
        for node, peer in heals.items():
            for volume, answers in peer.items():
                if 0 < _entries_in(answers) <= WORTH_NAMING:
                    asked.setdefault(volume, node)
        named = (reading(self._clock, self._named, node, volume) for volume, node in asked.items())
        return {brick: names for answer in named if isinstance(answer, Read) for brick, names in answer.value.items()}

    def _named(self, node: str, volume: str) -> dict[str, tuple[str, ...]]:
        return gluster.heal_entries(self._ask(node, "heal-info", volume), node, NAMED_AT_MOST)

    # ---- the cheap question --------------------------------------------------------------------------------------

    def progress(self, avoid: str) -> HealProgress:
        """From the first peer that answers, never from `avoid`. Raises Unreachable when nobody does."""
        silent: list[str] = []
        for node in self._helpers:
            if node != avoid:
                answer = reading(self._clock, self._progress, node)
                if isinstance(answer, Read):
                    return answer.value
                silent.append(answer.why)
        raise Unreachable(f"nobody says how far the heal is: {'; '.join(silent) or f'{avoid} is the only peer'}")

    def _progress(self, node: str) -> HealProgress:
        """Every brick of volume info must be listed as connected; of one that is not, nothing is known."""
        volumes = [volume for volume in self._wanted(Read(self._volume_info(node), 0.0)) if can_heal(volume)]
        bricks = [brick.name for volume in volumes for brick in volume.bricks]
        rows = [row for volume in volumes for row in self._summary(node, volume.name)]
        totals = {row.brick: row.total for row in rows if row.status == "Connected"}
        return HealProgress(
            asked=node,
            pending={brick: totals.get(brick) for brick in bricks},
            split_brain=max((row.split_brain or 0 for row in rows), default=0),
            down=tuple(brick for brick in bricks if brick not in totals),
        )

    # ---- one question --------------------------------------------------------------------------------------------

    def _ask(self, node: str, read: str, *volume: str) -> Done:
        with self._turn[node]:
            return self._helpers[node].gluster(read, *volume)

    def _pool(self, node: str) -> tuple[Peer, ...]:
        return gluster.pool_list(self._ask(node, "pool-list"), node)

    def _volume_info(self, node: str) -> tuple[Volume, ...]:
        return gluster.volume_info(self._ask(node, "volume-info"), node)

    def _summary(self, node: str, volume: str) -> tuple[BrickHeal, ...]:
        return gluster.heal_summary(self._ask(node, "heal-summary", volume), node)

    def _wanted(self, volumes: Volumes) -> list[Volume]:
        """The started volumes that must be healed; none if they could not be read."""
        named = self._settings.volumes
        known = volumes.value if isinstance(volumes, Read) else ()
        return [volume for volume in known if volume.started and (not named or volume.name in named)]


def can_heal(volume: Volume) -> bool:
    """A plain distributed volume has one copy of everything, and nothing to heal from."""
    return volume.replica > 1 or volume.disperse > 0


def _all_healed(volumes: Volumes, heals: Heals) -> bool:
    """By the last answers of one peer. A peer whose volumes are not known is not healed."""
    last = [answers[-1] for answers in heals.values() if answers]
    return isinstance(volumes, Read) and all(_healed(answer) for answer in last)


def _healed(answer: Reading[tuple[BrickHeal, ...]]) -> bool:
    return isinstance(answer, Read) and bool(answer.value) and all(row.healed for row in answer.value)


def _entries_in(answers: Answers) -> int:
    """As counted last; 0 if a brick is away or did not count."""
    last = answers[-1] if answers else None
    totals = [row.total for row in last.value] if isinstance(last, Read) else []
    return 0 if None in totals else sum(total or 0 for total in totals)


def _kept(heals: Heals) -> dict[str, tuple[Reading[tuple[BrickHeal, ...]], ...]]:
    return {volume: tuple(answers) for volume, answers in heals.items()}


def _own_uuid(pool: Reading[tuple[Peer, ...]]) -> str:
    peers = pool.value if isinstance(pool, Read) else ()
    return next((peer.uuid for peer in peers if peer.host == "localhost"), "")
