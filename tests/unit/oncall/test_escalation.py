"""Who is woken by a rung, and how: what does not need a whole night to be seen."""

from __future__ import annotations

from typing import Any

import pytest

from oncall.escalation import EVERYBODY, Ring, Step, climb, night
from oncall.settings import OnCallSettings, Person
from tests.unit.oncall.people import when


def sleeps(start: str, end: str) -> Person:
    return Person.model_validate({"slack": "U0ALICE", "night": {"start": start, "end": end}, "zone": "Europe/Berlin"})


@pytest.mark.parametrize(
    ("person", "clock", "asleep"),
    [
        (sleeps("22:00", "07:00"), "21:59", False),
        (sleeps("22:00", "07:00"), "22:00", True),
        (sleeps("22:00", "07:00"), "00:00", True),
        (sleeps("22:00", "07:00"), "06:59", True),
        (sleeps("22:00", "07:00"), "07:00", False),
        (sleeps("08:00", "16:00"), "07:59", False),
        (sleeps("08:00", "16:00"), "08:00", True),
        (sleeps("08:00", "16:00"), "15:59", True),
        (sleeps("08:00", "16:00"), "16:00", False),
        (sleeps("08:00", "16:00"), "23:00", False),
        (sleeps("00:00", "24:00"), "12:00", True),
    ],
)
def test_the_night_is_when_this_person_sleeps(person: Person, clock: str, asleep: bool) -> None:
    """Who works at night sleeps by day."""
    assert night(person, when(f"2026-03-03T{clock}")) is asleep


def step(who: list[str], **on_call: tuple[str, ...]) -> Step:
    people: dict[str, Any] = {name: {"slack": f"U0{name.upper()}"} for name in ("alice", "bob", "carol")}
    policy = {"rungs": [{"who": who, "how": ["mention"]}]}
    settings = OnCallSettings.model_validate({"people": people, "policies": [policy], "last_resort": ["carol"]})
    return climb(settings, settings.policies[0], 0, when("2026-03-03T12:00"), lambda rota, _: on_call.get(rota, ()))


@pytest.mark.parametrize(
    ("found", "woken", "note"),
    [
        (step(["bob"]), "bob", ""),
        (step([EVERYBODY]), "alice bob carol", ""),
        (step(["rota:primary", "bob"], primary=("alice",)), "alice bob", ""),
        (step(["rota:primary", "bob"], primary=("bob",)), "bob", ""),
        (step(["rota:primary", "rota:second"], second=("bob",)), "bob", "nobody is on call in primary"),
        (step(["rota:primary", "bob"]), "bob", "nobody is on call in primary"),
        (step(["rota:primary"]), "carol", "nobody is on call in primary: the last-resort people are woken"),
    ],
)
def test_a_rung_wakes_whom_it_names_and_says_of_which_rota_nobody_was_found(found: Step, woken: str, note: str) -> None:
    assert found.rings == tuple(Ring(name, "mention") for name in woken.split())
    assert found.note == note
