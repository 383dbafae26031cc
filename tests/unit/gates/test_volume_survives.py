"""Can the volume lose this node? Replica sets, arbiters, client quorum, server quorum."""

from __future__ import annotations

import pytest

from cluster.facts import Brick
from tests.unit.gates.build import (
    NODES,
    assert_blocked,
    assert_passed,
    assert_unknown,
    brick,
    healthy,
    verdict,
    volume,
    with_gluster,
)

THREE = tuple(brick(node) for node in NODES)
TWO = THREE[:2]
WITH_ARBITER = (brick("pve1"), brick("pve2"), brick("pve3", arbiter=True))
WHY_NOT = "vmstore cannot lose pve2: set 1 (pve1:/srv/brick, pve2:/srv/brick)"


def quorum(kind: str, count: str = "") -> dict[str, str]:
    return {"cluster.quorum-type": kind} | ({"cluster.quorum-count": count} if count else {})


# ---- replica 3 and arbiter ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", NODES)
def test_replica_three_survives_any_node(node: str) -> None:
    assert_passed(verdict("volume-survives", healthy(), node=node))


def test_replica_three_with_a_fixed_quorum_of_three_cannot_lose_a_node() -> None:
    world = with_gluster(volume(options=quorum("fixed", "3")))
    reason = (
        "vmstore cannot lose pve2: set 1 (pve1:/srv/brick, pve2:/srv/brick, pve3:/srv/brick) "
        "would have 2 bricks, and its quorum is 3"
    )
    assert_blocked(verdict("volume-survives", world), reason, "gluster volume info vmstore")


@pytest.mark.parametrize(("node", "note"), [("pve1", True), ("pve2", True), ("pve3", False)])
def test_an_arbiter_volume_survives_with_one_copy_and_says_so(node: str, note: bool) -> None:
    """Without a data brick 2 of 3 are left, one of them without data; without the arbiter both copies are there."""
    world = with_gluster(volume(WITH_ARBITER, arbiters=1))
    said = f"ONE copy of vmstore left while {node} is down" if note else ""
    assert_passed(verdict("volume-survives", world, node=node), said)


def test_both_data_bricks_on_one_node_leave_only_the_arbiter() -> None:
    bricks = (brick("pve2", "/a"), brick("pve2", "/b"), brick("pve3", arbiter=True))
    world = with_gluster(volume(bricks, arbiters=1, options=quorum("none")))
    reason = "vmstore cannot lose pve2: set 1 (pve2:/a, pve2:/b, pve3:/srv/brick) would have no copy of the data left"
    assert_blocked(verdict("volume-survives", world), reason)


def test_two_of_three_bricks_on_one_node_lose_the_quorum() -> None:
    world = with_gluster(volume((brick("pve2", "/a"), brick("pve2", "/b"), brick("pve3"))))
    reason = (
        "vmstore cannot lose pve2: set 1 (pve2:/a, pve2:/b, pve3:/srv/brick) "
        "would have 1 of 3 bricks, and its quorum is more than half"
    )
    assert_blocked(verdict("volume-survives", world), reason)


# ---- distributed-replicate ---------------------------------------------------------------------------------------


def chained(*nodes: str) -> tuple[Brick, ...]:
    return tuple(brick(node, f"/srv/{n}") for n, node in enumerate(nodes))


def test_distributed_replicate_is_counted_set_by_set() -> None:
    world = with_gluster(volume(chained(*NODES, *NODES), kind="Distributed-Replicate"))
    assert_passed(verdict("volume-survives", world))


def test_consecutive_bricks_make_a_set_so_their_order_decides() -> None:
    """pve1 pve2 | pve3 pve1 survives pve1; pve1 pve1 | pve2 pve3 does not."""
    good = with_gluster(volume(chained("pve1", "pve2", "pve3", "pve1"), replica=2))
    assert_passed(verdict("volume-survives", good, node="pve1"), "ONE copy of vmstore left while pve1 is down")
    bad = with_gluster(volume(chained("pve2", "pve3", "pve1", "pve1"), replica=2))
    reason = "vmstore cannot lose pve1: set 2 (pve1:/srv/2, pve1:/srv/3) would have no copy of the data left"
    assert_blocked(verdict("volume-survives", bad, node="pve1"), reason)


# ---- replica 2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, quorum("none"), quorum("fixed", "1")])
@pytest.mark.parametrize("node", ["pve1", "pve2"])
def test_replica_two_survives_where_its_quorum_allows_it_and_says_that_one_copy_is_left(
    node: str, options: dict[str, str]
) -> None:
    world = with_gluster(volume(TWO, replica=2, options=options))
    assert_passed(verdict("volume-survives", world, node=node), f"ONE copy of vmstore left while {node} is down")


def test_replica_two_with_auto_quorum_survives_only_with_its_first_brick() -> None:
    world = with_gluster(volume(TWO, replica=2, options=quorum("auto")))
    assert_passed(verdict("volume-survives", world, node="pve2"), "ONE copy of vmstore left while pve2 is down")
    reason = (
        "vmstore cannot lose pve1: set 1 (pve1:/srv/brick, pve2:/srv/brick) would have 1 of 2 bricks, "
        "and its quorum is more than half, or half with pve1:/srv/brick"
    )
    assert_blocked(verdict("volume-survives", world, node="pve1"), reason)


def test_replica_two_with_a_fixed_quorum_of_two_cannot_lose_a_node() -> None:
    world = with_gluster(volume(TWO, replica=2, options=quorum("fixed", "2")))
    assert_blocked(verdict("volume-survives", world), f"{WHY_NOT} would have 1 bricks, and its quorum is 2")


@pytest.mark.parametrize("count", ["", "0", "many"])
def test_a_fixed_quorum_without_a_number_is_unknown(count: str) -> None:
    world = with_gluster(volume(TWO, replica=2, options=quorum("fixed", count)))
    reason = f"cluster.quorum-type of vmstore is fixed, and its quorum-count is {count!r}"
    assert_unknown(verdict("volume-survives", world), reason)


def test_a_quorum_type_that_nobody_here_knows_is_unknown() -> None:
    world = with_gluster(volume(options=quorum("majority")))
    reason = "cluster.quorum-type of vmstore is 'majority', which nobody here knows"
    assert_unknown(verdict("volume-survives", world), reason)


# ---- one copy ------------------------------------------------------------------------------------------------------


def test_a_plain_distributed_volume_cannot_lose_a_node_with_a_brick() -> None:
    world = with_gluster(volume(THREE, replica=1, kind="Distribute"))
    reason = "vmstore cannot lose pve2: set 2 (pve2:/srv/brick) has no other copy of its files"
    assert_blocked(verdict("volume-survives", world), reason, "replica 3 or an arbiter")


def test_a_single_brick_cannot_be_lost_but_its_other_nodes_can() -> None:
    world = with_gluster(volume((brick("pve1"),), replica=1, kind="Distribute"))
    reason = "vmstore cannot lose pve1: set 1 (pve1:/srv/brick) has no other copy of its files"
    assert_blocked(verdict("volume-survives", world, node="pve1"), reason)
    assert_passed(verdict("volume-survives", world, node="pve2"))


def test_a_node_without_a_brick_can_be_taken_without_a_word() -> None:
    assert_passed(verdict("volume-survives", with_gluster(volume(TWO, replica=2)), node="pve3"))


def test_a_node_outside_of_the_pool_can_be_taken() -> None:
    world = with_gluster(volume(TWO, replica=2), nodes=["pve1", "pve2"], gluster={"nodes": ["pve1", "pve2"]})
    assert_passed(verdict("volume-survives", world, node="pve3"))


# ---- disperse ------------------------------------------------------------------------------------------------------


def test_a_dispersed_volume_bears_as_many_as_its_redundancy() -> None:
    world = with_gluster(volume(THREE, replica=1, kind="Disperse", disperse=3, redundancy=1))
    assert_passed(verdict("volume-survives", world), "no spare brick of vmstore left while pve2 is down")


def test_a_dispersed_volume_with_two_bricks_of_a_set_on_one_node_cannot_lose_it() -> None:
    bricks = (brick("pve1"), brick("pve2", "/a"), brick("pve2", "/b"))
    world = with_gluster(volume(bricks, replica=1, kind="Disperse", disperse=3, redundancy=1))
    reason = "vmstore cannot lose pve2: set 1 (pve1:/srv/brick, pve2:/a, pve2:/b) would lose 2 bricks and bears 1"
    assert_blocked(verdict("volume-survives", world), reason)


FOUR_AND_TWO = tuple(brick(node, path) for node in NODES for path in ("/a", "/b"))


@pytest.mark.parametrize(("count", "bears"), [("0", 2), ("4", 2), ("5", 1), ("6", 0)])
def test_a_dispersed_volume_that_wants_more_bricks_for_a_write_bears_fewer(count: str, bears: int) -> None:
    """`disperse.quorum-count 6` of 4+2: with a brick away every write fails, although every file could be read."""
    options = {"disperse.quorum-count": count}
    world = with_gluster(volume(FOUR_AND_TWO, replica=1, kind="Disperse", disperse=6, redundancy=2, options=options))
    found = verdict("volume-survives", world)
    if bears == 2:
        assert_passed(found, "no spare brick of vmstore left while pve2 is down")
    else:
        names = "pve1:/a, pve1:/b, pve2:/a, pve2:/b, pve3:/a and 1 more"
        reason = f"vmstore cannot lose pve2: set 1 ({names}) would lose 2 bricks and bears {bears}"
        assert_blocked(found, reason)


def test_a_dispersed_volume_says_that_the_last_brick_its_writes_can_spare_goes() -> None:
    bricks = (*THREE, brick("pve1", "/b"), brick("pve3", "/b"), brick("pve3", "/c"))
    options = {"disperse.quorum-count": "5"}
    world = with_gluster(volume(bricks, replica=1, kind="Disperse", disperse=6, redundancy=2, options=options))
    assert_passed(verdict("volume-survives", world), "no spare brick of vmstore left while pve2 is down")


def test_a_quorum_of_bricks_that_is_no_number_is_unknown() -> None:
    options = {"disperse.quorum-count": "most"}
    world = with_gluster(volume(THREE, replica=1, kind="Disperse", disperse=3, redundancy=1, options=options))
    assert_unknown(verdict("volume-survives", world), "disperse.quorum-count of vmstore is 'most', which is no number")


# ---- quorum of the servers ---------------------------------------------------------------------------------------

SERVER = {"cluster.server-quorum-type": "server"}


def test_server_quorum_of_three_peers_bears_the_loss_of_one() -> None:
    assert_passed(verdict("volume-survives", with_gluster(volume(options=SERVER))))


def test_server_quorum_of_two_peers_stops_every_brick_when_one_goes() -> None:
    world = with_gluster(
        volume(TWO, replica=2, options=SERVER), nodes=["pve1", "pve2"], gluster={"nodes": ["pve1", "pve2"]}
    )
    reason = "vmstore cannot lose pve2: server quorum needs 2 of 2 peers, 1 would be left, and it stops every brick"
    assert_blocked(verdict("volume-survives", world), reason)


@pytest.mark.parametrize(("ratio", "bears"), [("51%", True), ("66", True), ("67%", False), ("100%", False)])
def test_server_quorum_goes_by_its_ratio(ratio: str, bears: bool) -> None:
    """51 % of 3 peers are 2 peers, 67 % are 3: rounded up, as glusterd does."""
    world = with_gluster(volume(options={**SERVER, "cluster.server-quorum-ratio": ratio}))
    found = verdict("volume-survives", world)
    if bears:
        assert_passed(found)
    else:
        reason = "vmstore cannot lose pve2: server quorum needs 3 of 3 peers, 2 would be left, and it stops every brick"
        assert_blocked(found, reason)


def test_server_quorum_counts_a_peer_without_a_brick_too() -> None:
    world = with_gluster(volume(TWO, replica=2, options={**SERVER, "cluster.server-quorum-ratio": "80%"}))
    reason = "vmstore cannot lose pve3: server quorum needs 3 of 3 peers, 2 would be left, and it stops every brick"
    assert_blocked(verdict("volume-survives", world, node="pve3"), reason)


def test_a_ratio_that_is_no_percentage_is_unknown() -> None:
    world = with_gluster(volume(options={**SERVER, "cluster.server-quorum-ratio": "half"}))
    reason = "cluster.server-quorum-ratio is 'half', which is no percentage"
    assert_unknown(verdict("volume-survives", world), reason)
