"""What a run did with the guests of one node, and how a guest is found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.api import Refused
from cluster.facts import Guest, Read, Topic
from engine.port import Look, Waiting
from workflows.phases import AnyPhase
from workflows.picture import GONE
from workflows.wheel import Wheel

NOT_LISTED = "not listed"
"""What an act on a guest finds that may have been removed."""

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

    def forget(self, guest_id: int) -> None:
        """It is no business of ours any more; how it is called stays known."""
        self.moved.pop(guest_id, None)
        self.stopped.pop(guest_id, None)
        self.by_ha = [other for other in self.by_ha if other != guest_id]


def listed(w: Wheel, guest_id: int) -> Guest | None:
    """As it is listed now."""
    return next((guest for guest in w.site.cluster.guests() if guest.id == guest_id), None)


def find(w: Wheel, guest_id: int) -> Guest:
    """As it is listed now. Raises Refused if it is not."""
    if guest := listed(w, guest_id):
        return guest
    raise Refused(f"guest {guest_id} is no longer listed in the cluster")


class Removed(Exception):
    """Somebody removed the guest meanwhile: raised only from journaled results."""


def act_on(w: Wheel, phase: AnyPhase, guest_id: int, fn: Callable[[Guest, bool], Any], detail: str) -> Any:
    """`Wheel.act` on the guest as it is listed then: fn(guest, again). One that is not listed is waited for. Raises
    Removed."""

    def act(_: str, again: bool) -> Any:
        guest = listed(w, guest_id)
        return NOT_LISTED if guest is None else fn(guest, again)

    while (done := w.act(phase, act, detail)) == NOT_LISTED:
        found = w.wait(
            phase,
            lambda at: _listed_again(w, guest_id, at),
            w.site.managed.limits.guests_back,
            why=f"guest {guest_id} to be listed again",
            who="the cluster, by listing every guest",
            detail=f"{guest_id}.listed",
        )
        if found == GONE:
            raise Removed
    return done


def _listed_again(w: Wheel, guest_id: int, at: Look) -> Any:
    found = found_or_gone(w, guest_id, at)
    return True if isinstance(found, Guest) else found


def found_or_gone(w: Wheel, guest_id: int, at: Look) -> Guest | Waiting | str:
    """What a wait for a guest sees of it: the guest as it is listed, or GONE, or what it waits for."""
    guest = listed(w, guest_id)
    if guest is None:
        return GONE if removed(w, guest_id, at) else Waiting("it is not listed")
    return guest


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
