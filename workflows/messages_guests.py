"""What the bot says of guests that were shut down, of Ceph and of ZFS replication. The rules: workflows/messages.py."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.facts import Guest
from engine.port import Saying
from workflows.messages import host, named, note, some, span


def stopping(node: str, guest: int, name: str, onboot: bool, ha: str) -> Saying:
    kept = kept_down(onboot, ha)
    until = f" ({kept} until then)" if kept else ""
    return note(f"⏹️ {node}: {named(name, guest)} does not move; it is shut down until the storage has healed{until}.")


def stopped_by_others(node: str, guest: int, name: str) -> Saying:
    return note(f"⏹️ {node}: {named(name, guest)} was stopped by somebody else before it had moved; it stays off.")


def left_by_ha(node: str, guest: int, name: str, where: str) -> Saying:
    why = "its failback is off, or its rules want it there"
    return note(f"📌 {node}: HA leaves {named(name, guest)} on {where}: {why}.")


def kept_down(onboot: bool, ha: str) -> str:
    """What was switched off so that nothing starts it too early."""
    parts = ["onboot is off"] if onboot else []
    parts += ["HA is told to keep it stopped"] if ha else []
    return " and ".join(parts)


def left_down(node: str, guest: int, name: str, onboot: bool, ha: str) -> str:
    kept = kept_down(onboot, ha)
    return f"{named(name, guest)} is shut down on {node}" + (f" ({kept})" if kept else "")


def started_again(node: str, guest: int, name: str, onboot: bool, ha: str) -> Saying:
    parts = ["onboot is on"] if onboot else []
    parts += [f"HA is asked to keep it {host(ha)}"] if ha else []
    back = f"; {' and '.join(parts)} again" if parts else ""
    return note(f"▶️ {node}: {named(name, guest)} runs again{back}.")


def removed(node: str, guest: int, name: str, what: str) -> Saying:
    """`what`: what is not done to it, therefore: "started"."""
    return note(f"🗑️ {node}: {named(name, guest)} is no longer in the cluster: somebody removed it; nothing is {what}.")


MOVE_HINT = "the log of its task tells more, in the web interface; whoever moves it by hand has done it"


def by_hand(guest: Guest, wanted: str) -> str:
    """What to do about a guest that is not shut down, or does not start; "" if nothing is known."""
    if wanted == "stopped" and guest.status != "stopped":
        return f"shut it down from inside, or pull its plug: `{guest.tool} stop {guest.id}` on {guest.node}"
    if wanted == "running" and guest.status == "stopped":
        return f"`{guest.tool} start {guest.id}` on {guest.node} tells why it does not start"
    return ""


def noout_on(node: str) -> Saying:
    return note(f"🚩 {node}: noout is set on Ceph, so that it does not copy this node's data elsewhere meanwhile.")


def ceph_recovers(node: str) -> Saying:
    return note(f"🩹 {node}: now Ceph recovers; no other node is touched before every placement group is clean.")


def ceph_clean(node: str, took: float, placement_groups: int, ours: bool) -> Saying:
    flag = "; noout is off again" if ours else ""
    return note(f"💚 {node}: Ceph is whole after {span(took)}: {placement_groups} placement groups active+clean{flag}.")


def replicated(node: str, jobs: Sequence[str]) -> Saying:
    return note(f"🧬 {node}: ZFS replication ran just now: {host(some(jobs))}.")
