"""What the bot says while it makes backups. The rules: workflows/messages.py."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.telling import gib
from engine.port import Saying
from workflows.messages import host, named, note, span


def left_saving() -> str:
    return "a backup that was begun goes on to its end"


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
    return note(text + (stays if protected else ""))


def room_for_protected(storage: str, why: str) -> str:
    """A hint, where vzdump says that there are as many protected backups as the storage allows; else ""."""
    if "protected backups" not in why:
        return ""
    return f"*Change Protection* of the ones that may go, in the list of backups of storage {storage}"


def backups_done(names: Sequence[str], took: float) -> Saying:
    return note(f"🏁 Backed up after {span(took)}: {host(', '.join(names))}.")
