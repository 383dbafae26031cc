"""`/upgrade override`: an approver opens one gate, for one node, in one run, with a reason."""

from __future__ import annotations

from cluster.gates import all_gates
from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import active, did_you_mean, give, must_approve, seen
from workflows.orders import Order

USAGE = "/upgrade override [NAME] GATE NODE REASON…"


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    named = bool(words) and words[0] in desk.clusters
    own = [c for c in desk.clusters.values() if c.channel == typed.channel]
    if not named and not own:
        raise Wrong(f"this channel has no cluster of its own; type `{USAGE}`.")
    managed = desk.clusters[words[0]] if named else own[0]
    must_approve(desk, typed, managed, "override a gate")
    rest = words[1:] if named else words
    if len(rest) < 3:
        raise Wrong(f"an override names a gate, a node and a reason: `{USAGE}`.")
    gate, node, reason = rest[0], rest[1], " ".join(rest[2:])
    _must_be_overridable(gate)
    run = active(desk, managed)
    nodes = [place.node for place in seen(desk, run).nodes] or list(managed.nodes)
    if node not in nodes:
        raise Wrong(f'this run has no node "{node}"{did_you_mean(node, nodes)}.')
    give(desk, typed, run, Order.OVERRIDE, f"{gate} {node}", reason)
    return Reply(f"🔓 <@{typed.by}> overrides *{gate}* for {node} in `{run.id}`: {reason}", True)


def _must_be_overridable(name: str) -> None:
    gates = {gate.name: gate for gate in all_gates()}
    if name not in gates:
        raise Wrong(f'there is no gate "{name}"{did_you_mean(name, list(gates))}.')
    if not gates[name].overridable:
        raise Wrong(f"*{name}* cannot be overridden by anybody: {gates[name].doc}")


COMMANDS = (
    Command(
        "/upgrade", "override", USAGE, "approvers: open one gate for one node of this run; kept in the audit.", handle
    ),
)
