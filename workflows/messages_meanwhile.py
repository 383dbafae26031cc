"""What is said while a node or the storage is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.port import Saying
from workflows.messages import bullets, named, note, paged, some
from workflows.settings import ManagedCluster


def groups_fell(managed: ManagedCluster, node: str, waits: str, reasons: Sequence[str], page: bool) -> Saying:
    """`page`: nobody else was woken for it."""
    text = f"🚨 {node}: I wait for {waits}, and meanwhile too few of a guest group serve.\n{bullets(reasons)}"
    return paged(managed, text) if page else note(text)


def packages_not_read(node: str, why: str) -> Saying:
    """`why`: apt's own trouble, with what to do about it."""
    trouble = why.removeprefix(f"{node}: ")
    return note(f"⏳ {node}: I cannot read what it needs: {trouble}. Nothing is begun there; I ask again.")


def starts_with_node(node: str, guests: Sequence[Sequence[Any]]) -> Saying:
    """`guests`: id and name of each."""
    who = some([named(name, guest) for guest, name in guests])
    start, them = ("is off and starts", "it") if len(guests) == 1 else ("are off and start", "them")
    return note(f"🔌 {node}: {who} {start} with the node (onboot). I did not stop {them}, and leave {them} be.")


def groups_back(node: str, waits: bool) -> Saying:
    on = "; I wait on" if waits else ""
    return note(f"✅ {node}: enough members of every guest group serve again{on}.")
