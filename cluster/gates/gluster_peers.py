"""Every peer sees every other one connected, by each one's own word. "Peer in Cluster" alone means nothing: a peer
that is cut off still says it."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.facts import PeerView, Topic
from cluster.gates._common import ALWAYS, FRESH_S, listed, value
from cluster.gates._pool import Pool, pool_of
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World

IN_CLUSTER = 3


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    pool = pool_of(world, now)
    known = _known(pool)
    evidence = {"peers": {pool.node(uuid): uuid for uuid in sorted(known)}}
    if wrong := [why for view in pool.views for why in _wrong(pool, view, known)]:
        hint = f"`gluster peer status` on {pool.views[0].node}; `systemctl status glusterd` on the one not seen"
        return Blocked(listed(wrong), evidence, hint)
    if strangers := sorted(known - {view.uuid for view in pool.views}):
        hint = "is `gluster.nodes` in the settings complete? `gluster pool list` shows all peers"
        return Unknown(f"{listed(map(pool.node, strangers))} belongs to the pool, but was not asked", evidence, hint)
    return Passed(evidence)


def _known(pool: Pool) -> frozenset[str]:
    """UUIDs of all peers that anybody knows of: asked, listed by a peer, or host of a brick."""
    listed_by = {peer.uuid for view in pool.views for peer in value(view.pool)}
    hosts = {brick.host_uuid for volume in pool.volumes for brick in volume.bricks}
    return frozenset({view.uuid for view in pool.views} | listed_by | hosts)


def _wrong(pool: Pool, view: PeerView, known: frozenset[str]) -> Iterator[str]:
    """A peer lists itself too, or does not: its word about itself says nothing."""
    rows = {peer.uuid: peer for peer in value(view.pool)}
    for uuid in sorted(known - {view.uuid}, key=pool.node):
        peer = rows.get(uuid)
        if peer is None:
            yield f"{view.node} does not list {pool.node(uuid)}"
        elif not peer.connected:
            yield f"{view.node} sees {pool.node(uuid)} disconnected"
        elif peer.state != IN_CLUSTER:
            yield f"{view.node} has {pool.node(uuid)} in state {peer.state}, not {IN_CLUSTER} (in cluster)"


GATE = Gate(
    name="gluster-peers",
    doc="Does every Gluster peer see every other one connected and in the cluster, with the same volumes?",
    phases=ALWAYS,
    reads=frozenset({Topic.GLUSTER}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
