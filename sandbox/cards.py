"""A model cluster as the head of the page shows it."""

from __future__ import annotations

from sandbox.model import Model
from sandbox.model.guests import Vm
from sandbox.model.machines import Node, Power
from sandbox.slack.page import ClusterCard, NodeCard


class Cards:
    """`card` is to be called in the thread of the model. It remembers the peak of each heal."""

    def __init__(self, model: Model, note: str) -> None:
        self._model, self._note = model, note
        self._peaks: dict[str, int] = {}

    def card(self) -> ClusterCard:
        nodes = [self._node(node) for node in self._model.machines.all.values()]
        return ClusterCard(name=self._model.spec.name, note=self._note, nodes=nodes)

    def _node(self, node: Node) -> NodeCard:
        pending = self._pending(node.name)
        self._peaks[node.name] = max(self._peaks.get(node.name, 0), pending) if pending else 0
        word, tone = self._state(node)
        return NodeCard(
            name=node.name,
            state=word,
            tone=tone,
            kernel=node.kernel if node.lit else "",
            pending=pending,
            peak=self._peaks[node.name],
            guests=[_named(vm) for vm in self._model.guests.all.values() if vm.node == node.name and vm.running],
        )

    def _state(self, node: Node) -> tuple[str, str]:
        if node.power is Power.DARK:
            return "dark", "bad"
        if node.power is Power.GOING_DOWN:
            return "going down", "busy"
        if not self._model.gluster.daemons[node.name].bricks:
            return "brick down", "bad"
        if self._model.packages.busy(node.name):
            return "dist-upgrade", "busy"
        if self._model.ha_manager.modes[node.name].asked:
            return ("maintenance" if self._model.gluster.whole else "healing"), "busy"
        return "online", "good"

    def _pending(self, node: str) -> int | None:
        """What the bricks of this node list; None while they do not run."""
        daemon = self._model.gluster.daemons[node]
        if not (daemon.up and daemon.bricks):
            return None
        sets = [one for volume in self._model.gluster.volumes.values() for one in volume.sets]
        bricks = [(one, brick) for one in sets for brick in one.bricks.values() if brick.node == node]
        return sum(one.pending(brick.name) + len(one.split) for one, brick in bricks)


def _named(vm: Vm) -> str:
    return vm.spec.name if vm.healthy else f"{vm.spec.name} (I/O error)"
