"""When each probe is looked at: spread, on a grid, never twice at a time, and at once when it is wanted."""

from __future__ import annotations

from collections import Counter

from cluster.rounds import Rounds
from tests.unit.probes.sky import EVERY, probe


def names(rounds: Rounds, now: float) -> list[str]:
    return [one.name for one in rounds.due(now)]


def test_looks_are_spread_over_the_interval() -> None:
    rounds = Rounds([probe(f"p{n}") for n in range(1000)], 0.0)
    per_second: Counter[int] = Counter()
    for second in range(10):
        found = rounds.due(second + 0.999)
        per_second[second] = len(found)
        for one in found:
            rounds.back(one.name)
    assert set(per_second.values()) == {100}


def test_a_probe_keeps_its_place_of_the_interval() -> None:
    rounds = Rounds([probe("a"), probe("b")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    assert names(rounds, 5.0) == ["b"]
    rounds.back("a")
    assert names(rounds, 9.9) == []
    assert names(rounds, 10.4) == ["a"]  # late, and yet the next one is due at 20
    rounds.back("a")
    assert rounds.next_at() == 15.0
    rounds.back("b")
    assert names(rounds, 20.0) == ["b", "a"]


def test_one_that_is_out_on_a_look_is_not_sent_again_and_what_it_missed_is_left_out() -> None:
    rounds = Rounds([probe("a")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    assert [names(rounds, now) for now in (10.0, 20.0, 30.0)] == [[], [], []]
    rounds.back("a")
    assert names(rounds, 35.0) == []
    assert names(rounds, 40.0) == ["a"]


def test_after_a_standstill_of_the_whole_process_nothing_is_made_up_for() -> None:
    rounds = Rounds([probe(f"p{n}") for n in range(10)], 0.0)
    found = names(rounds, 3600.5)
    assert sorted(found) == sorted(f"p{n}" for n in range(10))
    for name in found:
        rounds.back(name)
    assert 3600.5 < rounds.next_at() <= 3600.5 + EVERY / 10 + 0.5


def test_what_is_wanted_at_once_does_not_wait_for_its_turn() -> None:
    rounds = Rounds([probe("a"), probe("b")], 0.0)
    rounds.at_once(["b", "b"])
    assert rounds.next_at() == -float("inf")
    assert names(rounds, 0.0) == ["b", "a"]


def test_what_is_wanted_while_it_is_out_is_looked_at_again_as_soon_as_it_is_back() -> None:
    rounds = Rounds([probe("a")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    rounds.at_once(["a"])
    assert names(rounds, 1.0) == []
    rounds.back("a")
    assert names(rounds, 1.0) == ["a"]


def test_one_that_is_wanted_sooner_is_looked_at_in_between_and_keeps_its_place() -> None:
    rounds = Rounds([probe("a")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    rounds.back("a", sooner=4.0)
    assert rounds.next_at() == 4.0
    assert names(rounds, 3.9) == []
    assert names(rounds, 4.0) == ["a"]
    rounds.back("a")
    assert rounds.next_at() == EVERY


def test_one_whose_turn_comes_before_it_is_wanted_is_not_looked_at_twice() -> None:
    rounds = Rounds([probe("a")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    rounds.back("a", sooner=12.0)
    assert names(rounds, EVERY) == ["a"]
    rounds.back("a")
    assert rounds.next_at() == 2 * EVERY


def test_what_is_wanted_at_once_does_not_wait_until_it_is_wanted_sooner() -> None:
    rounds = Rounds([probe("a")], 0.0)
    assert names(rounds, 0.0) == ["a"]
    rounds.at_once(["a"])
    rounds.back("a", sooner=4.0)
    assert names(rounds, 1.0) == ["a"]
    rounds.back("a", sooner=5.0)
    rounds.at_once(["a"])
    assert names(rounds, 2.0) == ["a"]
    rounds.back("a")
    assert rounds.next_at() == EVERY


def test_nothing_to_look_at_is_never_due() -> None:
    rounds = Rounds([], 0.0)
    assert rounds.next_at() == float("inf")
    assert rounds.due(100.0) == []
