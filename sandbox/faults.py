"""What can go wrong in a simulated night, as plain data.

A fault begins `at` so many seconds after the night's start, or `after` something happened ("reboot pve2": the first
time; "reboot pve2 #2": the second), plus `delay`; it ends after it `lasts` so long, if that is given. A scenario's
`faults:` is a list of these as dicts; times are seconds, or text with a unit ("10m").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from base.spelling import meant
from sandbox.spec import in_seconds


class Kind(StrEnum):
    """Every kind, with what it does. Those that say *once* happen at their beginning."""

    # guests
    MIGRATE_FAILS = "migrate-fails"  # the task of `guest` ends in an error, `times` times
    MIGRATE_LIES = "migrate-lies"  # the task of `guest` ends OK and the guest is still there, `times` times
    CANNOT_MOVE = "cannot-move"  # `guest` may not migrate, because of `text`
    GUEST_LOCKED = "guest-locked"  # `guest` carries the lock `text` ("backup")
    SHUTDOWN_HANGS = "shutdown-hangs"  # `guest` does not obey; its task ends in a timeout
    START_FAILS = "start-fails"  # `guest` does not start
    GUEST_STOPS = "guest-stops"  # once: `guest` stops by itself
    BACKUP_RUNNING = "backup-running"  # a vzdump of `guest`, which is locked meanwhile
    BACKUPS_GONE = "backups-gone"  # once: there is no backup of `guest` (0: of any) any more
    NOT_SERVING = "not-serving"  # `guest` runs on, and its health probe fails
    PROBE_SILENT = "probe-silent"  # the health probe of `guest` cannot be asked
    REPLICATION_FAILS = "replication-fails"  # no job of `guest` comes to an end: `text`
    GUEST_STARTS = "guest-starts"  # once: somebody starts `guest` by hand
    # nodes
    STAYS_DOWN = "stays-down"  # `node` does not come back from a reboot before this ends
    OLD_KERNEL = "old-kernel"  # `node` comes back with the kernel it had
    NEVER_REBOOTS = "never-reboots"  # `node` takes the reboot command and goes on running (molly-guard)
    FOREIGN_REBOOT = "foreign-reboot"  # once: somebody reboots `node`
    POWER_CUT = "power-cut"  # `node` is dead at once; when this ends, it boots
    SSH_DOWN = "ssh-down"  # `node` ("": every node) cannot be reached by ssh
    API_DOWN = "api-down"  # the API of `node` ("": every node) does not answer
    HELPER_ALTERED = "helper-altered"  # the helper of `node` has another checksum
    SERVICE_DOWN = "service-down"  # the service `text` of `node` is failed
    COROSYNC_OLD = "corosync-old"  # `node` has an older corosync.conf
    STORAGE_INACTIVE = "storage-inactive"  # storage `text` is not active on `node`
    HA_DISARMED = "ha-disarmed"  # somebody disarmed HA
    HA_STUCK = "ha-stuck"  # the HA state of `guest` is `text` ("error", "ignored"), while it runs: HA does not move it
    MAINTENANCE_IGNORED = "maintenance-ignored"  # requests for maintenance mode of `node` lead to nothing
    FOREIGN_MAINTENANCE = "foreign-maintenance"  # somebody put `node` into maintenance mode; its end puts it back
    # packages
    APT_LOCKED = "apt-locked"  # somebody else runs apt on `node`
    APT_401 = "apt-401"  # the repository wants a subscription
    REFRESH_401 = "refresh-401"  # so does it when the lists are renewed: the package plan of `node` cannot be read
    DPKG_BROKEN = "dpkg-broken"  # dpkg was interrupted on `node`
    REMOVES_VITAL = "removes-vital"  # the plan of `node` removes the package `text`
    NEW_PACKAGES = "new-packages"  # once: the package `text` gets a newer version on `node`
    UPGRADE_FAILS = "upgrade-fails"  # dist-upgrade on `node` ends with exit code 100
    UPGRADE_HANGS = "upgrade-hangs"  # dist-upgrade on `node` never ends
    # Gluster
    HEAL_STUCK = "heal-stuck"  # no heal makes progress
    HEAL_SLOW = "heal-slow"  # every heal runs at `amount` of its speed (0.1: ten times as long)
    SPLIT_BRAIN = (
        "split-brain"  # an image of `volume` (of `guest`; `text` "shard": a piece of it alone) splits, until mended
    )
    BRICK_DOWN = "brick-down"  # the bricks of `node` do not run, whatever its glusterd does
    BRICK_WIPED = "brick-wiped"  # once: the bricks of `node` are empty: 1 entry, climbing to `amount`
    GLUSTERD_DOWN = "glusterd-down"  # glusterd of `node` does not answer; its bricks serve on
    SHD_DOWN = "shd-down"  # no self-heal daemon on `node` ("": on every node)
    PEER_CUT = "peer-cut"  # `node`'s glusterd has lost its peers, "Peer in Cluster" all the same
    REBALANCE = "rebalance"  # a rebalance is going on
    VOLUME_LOCKED = "volume-locked"  # `volume status` finds the volume locked
    NOT_XML = "not-xml"  # gluster of `node` answers something that is not XML
    # backups and restores
    BACKUP_PRUNED = "backup-pruned"  # once: the newest backup of `guest` is gone
    ARCHIVE_BAD = "archive-bad"  # a restore from a backup of `guest` breaks off half way, `times` times
    STORAGE_FULL = "storage-full"  # storage `text` has `amount` GiB left
    HA_ERROR = "ha-error"  # once: the HA manager gave `guest` up: it is stopped, and every request is ignored
    # Ceph
    CEPH_STUCK = "ceph-stuck"  # no placement group recovers
    CEPH_WARNS = "ceph-warns"  # it reports the health check `text` ("MON_CLOCK_SKEW")
    CEPH_FLAGGED = "ceph-flagged"  # somebody sets the flag `text` ("noscrub"); the end of this unsets it
    # the ways in
    PATH_CUT = "path-cut"  # the path `text` carries nothing (to `node` alone, if one is named)
    PATH_SLOW = "path-slow"  # the path `text` takes `amount` seconds longer
    # the line between bot and node
    LINE = "line"  # the `times`-th call of the verb `text` on `node` or `guest` goes wrong: see `how`


RESCUE = frozenset({Kind.BACKUP_PRUNED, Kind.ARCHIVE_BAD, Kind.STORAGE_FULL, Kind.HA_ERROR})
"""Those that only a restore meets."""


class How(StrEnum):
    """What becomes of a command whose line fails."""

    UNREACHABLE = "unreachable"  # never connected
    LOST = "lost"  # sent, and never arrived
    BROKEN = "broken"  # done, and the answer lost
    LATE = "late"  # the line broke, and the command arrives `amount` seconds later


class BadFault(ValueError):
    """A fault that cannot be; str() says what to write instead."""


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    node: str = ""
    guest: int = 0
    volume: str = "vmstore"
    at: float = 0.0
    after: str = ""
    delay: float = 0.0
    lasts: float | None = None
    times: int = 1
    amount: float = 0.0
    text: str = ""
    how: How = How.BROKEN

    @property
    def about(self) -> str:
        """Whom it concerns: a node's name, a guest's id, or "" for all; for a line also the verb, for a path its
        name."""
        whom = str(self.guest) if self.guest else self.node
        if self.kind in (Kind.PATH_CUT, Kind.PATH_SLOW):
            return f"{self.text} {whom}".strip()
        return f"{self.text} {whom}" if self.kind is Kind.LINE else whom

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Fault:
        for key in row:
            _choice(key, [f.name for f in fields(cls)], "fault: unknown key")
        times = {key: in_seconds(row[key]) for key in ("at", "delay", "lasts") if key in row}
        kind = Kind(_choice(str(row.get("kind", "")), list(Kind), "fault: unknown kind"))
        how = How(_choice(str(row.get("how", How.BROKEN)), list(How), "fault: unknown how"))
        return cls(**{**row, **times, "kind": kind, "how": how})


def faults_from(rows: Sequence[Fault | Mapping[str, Any]]) -> tuple[Fault, ...]:
    """A scenario's list; what is a fault already stays as it is."""
    return tuple(row if isinstance(row, Fault) else Fault.from_dict(row) for row in rows)


def _choice(word: str, choices: Sequence[str], wrong: str) -> str:
    if word in choices:
        return word
    raise BadFault(f'{wrong} "{word}"{meant(word, choices)}')
