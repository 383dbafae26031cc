"""Who is woken next, and how: pure. The workflow that waits and pages is workflows/outage.py.

A policy is a ladder of rungs, climbed from the top; after the last one it begins again, without limit. Whether it is
night is judged in the zone of the person who is paged, at the moment of the page (DESIGN section 7). Where a rung finds
nobody, the last-resort people are woken instead, and it is said: nobody on call is an outage by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from oncall.settings import How, OnCallSettings, Person, Policy, Rung

EVERYBODY, ROTA = "everybody", "rota:"
LAST_RESORT = "last resort"
RINGS = frozenset[How]({"apprise", "pushover", "voice"})
"""Ways that make a noise at night. A Slack mention makes none during Do Not Disturb."""

OnCall = Callable[[str, float], tuple[str, ...]]
"""(rota, time) -> the people on call, by name; empty if nobody is."""


@dataclass(frozen=True, slots=True)
class Ring:
    """One person, in one way."""

    person: str
    how: How


@dataclass(frozen=True, slots=True)
class Step:
    """One rung at one moment. `wait`: seconds for an acknowledgement. `note`: what people should know of it, or ""."""

    rings: tuple[Ring, ...]
    wait: float
    note: str = ""

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ring.person for ring in self.rings))


def policy_of(settings: OnCallSettings, name: str) -> Policy:
    """The policy of that name; "" and names that are gone mean the first one, LAST_RESORT the last-resort people."""
    if name == LAST_RESORT:
        ways = dict.fromkeys(how for policy in settings.policies for rung in policy.rungs for how in rung.how)
        louder = dict.fromkeys(how for policy in settings.policies for rung in policy.rungs for how in rung.night)
        rung = Rung(who=settings.last_resort, how=tuple({**ways, **louder}))
        return Policy(name=LAST_RESORT, rungs=(rung,))
    return next((policy for policy in settings.policies if policy.name == name), settings.policies[0])


def climb(settings: OnCallSettings, policy: Policy, rung: int, at: float, on_call: OnCall) -> Step:
    """What the rung of that number (from 0) does at this time."""
    chosen = policy.rungs[rung]
    named = list(dict.fromkeys(name for who in chosen.who for name in _people(settings, who, at, on_call)))
    empty = [who.removeprefix(ROTA) for who in chosen.who if who.startswith(ROTA) and not on_call(who[len(ROTA) :], at)]
    note = f"nobody is on call in {', '.join(empty)}" if empty else ""
    if not named:
        named, note = list(settings.last_resort), f"{note}: the last-resort people are woken"
    rings = dict.fromkeys(Ring(name, how) for name in named for how in _ways(settings, chosen, name, at))
    return Step(tuple(rings), chosen.wait, note)


def _people(settings: OnCallSettings, who: str, at: float, on_call: OnCall) -> Iterator[str]:
    if who == EVERYBODY:
        yield from settings.people
    elif who.startswith(ROTA):
        yield from on_call(who[len(ROTA) :], at)
    else:
        yield who


def _ways(settings: OnCallSettings, rung: Rung, name: str, at: float) -> tuple[How, ...]:
    person = settings.people.get(name)
    asleep = person is not None and bool(rung.night) and night(person, at)
    return rung.night if asleep else rung.how


def night(person: Person, at: float) -> bool:
    """Whether it is night for this person: on their own wall clock, which DST moves with them."""
    clock = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(person.zone)).strftime("%H:%M")
    start, end = person.night.start, person.night.end
    return start <= clock < end if start <= end else clock >= start or clock < end


def reachable(settings: OnCallSettings, policy: Policy, on_call: OnCall, at: float) -> frozenset[str]:
    """Everybody whom this policy can page at this time, the last-resort people among them."""
    steps = (climb(settings, policy, number, at, on_call) for number in range(len(policy.rungs)))
    return frozenset(settings.last_resort).union(*(step.people for step in steps))
