"""What becomes of a running guest when its node is drained: it moves, it is shut down and started again after the heal,
or the node is not taken. One rule for the gates, the approval and the drain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cluster.facts import Guest, Move, ReplicationJob, Serving
from cluster.guest_settings import CannotMove, GuestGroup, Stay, Way

NO_REPLICA = "holds no replica of it"


@dataclass(frozen=True, slots=True)
class WayOut:
    """`why`: in PVE's words what keeps it, or which setting says so; "" for one that simply moves."""

    way: Way
    why: str = ""

    @property
    def moves(self) -> bool:
        return self.way == "move"


def way_out(policy: CannotMove, guest: Guest, move: Move, targets: Iterable[str] | None = None) -> WayOut:
    """`targets`: nodes that take guests now; None = wherever PVE allows."""
    allowed = set(move.allowed) if targets is None else set(move.allowed) & set(targets)
    wanted, said = _wanted(policy, guest, move)
    if wanted == "move" and not allowed:
        return WayOut(_stay(policy, move), why_not(move))
    if wanted == "move":
        return WayOut("move")
    return WayOut(wanted, why_not(move) if not allowed else said)


def _wanted(policy: CannotMove, guest: Guest, move: Move) -> tuple[Way, str]:
    """By guest, else by kind; and the setting that says so."""
    if guest.id in policy.guests:
        way = policy.guests[guest.id]
        return way, f"cannot_move.guests says {way}"
    if guest.kind == "lxc":
        return policy.containers, f"a container, and cannot_move.containers says {policy.containers}"
    if move.local_disks:
        disks = ", ".join(move.local_disks)
        return policy.local_disks, f"local disks {disks}, and cannot_move.local_disks says {policy.local_disks}"
    return "move", ""


def _stay(policy: CannotMove, move: Move) -> Stay:
    return (policy.passthrough or policy.otherwise) if move.local_devices else policy.otherwise


def why_not(move: Move) -> str:
    """Why it cannot leave, in PVE's own words: node by node, or once if all say the same."""
    reasons = _by_reason(move.why_not)
    if move.local_devices and not any(device in reason for device in move.local_devices for reason in reasons):
        reasons.append(f"local {', '.join(move.local_devices)}")
    if move.local_disks:
        reasons.append(f"local {', '.join(move.local_disks)}")
    return "; ".join(reasons) or "no node is allowed"


def _by_reason(why_not: Mapping[str, str]) -> list[str]:
    nodes: dict[str, list[str]] = {}
    for node, why in why_not.items():
        nodes.setdefault(why, []).append(node)
    return [f"{', '.join(names)}: {why}" for why, names in nodes.items()]


def narrowed(move: Move, jobs: Iterable[ReplicationJob]) -> Move:
    """A replicated guest moves only to where its replica is: Proxmox VE lists other nodes too, and then refuses."""
    replicas = {job.target for job in jobs if job.guest == move.guest}
    if not replicas:
        return move
    elsewhere = {node: NO_REPLICA for node in move.allowed if node not in replicas}
    return replace(
        move,
        allowed=tuple(node for node in move.allowed if node in replicas),
        why_not={**move.why_not, **elsewhere},
    )


def why_not_serving(rows: Iterable[Serving], group: GuestGroup, member: int) -> str:
    """What the member's health probe found wrong, in words; "" if it passed or there is none. Unknown is wrong."""
    if member not in group.health:
        return ""
    found = next((row for row in rows if row.guest == member), None)
    if found is None:
        return "its health probe was not asked"
    return "" if found.serves else found.said
