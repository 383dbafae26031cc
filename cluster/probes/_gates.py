"""Gluster's gates as probes: what they say of the pool as it is read just now."""

from __future__ import annotations

from collections.abc import Collection

from cluster.api import Cluster
from cluster.facts import Gluster, Machines, Read, Topic
from cluster.gates import all_gates, ask
from cluster.probes import _common as c
from cluster.settings import ClusterSettings
from cluster.world import Blocked, Gate, GatePhase, OwnChanges, World
from cluster.world import Unknown as UnknownVerdict


def judged(cluster: Cluster, topics: frozenset[Topic], names: Collection[str]) -> c.Result:
    """The worst that any of these gates says: one that is shut before one that cannot tell."""
    machines = cluster.survey(topics, None)
    if not isinstance(machines.gluster, Read):
        return c.Unknown(f"Gluster does not tell: {machines.gluster.why}")
    gates = [gate for gate in all_gates() if gate.name in names]
    verdicts = [(gate.name, _verdict(gate, cluster, machines, _newest(machines.gluster))) for gate in gates]
    shut = [f"{name}: {verdict.reason}" for name, verdict in verdicts if isinstance(verdict, Blocked)]
    untold = [f"{name}: {verdict.reason}" for name, verdict in verdicts if isinstance(verdict, UnknownVerdict)]
    if shut:
        return c.Failed("; ".join(shut), heard=True)
    return c.Unknown("; ".join(untold)) if untold else c.Ok()


def _newest(answer: Read[Gluster]) -> float:
    """When the last of these answers was read: the gates take it for now."""
    stamps = [answer.at]
    for view in answer.value.views:
        stamps += [view.pool.at, view.volumes.at]
        stamps += [reading.at for answers in view.heal.values() for reading in answers]
        stamps += [status.at for status in view.status.values()]
    return max(stamps)


def _verdict(gate: Gate, cluster: Cluster, machines: Machines, at: float) -> object:
    world = World(cluster.settings, machines, OwnChanges())
    return ask(gate, world, next(iter(cluster.settings.nodes)), GatePhase.CHECKUP, at)


def trouble(probe: c.Probe, settings: ClusterSettings) -> str:
    if not settings.gluster.enabled:
        return "has no Gluster to look at: gluster.enabled is false"
    return "takes no target: it is about the whole pool" if probe.target else ""
