"""Whether a guest serves, and not merely runs: by the health probe of its group (`groups[].health`)."""

from __future__ import annotations

from cluster.api import Cluster
from cluster.facts import Read, Topic
from cluster.probes._common import Failed, Kind, Ok, Probe, Result, Unknown
from cluster.settings import ClusterSettings


def read(probe: Probe, cluster: Cluster) -> Result:
    found = cluster.survey(frozenset({Topic.SERVING}), None).serving
    if not isinstance(found, Read):
        return Unknown(f"the health probe of guest {probe.target} was not asked: {found.why}")
    rows = [row for row in found.value if row.guest == int(probe.target)]
    ill = next((row for row in rows if row.serves is False), None)
    if ill is not None:
        return Failed(f"it runs, but does not serve: {ill.said}")
    untold = next((row.said for row in rows if row.serves is None), "" if rows else "it was not asked")
    return Unknown(f"nobody can tell whether guest {probe.target} serves: {untold}") if untold else Ok()


def trouble(probe: Probe, settings: ClusterSettings) -> str:
    probed = sorted({guest for group in settings.groups for guest in group.health})
    if probe.target in map(str, probed):
        return ""
    return f"must be a guest that has a health probe in its group (groups[].health): {probed or 'none has'}"


KIND = Kind(
    name="serving",
    doc="Does the guest serve, by the health probe of its group?",
    target="id of a guest",
    trouble=trouble,
    read=read,
)
