"""Every node is a member and online: a node that is missing already is the redundancy that would be spent."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import ALWAYS, FRESH_S, listed, online, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    wanted = frozenset(world.settings.nodes)
    members = frozenset(member.node for member in value(world.machines.membership).members)
    evidence = {"online": sorted(online(world)), "members": sorted(members)}
    if strangers := members - wanted:
        hint = f"add {listed(sorted(strangers))} to `nodes` in the settings"
        return Blocked(f"in the cluster, but not in the settings: {listed(sorted(strangers))}", evidence, hint)
    if offline := wanted - online(world) - world.own.down:
        reason = f"{len(offline)} of {len(wanted)} nodes not online: {listed(sorted(offline))}"
        return Blocked(reason, evidence, f"`systemctl status corosync` on {sorted(offline)[0]}")
    return Passed(evidence)


GATE = Gate(
    name="nodes-online",
    doc="Is every node of the settings a member of the cluster, and online?",
    phases=ALWAYS,
    reads=frozenset({Topic.MEMBERSHIP}),
    max_age=FRESH_S,
    overridable=True,
    check=check,
)
