"""Time that only a test moves, and time that runs beside the wall clock."""

from __future__ import annotations

import time

import pytest

from sandbox.clock import ModelClock, VirtualClock


def test_what_is_due_on_the_way_happens_in_order_and_at_its_time() -> None:
    clock, seen = VirtualClock(100.0), list[tuple[str, float]]()
    clock.at(130.0, lambda: seen.append(("second", clock.now)))
    clock.at(110.0, lambda: seen.append(("first", clock.now)))
    clock.advance_to(120.0)
    assert (seen, clock.now, clock.next_at()) == ([("first", 110.0)], 120.0, 130.0)


def test_a_thing_that_is_due_may_put_another_on_the_list() -> None:
    clock, seen = VirtualClock(), list[float]()
    clock.at(1.0, lambda: clock.at(2.0, lambda: seen.append(clock.now)))
    clock.sleep(5.0)
    assert seen == [2.0]


def test_time_never_goes_back() -> None:
    clock = VirtualClock(100.0)
    clock.advance_to(50.0)
    assert clock.now == 100.0


def test_a_model_clock_runs_faster_than_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = iter((1000.0, 1002.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(wall))
    clock = ModelClock(speed=60.0, start=500.0)
    assert clock() == 620.0
    assert clock.wall(120.0) == 2.0
