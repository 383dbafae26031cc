"""Ways to look at something from outside: one file each, found by looking into this folder.

A look answers within its deadline with ok, failed or unknown, and never raises. What the answers mean together (how
many make an outage, what hides what) is decided in cluster/detector.py.
"""

from __future__ import annotations

import asyncio
import logging
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from cluster.api import Cluster, ClusterError
from cluster.probes._common import Failed, Kind, Probe, Result, Unknown

BROKE = "probe '%s': looked at -> unknown (its kind '%s' broke)"

log = logging.getLogger(__name__)


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds by name."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found: list[Kind] = [import_module(f"{__name__}.{name}").KIND for name in names]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


def blocks(probe: Probe) -> bool:
    """Whether it is asked with `read`, which may block, or with `look`."""
    return kinds()[probe.kind].read is not None


async def look(probe: Probe) -> Result:
    """Over the network, within its time limit. Never raises, but when it is cancelled."""
    ask = kinds()[probe.kind].look
    if ask is None:
        raise TypeError(f"probes of kind {probe.kind} are read through the cluster")
    try:
        async with asyncio.timeout(probe.pace.timeout):
            return await ask(probe)
    except TimeoutError:
        return Failed(f"{probe.target} does not answer within {probe.pace.timeout:g} s")
    except Exception as fault:
        log.exception(BROKE, probe.name, probe.kind)
        return _broken(fault)


def read(probe: Probe, cluster: Cluster) -> Result:
    """Through the cluster's adapters; blocks until they give up. Never raises."""
    ask = kinds()[probe.kind].read
    if ask is None:
        raise TypeError(f"probes of kind {probe.kind} look over the network")
    try:
        return ask(probe, cluster)
    except ClusterError as error:
        return Unknown(str(error))
    except Exception as fault:
        log.exception(BROKE, probe.name, probe.kind)
        return _broken(fault)


def _broken(fault: Exception) -> Unknown:
    """A kind of probe with a fault must not stop the others; and what it watches is not known to be well."""
    return Unknown(f"the probe itself broke ({type(fault).__name__}): a fault in Roundsman, its log has the trace")


def table() -> str:
    """All kinds as a Markdown table, for the documentation."""
    rows = [f"| `{kind.name}` | {kind.doc} | {kind.target} |" for kind in kinds().values()]
    return "\n".join(["| kind | what it asks | `target` |", "| --- | --- | --- |", *rows])
