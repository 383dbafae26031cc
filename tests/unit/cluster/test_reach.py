"""How many ways in there really are, and what the plan says of what dies with what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.facts import Guest, PathTest, WaysIn
from cluster.reach import Dependence, most_apart, reach, sentences
from cluster.settings import ClusterSettings, JumpHost, PathSettings
from tests.unit.cluster.fakes import NODES, settings

GUESTS = (
    Guest(101, "router-a", "qemu", "pve1", "running", 1),
    Guest(102, "router-b", "qemu", "pve2", "running", 1),
    Guest(105, "bot", "qemu", "pve3", "running", 1),
)
DIRECT = PathSettings(name="direct", guests=(101, 102))


def jump(name: str, address: str, **more: Any) -> PathSettings:
    return PathSettings(name=name, kind="jump", jumps=(JumpHost(address=address, host_key="ssh-ed25519 B"),), **more)


LTE = jump("lte", "lte.example")


def cluster(*paths: PathSettings, **more: Any) -> ClusterSettings:
    return settings(paths=paths, **more)


def ways(written: ClusterSettings, *dead: str, **more: Any) -> WaysIn:
    tests = [
        PathTest(path.name, node, 0.0, "it says nothing" if path.name in dead else "", "", 0.1)
        for path in written.ways
        for node in NODES
    ]
    return WaysIn(tuple(tests), **more)


def found(written: ClusterSettings, *dead: str, gone: str = "", **more: Any) -> tuple[tuple[str, ...], int, bool]:
    seen = reach(written, ways(written, *dead, **more), ["pve2"], frozenset({gone} - {""}))["pve2"]
    return seen.live, seen.count, seen.free


def test_two_paths_that_share_nothing_are_two_and_one_is_free_of_the_cluster() -> None:
    assert found(cluster(DIRECT, LTE)) == (("direct", "lte"), 2, True)


def test_a_dead_path_does_not_count() -> None:
    assert found(cluster(DIRECT, LTE), "lte") == (("direct",), 1, False)


def test_a_path_that_was_not_tried_does_not_count() -> None:
    seen = reach(cluster(DIRECT, LTE), WaysIn(()), ["pve2"], frozenset())["pve2"]
    assert (seen.live, seen.why) == ((), {"direct": "it was not tried", "lte": "it was not tried"})


def test_paths_through_the_same_guest_count_once_however_that_was_found() -> None:
    written = cluster(DIRECT, LTE)
    depends: dict[str, dict[int | str, str]] = {"lte": {102: "lte.example is an address of its network devices"}}
    assert found(written, depends=depends) == (("direct", "lte"), 1, False)


def test_paths_through_the_same_jump_host_count_once() -> None:
    written = cluster(jump("lte", "box.example"), jump("night", "box.example"))
    assert found(written) == (("lte", "night"), 1, True)


def test_paths_through_different_guests_are_two_though_a_third_shares_with_both() -> None:
    a, b = PathSettings(name="a", guests=(101,)), PathSettings(name="b", guests=(102,))
    assert found(cluster(a, DIRECT, b)) == (("a", "direct", "b"), 2, False)


def test_a_path_through_the_node_that_is_taken_does_not_count() -> None:
    written = cluster(DIRECT, LTE)
    depends: dict[str, dict[int | str, str]] = {"lte": {"pve3": "the jump host has its SSH host key"}}
    assert found(written, gone="pve3", depends=depends) == (("direct",), 1, False)
    assert found(written, gone="pve1", depends=depends) == (("direct", "lte"), 2, False)


@given(st.lists(st.frozensets(st.integers(1, 5), max_size=3), max_size=6))
def test_so_many_can_be_chosen_that_share_nothing_and_no_more(dependences: list[Dependence]) -> None:
    count = most_apart(dependences)
    free = sum(not each for each in dependences)
    assert free <= count <= len(dependences)
    assert (count > 0) == bool(dependences)
    greedy: set[int | str] = set()
    chosen = 0
    for each in sorted(dependences, key=len):
        if not greedy & each:
            greedy |= each
            chosen += 1
    assert chosen <= count


@pytest.mark.parametrize(
    ("written", "more", "said"),
    [
        (
            cluster(DIRECT, LTE),
            {},
            [
                "direct goes through router-a and router-b, which are guests of this cluster; "
                "only lte stays when they die"
            ],
        ),
        (
            cluster(PathSettings(name="direct", guests=(101,))),
            {},
            ["direct goes through router-a, which is a guest of this cluster; no path stays when it dies"],
        ),
        (
            cluster(LTE),
            {"depends": {"lte": {"pve2": "the jump host has its SSH host key"}}},
            ["lte goes through pve2, which is a node of this cluster; it is gone while that node is taken"],
        ),
        (
            cluster(PathSettings(name="direct", guests=(999,)), LTE),
            {},
            ["direct is said to go through guest 999, which this cluster does not have"],
        ),
        (
            cluster(LTE),
            {"home": (105, "it has this host's network card")},
            [
                "Roundsman itself runs in bot (105), a guest of this cluster (it has this host's network card): it is "
                "not there while that guest is not, and wakes nobody then"
            ],
        ),
        (
            cluster(LTE),
            {"home": ("pve1", "it has this host's address")},
            [
                "Roundsman itself runs on pve1, a node of this cluster (it has this host's address): a reboot of it "
                "ends Roundsman too"
            ],
        ),
        (cluster(PathSettings(name="direct"), LTE), {}, []),
        (
            cluster(jump("lte", "box.example"), jump("night", "box.example")),
            {},
            ["lte and night go through the same host box.example; they count as one"],
        ),
    ],
)
def test_the_plan_says_what_dies_with_what(written: ClusterSettings, more: dict[str, Any], said: list[str]) -> None:
    assert sentences(written, ways(written, **more), GUESTS) == said
