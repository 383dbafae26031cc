"""What a run did with the guests of one node, and how a guest is found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.api import Refused
from cluster.facts import Guest
from workflows.wheel import Wheel


@dataclass(frozen=True, slots=True)
class Stopped:
    """A guest that was shut down for the node, as it was before. `ha`: what HA was asked for; "" = not under HA."""

    onboot: bool
    ha: str = ""


@dataclass(slots=True)
class Journey:
    """Which guests this run moved (guest -> target) or stopped for the node, which HA moved away and will bring back,
    and how they are called. `due`: those of HA that ran here when maintenance mode was ordered, guest -> name."""

    due: dict[int, str] = field(default_factory=dict)
    moved: dict[int, str] = field(default_factory=dict)
    by_ha: list[int] = field(default_factory=list)
    stopped: dict[int, Stopped] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    def note(self, item: Mapping[str, Any]) -> None:
        self.called[str(item["guest"])] = item["name"]
        if item["how"] != "ha":
            self.moved[item["guest"]] = item["target"]
        elif item["guest"] not in self.by_ha:
            self.by_ha.append(item["guest"])


def find(w: Wheel, guest_id: int) -> Guest:
    """As it is listed now. Raises Refused if it is not."""
    for guest in w.site.cluster.guests():
        if guest.id == guest_id:
            return guest
    raise Refused(f"guest {guest_id} is no longer listed in the cluster")
