"""The API of one node, asked over TLS with the bot's token: a proxy that hangs still takes connections."""

from __future__ import annotations

from cluster.api import Cluster, Uncertain, Unreachable
from cluster.probes._common import Failed, Kind, Ok, Probe, Result
from cluster.settings import ClusterSettings


def read(probe: Probe, cluster: Cluster) -> Result:
    """A refusal (a token that was taken away) is not this node's trouble: it is unknown, as for every kind."""
    try:
        cluster.ask_api(probe.target)
    except (Unreachable, Uncertain) as silent:
        return Failed(str(silent))
    return Ok()


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    return "" if probe.target in settings.nodes else f"must be one of the nodes: {', '.join(settings.nodes)}"


KIND = Kind(
    name="pve_api",
    doc="Does this node's own API answer, over TLS, with the bot's token?",
    target="name of a node",
    trouble=trouble,
    read=read,
)
