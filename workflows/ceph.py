"""Ceph around a reboot: noout, so that it does not begin to copy what will be back in minutes; then the wait until
every placement group is clean again. Somebody else's noout is left as it is."""

from __future__ import annotations

from typing import Any

from cluster.facts import Ceph, Read, Topic
from cluster.gates.ceph import what_is_wrong
from engine.port import Look, Waiting
from workflows import meanwhile, messages, messages_guests
from workflows.phases import Phase
from workflows.wheel import Wheel

NOOUT = "noout"


def noout_on(w: Wheel) -> bool:
    """Whether there is a Ceph at all. What was not set before is set, and is ours to put back."""
    found = w.read(Phase.CEPH, lambda: _asked(w), "reading whether there is Ceph", "asked")
    if found["ceph"] and NOOUT not in found["flags"]:
        w.owns(flags=frozenset({NOOUT}))
        w.act(Phase.CEPH, lambda *_: w.site.cluster.ceph_flag(NOOUT, True), NOOUT)
        w.say(Phase.CEPH, NOOUT, lambda: messages_guests.noout_on(w.node))
    return bool(found["ceph"])


def noout_off(w: Wheel) -> None:
    """Wait for Ceph to be whole, and put noout back if it is ours: unset earlier, it would copy the rest elsewhere."""
    w.say(Phase.CEPH, "recovers", lambda: messages_guests.ceph_recovers(w.node))
    found = meanwhile.wait(
        w,
        Phase.CEPH,
        lambda at: _whole(w, at),
        w.site.managed.limits.heal,
        why="Ceph to be whole",
        who="its OSDs, by recovering",
        detail="whole",
    )
    ours = NOOUT in w.own.flags
    if ours:
        w.act(Phase.CEPH, lambda *_: w.site.cluster.ceph_flag(NOOUT, False), "back")
        w.owns(flags=frozenset())
    w.say(Phase.CEPH, "whole", lambda: messages_guests.ceph_clean(w.node, found["took"], found["pgs"], ours))


def _asked(w: Wheel) -> Any:
    ceph = w.site.cluster.survey(frozenset({Topic.CEPH}), w.node).ceph
    if not isinstance(ceph, Read):
        return Waiting(messages.host(ceph.why))
    return {"ceph": ceph.value is not None, "flags": sorted(ceph.value.flags) if ceph.value else []}


def _whole(w: Wheel, at: Look) -> Any:
    reading = w.site.cluster.survey(frozenset({Topic.CEPH}), w.node).ceph
    if not isinstance(reading, Read):
        return Waiting(messages.host(reading.why))
    ceph: Ceph | None = reading.value
    if ceph is None:
        return Waiting("no node says any more that it has Ceph")
    if wrong := list(what_is_wrong(ceph)):
        return Waiting(messages.host("; ".join(wrong)))
    return {"took": at.now - at.since, "pgs": sum(ceph.pgs.values())}
