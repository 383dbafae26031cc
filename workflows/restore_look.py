"""What a restore finds before anything is asked: the guest, its image, its backups, and where it could go.

Pure but for `examine`, which reads. Everything is plain data, for it is journaled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from cluster.api import ClusterError
from cluster.facts import Backup, Guest
from cluster.rescue import Disk, GuestConfig, Space, Trouble
from cluster.settings import ClusterSettings
from cluster.telling import gib
from workflows.messages import host
from workflows.site import Site

MARGIN = 1.05
"""A restore needs a little more room than the disks are large."""
DEAD = frozenset({"io-error", "internal-error", "guest-panicked", "shutdown"})
"""QEMU's words for a guest whose process is there and that never goes on by itself. One that is paused is not among
them: a person may have paused it, and can let it go on."""
MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed. `guest`: its id or name. `source`: a backup's volume id or a storage's name, "" = the newest that
    can be restored. `node`, `storage`: where to, "" = where it was, if that is well."""

    guest: str
    by: str
    source: str = ""
    node: str = ""
    storage: str = ""

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Wanted:
        return cls(args["guest"], args["by"], args.get("from", ""), args.get("node", ""), args.get("storage", ""))


@dataclass(frozen=True, slots=True)
class Sick:
    """Gluster as it is. `volumes` that are not known to be whole; `unknown`: why nothing is known of them, or "";
    `mounts`: where nodes have volumes mounted."""

    volumes: frozenset[str]
    troubles: tuple[Trouble, ...] = ()
    unknown: str = ""
    mounts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """One guest that is to be restored, as it is now."""

    guest: Guest
    config: GuestConfig
    backups: tuple[Backup, ...]
    spaces: tuple[Space, ...]
    sick: Sick


def find_guest(guests: Iterable[Guest], word: str) -> tuple[Guest | None, str]:
    """By id or by name; or None, and why."""
    found = [guest for guest in guests if word in (str(guest.id), guest.name)]
    if len(found) == 1:
        return found[0], ""
    if found:
        ids = ", ".join(str(guest.id) for guest in found)
        return None, f'several guests are called "{host(word)}": {ids}; name the one by its id'
    return None, f"there is no guest {host(word)} in the cluster"


def examine(site: Site, guest: Guest) -> Case:
    """Ask for all of it. Raises ClusterError when the guest or its backups cannot be read; Gluster may be silent."""
    rescue = site.cluster.rescue
    return Case(guest, rescue.config(guest), rescue.backups(guest.id), rescue.spaces(), sickness(site))


def sickness(site: Site) -> Sick:
    """Which volumes must not be written to now. Unknown is sick."""
    gluster = site.managed.gluster
    if not gluster.enabled:
        return Sick(frozenset())
    mounts = mounts_of(site)
    try:
        troubles = site.cluster.rescue.troubles()
        down = site.cluster.heal_progress("").down
    except ClusterError as silent:
        return Sick(frozenset({"*"}), (), str(silent), mounts)
    named = frozenset(trouble.volume for trouble in troubles)
    if down:
        return Sick(frozenset({"*"}), troubles, f"bricks are down: {', '.join(down)}", mounts)
    return Sick(named, troubles, "", mounts)


def mounts_of(site: Site) -> frozenset[str]:
    """Of the first node that has some: every node has the same, but one that just came back may have none yet."""
    for node in site.managed.nodes:
        try:
            if mounts := site.cluster.node_status(node).gluster_mounts:
                return frozenset(mounts)
        except ClusterError:
            continue
    return frozenset()


# ---- where the image lies ------------------------------------------------------------------------------------------


def volume_of(settings: ClusterSettings, space: Space, mounts: frozenset[str] = frozenset()) -> str:
    """The Gluster volume that a storage lies on, "?" if it lies on one that cannot be named, "" if on none. A volume is
    taken to be mounted under its own name."""
    gluster = settings.gluster
    if not gluster.enabled:
        return ""
    mount = _mount_of(space, mounts)
    inside = space.kind == "glusterfs" or (space.kind == "dir" and space.path.startswith(f"{gluster.mount_prefix}/"))
    if not mount and not inside and space.storage not in settings.backups.on_gluster:
        return ""
    below = space.path.removeprefix(f"{gluster.mount_prefix}/").partition("/")[0]
    name = mount.rpartition("/")[2] or below
    known = gluster.volumes
    return name if name in known or (not known and name) else "?"


def _mount_of(space: Space, mounts: Iterable[str]) -> str:
    """The innermost of these that the storage lies on, "" if on none."""
    around = [mount for mount in mounts if f"{space.path}/".startswith(f"{mount}/")]
    return max(around, key=len, default="")


def is_sick(settings: ClusterSettings, sick: Sick, space: Space) -> bool:
    """Only a name of the settings tells a volume from those that are sick: a mount may have any other name."""
    volume = volume_of(settings, space, sick.mounts)
    doubtful = bool(sick.volumes) and volume not in settings.gluster.volumes
    return bool(volume) and (volume in sick.volumes or "*" in sick.volumes or doubtful)


def image_in(settings: ClusterSettings, space: Space, disk: Disk, mounts: frozenset[str]) -> str:
    """Where the image lies, from the root of its volume: /images/101/vm-101-disk-0.raw. The storage may be a folder of
    the volume, and may keep its images in another folder than `images`. "" where the disk is no file."""
    if not _tail(disk):
        return ""
    mount = _mount_of(space, mounts)
    if not mount and space.path.startswith(f"{settings.gluster.mount_prefix}/"):
        below = space.path.removeprefix(f"{settings.gluster.mount_prefix}/").partition("/")[0]
        mount = f"{settings.gluster.mount_prefix}/{below}"
    folder = space.path.removeprefix(mount).strip("/") if mount else ""
    return "/" + normpath("/".join(part for part in (folder, space.images, _tail(disk)) if part))


def _tail(disk: Disk) -> str:
    """The end of the image's path, whatever its storage: storage:101/vm-101-disk-0.raw -> 101/vm-101-disk-0.raw; of a
    linked clone, storage:100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2, its own part. "" where it is no file."""
    parts = disk.volid.partition(":")[2].split("/")
    return "/".join(parts[-2:]) if len(parts) > 1 else ""


def is_image_of(name: str, disks: Iterable[Disk]) -> bool:
    """Whether Gluster means the image of one of these disks, in whatever folder of the volume it lies."""
    return any(_tail(disk) and name.endswith(f"/{_tail(disk)}") for disk in disks)


def listed_images(case: Case) -> list[Trouble]:
    """What Gluster lists of this guest's own disks."""
    disks = (*case.config.disks, *case.config.unused)
    return [trouble for trouble in case.sick.troubles if is_image_of(trouble.name, disks)]


def nameless(troubles: Iterable[Trouble]) -> list[str]:
    """Volumes with something split that names no image: a shard, or a file by its gfid."""
    return sorted(
        {trouble.volume for trouble in troubles if trouble.split and trouble.name.startswith(("/.shard/", "<gfid:"))}
    )


# ---- what can be restored, and where to ------------------------------------------------------------------------------


def why_not(backup: Backup) -> str:
    """Why this backup is no candidate, "" if it is one."""
    if backup.size <= 0:
        return "it is empty"
    return "its verification failed" if backup.verified is False else ""


def _why_not_for(guest: Guest, backup: Backup) -> str:
    """Ids are used again: a backup by vzdump or on a backup server says in its name what it was made of."""
    name = backup.volid.partition(":")[2]
    of = next((kind for kind, mark in MADE_OF.items() if re.match(mark, name)), guest.kind)
    return why_not(backup) or ("" if of == guest.kind else f"it is of a {WHAT[of]} that had this id")


MADE_OF = {"qemu": r"backup/(?:vzdump-qemu-|vm/)", "lxc": r"backup/(?:vzdump-lxc-|ct/)"}
WHAT = {"qemu": "virtual machine", "lxc": "container"}


def choose_backup(case: Case, source: str, failed: Sequence[str] = ()) -> tuple[Backup | None, str]:
    """The newest that can be restored, or the one that was named; or None, and why. `failed`: volume ids that this run
    tried in vain; they are not taken again unless named."""
    if not case.backups:
        return None, f"there is no backup of guest {case.guest.id} on any storage that answers"
    named = [backup for backup in case.backups if source in (backup.volid, backup.storage)]
    if source and not named:
        return None, f"guest {case.guest.id} has no backup {host(source)}; it may have been pruned"
    exact = source in [backup.volid for backup in named]
    good = [b for b in (named or case.backups) if not _why_not_for(case.guest, b) and (exact or b.volid not in failed)]
    if good:
        return good[0], ""
    first = (named or case.backups)[0]
    reason = _why_not_for(case.guest, first) or "a restore from it failed already"
    return None, f"none of {len(named or case.backups)} backups can be restored; the newest: {reason}"


def choose_storage(
    settings: ClusterSettings, case: Case, node: str, wanted: str, size: int
) -> tuple[Space | None, str]:
    """Where the new disks go: what was named; else where the old ones lie, unless that is sick; else another storage of
    that node: shared before local, the emptiest first. Never the sick volume unless it is named. `size` of the disks in
    bytes."""
    content = "rootdir" if case.guest.kind == "lxc" else "images"
    need = int(size * MARGIN)
    here = [space for space in case.spaces if space.node == node and content in space.holds]
    if wanted:
        return _named_storage(here, node, wanted, need)
    old = {disk.storage for disk in (*case.config.disks, *case.config.unused)}
    fit = [s for s in here if s.active and s.avail >= need and not is_sick(settings, case.sick, s)]
    order = sorted(fit, key=lambda s: (s.storage not in old, not s.shared, -s.avail, s.storage))
    if order:
        return order[0], ""
    full = [f"{s.storage} ({gib(s.avail)} free)" for s in here if s.active and s.avail < need]
    roomy = [s for s in here if s.active and s.avail >= need]
    bad = [f"{s.storage} (its volume is not healed)" for s in roomy if is_sick(settings, case.sick, s)]
    seen = "; ".join([*full, *bad]) or "there is none for disks of guests"
    return None, f"no storage of {node} can take {gib(need)}: {seen}"


def _named_storage(here: Sequence[Space], node: str, wanted: str, need: int) -> tuple[Space | None, str]:
    space = next((space for space in here if space.storage == wanted), None)
    if space is None:
        known = ", ".join(sorted(space.storage for space in here)) or "none"
        return None, f"{node} has no storage {host(wanted)} for disks of guests (known: {known})"
    if not space.active:
        return None, f"storage {wanted} is not active on {node}"
    if space.avail < need:
        return None, f"storage {wanted} has {gib(space.avail)} free on {node}, {gib(need)} are needed"
    return space, ""


def choose_node(case: Case, wanted: str, backup: Backup) -> tuple[str, str]:
    """The guest's own node, or the one that was named; a node that cannot read the backup is refused."""
    node = wanted or (backup.node if backup.node and case.guest.kind == "lxc" else "") or case.guest.node
    if backup.node and backup.node != node:
        return "", f"{node} cannot read {backup.volid}: it lies on a storage of {backup.node} alone"
    if node not in {space.node for space in case.spaces}:
        return "", f"{node} does not answer"
    return node, ""


def is_dead(guest: Guest) -> bool:
    """Its process is there, but it is no running guest any more."""
    return guest.status in DEAD
