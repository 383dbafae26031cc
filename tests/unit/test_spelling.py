"""What somebody meant who mistyped a word: settings, faults and commands are answered by the same rule."""

from __future__ import annotations

import pytest

from base.spelling import meant


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("pve11", ["pve1", "db"], ' (did you mean "pve1"?)'),
        ("PVE1", ["pve1", "pve2", "pve3"], ' (did you mean "pve1"?)'),
        ("berln", ["Berlin", "Bern"], ' (did you mean "Berlin"?)'),
        ("pve9", ["pve1", "pve2"], "; known: all"),
        ("zzz", ["pve1"], "; known: all"),
        ("pve1", [], "; known: all"),
    ],
    ids=["one is near", "capitals", "the nearer of two", "two are as near", "none is near", "nothing is known"],
)
def test_what_was_meant_is_said_only_where_it_is_clear(word: str, known: list[str], said: str) -> None:
    assert meant(word, known, "; known: all") == said
