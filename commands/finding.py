"""What several commands ask first: which cluster, which run, and may this person do it."""

from __future__ import annotations

from base.spelling import meant
from commands.api import Desk, Typed, Wrong
from store.api import AuditRow, OrderRow, RunRow
from workflows.messages import some
from workflows.orders import Order
from workflows.phases import UPGRADE
from workflows.picture import RunPicture, picture
from workflows.roles import may_operate, may_override, mention
from workflows.settings import ManagedCluster


def cluster_in(desk: Desk, typed: Typed, words: list[str]) -> tuple[ManagedCluster, list[str]]:
    """The cluster that was named (first or last word), else the channel's own; and the other words."""
    for place in (0, -1):
        if words and words[place] in desk.clusters:
            rest = words[1:] if place == 0 else words[:-1]
            return desk.clusters[words[place]], rest
    own = [managed for managed in desk.clusters.values() if managed.channel == typed.channel]
    if not own:
        raise Wrong(f"this channel has no cluster of its own; name one: {', '.join(desk.clusters)}.")
    return own[0], words


def nothing_else(words: list[str], usage: str, known: list[str]) -> None:
    if words:
        raise not_understood(words[0], usage, known)


def not_understood(word: str, usage: str, known: list[str]) -> Wrong:
    """A word that is known, or where none may follow, is one more than there is a place for."""
    if word in known or not known:
        return Wrong(f'"{word}" is one word too many. Type `{usage}`.')
    return Wrong(f'unknown argument "{word}"{did_you_mean(word, known)}. Type `{usage}`.')


def did_you_mean(word: str, known: list[str]) -> str:
    """What was meant, if that is clear; else everything that is known."""
    return meant(word, known, f" (known: {some(known)})")


def node_of(managed: ManagedCluster, name: str) -> str:
    if name not in managed.nodes:
        raise Wrong(f'*{managed.name}* has no node "{name}"{did_you_mean(name, list(managed.nodes))}.')
    return name


def must_operate(desk: Desk, typed: Typed, managed: ManagedCluster, deed: str) -> None:
    if not may_operate(typed.by, managed.people, desk.chat):
        raise Wrong(f"only operators of *{managed.name}* may {deed}: {mention(managed.people.operators)}.")


def must_approve(desk: Desk, typed: Typed, managed: ManagedCluster, deed: str) -> None:
    if not may_override(typed.by, managed.people, desk.chat):
        raise Wrong(f"only approvers of *{managed.name}* may {deed}: {mention(managed.people.approvers)}.")


def seen(desk: Desk, run: RunRow) -> RunPicture:
    return picture(run, desk.store.entries(run.id), desk.store.orders(run.id))


def latest(desk: Desk, managed: ManagedCluster) -> RunRow:
    """The active run, else the last one. Raises Wrong where there never was one."""
    active = desk.store.runs(cluster=managed.name, state="active", workflow=UPGRADE, limit=1)
    runs = active or desk.store.runs(cluster=managed.name, workflow=UPGRADE, limit=1)
    if not runs:
        raise Wrong(f"*{managed.name}* has had no run yet. `/upgrade cluster {managed.name}` starts one.")
    return runs[0]


def active(desk: Desk, managed: ManagedCluster) -> RunRow:
    runs = desk.store.runs(cluster=managed.name, state="active", workflow=UPGRADE, limit=1)
    if not runs:
        raise Wrong(f"no run of *{managed.name}* is active. `/upgrade cluster {managed.name}` starts one.")
    return runs[0]


def link_to(desk: Desk, run: RunRow) -> str:
    board = desk.store.outbox_row(run.id, "board")
    address = desk.link(board.channel, board.ts) if board and board.ts else ""
    return f"<{address}|its thread>" if address else "its thread"


def give(desk: Desk, typed: Typed, run: RunRow, verb: Order, about: str = "", reason: str = "") -> None:
    """Write the order, and with it who gave it into the audit log; the same typing twice is once."""
    audit = AuditRow(desk.now, run.id, run.cluster, typed.by, str(verb), {"about": about, "reason": reason})
    desk.store.order(OrderRow(0, run.id, verb, about, reason, typed.by, desk.now, typed.source), audit)
