"""A node that answers is not back: corosync said online 8 s before pveproxy did (proxmox.md section 1, fact 8)."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import EMPTYING, MINUTES_S, listed, not_down, status_of, value
from cluster.gates._pool import pool_nodes
from cluster.world import WATCHING, Blocked, Gate, GatePhase, Passed, Verdict, World

PVE = ("corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm")


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    wrong = {name: found for name in not_down(world) if (found := _wrong(world, name))}
    if not wrong:
        return Passed({"active": not_down(world)})
    what = listed(
        f"{service} is {state} on {name}" for name, found in wrong.items() for service, state in found.items()
    )
    name, found = next(iter(wrong.items()))
    return Blocked(what, {"wrong": wrong}, f"`systemctl status {next(iter(found))}` on {name}")


def _wrong(world: World, name: str) -> dict[str, str]:
    """Services that must run there and do not. One that was not told of is "unknown"."""
    states = value(status_of(world, name)).services
    needed = (*PVE, "glusterd") if name in pool_nodes(world) else PVE
    return {unit: state for unit in needed if (state := states.get(unit, "unknown")) != "active"}


GATE = Gate(
    name="services",
    doc="Do the services of Proxmox VE, and glusterd where there is one, run on every node?",
    phases=EMPTYING | WATCHING | {GatePhase.HEALED},
    reads=frozenset({Topic.NODES}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
