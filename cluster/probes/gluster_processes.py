"""Gluster's bricks and self-heal daemons, by `volume status`.

That takes the lock of its volume: somebody else's command may fail meanwhile. Right after a power cut it even hangs for
two minutes, keeps the lock for one more, and lets the peers take the dead node for connected all that time. So it is
asked seldom, and never by the probe that is to find such a night.
"""

from __future__ import annotations

from cluster.api import Cluster
from cluster.facts import Topic
from cluster.probes import _common as c
from cluster.probes._gates import judged, trouble

GATES = ("gluster-processes",)


def read(probe: c.Probe, cluster: Cluster) -> c.Result:
    return judged(cluster, frozenset({Topic.GLUSTER, Topic.PROCESSES}), GATES)


KIND = c.Kind(
    name="gluster_processes",
    doc="Does every brick and every self-heal daemon run? `volume status` takes the lock of its volume: ask it seldom",
    target="none",
    trouble=trouble,
    read=read,
)
