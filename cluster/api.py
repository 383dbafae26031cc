"""The one seam to machines. `LiveCluster` (live.py) and the sandbox's `SimCluster` both satisfy it; nobody else
talks to nodes.

Three families of error, and a caller must treat them differently:
`Refused`: the machine answered and said no; nothing happened. `Unreachable`: no connection was made; nothing happened.
`Uncertain`: the line broke after the request was sent; it may have happened: ask the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cluster.facts import Guest, HealProgress, Machines, Move, NodeStatus, PathDrill, ReplicationJob, Topic, WaysIn
from cluster.rescue import Rescue
from cluster.settings import ClusterSettings

NOT_AFTER_S = 10.0
"""A command that the node has not begun so many seconds of its own uptime after we read it is refused by the node."""


class ClusterError(Exception):
    """Base; str() is a sentence for people, without secrets. `hint` says what to type or change, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Refused(ClusterError): ...


class NotSplit(Refused):
    """No brick lists this image, or a piece of it, as split; or none has an image of this name."""


class Unreachable(ClusterError): ...


class Uncertain(ClusterError): ...


@dataclass(frozen=True, slots=True)
class TaskRef:
    """A PVE task. Its node is part of the UPID."""

    upid: str


@dataclass(frozen=True, slots=True)
class TaskState:
    """`running`, or ended with `error` ("" = it says it went well; believe the node listing, not this)."""

    running: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class UnitState:
    """A helper's transient unit. `began` False: never started. `exit` None: still running. `tail`: last log lines.

    `trouble`: apt's own trouble in a sentence (lock held, 401 for want of a subscription, ...), or "".
    """

    began: bool
    exit: int | None = None
    tail: str = ""
    trouble: str = ""
    hint: str = ""


class Cluster(Protocol):
    """All verbs block; each has its deadline inside and raises a ClusterError. A survey never raises: see Unread."""

    @property
    def settings(self) -> ClusterSettings: ...

    @property
    def rescue(self) -> Rescue:
        """The verbs that bring guests back."""
        ...

    # reads
    def survey(self, topics: frozenset[Topic], node: str | None) -> Machines:
        """Read the topics, in parallel. `node`: the one under the knife (its packages, its moves); never the API entry
        while it is down. None: no node in particular (PACKAGES and MOVES are then not read)."""
        ...

    def heal_progress(self, avoid: str) -> HealProgress:
        """The cheap question (`heal info summary`) on any node but `avoid`. Raises ClusterError when nobody answers."""
        ...

    def node_status(self, node: str) -> NodeStatus: ...

    def guests(self) -> tuple[Guest, ...]: ...

    def test_paths(self) -> WaysIn:
        """Try every path to every node, now. Never raises: what did not work is what it tells."""
        ...

    def drill_paths(self) -> PathDrill:
        """Cut the first path for the bot alone, and read through the others meanwhile."""
        ...

    def detours(self) -> Mapping[str, str]:
        """Node -> path, where it was last talked to over another path than the first."""
        ...

    def move_options(self, guest: Guest) -> Move: ...

    def ask_api(self, node: str) -> None:
        """Ask this very node's API for its version. Raises ClusterError when it does not answer."""
        ...

    # acts on guests
    def migrate(self, guest: Guest, target: str) -> TaskRef: ...

    def shutdown(self, guest: Guest, timeout_s: int) -> TaskRef: ...

    def start(self, guest: Guest) -> TaskRef: ...

    def find_task(self, kind: str, guest: int, since: float) -> TaskRef | None:
        """Our own newest task of this kind (qmigrate, vzmigrate, hamigrate, qmshutdown, qmstart ...) since then."""
        ...

    def task(self, ref: TaskRef) -> TaskState: ...

    def onboot(self, guest: Guest) -> bool: ...

    def set_onboot(self, guest: Guest, on: bool) -> None: ...

    def ha_request(self, guest: Guest) -> str:
        """What the HA manager was asked to make of it: started, stopped ...; "" for a guest that is not under HA.
        Shutting a guest down asks for stopped, starting it for started."""
        ...

    # acts on other storages
    def replicate(self, job: ReplicationJob) -> None:
        """Ask for this job of ZFS replication to run next. Twice is harmless."""
        ...

    def ceph_flag(self, flag: str, on: bool) -> None:
        """Set or unset a flag of Ceph's OSD map, such as noout. Twice is harmless."""
        ...

    # acts on nodes, through the node helper
    def maintenance(self, node: str, on: bool, not_after_uptime: float | None = None) -> None:
        """Request maintenance mode. On: told to the node itself, which refuses when it is late by its own uptime. Off:
        told to another node when this one does not answer."""
        ...

    def upgrade(self, node: str, unit: str, plan_checksum: str, not_after_uptime: float) -> None:
        """Start apt-get dist-upgrade as the transient unit `unit`. Starting the same unit again is harmless."""
        ...

    def unit(self, node: str, unit: str) -> UnitState: ...

    def reboot(self, node: str, boot_id: str, not_after_uptime: float) -> None:
        """Guarded on the node: refuses when its boot id differs, when late, when its volumes are not healed."""
        ...
