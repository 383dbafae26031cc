"""What the bot says of a restore drill. The rules: workflows/messages.py."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.facts import Backup, Guest
from engine.port import Saying
from workflows.messages import host, named, note, span


def drilled_when_it_is_back(guest: Guest) -> str:
    whose = f"{named(guest.name, guest.id)} belongs to {guest.node}, which answers nobody"
    return f"{whose}: how large it is, and where it lies, cannot be read"


def drill_begins(name: str, guest: int, copy: int, backup: Backup, now: float, node: str, storage: str) -> Saying:
    age = now - backup.made_at
    return note(
        f"🧯 Drill: {host(backup.volid)} of {named(name, guest)}, {span(age)} old, is restored as {copy} to {storage} "
        f"of {node}, without network. {guest} itself is not touched."
    )


def drill_passed(name: str, guest: int, took: float, copying: float, booted: float) -> Saying:
    return note(
        f"🏁 Restore drill of {named(name, guest)} passed in {span(took)}: written in {span(copying)}, booted and "
        f"answered {span(booted)} after its start. The copy is deleted."
    )


def drill_failed(name: str, guest: int, why: str, left: Sequence[str]) -> Saying:
    rest = f" Left behind: {'; '.join(left)}." if left else " Nothing is left of its copy."
    return note(f"🚨 Restore drill of {named(name, guest)} *failed*: {host(why)}.{rest}")


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
