"""The way of 2017: every node upgraded and rebooted, one after the other, with a fixed delay instead of a heal check.

Kept so that the outage can be replayed, in the scenarios, in the demo and on a real GlusterFS. It uses the same port
and the same seam as the real workflow; what it lacks is the point."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.api import ClusterError
from cluster.facts import Read, Topic
from engine.port import Look, Plain, Run, Saying, Waiting
from workflows.site import Site


def fixed_delay(site: Site, delay: float, run: Run, args: Mapping[str, Plain]) -> Plain:
    """dist-upgrade, reboot, wait until ssh answers, wait `delay` seconds, next node."""
    nodes = list(args["nodes"]) or list(site.managed.nodes)
    run.say("board", lambda: Saying("board", f"⏰ The old script upgrades {', '.join(nodes)}, with a fixed delay."))
    for node in nodes:
        before = run.step(f"{node}.boot", lambda node=node: site.cluster.node_status(node).boot_id)  # type: ignore[misc]
        run.step(f"{node}.upgrade", lambda node=node: _upgrade(site, f"{run.id}.{node}", node))  # type: ignore[misc]
        run.until(f"{node}.upgraded", lambda _, n=node: _ended(site, f"{run.id}.{n}", n), 7200.0, why="apt", who="apt")  # type: ignore[misc]
        run.step(f"{node}.reboot", lambda n=node, b=before: _reboot(site, n, b))  # type: ignore[misc]
        run.say(f"{node}.said", lambda n=node: Saying("note", f"🔁 {n}: rebooted by the script."))  # type: ignore[misc]
        run.until(f"{node}.up", lambda _, n=node, b=before: _up(site, n, b), 3600.0, why="the boot", who="the node")  # type: ignore[misc]
        run.until(f"{node}.rest", _rest, delay, why=f"a fixed delay of {delay:.0f} s", who="time")
    run.say("done", lambda: Saying("note", "⏰ The old script is done; it looked at no heal at all."))
    return {"state": "done", "nodes": {}}


def _upgrade(site: Site, unit: str, node: str) -> str:
    plan = site.cluster.survey(frozenset({Topic.PACKAGES, Topic.NODES}), node).packages
    if isinstance(plan, Read) and not plan.value.empty:
        site.cluster.upgrade(node, unit, plan.value.checksum, site.cluster.node_status(node).uptime + 10.0)
    return unit


def _ended(site: Site, unit: str, node: str) -> Plain:
    state = site.cluster.unit(node, unit)
    return Waiting("apt is at work") if state.began and state.exit is None else True


def _reboot(site: Site, node: str, boot_id: str) -> str:
    try:
        site.cluster.reboot(node, boot_id, site.cluster.node_status(node).uptime + 10.0)
    except ClusterError as error:
        return str(error)  # the script of 2017 looked at no exit code
    return "sent"


def _up(site: Site, node: str, before: str) -> Plain:
    try:
        boot_id = site.cluster.node_status(node).boot_id
    except ClusterError as silent:
        return Waiting(str(silent))
    return True if boot_id != before else Waiting("the old boot id")


def _rest(look: Look) -> Plain:
    return Waiting("a fixed delay")
