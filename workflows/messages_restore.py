"""What the bot says while a guest is restored from its backup. The rules: workflows/messages.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.facts import Backup, Guest, tool_of
from cluster.rescue import Disk
from cluster.telling import condition, gib
from engine.port import Saying
from workflows.messages import day, host, named, note, span, with_hint
from workflows.restore_look import MOST_SHOWN, Case, is_sick, listed_images, nameless, volume_of, why_not
from workflows.settings import ManagedCluster


def over_paths(paths: Sequence[str]) -> list[str]:
    """`paths` that are used in place of the first one."""
    return [f"🛣️ All of this goes over {', '.join(paths)}: the first way in does not answer."] if paths else []


def beside_upgrades(runs: Sequence[str]) -> list[str]:
    return [f"⚠️ `{run}` is under way: while this restore writes, its gates let it take no node." for run in runs]


def under_ha(state: str, guest: int) -> list[str]:
    if state != "error":
        return []
    return [f"⚠️ HA gave it up, and will ignore its start: `/restore unfreeze {guest}` once it is restored."]


def with_snapshots(last: str) -> list[str]:
    """`last`: the newest of them, "" if it has none."""
    if not last:
        return []
    return [f"⚠️ It has snapshots (the last: {host(last)}). No backup holds them: after a restore it has none any more."]


def examined(managed: ManagedCluster, case: Case, plan: Sequence[str]) -> str:
    guest = case.guest
    lock = f", locked by {host(guest.lock)}" if guest.lock else ""
    under = f", under HA ({host(guest.ha)})" if guest.ha else ""
    lines = [
        f"🔎 *{named(guest.name, guest.id)}* is {host(condition(guest.status))} on {guest.node}{under}{lock}.",
        *(_disk(managed, case, disk) for disk in case.config.disks),
        *(f"• unused disk {host(disk.volid)}" for disk in case.config.unused),
        *_gluster(case, guest.id),
        *(f"⚠️ Backups on {name} are not seen: it is active on no node." for name in _dark_storages(case)),
        "Backups, newest first:" if case.backups else "There is no backup of it on any storage that answers.",
        *(backup_line(backup) for backup in case.backups[:MOST_SHOWN]),
        *([f"• and {len(case.backups) - MOST_SHOWN} older ones"] if len(case.backups) > MOST_SHOWN else []),
        *plan,
    ]
    return "\n".join(lines)


def _dark_storages(case: Case) -> list[str]:
    """Storages for backups that no node has active."""
    keeping = [space for space in case.spaces if "backup" in space.holds]
    return sorted({space.storage for space in keeping} - {space.storage for space in keeping if space.active})


def _disk(managed: ManagedCluster, case: Case, disk: Disk) -> str:
    space = next((space for space in case.spaces if space.storage == disk.storage), None)
    where = ""
    if space is not None and (volume := volume_of(managed, space, case.sick.mounts)):
        state = "which is *not* known to be whole" if is_sick(managed, case.sick, space) else "which is fully healed"
        where = f", on Gluster {'volume ' + volume if volume != '?' else ''}".rstrip() + f", {state}"
    return f"• disk {disk.slot}: {host(disk.volid)}, {gib(disk.size)}{where}"


def _gluster(case: Case, guest: int) -> list[str]:
    if case.sick.unknown:
        return [f"⚠️ How Gluster stands is not known: {host(case.sick.unknown)}."]
    mine = listed_images(case)
    split = sorted({trouble.name for trouble in mine if trouble.split})
    pending = sorted({trouble.name for trouble in mine} - set(split))
    lines = [f"⚠️ Its image {host(name)} is in *split-brain*: the copies blame each other." for name in split]
    if split:
        lines.append(f"Instead of a restore, `/restore heal {guest}` shows both sides and takes the one you choose.")
    elif volumes := nameless(case.sick.troubles):
        some = f"{host(', '.join(volumes))} has something split that names no image"
        lines.append(f"⚠️ {some}: `/restore heal {guest}` finds out whether it is a piece of this guest's.")
    return lines + [f"⏳ Its image {host(name)} waits to be healed." for name in pending]


def backup_line(backup: Backup) -> str:
    checked = {True: ", verified", False: ", *verification failed*", None: ""}[backup.verified]
    kept = ", protected" if backup.protected else ""
    bad = f" ({why_not(backup)})" if why_not(backup) and backup.verified is not False else ""
    notes = f": {host(backup.notes)}" if backup.notes else ""
    return f"• {day(backup.made_at)} {host(backup.volid)}, {gib(backup.size)}{checked}{kept}{bad}{notes}"


def plan_lines(backup: Backup, age: float, node: str, storage: str, new: str, sick: bool, local: bool) -> list[str]:
    """`new`: how the result is called; `local`: its disks would be on this node alone."""
    lines = [f"I would restore {host(backup.volid)} ({span(age)} old) to storage {storage} of {node}, as {new}."]
    if sick:
        lines.append(f"⚠️ {storage} lies on a volume that is not known to be whole; you named it.")
    if local:
        lines.append(f"{storage} is on {node} alone: the guest cannot move before its disk is moved.")
    return lines


def ask_aside(name: str, guest: int, status: str, disks: Sequence[Disk]) -> str:
    stop = f"• it is {host(condition(status))}: its process is stopped at once\n" if status != "stopped" else ""
    listed = "\n".join(f"• {disk.slot} {host(disk.volid)} is detached; it stays as an unused disk" for disk in disks)
    return (
        f"May I set the disks of {named(name, guest)} aside?\n{stop}{listed}\n"
        "A restore deletes what is attached, so nothing stays attached. Nothing is deleted by this."
    )


def set_aside(name: str, guest: int, disks: Sequence[str]) -> Saying:
    kept = ", ".join(map(host, disks)) or "it had none"
    return note(f"📦 {named(name, guest)} is stopped, its disks are set aside as unused disks: {kept}.")


def ask_restore(name: str, guest: int, backup: Backup, age: float, node: str, storage: str, size: int) -> str:
    return (
        f"May I restore {named(name, guest)}?\n"
        f"• from {host(backup.volid)}, made {day(backup.made_at)} ({span(age)} ago): what came later is not in it\n"
        f"• over the configuration of guest {guest} on {node}; new disks, about {gib(size)}, on storage {storage}\n"
        "• nothing is attached that it could delete; then it is started"
    )


def restoring(name: str, guest: int, volid: str, node: str, storage: str, about: str) -> Saying:
    text = f"💾 {named(name, guest)}: {host(volid)} is being restored to {storage} of {node}."
    return Saying("progress", text, about=about)


def failed(why: str) -> str:
    return f"the restore failed: {host(why)}"


def where_old_disks_are(guest: int, kind: str, old: Mapping[str, str], listed: Sequence[str]) -> str:
    """After a failed restore, as a hint. `old`: slot -> volume id, as they were before anything was changed; `listed`:
    the volumes that the configuration names now."""
    if not old:
        return "no old disk of it was touched"
    disks = ", ".join(f"{slot} was {volid}" for slot, volid in old.items())
    seen = (
        "they are still there as unused disks"
        if set(old.values()) <= set(listed)
        else f"they are still on their storage; `{tool_of(kind)} rescan --vmid {guest}` lists them as unused disks"
    )
    return f"its old disks were not deleted ({host(disks)}); {seen}"


def ask_container(name: str, guest: int, new: int, backup: Backup, age: float, node: str, storage: str) -> str:
    return (
        f"May I restore container {named(name, guest)} as {new}?\n"
        f"• from {host(backup.volid)}, made {day(backup.made_at)} ({span(age)} ago)\n"
        f"• under the new id {new} on {node}, storage {storage}; {guest} stays as it is, stopped, with its disks\n"
        f"• onboot of {guest} is switched off, so that the two never run beside each other; then {new} is started"
    )


def container_restored(name: str, guest: int, new: int, took: float) -> Saying:
    return note(
        f"✅ {named(name, guest)} is restored as {new} in {span(took)}. {guest} stays as it is, with onboot off, until "
        f"somebody deletes it. Next: start {new}."
    )


def finished(name: str, guest: int, total: float, people: float, copying: float, old: Sequence[str]) -> Saying:
    kept = f"\nIts old disks stay: {', '.join(map(host, old))}." if old else ""
    hint = f"once it is proven whole, `/restore forget {guest}` deletes them for good" if old else ""
    text = (
        f"🏁 {named(name, guest)} is back {span(total)} after it was asked for: {span(people)} waiting for people, "
        f"{span(copying)} writing disks, {span(max(total - people - copying, 0))} for the rest.{kept}"
    )
    return note(with_hint(text, hint))


def left_bare(guest: int) -> str:
    return (
        f"the configuration of guest {guest} is nearly empty: its network cards, memory and name went with the restore "
        "that failed, and only one that goes well brings them back"
    )


def left_without_disks(guest: int, lines: Mapping[str, str], boot: str) -> str:
    """`lines`: slot -> the disk as the configuration had it, its options with it. `boot`: what it booted from; without
    that line it would have its disks again, and boot from none of them."""
    words = " ".join(f"--{slot} {line}" for slot, line in lines.items())
    words += f" --boot '{boot}'" if boot else ""
    return f"guest {guest} has no disk attached; `qm set {guest} {host(words)}` attaches the old ones again"


def left_written(guest: int, kind: str, old: Mapping[str, str], listed: Sequence[str]) -> str:
    """As `where_old_disks_are`."""
    where = where_old_disks_are(guest, kind, old, listed)
    return f"guest {guest} has disks that were written from the backup; {where}"


def left_aside(guest: int) -> str:
    return f"the disks of guest {guest} are detached; they are its unused disks"


def left_onboot(guest: int) -> str:
    return f"onboot of guest {guest} is off"


def left_copy(copy: Guest) -> str:
    return f"the restored copy {copy.id} is {host(condition(copy.status))} on {copy.node}"
