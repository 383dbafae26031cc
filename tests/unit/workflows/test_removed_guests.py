"""A guest that somebody removes while it is shut down for its node is told of, and not waited for; but only a list that
lacks nothing else says so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.facts import Guest, Machines, Member, Membership, Read, Unread
from engine.port import Look, Waiting
from sandbox.invariants import violations
from sandbox.lines import Act, Moment
from sandbox.night import Night
from sandbox.scenario import load
from workflows import drain
from workflows.journey import GONE_S, removed
from workflows.picture import picture

SCENARIOS = Path("tests/scenarios")
USUAL = load(SCENARIOS / "guest-that-cannot-move")


@dataclass
class Removed(Night):
    """Guest 105 is removed when its node reboots. `back`: after so many seconds it is listed again; 0: never."""

    back: float = 0.0
    hidden: list[Any] = field(default_factory=list)

    def _on_act(self, act: Act) -> None:
        guests = self.model.guests.all
        if act.verb == "reboot" and 105 in guests:
            self.hidden.append(guests.pop(105))
        if act.verb == "maintenance" and self.back and self.hidden and 105 not in guests:
            self.clock.at(self.clock.now + self.back, lambda: guests.update({105: self.hidden[0]}))


def test_a_guest_that_was_removed_while_it_was_shut_down_holds_up_nobody() -> None:
    """It was waited for until somebody left the whole node out."""
    night = Removed(USUAL).live()
    assert "pbx (105) is no longer in the cluster: somebody removed it" in night.text
    assert "pve2 is done" in night.text
    assert night.pages == []
    assert violations(night) == []


def test_a_guest_that_a_list_lacks_for_a_moment_is_started_and_gets_its_onboot_back() -> None:
    night = Removed(USUAL, back=GONE_S / 2).live()
    assert "no longer in the cluster" not in night.text
    assert night.model.guests.all[105].onboot


# ---- removed between the listing of its node and the deed ------------------------------------------------------------


@dataclass
class RemovedAt(Night):
    """A guest is removed once this was done to it; "listed": its node was listed, and it comes next."""

    guest: int = 0
    moment: str = ""

    def _on_act(self, act: Act) -> None:
        if (act.verb, act.about, act.moment) == (self.moment, str(self.guest), Moment.DONE):
            self.take_away()

    def take_away(self) -> None:
        self.model.guests.all.pop(self.guest, None)
        self.model.core.version += 1


@pytest.mark.parametrize(
    ("scenario", "guest", "moment", "says"),
    [
        ("guest-that-cannot-move", 105, "listed", "🗑️ pve3: pbx (105) is no longer in the cluster: somebody removed it"),
        ("guest-that-cannot-move", 105, "set_onboot", "somebody removed it; nothing is shut down."),
        ("guest-that-cannot-move", 105, "shutdown", "somebody removed it; nothing is shut down."),
        ("good-night", 103, "listed", "🗑️ pve3: db (103) is no longer in the cluster: somebody removed it"),
        ("good-night", 103, "migrate", "somebody removed it; nothing is moved."),
    ],
)
def test_a_guest_that_is_removed_before_it_left_its_node_holds_up_nobody(
    scenario: str, guest: int, moment: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be done to it was refused, as often as somebody said retry: the whole node had to be left out. What
    else was approved still is."""
    night = RemovedAt(load(SCENARIOS / scenario), guest=guest, moment=moment)

    def next_guest(*args: Any) -> Any:
        found = listing(*args)
        if moment == "listed" and not isinstance(found, Waiting) and found["guest"] == guest:
            night.take_away()
        return found

    listing = drain.next_guest
    monkeypatch.setattr(drain, "next_guest", next_guest)
    night.live()
    assert says in night.text
    assert "pve3 is done" in night.text
    assert night.text.count("May I take pve3?") == 1
    assert "I hold" not in night.text
    assert violations(night) == []
    run = night.store.runs()[0]
    assert picture(run, night.store.entries(run.id)).left == ()


LISTED = Guest(101, "router-a", "qemu", "pve1", "running", 1)
WHOLE = Machines(
    guests=Read((LISTED,), 0.0),
    membership=Read(Membership("lab", True, (Member("pve1", True, 1), Member("pve2", True, 1)), 1, 0, 4), 0.0),
)
LATE = Look(now=GONE_S, since=0.0, deadline=1000.0)


def says(machines: Machines, guest: int = 105, at: Look = LATE) -> bool:
    wheel: Any = SimpleNamespace(node="pve1", site=SimpleNamespace(cluster=SimpleNamespace(survey=lambda *_: machines)))
    return removed(wheel, guest, at)


def membership(**changes: Any) -> Machines:
    assert isinstance(WHOLE.membership, Read)
    return replace(WHOLE, membership=Read(replace(WHOLE.membership.value, **changes), 0.0))


def test_a_guest_that_a_whole_list_lacks_for_a_minute_was_removed() -> None:
    assert says(WHOLE)
    assert not says(WHOLE, guest=101)
    assert not says(WHOLE, at=replace(LATE, now=GONE_S - 1))


@pytest.mark.parametrize(
    "machines",
    [
        membership(quorate=False),
        membership(members=(Member("pve1", True, 1), Member("pve2", False, 1))),
        replace(WHOLE, membership=Unread("HTTP 595", 0.0)),
        replace(WHOLE, guests=Unread("HTTP 595", 0.0)),
        replace(WHOLE, guests=Read((), 0.0)),
    ],
    ids=["no quorum", "a member is off", "membership unread", "guests unread", "no guest at all"],
)
def test_a_list_that_may_lack_more_says_nothing(machines: Machines) -> None:
    assert not says(machines)
