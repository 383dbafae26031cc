"""The part of the seam to machines that brings guests back: backups, restores, locks, split images, a power switch.

`LiveRescue` (restores.py) and the sandbox's `SimRescue` both satisfy `Rescue`; it hangs on
`cluster.api.Cluster`. Errors are those of cluster/api.py, as everywhere: Refused, Unreachable, Uncertain.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cluster.facts import Backup, Guest

if TYPE_CHECKING:
    from cluster.api import TaskRef

KEEPS = re.compile(r"keep-(?:last|hourly|daily|weekly|monthly|yearly)=(\d+)")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
VM_DISK = re.compile(r"(?:ide|sata|scsi|virtio|efidisk|tpmstate)\d+")
CONTAINER_DISK = re.compile(r"rootfs|mp\d+")
UNUSED = re.compile(r"unused\d+")
NETWORK = re.compile(r"net\d+")
PASSED_THROUGH = re.compile(r"hostpci\d+|usb\d+")


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk of a guest. `slot`: scsi0, rootfs, unused0 ... `volid`: where it lies. `size` in bytes, 0 if the
    configuration does not tell. `line`: the whole of it, as the configuration has it, to attach it again by."""

    slot: str
    volid: str
    size: int
    line: str

    @property
    def storage(self) -> str:
        return self.volid.partition(":")[0]


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """`digest` changes with every change of the configuration. `agent`: a guest agent is to answer. `devices`: slots
    with a device of the node. `snapshot`: the last one that it has, "" if none. `boot`: what it boots from, as the
    configuration has it ("order=scsi0;net0"); Proxmox VE takes a disk that is detached out of that for good."""

    digest: str
    disks: tuple[Disk, ...]
    unused: tuple[Disk, ...]
    networks: tuple[str, ...] = ()
    onboot: bool = False
    agent: bool = False
    protection: bool = False
    devices: tuple[str, ...] = ()
    snapshot: str = ""
    boot: str = ""

    @property
    def size(self) -> int:
        return sum(disk.size for disk in self.disks)


@dataclass(frozen=True, slots=True)
class Space:
    """One storage as one node has it. `avail` in bytes; `holds`: what may lie there (images, rootdir, backup ...);
    `images`: the folder below `path` in which it keeps disks of guests."""

    node: str
    storage: str
    kind: str
    shared: bool
    active: bool
    avail: int
    holds: tuple[str, ...]
    path: str = ""
    images: str = "images"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One entry that Gluster has not healed: on which brick it is listed, and whether it is in split-brain."""

    volume: str
    brick: str
    name: str
    split: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One brick's copy of a split image. Times in seconds since the epoch, by that node's clock. `changelog`: which
    brick it blames -> pending data, metadata, entry operations. `shards`: how many pieces it has beside the base."""

    brick: str
    node: str
    size: int
    modified: float
    changed: float
    changelog: Mapping[str, tuple[int, int, int]]
    shards: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """An image in split-brain. `gfid`: Gluster's own name of its base file; `entries`: the base file and its shards, as
    far as they are split, as gluster is to be told; `node`: who is to be told it."""

    volume: str
    image: str
    gfid: str
    entries: tuple[str, ...]
    sides: tuple[Side, ...]
    node: str

    @property
    def mark(self) -> str:
        """What the node compares before it obeys: another set of entries is another decision."""
        return entries_mark(self.gfid, self.entries)


def entries_mark(gfid: str, entries: Iterable[str]) -> str:
    """As the node helper works it out (deploy/roundsman-helper)."""
    return hashlib.sha256("\n".join([gfid, *sorted(entries)]).encode()).hexdigest()


class Rescue(Protocol):
    """All verbs block; each has its deadline inside and raises a ClusterError."""

    # reads
    def backups(self, guest: int) -> tuple[Backup, ...]:
        """All of this guest, on every storage of every node that answers, newest first."""
        ...

    def keeps(self, node: str, storage: str) -> int:
        """How many backups of one guest the retention of this storage leaves there, protected ones aside; 0: all."""
        ...

    def config(self, guest: Guest) -> GuestConfig: ...

    def spaces(self) -> tuple[Space, ...]:
        """Of every node that answers."""
        ...

    def log(self, ref: TaskRef) -> tuple[str, ...]:
        """A task's last lines."""
        ...

    def agent_answers(self, guest: Guest) -> bool: ...

    def free_id(self) -> int:
        """An id that no guest of the cluster has."""
        ...

    def answers(self, node: str) -> str:
        """How this node can be reached still ("ssh", "its API", "the cluster says online"); "" if it is dead."""
        ...

    # acts on guests; who calls them has asked the world right before
    def stop(self, guest: Guest) -> TaskRef:
        """At once, as by pulling its plug."""
        ...

    def detach(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        """Their volumes stay, as unused disks. Refused when the configuration is not this one any more."""
        ...

    def forget(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        """Delete unused disks for good. Refused when the configuration is not this one any more."""
        ...

    def unplug(self, guest: Guest, networks: Sequence[str]) -> None:
        """Take network devices away."""
        ...

    def restore(self, guest: int, kind: str, node: str, volid: str, storage: str, *, over: bool) -> TaskRef:
        """`over`: over the stopped VM of that id, whose attached disks Proxmox VE then deletes; else as a new guest, a
        VM with network addresses of its own. A container is always new, and keeps its addresses."""
        ...

    def back_up(self, guest: Guest, storage: str, notes: str, *, protected: bool) -> TaskRef:
        """Prunes nothing, whatever the storage's retention says. Where that leaves no room for one more, the task fails
        before it writes, unless the new one is `protected`: protected ones are neither counted nor pruned."""
        ...

    def delete(self, guest: Guest) -> TaskRef:
        """With its disks. Only what a drill made is ever deleted."""
        ...

    def unlock(self, guest: Guest, lock: str) -> None:
        """Refused by the node when the lock is another one, or a task of this guest still runs."""
        ...

    def ha_state(self, guest: Guest, state: str, node: str, not_after_uptime: float) -> None:
        """started, stopped, disabled or ignored: what HA is to make of it. `node` passes it on, and refuses after this
        time of its own uptime (seconds): a "disabled" that arrives minutes late would take a running guest down."""
        ...

    # Gluster
    def troubles(self) -> tuple[Trouble, ...]:
        """What is not healed, named, as one node lists it."""
        ...

    def split(self, volume: str, image: str) -> Split:
        """Both sides of a split image, each asked on its own node. `image`: its path from the volume's root. Raises
        NotSplit."""
        ...

    def choose(self, split: Split, brick: str) -> None:
        """Take this brick's copy as the good one, for base file and shards. Guarded on the node."""
        ...

    # hardware
    def power_cycle(self, node: str) -> None:
        """Run the command of the settings that switches the node off and on. Refused when there is none."""
        ...


# ---- a configuration, read ----------------------------------------------------------------------------------------


def guest_config(row: Mapping[str, object], kind: str) -> GuestConfig:
    """From what the API shows of a guest's configuration. Raises KeyError where the digest is missing."""
    wanted = CONTAINER_DISK if kind == "lxc" else VM_DISK
    disks = [_disk(slot, str(line)) for slot, line in row.items() if wanted.fullmatch(slot)]
    unused = [_disk(slot, str(line)) for slot, line in row.items() if UNUSED.fullmatch(slot)]
    return GuestConfig(
        digest=str(row["digest"]),
        disks=tuple(sorted((disk for disk in disks if disk), key=lambda disk: disk.slot)),
        unused=tuple(sorted((disk for disk in unused if disk), key=lambda disk: disk.slot)),
        networks=tuple(sorted(slot for slot in row if NETWORK.fullmatch(slot))),
        onboot=str(row.get("onboot", 0)) == "1",
        agent=_agent(str(row.get("agent", ""))),
        protection=str(row.get("protection", 0)) == "1",
        snapshot=str(row.get("parent", "")),
        boot=str(row.get("boot", "")),
        devices=tuple(
            sorted(slot for slot, line in row.items() if PASSED_THROUGH.fullmatch(slot) and "spice" not in str(line))
        ),
    )


def _disk(slot: str, line: str) -> Disk | None:
    """None for what is no disk of its own: a CD-ROM, a cloud-init drive, a directory or device of the node."""
    first, *options = line.split(",")
    volid = first.partition("=")[2] if first.startswith(("file=", "volume=")) else first
    if ":" not in volid or volid.startswith("/") or "media=cdrom" in options or volid.endswith("-cloudinit"):
        return None
    size = next((option.partition("=")[2] for option in options if option.startswith("size=")), "")
    return Disk(slot, volid, size_of(size), line)


def size_of(text: str) -> int:
    """ "16G" -> bytes; 0 for what is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def kept_by(retention: str) -> int:
    """ "keep-last=3,keep-daily=2" -> 5, as vzdump itself counts its limit; 0 for "keep-all=1", and where nothing is
    said."""
    return sum(map(int, KEEPS.findall(retention)))


def _agent(line: str) -> bool:
    """ "1", "enabled=1,type=virtio", "0"."""
    words = line.split(",")
    return "enabled=1" in words or words[0] == "1"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore or a backup is, out of its log. `percent` None: it does not tell."""

    percent: int | None
    last: str = ""


PERCENT = re.compile(r"(?:progress|INFO:)\s+(\d{1,3})\s?%")


def progress(lines: Sequence[str]) -> Progress:
    """From a task's log: `progress 42% (read ...)` of a restore, `INFO:  42% (...)` of a backup."""
    told = [found[1] for line in lines if (found := PERCENT.search(line))]
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return Progress(int(told[-1]) if told else None, last)
