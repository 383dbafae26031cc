"""Which guests a restore keeps its hands off."""

from __future__ import annotations

import pytest

from cluster.facts import Guest
from engine.port import Waiting
from workflows.restore import untouchable


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


@pytest.mark.parametrize(("status", "lock"), [("running", ""), ("paused", ""), ("stopped", "backup")])
def test_what_runs_or_is_locked_is_not_touched(status: str, lock: str) -> None:
    assert untouchable(guest(status, "", lock)) is not None
