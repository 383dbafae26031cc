"""What `roundsman check` says of the settings' own probes, and of who notices when the bot itself is gone. The default
probes look at what the check of a cluster asks anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bot.credentials import HEARTBEAT
from bot.settings import Settings
from cluster.checks import CheckLine
from cluster.probes import blocks, look
from cluster.probes._common import Ok, Probe
from cluster.watchlist import watchlist
from workflows.settings import ManagedCluster


def check_probes(managed: ManagedCluster) -> Iterator[CheckLine]:
    """Each that needs no cluster's word is looked at once."""
    written = {probe.name for probe in managed.probes}
    for probe in watchlist(managed):
        if probe.name in written and not blocks(probe):
            yield asyncio.run(_looked_at(probe))


async def _looked_at(probe: Probe) -> CheckLine:
    found = await look(probe)
    if not isinstance(found, Ok):
        return CheckLine(False, probe.name, found.why, "mend it, or this probe of the settings: it would be an outage")
    text = f"is well, but {found.note}" if found.note else "is well"
    return CheckLine(True, probe.name, text, "", careful=bool(found.note))


def check_switch(settings: Settings) -> Iterator[CheckLine]:
    """Nobody is made to have one; but the night in which the bot dies should not be the first to tell."""
    is_set = bool(settings.heartbeat.url.get_secret_value())
    if is_set:
        text = "a dead man's switch is set; whom it wakes is its own business"
    else:
        text = f"nobody is told when the bot itself falls silent: {HEARTBEAT} is not set (docs/alerts.md)"
    yield CheckLine(True, "heartbeat", text, "", careful=not is_set)
