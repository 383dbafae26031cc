"""Corosync's quorum, with the node gone: votes are counted, not believed, for `pvecm expected 1` lies about them."""

from __future__ import annotations

from cluster.facts import Membership, Topic
from cluster.gates._common import ALWAYS, FRESH_S, TAKING, listed, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World

QDEVICE_HINT = (
    "a QDevice gives the third vote: `pvecm qdevice setup ADDRESS`, with ADDRESS outside of the cluster; "
    "if there is one, `corosync-qdevice-tool -s` says why it gives none"
)


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    membership = value(world.machines.membership)
    if not membership.quorate:
        return Blocked(f"{membership.cluster} has no quorum now", _evidence(membership), "`pvecm status` on any node")
    if phase not in TAKING:
        return Passed(_evidence(membership))
    return _without(membership, node)


def _without(membership: Membership, node: str) -> Verdict:
    """A majority of all votes must stay, whatever number `pvecm expected` or two_node mode asks for."""
    if node not in {member.node for member in membership.members}:
        return Blocked(f"{node} is no member of {membership.cluster}", _evidence(membership))
    total = sum(member.votes for member in membership.members) + membership.qdevice_votes
    needed = max(membership.quorum, total // 2 + 1)
    left = sum(m.votes for m in membership.members if m.online and m.node != node) + membership.qdevice_votes
    evidence = {**_evidence(membership), "left": left, "needed": needed, "total": total}
    if left < needed:
        reason = f"with {node} down {left} of {total} votes are left, and quorum needs {needed}"
        return Blocked(reason, evidence, _hint(membership))
    spare = "" if left > needed else f"no spare vote while {node} is down: {left} left, {needed} needed"
    return Passed(evidence, spare)


def _hint(membership: Membership) -> str:
    offline = [member.node for member in membership.members if not member.online]
    if offline:
        return f"bring {listed(offline)} back first"
    return QDEVICE_HINT if len(membership.members) == 2 and not membership.qdevice_votes else "`pvecm status` shows it"


def _evidence(membership: Membership) -> dict[str, object]:
    return {
        "quorate": membership.quorate,
        "quorum": membership.quorum,
        "qdevice": membership.qdevice_votes,
        "online": sorted(member.node for member in membership.members if member.online),
    }


GATE = Gate(
    name="cluster-quorum",
    doc="Does the cluster keep its quorum with that node gone, votes counted?",
    phases=ALWAYS,
    reads=frozenset({Topic.MEMBERSHIP}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
