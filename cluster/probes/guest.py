"""A guest's state, by the word of whichever node's API answers."""

from __future__ import annotations

from cluster.api import Cluster
from cluster.probes._common import Failed, Kind, Ok, Probe, Result
from cluster.settings import ClusterSettings
from cluster.telling import condition


def read(probe: Probe, cluster: Cluster) -> Result:
    found = next((guest for guest in cluster.guests() if guest.id == int(probe.target)), None)
    if found is None:
        return Failed(f"there is no guest {probe.target}", heard=True)
    if found.running:
        return Ok()
    return Failed(f"{found.name} is {condition(found.status)} on {found.node}", heard=True)


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    return "" if probe.target.isascii() and probe.target.isdigit() else 'must be a guest\'s id, such as "101"'


KIND = Kind(
    name="guest",
    doc="Is the guest running, by Proxmox VE's own word?",
    target="id of a guest",
    trouble=trouble,
    read=read,
)
