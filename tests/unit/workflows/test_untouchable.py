"""Which guests a restore keeps its hands off."""

from __future__ import annotations

import pytest

from cluster.facts import Guest
from engine.port import Waiting
from workflows.runbook import _ha_offer, _lock_offer
from workflows.steward import Offer
from workflows.untouchable import untouchable


def guest(status: str, ha: str = "", lock: str = "") -> Guest:
    return Guest(101, "router-a", "qemu", "pve1", status, 1, ha, lock)


@pytest.mark.parametrize("ha", ["started", "request_start", "recovery", "fence", "freeze", "migrate", "relocate"])
def test_a_stopped_guest_that_ha_is_about_to_start_is_not_touched(ha: str) -> None:
    """It would be started in the middle: without its disks, or in vain while it is written, and then given up by HA."""
    assert untouchable(guest("stopped", ha)) == Waiting(
        f"it is stopped, but HA has it as {ha} and may start it at any moment; "
        "`ha-manager set vm:101 --state stopped` keeps it down"
    )


@pytest.mark.parametrize(
    ("status", "ha"),
    [("stopped", ""), *(("stopped", ha) for ha in ("stopped", "request_stop", "error", "disabled", "ignored"))],
)
def test_what_ha_leaves_down_may_be_restored(status: str, ha: str) -> None:
    assert untouchable(guest(status, ha)) is None


def test_one_that_is_dead_under_ha_is_stopped_first_which_tells_ha() -> None:
    assert untouchable(guest("io-error", "started")) is None


def test_what_is_left_of_one_that_ha_gave_up_is_not_stopped_in_vain() -> None:
    """The task of the stop would say OK, and the HA manager do nothing: a long wait, and a hold without a hint."""
    assert untouchable(guest("io-error", "error")) == Offer(
        no="HA has it as error, and ignores that it is to be stopped",
        hint="`ha-manager set vm:101 --state disabled` on a node: then HA stops what is left, and listens again",
    )


@pytest.mark.parametrize(("status", "lock"), [("running", ""), ("paused", ""), ("stopped", "backup")])
def test_what_runs_or_is_locked_is_not_touched(status: str, lock: str) -> None:
    assert untouchable(guest(status, "", lock)) is not None


def test_one_that_runs_though_ha_gave_it_up_is_not_called_well() -> None:
    """HA neither moves nor restarts it: the next drain of its node would wait for it in vain."""
    offer = _ha_offer(guest("running", "error"), "router-a")
    assert offer.no == "it runs on pve1, HA has it as error"
    assert offer.hint == "`ha-manager set vm:101 --state disabled`, which stops it, and then `--state started`"
    assert _ha_offer(guest("running", "started"), "router-a").hint == "nothing has to be done"


def test_one_that_was_hibernated_is_not_told_to_be_unlocked() -> None:
    """Its lock keeps what it had in memory: unlocked, it boots as after a power cut, and that is gone."""
    asleep = guest("stopped", lock="suspended")
    told = Offer(
        no="it is hibernated, with what it had in memory on its disk",
        hint="`qm resume 101` lets it go on where it stood; after `qm unlock 101` that is lost",
    )
    assert untouchable(asleep) == told
    assert _lock_offer(asleep, "router-a") == told
    other = guest("stopped", lock="snapshot")
    assert untouchable(other) == Offer(no="it is locked (snapshot)", hint="`/restore unlock 101` if nothing holds it")
    assert _lock_offer(other, "router-a").no == ""
