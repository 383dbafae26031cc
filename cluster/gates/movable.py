"""Every running guest of the node can move, by Proxmox VE's own answer, or it is said that it stays down."""

from __future__ import annotations

from cluster.facts import Guest, Move, Topic
from cluster.gates._common import EMPTYING, MINUTES_S, elsewhere, listed, named, runs_on, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    moves = {move.guest: move for move in value(world.machines.moves)}
    guests = runs_on(world, node)
    if silent := [named(guest) for guest in guests if guest.id not in moves]:
        return Unknown(f"Proxmox VE did not say whether {listed(silent)} can move")
    targets = elsewhere(world, node)
    stuck = [guest for guest in guests if not targets & frozenset(moves[guest.id].allowed)]
    evidence = {"guests": [guest.id for guest in guests], "stuck": [guest.id for guest in stuck]}
    if not stuck:
        return Passed(evidence)
    if world.settings.cannot_move == "shutdown":
        return Passed(evidence, f"stays down for the reboot: {listed(map(named, stuck))}")
    why = listed((_why(guest, moves[guest.id]) for guest in stuck), 3)
    hint = f"move it by hand (`qm migrate {stuck[0].id} NODE`), or set `cannot_move: shutdown` in the settings"
    return Blocked(f"{len(stuck)} of {len(guests)} guests cannot leave {node}: {why}", evidence, hint)


def _why(guest: Guest, move: Move) -> str:
    local = [*move.local_disks, *move.local_devices]
    reasons = [f"{node}: {why}" for node, why in move.why_not.items()] + ([f"local {listed(local)}"] if local else [])
    return f"{named(guest)} ({listed(reasons, 2) or 'no node is allowed'})"


GATE = Gate(
    name="movable",
    doc="Can every running guest of the node move away, or is it said that it stays down?",
    phases=EMPTYING,
    reads=frozenset({Topic.GUESTS, Topic.MOVES, Topic.MEMBERSHIP, Topic.HA}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
