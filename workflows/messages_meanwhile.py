"""What is said while a node or the storage is waited for."""

from __future__ import annotations

from collections.abc import Sequence

from engine.port import Saying
from workflows.messages import bullets, paged
from workflows.settings import ManagedCluster


def groups_fell(managed: ManagedCluster, node: str, waits: str, reasons: Sequence[str], page: bool) -> Saying:
    """`page`: nobody else was woken for it."""
    text = f"🚨 {node}: I wait for {waits}, and meanwhile too few of a guest group serve.\n{bullets(reasons)}"
    return paged(managed, text) if page else Saying("note", text)


def packages_not_read(node: str, why: str) -> Saying:
    """`why`: apt's own trouble, with what to do about it."""
    trouble = why.removeprefix(f"{node}: ")
    return Saying("note", f"⏳ {node}: I cannot read what it needs: {trouble}. Nothing is begun there; I ask again.")


def groups_back(node: str) -> Saying:
    return Saying("note", f"✅ {node}: enough members of every guest group serve again; I wait on.")
