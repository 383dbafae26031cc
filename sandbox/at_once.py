"""What a simulated cluster tells at once, before an answer in Slack: as bot/at_once.py, which does not wait either."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.facts import Guest
from sandbox.model import Model
from sandbox.simpaths import lives
from workflows.settings import ManagedCluster


def at_once(
    model: Model, managed: ManagedCluster, clock: Callable[[], float]
) -> Callable[[str], Sequence[Guest] | None]:
    """Nothing where a call would first meet a path that says nothing."""

    def guests(_: str) -> Sequence[Guest] | None:
        now = clock()
        quick = all(lives(model, now, path) for path in managed.ways)
        return model.listing(now) if quick and any(model.api_answers(now, node) for node in managed.nodes) else None

    return guests
