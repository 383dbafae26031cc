"""When a wait for the storage ends: healed, or so split that no waiting helps."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.facts import Gluster, HealProgress, Machines, Read
from engine.port import Look, Waiting
from workflows.messages_meanwhile import heal_stands
from workflows.storage import STANDS_S, _bricks, _heal

AT = Look(now=90.0, since=30.0, deadline=600.0)


def wheel(pending: Mapping[str, int | None], split: int = 0, down: tuple[str, ...] = (), healing: int = 0) -> Any:
    progress = HealProgress("pve2", pending, split, healing, ("vmstore",), down)
    gluster = Gluster((), 3, 1.0, {"a": ("/images/101/vm-101-disk-0.raw", "/dump"), "b": ("/dump",)})
    cluster = SimpleNamespace(
        heal_progress=lambda avoid: progress, survey=lambda *_: Machines(gluster=Read(gluster, 0.0))
    )
    return SimpleNamespace(node="pve1", site=SimpleNamespace(cluster=cluster))


def test_a_storage_is_healed_when_every_brick_says_nothing_is_left() -> None:
    assert _heal(wheel({"a": 0, "b": 0}), {}, AT) == {"took": 60.0, "bricks": 2, "split_brain": 0}


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
    assert isinstance(_heal(wheel(pending, split, down), {}, AT), Waiting)


def test_a_split_brain_ends_the_wait_when_nothing_else_is_left() -> None:
    assert _heal(wheel({"a": 1, "b": 1, "c": 0}, 1), {}, AT)["split_brain"] == 1


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


# ---- a heal that stands still ----------------------------------------------------------------------------------------


def seen_after(
    seconds: float, count: int, before: Mapping[str, Any] | None = None, *, healing: int = 0, **more: Any
) -> Any:
    """14 entries were pending when the wait began, and `count` are now."""
    begun = _heal(wheel({"a": 14, "b": 0}), {}, Look(0.0, 0.0, 9000.0)).detail
    look = Look(seconds, 0.0, 9000.0, begun)
    return _heal(wheel({"a": count, "b": 0}, healing=healing, **more), before or {}, look)


def test_a_heal_that_stands_still_is_told_of_with_what_is_left_and_what_to_type() -> None:
    found = seen_after(STANDS_S, 14)
    assert (found["since"], found["left"]) == (0.0, 9000.0 - STANDS_S), "the wait is no longer for it"
    told = heal_stands("pve1", found["stands"]).text
    assert "the heal has not come further for 20 minutes: 14 pending on a. No self-heal daemon is at work" in told
    assert "Still to be healed: /dump, /images/101/vm-101-disk-0.raw." in told
    assert "*Hint:* `gluster volume heal vmstore` on any node" in told


@pytest.mark.parametrize(
    ("seconds", "count", "more"),
    [(STANDS_S - 1, 14, {}), (STANDS_S, 13, {}), (STANDS_S, 14, {"down": ("b",)})],
    ids=["not long enough", "it falls", "a brick is down"],
)
def test_a_heal_that_may_still_come_further_by_itself_is_not(seconds: float, count: int, more: dict[str, Any]) -> None:
    assert isinstance(seen_after(seconds, count, **more), Waiting)


def test_it_is_told_once_and_whoever_asks_why_is_told_what_to_type() -> None:
    told = seen_after(STANDS_S, 14)["stands"]
    for count in (14, 15):
        again = seen_after(2 * STANDS_S, count, told)
        assert again.seen.startswith(
            f"{count} pending on a; not further for 40 minutes, and no daemon is at work (`gluster"
        )


def test_a_large_image_that_is_at_work_is_no_missed_try_until_nothing_is_at_work() -> None:
    told = seen_after(STANDS_S, 14, healing=1)["stands"]
    text = heal_stands("pve1", told).text
    assert "a large image counts as one entry" in text
    assert "gluster volume heal" not in text
    assert seen_after(2 * STANDS_S, 14, told, healing=1).seen == "14 pending on a"
    assert seen_after(2 * STANDS_S, 14, told)["stands"]["idle"]
