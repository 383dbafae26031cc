"""Every sentence the bot says while a guest is brought back. Shaped as those of messages.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.facts import Backup, Guest, condition
from cluster.gates.locks import ASLEEP
from cluster.rescue import Disk, Side
from engine.port import Saying
from workflows.messages import at, bullets, day, host, named, paged, span, who_may_answer, with_hint
from workflows.restore_look import MOST_SHOWN, Case, is_sick, listed_images, nameless, volume_of, why_not
from workflows.roles import mention
from workflows.settings import ManagedCluster

GIB = 1 << 30


def gib(amount: float) -> str:
    return f"{amount / GIB:.1f} GiB"


def on_a_dead_node(guest: Guest, alive: str, power: bool, by_ha: bool) -> tuple[str, str]:
    """Why it is left alone, and a hint. `alive`: a node that could have it; `power`: the settings name a command that
    cycles the power of the dead one; `by_ha`: HA brings it up elsewhere."""
    node = guest.node
    folder = f"/etc/pve/nodes/{{}}/{'lxc' if guest.kind == 'lxc' else 'qemu-server'}"
    cycle = f"`/restore power-cycle {node}`" if power else f"switch {node} off and on"
    off_for_good = (
        f"if {node} is switched off and stays so, and only then: `mv {folder.format(node)}/{guest.id}.conf "
        f"{folder.format(alive)}/` on {alive}, and `/restore start {guest.id} {alive}`, or `/restore {guest.id}`"
    )
    elsewhere = f"HA starts it on another node by itself, minutes after {node} was fenced"
    return (
        f"{named(guest.name, guest.id)} belongs to {node}, which answers nobody, and which the cluster has as offline: "
        f"were it brought up elsewhere, {node} could come back with it and run it twice",
        f"{elsewhere}; or {cycle}" if by_ha else f"{cycle}; or, {off_for_good}",
    )


def _note(text: str) -> Saying:
    return Saying("note", text)


# ---- any run of these workflows ------------------------------------------------------------------------------------


def board(cluster: str, what: str, starter: str) -> Saying:
    return Saying("board", f"🛟 {what} on *{cluster}*, asked for by <@{starter}>.")


def refused(reason: str, hint: str = "") -> Saying:
    return _note(with_hint(f"⛔ I will not do that: {reason}. Nothing was changed.", hint))


def request(
    managed: ManagedCluster,
    subject: str,
    question: str,
    until: float,
    why_again: str,
    *,
    act: str,
    too_late: str,
    terms: Mapping[str, str],
) -> Saying:
    people = managed.people
    first, _, rest = question.partition("\n")
    again = f" Asked again: {why_again}." if why_again else ""
    text = f"🙋 *{first}*{again}\n{rest}\n{who_may_answer(people, until, 'it begins')}"
    detail = {"subject": subject, "act": act, "too_late": too_late, "until": until, "terms": dict(terms)}
    return Saying("approval", text, mention=people.approvers, detail=detail)


def granted(what: str, by: Sequence[str], until: float) -> Saying:
    return _note(f"👍 {_first_up(what)}: approved by {mention(by)}; counts until {at(until)}, for exactly this.")


def hold(managed: ManagedCluster, name: str, steer: str, why: str, hint: str, urgent: bool) -> Saying:
    """`steer`: how people steer it, with a place for the word: "/restore {} 101"."""
    then = f"`{steer.format('retry')}`, or `{steer.format('abort')}`"
    hints = f"{hint}; then {then}" if hint else then
    text = with_hint(f"✋ {host(name)}: I hold: {why}. Nothing more happens until an operator says so.", hints)
    return paged(managed, text) if urgent else _note(text)


def aborted(name: str, left: Sequence[str]) -> Saying:
    rest = f"Left as it is:\n{bullets(left, 50)}" if left else "Nothing is left changed."
    return _note(f"🛑 {host(name)}: aborted. {rest}")


# ---- what was found ------------------------------------------------------------------------------------------------


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


# ---- a virtual machine ---------------------------------------------------------------------------------------------


def ask_stop(name: str, guest: int, status: str) -> str:
    what = f"it is {host(condition(status))}: its process is ended at once, its disks stay"
    return f"May I stop {named(name, guest)}?\n• {what}"


def ask_aside(name: str, guest: int, status: str, disks: Sequence[Disk]) -> str:
    stop = f"• it is {host(condition(status))}: its process is stopped at once\n" if status != "stopped" else ""
    listed = "\n".join(f"• {disk.slot} {host(disk.volid)} is detached; it stays as an unused disk" for disk in disks)
    return (
        f"May I set the disks of {named(name, guest)} aside?\n{stop}{listed}\n"
        "A restore deletes what is attached, so nothing stays attached. Nothing is deleted by this."
    )


def set_aside(name: str, guest: int, disks: Sequence[str]) -> Saying:
    kept = ", ".join(map(host, disks)) or "it had none"
    return _note(f"📦 {named(name, guest)} is stopped, its disks are set aside as unused disks: {kept}.")


def ask_move(name: str, guest: int, source: str, target: str) -> str:
    return (
        f"May I move {named(name, guest)} from {source} to {target}?\n"
        "• it is stopped and moves as it is; its unused disks stay where they are, if their storage is shared"
    )


def moved(name: str, guest: int, target: str) -> Saying:
    return _note(f"🚚 {named(name, guest)} belongs to {target} now.")


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


def written(took: float) -> str:
    return f"✅ Written in {span(took)}."


def failed(why: str) -> str:
    return f"the restore failed: {host(why)}"


def where_old_disks_are(guest: int, kind: str, old: Mapping[str, str], unused: Sequence[str], known: bool) -> str:
    """After a failed restore, as a hint. `old`: slot -> volume id, as they were before anything was changed."""
    if not old:
        return "no old disk of it was touched"
    disks = ", ".join(f"{slot} was {volid}" for slot, volid in old.items())
    tool = "pct" if kind == "lxc" else "qm"
    seen = (
        "they are still there as unused disks"
        if known and set(old.values()) <= set(unused)
        else (f"they are still on their storage; `{tool} rescan --vmid {guest}` lists them as unused disks")
    )
    return f"its old disks were not deleted ({host(disks)}); {seen}"


# ---- a container ---------------------------------------------------------------------------------------------------


def ask_container(name: str, guest: int, new: int, backup: Backup, age: float, node: str, storage: str) -> str:
    return (
        f"May I restore container {named(name, guest)} as {new}?\n"
        f"• from {host(backup.volid)}, made {day(backup.made_at)} ({span(age)} ago)\n"
        f"• under the new id {new} on {node}, storage {storage}; {guest} stays as it is, stopped, with its disks\n"
        f"• onboot of {guest} is switched off, so that the two never run beside each other; then {new} is started"
    )


def container_restored(name: str, guest: int, new: int, took: float) -> Saying:
    return _note(
        f"✅ {named(name, guest)} is restored as {new} in {span(took)}. {guest} stays as it is, with onboot off, until "
        f"somebody deletes it. Next: start {new}."
    )


# ---- and back ------------------------------------------------------------------------------------------------------


def starting(name: str, guest: int, node: str) -> Saying:
    return _note(f"▶️ {named(name, guest)} is being started on {node}.")


def given_up_by_ha(guest: int) -> tuple[str, str]:
    """Why it does not start, as half a sentence, and a hint."""
    return (
        "HA has it as error, and ignores every start",
        f"`/restore unfreeze {guest}`: once it runs this goes on by itself",
    )


def locked(guest: Guest) -> tuple[str, str]:
    """Why it is left alone, as half a sentence, and a hint."""
    if guest.lock == ASLEEP:
        return (
            "it is hibernated, with what it had in memory on its disk",
            f"`qm resume {guest.id}` lets it go on where it stood; after `qm unlock {guest.id}` that is lost",
        )
    return f"it is locked ({host(guest.lock)})", f"`/restore unlock {guest.id}` if nothing holds it"


def beside_its_copy(old: Guest, new: int) -> tuple[str, str]:
    """Why the copy is not started, and a hint."""
    tool = "pct" if old.kind == "lxc" else "qm"
    return (
        f"guest {old.id} is {condition(old.status)} on {old.node}, and {new} has its addresses: not both may run",
        f"`{tool} shutdown {old.id}`, or leave {new} off",
    )


def ignored_by_ha(guest: Guest, what: str) -> tuple[str, str]:
    """Why it cannot `what` ("be stopped"), as half a sentence, and a hint."""
    return (
        f"HA has it as error, and ignores that it is to {what}",
        f"`ha-manager set {guest.sid} --state disabled` on a node: then HA stops what is left, and listens again",
    )


def serving(name: str, guest: int, how: str, took: float) -> Saying:
    return _note(f"💚 {named(name, guest)} serves again: {how}, {span(took)} after its start.")


def finished(name: str, guest: int, total: float, people: float, copying: float, old: Sequence[str]) -> Saying:
    kept = f"\nIts old disks stay: {', '.join(map(host, old))}." if old else ""
    hint = f"once it is proven whole, `/restore forget {guest}` deletes them for good" if old else ""
    text = (
        f"🏁 {named(name, guest)} is back {span(total)} after it was asked for: {span(people)} waiting for people, "
        f"{span(copying)} writing disks, {span(max(total - people - copying, 0))} for the rest.{kept}"
    )
    return _note(with_hint(text, hint))


# ---- what an abort leaves ------------------------------------------------------------------------------------------


def left_as(guest: Guest) -> str:
    under = f", HA has it as {host(guest.ha)}" if guest.ha else ""
    busy = f", locked ({host(guest.lock)}): something of it is under way, or broke off" if guest.lock else ""
    return f"{named(guest.name, guest.id)} is {host(condition(guest.status))} on {guest.node}{under}{busy}"


def left_unread(name: str, why: str) -> str:
    return f"{host(name)}: what is left could not be read ({host(why)})"


def left_saving() -> str:
    return "a backup that was begun goes on to its end"


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


def left_aside(guest: int) -> str:
    return f"the disks of guest {guest} are detached; they are its unused disks"


def left_onboot(guest: int) -> str:
    return f"onboot of guest {guest} is off"


def left_copy(new: int) -> str:
    return f"the restored copy {new} is there, not started"


# ---- the other acts of the runbook ---------------------------------------------------------------------------------


def ask_start_on(name: str, guest: int, target: str) -> str:
    return f"May I start {named(name, guest)} on {target}?\n• from the disks that are attached to it now"


def ask_unlock(name: str, guest: int, lock: str) -> str:
    return (
        f"May I take the lock off {named(name, guest)}?\n"
        f"• it is locked by: {host(lock)}\n"
        "• its node refuses that while a task of this guest runs"
    )


def unlocked(name: str, guest: int, lock: str) -> Saying:
    return _note(f"🔓 {named(name, guest)}: the lock {host(lock)} is off.")


def ask_unfreeze(name: str, guest: int, state: str) -> str:
    return (
        f"May I unfreeze {named(name, guest)} in HA?\n"
        f"• HA has it as: {host(state)}\n"
        "• its HA state is set to disabled, which is the only way out of error, and then to started"
    )


def unfrozen(name: str, guest: int) -> Saying:
    return _note(f"🧊 {named(name, guest)}: HA has it as started again.")


def ask_forget(name: str, guest: int, volumes: Sequence[str]) -> str:
    listed = "\n".join(f"• {host(volume)} is deleted for good" for volume in volumes)
    return (
        f"May I delete the unused disks of {named(name, guest)}?\n{listed}\n• what only they hold cannot be had again"
    )


def forgotten(name: str, guest: int, volumes: Sequence[str]) -> Saying:
    return _note(f"🗑️ {named(name, guest)}: deleted for good: {host(', '.join(volumes))}.")


def ask_power_cycle(node: str, guests: Sequence[str], doubtful: bool) -> str:
    """`doubtful`: who has it as offline is no majority itself."""
    alive = f"• ⚠️ who says so has no quorum: {node} may be alive, and only cut off from us\n" if doubtful else ""
    there = f"• guests that were on it: {host(', '.join(guests))}\n" if guests else ""
    return (
        f"May I switch {node} off and on at its BMC?\n"
        "• it does not answer: not by ssh, not by its API, and the cluster has it as offline\n"
        f"{alive}{there}• whatever still runs on it is cut off"
    )


def power_cycled(node: str) -> Saying:
    return _note(f"🔌 {node}: its power was cycled. I wait until it answers.")


def node_stands(node: str, answers: str) -> str:
    return f"{node} answers: {host(answers)}" if answers else f"{node} does not answer"


def node_back(node: str, took: float) -> Saying:
    return _note(f"✅ {node} answers again, {span(took)} after its power was cycled. Its bricks and guests follow.")


def sides_shown(image: str, volume: str, sides: Sequence[Side], entries: Sequence[str]) -> str:
    lines = [f"🪓 {host(image)} of volume {volume} is in split-brain, {_entries(len(entries))} with its shards:"]
    return "\n".join([*lines, *map(side_line, sides)])


def shown(text: str) -> Saying:
    """What was read and worded in one look."""
    return _note(text)


def no_split_image(guest: int, volumes: Sequence[str]) -> tuple[str, str]:
    """Why there is nothing to choose, and a hint. `volumes`: those with something split whose image is not known."""
    if not volumes:
        return f"no image of guest {guest} is in split-brain", f"`/restore {guest}` brings it back from a backup"
    some = f"{host(', '.join(volumes))} has something split that names no image"
    return (
        f"no image of guest {guest} is found in split-brain, but {some}",
        f"`gluster volume heal {host(volumes[0])} info split-brain` on a node; `/restore {guest}` needs none of it",
    )


def choose_one(guest: int, nodes: Sequence[str]) -> Saying:
    typed = " or ".join(f"`/restore heal {guest} from={node}`" for node in nodes)
    return _note(f"👉 Which copy is the good one? Compare size, times and who blames whom, then type {typed}.")


def side_line(side: Side) -> str:
    blames = ", ".join(f"{host(brick)} ({_counted(counts)})" for brick, counts in side.changelog.items() if any(counts))
    where = "" if side.brick.startswith(f"{side.node}:") else f" on {side.node}"
    shards = f", {side.shards} shards" if side.shards else ""
    return (
        f"• {host(side.brick)}{where}: {gib(side.size)}{shards}, written {day(side.modified)}, "
        f"changed {day(side.changed)}; blames {blames or 'nobody'}"
    )


def _counted(counts: Sequence[int]) -> str:
    """ "data 2, entry 1": what the changelog holds against another copy; zeros say nothing."""
    return ", ".join(
        f"{what} {count}" for what, count in zip(("data", "metadata", "entry"), counts, strict=True) if count
    )


def ask_side(name: str, guest: int, image: str, side: Side, others: Sequence[Side], entries: int) -> str:
    lost = "\n".join(f"• given up: {side_line(other).removeprefix('• ')}" for other in others)
    return (
        f"May I take the copy on {side.node} as the good one for {named(name, guest)}?\n"
        f"• image {host(image)} and its shards, {_entries(entries)}, all from {host(side.brick)}\n"
        f"• kept: {side_line(side).removeprefix('• ')}\n{lost}\n"
        "• what only the other copies have is gone for good; the guest is stopped and stays so"
    )


def side_taken(image: str, brick: str, took: float) -> Saying:
    return _note(
        f"💚 {host(image)} is no longer in split-brain after {span(took)}: every copy is healed from {host(brick)}. "
        "It is as a disk is after a power cut: let the guest check its file system."
    )


# ---- backups and drills --------------------------------------------------------------------------------------------


def ask_backup(names: Sequence[str], storage: str, size: int, full: Sequence[str], containers: Sequence[str]) -> str:
    """`size` of all disks in bytes; `full`: guests of which the storage keeps no more by its retention; `containers`:
    those of the guests that are some, which Proxmox VE suspends for a while where their storage makes no snapshots."""
    stands = "".join(
        f"\n• {host(one)} stands still for a moment, if its storage makes no snapshots" for one in containers
    )
    beside = (
        f"\n• storage {storage} keeps no more of {host(', '.join(full))}: the new one is *protected*, beside them"
        if full
        else ""
    )
    return (
        f"May I back up {host(', '.join(names))}?\n"
        f"• to storage {storage}, as a snapshot, one after the other: {gib(size)} of disks to read\n"
        f"• the guests go on running; each is locked while it is saved{stands}\n"
        f"• no older backup is pruned by this{beside}"
    )


def backing_up(name: str, guest: int, storage: str, about: str) -> Saying:
    return Saying("progress", f"💾 {named(name, guest)} is being backed up to {storage}.", about=about)


def backed_up(name: str, guest: int, took: float, volid: str, protected: bool) -> Saying:
    stays = " It is protected, and stays until somebody takes that off (*Change Protection* in the storage's backups)."
    text = f"✅ {named(name, guest)}: backed up in {span(took)}: {host(volid)}. Nothing was pruned."
    return _note(text + (stays if protected else ""))


def room_for_protected(storage: str, why: str) -> str:
    """A hint, where vzdump says that there are as many protected backups as the storage allows; else ""."""
    if "protected backups" not in why:
        return ""
    return f"*Change Protection* of the ones that may go, in the list of backups of storage {storage}"


def backups_done(names: Sequence[str], took: float) -> Saying:
    return _note(f"🏁 Backed up after {span(took)}: {host(', '.join(names))}.")


def drilled_when_it_is_back(guest: Guest) -> str:
    whose = f"{named(guest.name, guest.id)} belongs to {guest.node}, which answers nobody"
    return f"{whose}: how large it is, and where it lies, cannot be read"


def drill_begins(name: str, guest: int, copy: int, backup: Backup, now: float, node: str, storage: str) -> Saying:
    age = now - backup.made_at
    return _note(
        f"🧯 Drill: {host(backup.volid)} of {named(name, guest)}, {span(age)} old, is restored as {copy} to {storage} "
        f"of {node}, without network. {guest} itself is not touched."
    )


def drill_passed(name: str, guest: int, took: float, copying: float, booted: float) -> Saying:
    return _note(
        f"🏁 Restore drill of {named(name, guest)} passed in {span(took)}: written in {span(copying)}, booted and "
        f"answered {span(booted)} after its start. The copy is deleted."
    )


def drill_failed(name: str, guest: int, why: str, left: Sequence[str]) -> Saying:
    rest = f" Left behind: {'; '.join(left)}." if left else " Nothing is left of its copy."
    return _note(f"🚨 Restore drill of {named(name, guest)} *failed*: {host(why)}.{rest}")


def drill_left(copy: int, node: str) -> str:
    return f"the copy {copy} on {node}"


def drill_doubtful(copy: int, node: str) -> str:
    return f"guest {copy} on {node}, which may be half of the copy; look before you delete it"


def last_drill(name: str, age: float, took: float, passed: bool) -> str:
    """ "last restore drill of router-a: 12 days ago, 4 min 10 s"."""
    minutes, seconds = divmod(round(took), 60)
    lasted = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
    return f"last restore drill of {host(name)}: {_ago(age)}, {lasted if passed else 'failed'}"


def _ago(age: float) -> str:
    for unit, size in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if (count := int(age // size)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
