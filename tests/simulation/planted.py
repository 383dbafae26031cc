"""Faults planted into the real code, one seam each: what a careless change would do. A simulation that does not find
each of them within a few seconds would find no real one either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from cluster import gates
from cluster.facts import Read, Topic
from cluster.gates import all_gates
from cluster.world import GatePhase
from sandbox.model import Model
from workflows import approvals, drain, judging, node, orders, putback, wheel
from workflows.approvals import Present, Tally, tally
from workflows.journey import Journey
from workflows.judging import Judgement
from workflows.wheel import Wheel

Plant = Callable[[pytest.MonkeyPatch], None]


def no_boot_id_guard(patch: pytest.MonkeyPatch) -> None:
    """Neither the node nor the bot compares boot ids: a crash right after the reboot command reboots twice."""
    _no_helper_guard(patch)
    patch.setattr(node, "_struck", lambda _: False)
    patch.setattr(node, "_strike", _strike_blindly)
    patch.setattr(judging, "bound_now", lambda _, __, approved, **___: Present(approved))


def no_heal_check(patch: pytest.MonkeyPatch) -> None:
    """The outage of 2017: nobody asks whether the storage has healed, not even the node itself."""
    patch.setattr(Model, "_guard_heal", lambda *_: None)
    rest = tuple(gate for gate in all_gates() if Topic.GLUSTER not in gate.reads)
    patch.setattr(gates, "all_gates", lambda: rest)
    patch.setattr(node, "healed", lambda *_: None)


def late_approval_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wheel, "tally", lambda votes, _: tally(votes, inf))


def withdrawal_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Whoever approved once is taken to approve for ever: Slack is not asked again."""
    asked = approvals.seen_now

    def seen(site: Any, *args: Any) -> Any:
        found = asked(site, *args)
        holders = ("U0CAROL", "U0BOB")
        return Read(replace(found.value, holders=holders), found.at) if isinstance(found, Read) else found

    patch.setattr(judging, "seen_now", seen)


def rejection_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wheel, "tally", lambda votes, by: Tally(tally(votes, by).approve, ()))
    asked = approvals.seen_now

    def seen(site: Any, *args: Any) -> Any:
        found = asked(site, *args)
        return Read(replace(found.value, rejecters=()), found.at) if isinstance(found, Read) else found

    patch.setattr(judging, "seen_now", seen)


def abort_leaves_maintenance_mode(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(putback, "_maintenance_off", lambda *_: None)


def order_is_read_beside_the_journal(patch: pytest.MonkeyPatch) -> None:
    """A shortcut that looks harmless: no need to drain while somebody wants a pause."""

    def hasty(w: Wheel, journey: Journey) -> None:
        if not orders.paused(w.site.store.orders(w.run.id)):
            drain.drain(w, journey)

    patch.setattr(node, "drain", hasty)


def orders_never_expire(patch: pytest.MonkeyPatch) -> None:
    """The node does not look at the time."""
    patch.setattr(Model, "_guard_time", lambda *_: None)


def gates_are_not_asked_at_the_reboot(patch: pytest.MonkeyPatch) -> None:
    """They were all open before the upgrade, after all."""
    judge = Wheel.judge
    patch.setattr(Wheel, "judge", lambda w, moment: Judgement(()) if moment is GatePhase.REBOOT else judge(w, moment))


def orders_are_not_looked_at_right_before_an_act(patch: pytest.MonkeyPatch) -> None:
    """They were looked at while the run waited, after all; reading the gates took seconds since."""
    attempt = Wheel._attempt

    def blind(w: Wheel, *args: Any, **named: Any) -> list[Any]:
        w.ordered = lambda: None  # type: ignore[method-assign]
        try:
            return attempt(w, *args, **named)
        finally:
            del w.ordered

    patch.setattr(Wheel, "_attempt", blind)


def next_node_before_maintenance_ended(patch: pytest.MonkeyPatch) -> None:
    """Maintenance mode is never asked off, and its own gate is gone."""
    patch.setattr(node, "release", lambda walk: setattr(walk.wheel, "approval", None))
    rest = tuple(gate for gate in all_gates() if gate.name not in ("maintenance", "memory", "movable", "ha"))
    patch.setattr(gates, "all_gates", lambda: rest)


PLANTED: Mapping[Plant, str] = {
    no_boot_id_guard: "a second time",
    no_heal_check: "while the storage is not healed",
    late_approval_counts: "when nobody could answer any more",
    withdrawal_is_forgotten: "though the approval was not given, or taken back",
    rejection_is_forgotten: "though it was rejected",
    abort_leaves_maintenance_mode: "left behind without a word",
    order_is_read_beside_the_journal: "this replay never came by",
    orders_never_expire: "after it was ordered",
    gates_are_not_asked_at_the_reboot: "reboot",
    orders_are_not_looked_at_right_before_an_act: "though somebody had ordered",
    next_node_before_maintenance_ended: "is in maintenance mode because of us",
}
"""Each with what it must be caught by: a fault that is noticed for another reason is not seen."""


def _no_helper_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Model, "_guard_heal", lambda *_: None)
    reboot = Model.reboot

    def obeys(self: Model, now: float, name: str, boot_id: str, not_after: float, **more: Any) -> None:
        reboot(self, now, name, boot_id, not_after, **(more | {"guard": False}))

    patch.setattr(Model, "reboot", obeys)


def _strike_blindly(walk: Any) -> str:
    w = walk.wheel
    w.site.cluster.reboot(w.node, node._approved(walk).boot_id, inf)
    return "sent"
