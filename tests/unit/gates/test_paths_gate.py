"""The paths gate: enough live ways to every other node, one of them through nothing of this cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Unread, WaysIn
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    healthy,
    verdict,
    ways,
    with_,
    with_own,
)


def seen(found: WaysIn, **changes: Any) -> World:
    return with_(healthy(**changes), paths=found)


def test_two_live_paths_to_every_other_node_pass() -> None:
    assert_passed(verdict("paths", healthy()))


def test_a_dead_path_blocks_and_says_why() -> None:
    assert_blocked(
        verdict("paths", seen(ways(("lte", "")))),
        "1 of 2 live paths to pve1 (direct), and no better to pve3; lte: it says nothing",
        "`/paths lab`",
    )


def test_one_node_that_a_path_does_not_reach_is_enough_to_block() -> None:
    found = verdict("paths", seen(ways(("lte", "pve3"))))
    assert_blocked(found, "1 of 2 live paths to pve3 (direct); lte: it says nothing")


def test_the_node_that_is_taken_need_not_be_reached_by_this_gate() -> None:
    assert_passed(verdict("paths", seen(ways(("lte", "pve2")))))


def test_a_node_that_this_run_is_rebooting_need_not_be_reached() -> None:
    world = with_own(seen(ways(("lte", "pve3"), ("direct", "pve3"))), down=frozenset({"pve3"}))
    assert_passed(verdict("paths", world))


def test_without_a_second_path_in_the_settings_the_hint_says_what_to_add() -> None:
    world = seen(WaysIn(ways().tests[:3]), paths=[])
    found = verdict("paths", world)
    assert_blocked(found, "1 of 2 live paths to pve1 (direct), and no better to pve3", "add a second way in to `paths`")


def test_one_path_is_enough_where_the_settings_say_so() -> None:
    assert_passed(verdict("paths", seen(WaysIn(ways().tests[:3]), paths=[], paths_required=1)))


def test_paths_that_share_a_dependency_count_once() -> None:
    shared = ways(depends={"lte": {101: "lte.example is an address of its network devices"}})
    assert_blocked(
        verdict("paths", seen(shared)),
        "1 of 2 live paths to pve1 (direct, lte), and no better to pve3; they share a dependency and count once",
    )


def test_two_paths_that_both_die_with_this_cluster_are_not_enough() -> None:
    world = seen(ways(depends={"lte": {103: "lte.example is an address of its network devices"}}))
    assert_blocked(
        verdict("paths", world),
        "every live path to pve1, pve3 goes through this very cluster, and dies with it",
        "a jump host on another line",
    )


def test_a_path_through_the_node_that_would_be_taken_does_not_count() -> None:
    world = seen(ways(depends={"lte": {"pve2": "the jump host has its SSH host key"}}))
    assert_blocked(
        verdict("paths", world),
        "1 of 2 live paths to pve1 (direct), and no better to pve3; lte: it goes through pve2",
    )


def test_paths_that_were_not_tried_lately_are_unknown() -> None:
    world = with_(healthy(), at=NOW - 200, paths=ways())
    assert_unknown(verdict("paths", world), "paths: evidence is 200 s old, limit 180 s")
    world = replace(world, machines=replace(world.machines, paths=Unread("nobody looked", NOW)))
    assert_unknown(verdict("paths", world), "paths not read: nobody looked")


@pytest.mark.parametrize("phase", [GatePhase.PREFLIGHT, GatePhase.MAINTENANCE, GatePhase.REBOOT])
def test_it_is_asked_before_a_run_and_before_every_act(phase: GatePhase) -> None:
    assert_blocked(
        verdict("paths", seen(ways(("direct", ""))), phase),
        "1 of 2 live paths to pve1 (lte), and no better to pve3; direct: it says nothing",
    )
