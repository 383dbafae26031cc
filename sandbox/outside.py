"""What probes see of the model from outside, for scenarios in virtual time: workflows/night_watch.py asks it in `step`.

watch = NightWatch(store, managed, clock(), clock())
outside = Outside(model, cluster, clock)
outside.broken["uplink"] = Failed("does not answer")     # whatever stands outside of the model
watch.step(clock(), outside)                             # and again at watch.next_at(clock())
"""

from __future__ import annotations

from collections.abc import Callable

from cluster.api import Cluster
from cluster.probes import blocks, read
from cluster.probes._common import Failed, Ok, Probe, Result
from sandbox.model import Model


class Outside:
    """`broken`: name of a probe -> what it sees instead. `way`: False, and nothing in the model can be reached."""

    def __init__(self, model: Model, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._model, self._cluster, self._clock = model, cluster, clock
        self.broken: dict[str, Result] = {}
        self.way = True

    def __call__(self, probe: Probe) -> Result:
        if probe.name in self.broken:
            return self.broken[probe.name]
        if blocks(probe):
            return read(probe, self._cluster) if self.way else Failed("there is no way to the cluster")
        return self._port(probe) if probe.node else Ok()

    def _port(self, probe: Probe) -> Result:
        """A port of a node: its API's, or its SSH server's."""
        api = probe.target.endswith(f":{self._cluster.settings.nodes[probe.node].api_port}")
        answers = self._model.api_answers if api else self._model.ssh_answers
        return Ok() if self.way and answers(self._clock(), probe.node) else Failed(f"{probe.target} does not answer")
