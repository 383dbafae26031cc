"""Whatever dies in whatever order: what is told is what is dead and could be reached, nothing else, at no time."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.detector import CALM_MOST_S, CALM_S, FLAPS_S, Detector
from cluster.probe_settings import Pace
from cluster.probes._common import Failed, Ok
from tests.unit.probes.sky import EVERY, Sky, feed, probe

LONG = 400.0
"""Seconds after which everything has been looked at often enough, whatever stands before it."""


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[str, tuple[str, ...]]]:
    """Each probe may have parents among those before it; they are given to the detector in any order."""
    names = [f"p{n}" for n in range(draw(st.integers(1, 8)))]
    found = [
        (name, tuple(sorted(draw(st.sets(st.sampled_from(names[:n]), max_size=2))) if n else ()))
        for n, name in enumerate(names)
    ]
    return draw(st.permutations(found))


@settings(max_examples=150, deadline=None)
@given(tree=trees(), data=st.data())
def test_at_any_time_only_what_is_dead_and_reachable_is_told_and_in_the_end_all_of_it(
    tree: Sequence[tuple[str, tuple[str, ...]]], data: st.DataObject
) -> None:
    sky = Sky(*(probe(name, *parents) for name, parents in tree))
    names = sorted(name for name, _ in tree)
    for _ in range(data.draw(st.integers(1, 3))):
        before = sky.names()
        sky.passes(data.draw(st.floats(0.0, 15.0)))
        sky.dead = data.draw(st.sets(st.sampled_from(names)))
        told = len(sky.raised)
        sky.passes(LONG)
        assert {raised.probe.name for raised in sky.raised[told:]} <= sky.roots()
        assert sky.roots() <= sky.names() <= sky.roots() | before
    sky.dead = set()
    assert sky.passes(CALM_MOST_S + LONG).names() == set()


def oracle(marks: Sequence[bool], fails: int, of: int, recover: int) -> list[str]:
    """The rule as one would say it, over the whole history. True: the look failed."""
    told: list[str] = []
    down, counted, raises = False, 0, list[float]()
    for place in range(len(marks)):
        now, seen = place * EVERY, marks[counted : place + 1]
        if not down and marks[place] and sum(seen[-of:]) >= fails:
            down = True
            raises.append(now)
            told.append("+a")
            continue
        before = next((n for n, failed in enumerate(reversed(seen[:-1])) if failed), len(seen) - 1)
        if down and marks[place] and before >= recover:
            raises.append(now)
        good = next((n for n, failed in enumerate(reversed(seen)) if failed), len(seen))
        recent = [at for at in raises if now - at <= FLAPS_S] or raises[-1:]
        calm = min(CALM_S * 2 ** (len(recent) - 2), CALM_MOST_S) if len(recent) > 1 else 0.0
        if down and good >= recover and (good - 1) * EVERY >= calm:
            down, counted = False, place + 1
            told.append("-a")
    return told


@settings(max_examples=300, deadline=None)
@given(
    marks=st.lists(st.booleans(), max_size=120),
    fails=st.integers(1, 4),
    more=st.integers(0, 3),
    recover=st.integers(1, 4),
)
def test_one_probe_is_judged_as_the_rule_says(marks: list[bool], fails: int, more: int, recover: int) -> None:
    pace = Pace(every=EVERY, fails=fails, of=fails + more, recover=recover)
    detector = Detector([probe("a", pace=pace)], {}, 0.0)
    results = [Failed("no") if failed else Ok() for failed in marks]
    assert feed(detector, "a", results) == oracle(marks, fails, fails + more, recover)
