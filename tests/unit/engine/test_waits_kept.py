"""A wait that the process still remembers is asked again without a replay, and nobody could tell the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.journal import Rules
from engine.port import Again, Look, Plain, Run, Waiting
from store.api import Store
from store.memory import MemoryStore
from tests.unit.engine.engine_night import STRICT, Night, ask

Args = Mapping[str, Plain]
Story = Callable[[Night], None]


@pytest.fixture
def night(store: Store) -> Night:
    return Night(store, waits={})


def test_a_kept_wait_is_asked_again_without_a_replay(night: Night) -> None:
    passes: list[float] = []

    def workflow(run: Run, args: Args) -> Plain:
        passes.append(night.now)
        return ask(run, night)

    night.begin(workflow)
    night.awake(600)
    assert len(passes) == 1
    night.approve("carol")
    night.awake(0)
    assert (len(passes), night.row.result) == (2, "carol")


def test_what_a_kept_wait_has_answered_is_not_asked_a_second_time(night: Night) -> None:
    looks: list[float] = []

    def third(look: Look) -> int | Waiting:
        looks.append(look.now)
        return len(looks) if len(looks) == 3 else Waiting("not yet")

    night.begin(lambda run, args: run.until("heal", third, 3600, why="a heal", who="the heal"))
    night.awake(60)
    assert (night.row.result, len(looks)) == (3, 3)


def test_the_next_wait_takes_the_place_of_the_one_before(night: Night) -> None:
    def workflow(run: Run, args: Args) -> Plain:
        return [ask(run, night, key="ask"), ask(run, night, key="ask#2")]

    night.begin(workflow)
    night.approve("carol")
    night.look()
    assert [wait.key for wait in (night.waits or {}).values()] == ["ask#2"]
    night.approve("bob", "ask#2")
    night.look()
    assert (night.row.result, night.waits) == (["carol", "bob"], {})


def test_a_new_round_remembers_nothing_of_the_round_before(night: Night) -> None:
    def workflow(run: Run, args: Args) -> Plain | Again:
        who = ask(run, night, key=f"ask{args['round']}")
        return Again({"round": 2}) if args["round"] == 1 else who

    night.begin(workflow, {"round": 1})
    night.approve("carol", "ask1")
    night.look()
    night.look()
    night.approve("bob", "ask2")
    night.look()
    assert night.row.result == "bob"


def test_a_fault_is_met_by_the_replay_and_not_by_a_wait_of_before(store: Store) -> None:
    night = Night(store, Rules(), waits={})

    def workflow(run: Run, args: Args) -> Plain:
        ask(run, night)
        raise ZeroDivisionError

    night.begin(workflow)
    night.approve("carol")
    night.look()
    assert (night.parked["key"], night.waits) == ("fault", {})


def _approved(night: Night) -> None:
    night.awake(700)
    night.approve("carol")
    night.awake(100)


def _too_late(night: Night) -> None:
    night.awake(1790)
    night.down(60)
    night.approve("carol")
    night.awake(60)


def _clock_put_back(night: Night) -> None:
    night.awake(700)
    night.down(-500)
    night.look()
    night.awake(3000)


@pytest.mark.parametrize("story", [_approved, _too_late, _clock_put_back])
def test_with_and_without_memory_the_same_is_written(story: Story) -> None:
    assert _lived(story, Night(MemoryStore(), STRICT, waits={})) == _lived(story, Night(MemoryStore(), STRICT))


def _lived(story: Story, night: Night) -> tuple[Any, ...]:
    """All that is left of it: each parked row, the journal with its times, and the result."""
    parked: list[Any] = []

    def workflow(run: Run, args: Args) -> Plain:
        return [run.step("began", lambda: night.now), ask(run, night), run.until("two", silent, 90, why="y", who="x")]

    def silent(look: Look) -> str | Waiting:
        parked.append(night.row.parked)
        if look.last is None or look.last["times"] < 2:
            return Waiting("silence", {"times": 1 if look.last is None else look.last["times"] + 1})
        raise ConnectionError("line broke")

    night.begin(workflow)
    story(night)
    return parked, night.row, night.store.entries(night.run_id)
