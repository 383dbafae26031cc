"""What every part of the model shares: the time, the agenda, the record of what happened, and how it says no."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from base.record import record
from sandbox.spec import ClusterSpec

US, SOMEBODY, HA = "us", "somebody", "ha"
"""Who did something: the bot, another person, the HA manager. "" = it happened by itself."""


class Denied(Exception):
    """The machine answered and said no; nothing happened. `status` is what the PVE API would answer with."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


class Away(Exception):
    """The machine does not answer. `status` is what the API of another node says for it (595, 596)."""

    def __init__(self, node: str, text: str, status: int = 595) -> None:
        super().__init__(f"{node}: {text}")
        self.node = node
        self.status = status


class What(StrEnum):
    """Everything the model puts on record."""

    REBOOT = "reboot"  # a reboot command was obeyed (or taken and ignored, for a node that never reboots)
    DARK = "dark"  # the node is off
    BOOTED = "booted"  # corosync and ssh are there again
    API_BACK = "api-back"
    FENCED = "fenced"  # reset by its watchdog
    QUORUM_LOST = "quorum-lost"
    QUORUM_BACK = "quorum-back"
    MAINTENANCE_ON = "maintenance-on"  # asked for
    MAINTENANCE_OFF = "maintenance-off"
    MAINTENANCE_REACHED = "maintenance-reached"
    MAINTENANCE_LEFT = "maintenance-left"
    UPGRADE = "upgrade"  # dist-upgrade began
    UPGRADED = "upgraded"  # and ended; `text` has the exit code
    BRICKS_DOWN = "bricks-down"
    BRICKS_UP = "bricks-up"
    HEALED = "healed"  # nothing is pending on the volume any more
    SPLIT_BRAIN = "split-brain"
    IMAGES_LOST = "images-lost"  # no good copy is up, or no client quorum: every write fails
    GUEST_MOVED = "guest-moved"  # to `node`
    GUEST_STARTED = "guest-started"
    GUEST_STOPPED = "guest-stopped"
    GUEST_DIED = "guest-died"  # it got EIO and does not come back by itself
    START_FAILED = "start-failed"
    STOPPING = "stopping"  # the plug of `guest` is being pulled
    DETACHED = "detached"  # disks of `guest`: they are unused disks now
    RESTORING = "restoring"  # a restore of `guest` began; `text` is the backup
    DISKS_FREED = "disks-freed"  # a restore over `guest` deleted what was attached; `text` names it
    RESTORED = "restored"  # `guest` on `node`; `text` is the backup
    RESTORE_FAILED = "restore-failed"  # `guest`; `text` is why
    BACKED_UP = "backed-up"
    DELETED = "deleted"  # `guest` is no more
    FORGOTTEN = "forgotten"  # unused disks of `guest`, deleted for good
    UNLOCKED = "unlocked"
    CHOSEN = "chosen"  # one side of a split image of `guest`; `text` is the brick
    POWER_CYCLED = "power-cycled"
    OVERCOMMITTED = "overcommitted"  # `node` runs guests with more memory than it has
    ONBOOT = "onboot"  # `text`: "on" or "off"
    CEPH_FLAG = "ceph-flag"  # `text`: "noout on", "noout off"
    OSDS_OUT = "osds-out"  # down for too long without noout: data moves
    REFUSED = "refused"  # the node helper said no; `text` is why
    UNHEARD = "unheard"  # an answer, `text`, to a command whose line had broken
    FAULT = "fault"  # one of the scenario's faults began
    FAULT_OVER = "fault-over"


@record
class Event:
    """One thing that happened. `detail` of an act of ours tells how things stood at that moment."""

    at: float
    what: What
    node: str = ""
    guest: int = 0
    by: str = ""
    text: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        whom = self.node or (str(self.guest) if self.guest else "")
        tail = "".join(
            f" {part}" for part in (whom, self.by and f"by {self.by}", self.text and f"({self.text})") if part
        )
        return f"{self.at:.0f} {self.what}{tail}"


class Core:
    """`version` rises with every change, so that whoever asks again may keep an answer while it stands still."""

    def __init__(self, spec: ClusterSpec, seed: int, start: float) -> None:
        self.spec, self.timings = spec, spec.timings
        self.rng = random.Random(seed)
        self.start = self.now = start
        self.version = 0
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda _: None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def later(self, delay: float, act: Callable[[], None]) -> None:
        """Do `act` that many seconds from now."""
        heapq.heappush(self._agenda, (self.now + delay, next(self._count), act))

    def advance(self, now: float) -> None:
        """Do everything that is due by `now`. Time never goes back: an earlier `now` means the present."""
        while self._agenda and self._agenda[0][0] <= now:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
            self.version += 1
        if now > self.now:
            self.now = now

    def next_at(self) -> float | None:
        """When the next change is due that is known of now."""
        return self._agenda[0][0] if self._agenda else None

    def takes(self, seconds: float) -> float:
        """A duration as it turns out this time."""
        spread = self.timings.spread
        return seconds * self.rng.uniform(1 - spread, 1 + spread) if spread else seconds

    def note(self, what: What, node: str = "", **more: Any) -> None:
        """Put on record what just changed."""
        self.version += 1
        event = Event(self.now, what, node, **more)
        self.events.append(event)
        self.on_event(event)

    def hex(self, digits: int) -> str:
        return f"{self.rng.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        return "-".join(self.hex(n) for n in (8, 4, 4, 4, 12))
