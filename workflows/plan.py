"""What a run would do: the order of the nodes, what each needs, and which gates stand open now. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.facts import Guest, Ha, Membership, Read, Topic
from cluster.reach import sentences
from cluster.world import Blocked, GatePhase, OwnChanges, Passed, Unknown, Verdict
from engine.port import Waiting
from workflows import messages
from workflows.drill import last_drills
from workflows.judging import judge_now
from workflows.node import need_of
from workflows.phases import UPGRADE
from workflows.picture import state_of, wait_of
from workflows.settings import ManagedCluster
from workflows.site import Site

QDEVICE_HINT = "a QDevice gives the third vote: `pvecm qdevice setup ADDRESS`"


def in_order(site: Site, named: Sequence[str]) -> Any:
    """{"nodes", "reasons", "refused", "hint", "ways"}, or Waiting if the cluster does not answer. A person's order
    stands."""
    machines = site.cluster.survey(frozenset({Topic.MEMBERSHIP, Topic.HA, Topic.GUESTS, Topic.PATHS}), None)
    membership, ha, guests = machines.membership, machines.ha, machines.guests
    for reading in (membership, ha, guests):
        if not isinstance(reading, Read):
            return Waiting(reading.why)
    assert isinstance(membership, Read)
    assert isinstance(ha, Read)
    assert isinstance(guests, Read)
    refused = impossible(membership.value, named or tuple(site.managed.nodes))
    nodes, reasons = (list(named), []) if named else sorted_nodes(site.managed, ha.value, guests.value)
    ways = sentences(site.managed, machines.paths.value, guests.value) if isinstance(machines.paths, Read) else []
    hint = QDEVICE_HINT if refused else ""
    return {"nodes": nodes, "reasons": reasons, "refused": refused, "hint": hint, "ways": ways}


def impossible(membership: Membership, nodes: Sequence[str]) -> str:
    """Why no waiting can help: with all nodes there, one less still loses quorum. "" if it can be done."""
    total = sum(member.votes for member in membership.members) + membership.qdevice_votes
    needed = max(membership.quorum, total // 2 + 1)  # `two_node` and `pvecm expected 1` lower what corosync asks for
    for member in membership.members:
        left = total - member.votes
        if member.node in nodes and left < needed:
            return f"with {member.node} down {left} of {total} votes are left, and quorum needs {needed}"
    return ""


def sorted_nodes(managed: ManagedCluster, ha: Ha, guests: Sequence[Guest]) -> tuple[list[str], list[str]]:
    """Nodes without members of a guest group first, the HA manager last; else as the settings name them."""
    grouped = {guest_id for group in managed.groups for guest_id in group.guests}
    carrying = {guest.node for guest in guests if guest.id in grouped and guest.running}
    names = list(managed.nodes)
    nodes = sorted(names, key=lambda n: (n == ha.manager, n in carrying, names.index(n)))
    reasons = []
    if carrying and carrying != set(names):
        reasons.append("nodes without members of a guest group first")
    if ha.manager in names:
        reasons.append(f"the HA manager {ha.manager} last")
    return nodes, reasons


def describe(site: Site, nodes: Sequence[str] = (), force: bool = False) -> tuple[str, list[Verdict]]:
    """The whole plan as text, for `roundsman plan`, and what was said of its gates; nothing of nodes that would be left
    as they are. Raises only StoreError; what does not answer is said, and unknown."""
    order = in_order(site, nodes)
    if isinstance(order, Waiting):
        return f"The cluster does not answer: {order.seen}", [Unknown(order.seen)]
    verdicts: list[Verdict] = [Blocked(order["refused"])] if order["refused"] else []
    head = [f"Order: {', '.join(order['nodes'])}" + (f" ({'; '.join(order['reasons'])})" if order["reasons"] else "")]
    if order["refused"]:
        head.append(f"Refused: {order['refused']}. {order['hint']}")
    head += [f"Ways in: {way}" for way in order["ways"]]
    drills = last_drills(site.store, site.managed, site.clock())
    told = [describe_node(site, node, force) for node in order["nodes"]]
    verdicts += [verdict for _, said in told for verdict in said]
    return "\n".join([*under_way(site), *head, *(text for text, _ in told), *drills]), verdicts


def under_way(site: Site) -> list[str]:
    """A line for a run that goes on: its own changes shut gates for whoever looks from a shell."""
    runs = site.store.runs(cluster=site.managed.name, state="active", workflow=UPGRADE)
    return [messages.under_way(run.id) for run in runs if state_of(run, wait_of(run)) != "watching"]


def describe_node(site: Site, node: str, force: bool) -> tuple[str, list[Verdict]]:
    """A paragraph a node: what it needs, and every gate that is not open; and what all its gates say."""
    machines = site.cluster.survey(frozenset({Topic.NODES, Topic.PACKAGES, Topic.GUESTS, Topic.MOVES}), node)
    need = need_of(machines, node, site.managed.cannot_move, force=force, installed=False)
    if isinstance(need, Waiting):
        return f"{node}: {need.seen}", [Unknown(need.seen)]
    if need.nothing:
        return f"{node}: nothing to upgrade, no new kernel; it would be left as it is", []
    judgement = judge_now(site, "", node, GatePhase.PREFLIGHT, OwnChanges(), None, "")
    count, shut = len(judgement.opinions), len(judgement.reasons)
    verdict = (
        f"{shut} of {count} gates {'is' if shut == 1 else 'are'} shut, and it would wait for that"
        if shut
        else f"all {count} gates are open"
    )
    lines = [f"{node}: {verdict}\n{messages.what_is_approved(need)}"]
    lines += [
        f"  {'passed' if isinstance(o.verdict, Passed) else 'SHUT'} {o.gate}: {_words(o.verdict)}"
        for o in sorted(judgement.opinions, key=lambda opinion: isinstance(opinion.verdict, Passed))
        if not isinstance(o.verdict, Passed) or o.verdict.note
    ]
    return "\n".join(lines), [opinion.verdict for opinion in judgement.opinions]


def _words(verdict: Any) -> str:
    return str(verdict.note if isinstance(verdict, Passed) else verdict.reason)
