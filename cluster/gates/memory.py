"""Memory of what stays. A migration's own precondition does not look at it, and an overcommitted node kills guests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cluster.facts import Guest, Topic
from cluster.gates._common import EMPTYING, MIB, MINUTES_S, elsewhere, listed, named, runs_on, value
from cluster.settings import ClusterSettings
from cluster.telling import gib
from cluster.ways import way_out
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    """Every guest of the node that can move is placed in simulation, the largest first, on the first node it fits."""
    targets = sorted(elsewhere(world, node))
    known = {row.node for row in value(world.machines.capacity)}
    if unknown := [name for name in targets if name not in known]:
        return Unknown(f"nobody said how much memory {listed(unknown)} has")
    free = _free(world, targets)
    places, homeless = _place(_movers(world, node), free, _allowed(world))
    evidence = {"free_after": free, "places": places}
    if not homeless:
        return Passed(evidence)
    guest = homeless[0]
    reason = f"{named(guest)} with {gib(guest.memory)} finds no place: {_left(world.settings, free)}"
    hint = "shut down a guest that may rest (`qm shutdown ID`), or lower `memory_reserve_mib` in the settings"
    return Blocked(reason, evidence, hint)


def _left(settings: ClusterSettings, free: Mapping[str, int]) -> str:
    if not free:
        return "no other node takes guests"
    reserve = f" beside the reserve of {gib(settings.memory_reserve_mib * MIB)}" if settings.memory_reserve_mib else ""
    return f"{listed(f'{gib(amount)} on {name}' for name, amount in free.items())} would be left{reserve}"


def _free(world: World, targets: Iterable[str]) -> dict[str, int]:
    """Bytes left on each target by configured memory, not by what is in use now."""
    memory = {row.node: row.memory for row in value(world.machines.capacity)}
    reserve = world.settings.memory_reserve_mib * MIB
    return {name: memory[name] - reserve - sum(guest.memory for guest in runs_on(world, name)) for name in targets}


def _allowed(world: World) -> Mapping[int, tuple[str, ...]]:
    return {move.guest: move.allowed for move in value(world.machines.moves)}


def _movers(world: World, node: str) -> list[Guest]:
    """Those that go nowhere, or are to stay, are shut down or refused by the gate `movable`; they need no place."""
    moves, policy = {move.guest: move for move in value(world.machines.moves)}, world.settings.cannot_move
    guests = [guest for guest in runs_on(world, node) if guest.id in moves]
    movers = [guest for guest in guests if way_out(policy, guest, moves[guest.id]).moves]
    return sorted(movers, key=lambda guest: -guest.memory)


def _place(
    guests: Iterable[Guest], free: dict[str, int], allowed: Mapping[int, tuple[str, ...]]
) -> tuple[dict[str, str], list[Guest]]:
    """Takes from `free` what is placed. Returns guest -> node, and the guests that found no place."""
    places, homeless = {}, []
    for guest in guests:
        target = next((n for n in free if n in allowed[guest.id] and free[n] >= guest.memory), None)
        if target is None:
            homeless.append(guest)
            continue
        free[target] -= guest.memory
        places[str(guest.id)] = target
    return places, homeless


GATE = Gate(
    name="memory",
    doc="Do the nodes that stay hold all guests' configured memory, and a reserve, each guest placed in simulation?",
    phases=EMPTYING,
    reads=frozenset({Topic.CAPACITY, Topic.GUESTS, Topic.MOVES, Topic.MEMBERSHIP, Topic.HA}),
    max_age=MINUTES_S,
    overridable=True,
    check=check,
)
