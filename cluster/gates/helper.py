"""The node helper is the only thing that may act on a node, so an altered one is nobody's promise."""

from __future__ import annotations

from cluster.facts import Topic
from cluster.gates._common import MINUTES_S, TAKING, listed, not_down, status_of, value
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    wanted = world.helper_checksum
    if not wanted:
        return Unknown("nobody said what the helper's file must hash to", hint="this is a fault in Roundsman's setup")
    found = {name: value(status_of(world, name)).checksum for name in not_down(world)}
    other = {name: checksum for name, checksum in found.items() if checksum != wanted}
    if not other:
        return Passed({"checksum": wanted, "nodes": sorted(found)})
    seen = listed(f"{name} ({checksum[:12] or 'none'})" for name, checksum in other.items())
    reason = f"the helper is not the one of this version ({wanted[:12]}) on {seen}"
    hint = f"`roundsman install-helper {world.settings.name} --admin-key FILE`"
    return Blocked(reason, {"wanted": wanted, "found": found}, hint)


GATE = Gate(
    name="helper",
    doc="Is the node helper on every node the one that this version brings, by its checksum?",
    phases=TAKING,
    reads=frozenset({Topic.NODES}),
    max_age=MINUTES_S,
    overridable=False,
    check=check,
)
