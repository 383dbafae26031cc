"""Gluster as it can be asked at any time without a lock: peers, what is left to heal, split-brain."""

from __future__ import annotations

from cluster.api import Cluster
from cluster.facts import Topic
from cluster.probes import _common as c
from cluster.probes._gates import judged, trouble

GATES = ("gluster-peers", "heal", "split-brain")
"""A brick that is not connected shows in these too; a self-heal daemon that has died does not (gluster_processes)."""


def read(probe: c.Probe, cluster: Cluster) -> c.Result:
    return judged(cluster, frozenset({Topic.GLUSTER}), GATES)


KIND = c.Kind(
    name="gluster",
    doc="Do Gluster's gates (peers, heal, split-brain) stand open? Takes no lock of the cluster",
    target="none",
    trouble=trouble,
    read=read,
)
