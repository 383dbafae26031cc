"""How often the ways in are tried."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from bot import pathwatch
from bot.pathwatch import AGAIN_S, EVERY_S, PathWatch
from cluster.api import Unreachable
from cluster.detector import Doing
from cluster.facts import PathTest, WaysIn
from sandbox.spec import default_spec, managed_settings
from store.memory import MemoryStore
from tests.unit.bot.deskwork import NOON, Clock


@pytest.mark.parametrize(
    ("ours", "dead", "rest"),
    [
        (frozenset[str](), "", EVERY_S),
        (frozenset({"pve3"}), "", EVERY_S),
        (frozenset[str](), "no answer", EVERY_S),
        (frozenset({"pve3"}), "no answer", AGAIN_S),
    ],
)
def test_paths_that_died_with_a_node_of_ours_are_tried_again_soon(
    monkeypatch: pytest.MonkeyPatch, ours: frozenset[str], dead: str, rest: float
) -> None:
    monkeypatch.setattr(pathwatch, "own_work", lambda *_: Doing(ours))
    tests = tuple(PathTest(path, "pve3", NOON, dead, dead, 0.1) for path in ("direct", "lte"))
    cluster = Mock()
    cluster.test_paths.return_value, cluster.guests.return_value = WaysIn(tests), ()
    watch = PathWatch(MemoryStore(), managed_settings(default_spec()), cluster, Clock(), True, Mock())
    assert watch.step() == rest


def test_a_path_that_dies_is_told_although_proxmox_does_not_list_its_guests() -> None:
    clock, told, cluster = Clock(), Mock(), Mock()
    store = MemoryStore()
    cluster.guests.side_effect = Unreachable("HTTP 595")
    watch = PathWatch(store, managed_settings(default_spec()), cluster, clock, True, told)
    for _ in range(10):
        tests = tuple(PathTest("lte", node, clock.now, "silent", "silent", 0.1) for node in ("pve1", "pve2", "pve3"))
        cluster.test_paths.return_value = WaysIn(tests)
        watch.step()
        clock.now += EVERY_S
    told.assert_called_once()
    assert [row.subject for row in store.firing()] == ["path lte"]
