"""What the bot says in the other acts of the restore runbook. The rules: workflows/messages.py."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.rescue import Side
from cluster.telling import gib
from engine.port import Saying
from workflows.messages import day, host, named, note, span


def ask_start_on(name: str, guest: int, target: str) -> str:
    return f"May I start {named(name, guest)} on {target}?\n• from the disks that are attached to it now"


def ask_unlock(name: str, guest: int, lock: str) -> str:
    return (
        f"May I take the lock off {named(name, guest)}?\n"
        f"• it is locked by: {host(lock)}\n"
        "• its node refuses that while a task of this guest runs"
    )


def unlocked(name: str, guest: int, lock: str) -> Saying:
    return note(f"🔓 {named(name, guest)}: the lock {host(lock)} is off.")


def ask_unfreeze(name: str, guest: int, state: str) -> str:
    return (
        f"May I unfreeze {named(name, guest)} in HA?\n"
        f"• HA has it as: {host(state)}\n"
        "• its HA state is set to disabled, which is the only way out of error, and then to started"
    )


def unfrozen(name: str, guest: int) -> Saying:
    return note(f"🧊 {named(name, guest)}: HA has it as started again.")


def ask_forget(name: str, guest: int, volumes: Sequence[str]) -> str:
    listed = "\n".join(f"• {host(volume)} is deleted for good" for volume in volumes)
    return f"May I delete the unused disks of {named(name, guest)}?\n{listed}\n• what is on them alone is lost"


def forgotten(name: str, guest: int, volumes: Sequence[str]) -> Saying:
    return note(f"🗑️ {named(name, guest)}: deleted for good: {host(', '.join(volumes))}.")


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
    return note(f"🔌 {node}: its power was cycled. I wait until it answers.")


def node_stands(node: str, answers: str) -> str:
    return f"{node} answers: {host(answers)}" if answers else f"{node} does not answer"


def node_back(node: str, took: float) -> Saying:
    return note(f"✅ {node} answers again, {span(took)} after its power was cycled. Its bricks and guests follow.")


# ---- a split image ---------------------------------------------------------------------------------------------------


def sides_shown(image: str, volume: str, sides: Sequence[Side], entries: Sequence[str]) -> str:
    lines = [f"🪓 {host(image)} of volume {volume} is in split-brain, {_entries(len(entries))} with its shards:"]
    return "\n".join([*lines, *map(side_line, sides)])


def no_split_image(guest: int, volumes: Sequence[str]) -> tuple[str, str]:
    """Why there is nothing to choose, and a hint. `volumes`: those with something split whose image is not known."""
    if not volumes:
        return f"no image of guest {guest} is in split-brain", f"`/restore {guest}` brings it back from a backup"
    some = f"{host(', '.join(volumes))} has something split that names no image"
    return (
        f"no image of guest {guest} is found in split-brain, but {some}",
        f"`gluster volume heal {host(volumes[0])} info split-brain` on a node names it; `/restore {guest}` brings the "
        "guest back from a backup",
    )


def no_such_side(word: str, several: bool, sides: Sequence[str]) -> tuple[str, str]:
    """Why this word means no side, and a hint. `sides`: what to type for each."""
    why = f"{host(word)} has several copies of it" if several else f"there is no such side: {host(word)}"
    return why, f"its sides are called {host(', '.join(sides))}"


def choose_one(guest: int, sides: Sequence[str]) -> Saying:
    """`sides`: what to type for each."""
    typed = " or ".join(f"`/restore heal {guest} from={host(side)}`" for side in sides)
    return note(f"👉 Which copy is the good one? Compare size, times and who blames whom, then type {typed}.")


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
    return note(
        f"💚 {host(image)} is no longer in split-brain after {span(took)}: every copy is healed from {host(brick)}. "
        "It is as a disk is after a power cut: let the guest check its file system."
    )


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"
