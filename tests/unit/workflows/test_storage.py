"""When a wait for the storage ends: healed, or so split that no waiting helps."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.facts import HealProgress
from engine.port import Look, Waiting
from workflows.storage import _bricks, _heal

AT = Look(now=90.0, since=30.0, deadline=600.0)


def wheel(pending: Mapping[str, int | None], split: int = 0, down: tuple[str, ...] = ()) -> Any:
    progress = HealProgress("pve2", pending, split, down)
    return SimpleNamespace(
        node="pve1", site=SimpleNamespace(cluster=SimpleNamespace(heal_progress=lambda avoid: progress))
    )


def test_a_storage_is_healed_when_every_brick_says_nothing_is_left() -> None:
    assert _heal(wheel({"a": 0, "b": 0}), AT) == {"took": 60.0, "bricks": 2, "split_brain": 0}


@pytest.mark.parametrize(
    ("pending", "split", "down"),
    [
        ({"a": 0, "b": 3}, 0, ()),
        ({"a": 1, "b": None}, 1, ()),
        ({"a": 1, "b": 1}, 1, ("c",)),
        ({"a": 3, "b": 1}, 1, ()),
        ({}, 0, ()),
    ],
    ids=["a heal goes on", "a brick gives no number", "a brick is down", "more than what is split", "no brick"],
)
def test_it_is_waited_for_while_anything_may_still_heal(
    pending: Mapping[str, int | None], split: int, down: tuple[str, ...]
) -> None:
    assert isinstance(_heal(wheel(pending, split, down), AT), Waiting)


def test_a_split_brain_ends_the_wait_when_nothing_else_is_left() -> None:
    assert _heal(wheel({"a": 1, "b": 1, "c": 0}, 1), AT)["split_brain"] == 1


@pytest.mark.parametrize(
    ("pending", "down"),
    [({"a": 0, "b": None}, ()), ({"a": 0, "b": 0}, ("c",)), ({}, ())],
    ids=["silent", "down", "none"],
)
def test_bricks_are_back_only_when_each_of_them_gives_a_number(
    pending: Mapping[str, int | None], down: tuple[str, ...]
) -> None:
    assert isinstance(_bricks(wheel(pending, 0, down), AT), Waiting)
    assert _bricks(wheel({"a": 0, "b": 7}), AT) == 2
