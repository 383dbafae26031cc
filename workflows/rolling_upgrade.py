"""The main job: a cluster upgraded node by node, none touched before the one before has fully healed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.facts import Read, Topic
from cluster.world import GatePhase
from engine.port import Plain, Run
from workflows import messages
from workflows.backup import make_missing
from workflows.drill import last_drills
from workflows.node import walk_node
from workflows.phases import Phase
from workflows.plan import describe_node, in_order
from workflows.site import Site
from workflows.watch import GATES_PASSED, still_alarmed, take_over, watch
from workflows.wheel import Aborted, Skipped, Wheel


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed. `nodes` empty: all, in the order that the plan finds. `force`: reboot=always."""

    nodes: tuple[str, ...]
    force: bool
    dry_run: bool
    by: str

    @classmethod
    def of(cls, args: Mapping[str, Plain]) -> Wanted:
        return cls(tuple(args["nodes"]), args["reboot"] == "always", args["dry_run"], args["by"])


def rolling_upgrade(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | aborted | refused, "nodes": {node: outcome}}."""
    wanted = Wanted.of(args)
    wheel = Wheel(run, site, wanted.by)
    named = wanted.nodes or tuple(site.managed.nodes)
    run.say("board", lambda: messages.board(site.managed.name, named, wanted.by, wanted.dry_run))
    try:
        return _upgrade(wheel, wanted)
    except Aborted as aborted:
        left = [*_left(wheel), *aborted.left]
        alarmed = still_alarmed(wheel)
        run.say("run.aborted", lambda: messages.aborted(site.managed.name, left, alarmed))
        return {"state": "aborted", "nodes": {}, "left": left}


def _upgrade(wheel: Wheel, wanted: Wanted) -> Plain:
    run, site = wheel.run, wheel.site
    began = wheel.act(Phase.LOOK, lambda *_: site.clock(), "began")
    order = wheel.read(Phase.LOOK, lambda: in_order(site, wanted.nodes), "reading the cluster", "order")
    if refusal := order["refused"]:
        run.say("run.refused", lambda: messages.refused(refusal, order["hint"]))
        return {"state": "refused", "nodes": {}, "why": refusal}
    nodes = order["nodes"]
    run.say("run.order", lambda: messages.order_of_nodes(nodes, order["reasons"], order.get("ways", ())))
    if wanted.dry_run:
        text = wheel.read(Phase.LOOK, lambda: _described(wheel, nodes, wanted.force), "reading the plan", "plan")
        run.say("run.plan", lambda: messages.plan_shown(text))
        return {"state": "done", "nodes": {}, "dry_run": True}
    make_missing(wheel)
    run.part(GATES_PASSED, lambda: _preflight(wheel, nodes))
    take_over(wheel)
    outcomes = {node: run.part(node, lambda node=node: _one(wheel, wanted, node)) for node in nodes}  # type: ignore[misc]
    watching = site.managed.limits.watch
    run.say("run.done", lambda: messages.finished(site.managed.name, outcomes, site.clock() - began, watching))
    watch(wheel, nodes)
    return {"state": "done", "nodes": outcomes}


def _described(wheel: Wheel, nodes: list[str], force: bool) -> str:
    return "\n".join(describe_node(wheel.site, node, force)[0] for node in nodes)


def _preflight(wheel: Wheel, nodes: list[str]) -> None:
    """All gates of every node before the first is touched."""
    summaries = {}
    for node in nodes:
        one = Wheel(wheel.run, wheel.site, wheel.starter, node)
        try:
            judged = one.gated(Phase.PREFLIGHT, GatePhase.PREFLIGHT, lambda *_: None)
        except Skipped:
            summaries[node] = "skipped"
            continue
        summaries[node] = "; ".join([judged["gates"], *judged["notes"]])
    wheel.run.say("run.preflight", lambda: messages.preflight_passed(summaries, _drills(wheel)))


def _drills(wheel: Wheel) -> list[str]:
    return last_drills(wheel.site.store, wheel.site.managed, wheel.site.clock())


def _one(wheel: Wheel, wanted: Wanted, node: str) -> str:
    try:
        return walk_node(Wheel(wheel.run, wheel.site, wheel.starter, node), force_reboot=wanted.force)
    except Skipped:
        return "skipped"


def _left(wheel: Wheel) -> list[str]:
    """What is still changed, asked of the world: maintenance modes."""
    found: list[str] = wheel.run.step("run.left", lambda: _maintenance(wheel.site))
    return found


def _maintenance(site: Site) -> list[str]:
    ha = site.cluster.survey(frozenset({Topic.HA}), None).ha
    if not isinstance(ha, Read):
        return [f"maintenance modes could not be read: {ha.why}"]
    return [f"{node} is in maintenance mode" for node in sorted(ha.value.maintenance)]
