"""What a run did with the guests of one node, and how a guest is found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.api import Refused
from cluster.facts import Guest, Read, Topic
from engine.port import Look
from workflows.wheel import Wheel

GONE_S = 60.0
"""A guest that is listed no more so long after it began to be waited for was removed."""


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


def listed(w: Wheel, guest_id: int) -> Guest | None:
    """As it is listed now."""
    return next((guest for guest in w.site.cluster.guests() if guest.id == guest_id), None)


def find(w: Wheel, guest_id: int) -> Guest:
    """As it is listed now. Raises Refused if it is not."""
    if guest := listed(w, guest_id):
        return guest
    raise Refused(f"guest {guest_id} is no longer listed in the cluster")


def removed(w: Wheel, guest_id: int, at: Look) -> bool:
    """Whether somebody removed it. A list that lacks it is believed late, and if it lacks nothing else: read now, of a
    cluster that is quorate, with every member online and some guest in it."""
    if at.now - at.since < GONE_S:
        return False
    machines = w.site.cluster.survey(frozenset({Topic.GUESTS, Topic.MEMBERSHIP}), w.node)
    guests, membership = machines.guests, machines.membership
    if not isinstance(guests, Read) or not isinstance(membership, Read):
        return False
    whole = membership.value.quorate and all(member.online for member in membership.value.members)
    known = {guest.id for guest in guests.value}
    return whole and bool(known) and guest_id not in known
