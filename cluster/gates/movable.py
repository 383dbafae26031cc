"""Every running guest of the node can move, by Proxmox VE's own answer, or it is said that it stays down."""

from __future__ import annotations

from cluster.facts import Guest, Topic
from cluster.gates._common import EMPTYING, MINUTES_S, elsewhere, listed, named, runs_on, value
from cluster.ways import WayOut, way_out
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World

Ways = list[tuple[Guest, WayOut]]


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    moves = {move.guest: move for move in value(world.machines.moves)}
    guests = runs_on(world, node)
    if silent := [named(guest) for guest in guests if guest.id not in moves]:
        return Unknown(f"Proxmox VE did not say whether {listed(silent)} can move")
    policy, targets = world.settings.cannot_move, elsewhere(world, node)
    ways = [(guest, way_out(policy, guest, moves[guest.id], targets)) for guest in guests]
    evidence = {"guests": [guest.id for guest in guests], "ways": {str(guest.id): way.way for guest, way in ways}}
    refused = [(guest, way) for guest, way in ways if way.way == "refuse"]
    if not refused:
        return Passed(evidence, _note(ways))
    reason = f"{len(refused)} of {len(guests)} guests cannot leave {node}: {listed(_why(*one) for one in refused)}"
    first = refused[0][0]
    hint = f"move it by hand (`{first.tool} migrate {first.id} NODE`), or let it stay down: `cannot_move: shutdown`"
    return Blocked(reason, evidence, f"{hint} in the settings, for all or for guest {first.id} alone")


def _note(ways: Ways) -> str:
    """Who goes down for it, and for how long."""
    down = [_why(guest, way) for guest, way in ways if way.way == "shutdown"]
    again = [named(guest) for guest, way in ways if way.moves and guest.kind == "lxc"]
    notes = [f"stays down for the reboot: {listed(down)}"] if down else []
    notes += [f"restarts on another node, for a container cannot move live: {listed(again)}"] if again else []
    return "; ".join(notes)


def _why(guest: Guest, way: WayOut) -> str:
    return f"{named(guest)} ({way.why})"


GATE = Gate(
    name="movable",
    doc="Can every running guest of the node move away, or is it said that it stays down?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MOVES, Topic.MEMBERSHIP, Topic.HA}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
