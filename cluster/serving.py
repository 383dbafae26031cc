"""Does a guest serve, and not merely run? Its health probe, asked from where the bot runs, or through the API.

A probe that gets no answer found the guest not serving; one that could not be asked found nothing, and that counts as
little (`Serving.serves` None)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from cluster.api import ClusterError, Refused
from cluster.facts import Guest, Serving
from cluster.guest_settings import HealthProbe
from cluster.probe_settings import Pace
from cluster.probes import kinds, look
from cluster.probes._common import Failed, Ok, Probe, Result
from cluster.proxmox import Proxmox
from cluster.pve import Each
from cluster.settings import ClusterSettings

PACE = Pace(timeout=3.0)
"""A guest on a network that works answers in milliseconds."""
TRIES = 3
"""One lost packet is no outage: the last of so many looks counts."""


class Health:
    """`each` asks several probes at the same time."""

    def __init__(self, api: Proxmox, settings: ClusterSettings, each: Each) -> None:
        self._api, self._each = api, each
        self._probes = dict(_probes(settings))

    @property
    def probes_agents(self) -> bool:
        return any(probe.agent for probe in self._probes.values())

    def read(self, guests: tuple[Guest, ...], avoid: str) -> tuple[Serving, ...]:
        """`guests`: the cluster's listing, for an agent is asked on its guest's node."""
        nodes = {guest.id: guest.node for guest in guests}

        def ask(member: str) -> Serving:
            guest = int(member)
            probe = self._probes[guest]
            return self._agent(guest, nodes.get(guest, ""), avoid) if probe.agent else looked(guest, probe)

        return tuple(self._each(ask, [str(guest) for guest in self._probes]))

    def _agent(self, guest: int, node: str, avoid: str) -> Serving:
        if not node:
            return Serving(guest, None, "it is not listed in the cluster, so its guest agent was not asked")
        try:
            self._api.send("post", f"nodes/{node}/qemu/{guest}/agent/ping", avoid)
        except Refused as no:
            return Serving(guest, False, f"its guest agent does not answer ({no})")
        except ClusterError as silent:
            return Serving(guest, None, f"its guest agent could not be asked: {silent}")
        return Serving(guest, True, "its guest agent answers")


def _probes(settings: ClusterSettings) -> Iterator[tuple[int, HealthProbe]]:
    for group in settings.groups:
        yield from group.health.items()


def trouble(health: HealthProbe, settings: ClusterSettings) -> str:
    """What is wrong with what it looks at, half a sentence; or ""."""
    return "" if health.agent else kinds()[_probe(0, health).kind].trouble(_probe(0, health), settings)


def _probe(guest: int, health: HealthProbe) -> Probe:
    kind, target = ("tcp", health.tcp) if health.tcp else ("ping", health.ping)
    return Probe(f"health of guest {guest}", kind, target, PACE)


def looked(guest: int, health: HealthProbe) -> Serving:
    """Over the network, with the very looks that also find outages. Blocks; not to be called where a loop runs."""
    probe = _probe(guest, health)
    found = asyncio.run(_looks(probe))
    if isinstance(found, Ok):
        return Serving(guest, True, f"{probe.target} answers {found.note}".rstrip())
    return Serving(guest, False if isinstance(found, Failed) else None, found.why)


async def _looks(probe: Probe) -> Result:
    for _ in range(TRIES - 1):
        found = await look(probe)
        if isinstance(found, Ok):
            return found
    return await look(probe)
