"""Peers, bricks, daemons and tasks of the pool, as each of its peers tells them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Brick, BrickProcess, Read, Unread, VolumeStatus
from cluster.gates import judge
from cluster.world import GatePhase, Passed, World
from tests.unit.gates.build import (
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    brick,
    drained,
    gluster,
    healthy,
    processes,
    uuid,
    verdict,
    view_of,
    volume,
    with_,
    with_gluster,
    with_node,
    with_peer,
    with_status,
    with_view,
)


def without_process(world: World, by: str, node: str, *, daemon: bool, offline: bool = False) -> World:
    """The row of one brick or daemon is left out of what one peer says, or is there and offline."""
    rows = processes(volume(), NODES)
    hit = [row for row in rows if row.host_uuid == uuid(node) and row.daemon is daemon]
    kept = tuple(replace(row, online=False) if row in hit else row for row in rows if offline or row not in hit)
    return with_status(world, [by], rows=kept)


# ---- peers -----------------------------------------------------------------------------------------------------


def test_peers_that_all_see_each_other_open() -> None:
    assert_passed(verdict("gluster-peers", healthy()))


def test_a_disconnected_peer_that_still_says_peer_in_cluster_blocks() -> None:
    world = with_peer(healthy(), ["pve1", "pve3"], "pve2", connected=False, state=3)
    reason = "pve1 sees pve2 disconnected, pve3 sees pve2 disconnected"
    assert_blocked(verdict("gluster-peers", world), reason, "gluster peer status")


def test_one_peer_that_sees_another_one_disconnected_is_enough() -> None:
    world = with_peer(healthy(), ["pve3"], "pve1", connected=False)
    assert_blocked(verdict("gluster-peers", world), "pve3 sees pve1 disconnected")


def test_a_peer_in_another_state_than_three_blocks() -> None:
    world = with_peer(healthy(), ["pve1"], "pve3", state=4)
    assert_blocked(verdict("gluster-peers", world), "pve1 has pve3 in state 4, not 3 (in cluster)")


def test_a_peer_that_another_one_does_not_list_blocks() -> None:
    pool = view_of(healthy(), "pve1").pool
    assert isinstance(pool, Read)
    world = with_view(healthy(), "pve1", pool=Read(pool.value[:2], NOW))
    assert_blocked(verdict("gluster-peers", world), "pve1 does not list pve3")


def test_what_a_peer_says_of_itself_does_not_count() -> None:
    """`pool list` has a row for the asked node, without a state in some versions; `peer status` has none."""
    assert_passed(verdict("gluster-peers", with_peer(healthy(), ["pve1"], "pve1", state=0)))
    world = healthy()
    for node in NODES:
        pool = view_of(healthy(), node).pool
        assert isinstance(pool, Read)
        rows = tuple(row for row in pool.value if row.uuid != uuid(node))
        world = with_view(world, node, pool=Read(rows, NOW))
    assert_passed(verdict("gluster-peers", world))


def test_a_peer_that_nobody_asked_is_unknown_to_every_gluster_gate() -> None:
    world = with_(healthy(), gluster=gluster(volume(), nodes=["pve1", "pve2"]))
    for gate in ("gluster-peers", "heal", "split-brain", "gluster-processes", "volume-survives"):
        assert_unknown(verdict(gate, world), "Gluster on pve3 was not asked", "gluster.nodes")


def test_a_peer_of_the_pool_that_the_settings_do_not_name_is_unknown() -> None:
    pool = gluster(volume(), nodes=[*NODES, "pve4"])
    world = with_(healthy(), gluster=replace(pool, views=pool.views[:3]))
    reason = "uuid-of-pve4 belongs to the pool, but was not asked"
    assert_unknown(verdict("gluster-peers", world), reason, "gluster pool list")


def test_a_pool_of_fewer_nodes_than_the_cluster_is_fine_if_the_settings_say_so() -> None:
    two = volume((brick("pve1"), brick("pve2")), replica=2)
    world = with_gluster(two, nodes=["pve1", "pve2"], gluster={"nodes": ["pve1", "pve2"]})
    assert_passed(verdict("gluster-peers", world))
    world = with_node(world, "pve3", services={**dict.fromkeys(_services(world), "active"), "glusterd": "inactive"})
    assert_passed(verdict("services", world))


def _services(world: World) -> list[str]:
    status = world.machines.nodes["pve1"]
    assert isinstance(status, Read)
    return list(status.value.services)


def test_glusterd_down_on_the_asked_node_is_unknown_with_its_own_words() -> None:
    why = "glusterd is not running on pve3: Connection failed."
    dead = Unread(why, NOW)
    world = with_view(healthy(), "pve3", pool=dead, volumes=dead, heal={}, status={})
    for gate in ("gluster-peers", "heal", "volume-survives"):
        assert_unknown(verdict(gate, world), f"pool list of pve3 not read: {why}")


@pytest.mark.parametrize(("what", "told"), [("pool", "pool list"), ("volumes", "volume info")])
def test_a_list_that_was_not_read_is_unknown(what: str, told: str) -> None:
    world = with_view(healthy(), "pve3", **{what: Unread("not XML", NOW)})
    assert_unknown(verdict("gluster-peers", world), f"{told} of pve3 not read: not XML")


def test_a_node_that_did_not_tell_which_peer_it_is_may_hold_any_brick() -> None:
    world = with_view(healthy(), "pve2", uuid="")
    for gate in ("gluster-peers", "volume-survives"):
        assert_unknown(verdict(gate, world), "pve2 did not tell its own UUID")


@pytest.mark.parametrize(("odd", "who"), [("pve1", "pve2"), ("pve2", "pve2"), ("pve3", "pve3")])
def test_peers_that_know_different_bricks_block(odd: str, who: str) -> None:
    moved = volume((brick("pve1"), brick("pve2"), brick("pve3", "/srv/new")))
    world = with_view(healthy(), odd, volumes=Read((moved,), NOW))
    reason = f"{who} and pve1 do not know the same volumes and bricks"
    assert_blocked(verdict("gluster-peers", world), reason, "gluster volume info")


@pytest.mark.parametrize(
    "changes",
    [{"started": False}, {"kind": "Distribute"}, {"replica": 1}, {"disperse": 3}],
    ids=lambda one: next(iter(one)),
)
def test_peers_that_differ_in_what_a_volume_is_block(changes: dict[str, Any]) -> None:
    """A peer that was off while the volume was stopped, or got another brick to each set, may not have heard of it."""
    world = with_view(healthy(), "pve3", volumes=Read((replace(volume(), **changes),), NOW))
    reason = "pve3 and pve1 do not know the same volumes and bricks"
    assert_blocked(verdict("heal", world), reason, "gluster volume info")


def test_peers_that_were_asked_one_after_the_other_know_the_same() -> None:
    assert_passed(verdict("gluster-peers", with_view(healthy(), "pve3", volumes=Read((volume(),), NOW - 1.0))))


def test_a_pool_without_a_volume_is_not_healed() -> None:
    for gate in ("gluster-peers", "heal", "split-brain"):
        assert_blocked(verdict(gate, with_gluster()), "the Gluster pool has no volume", "gluster.enabled: false")


def test_a_volume_of_the_settings_that_the_pool_does_not_have_blocks() -> None:
    world = healthy(gluster={"volumes": ["vmstroe"]})
    assert_blocked(verdict("heal", world), "there is no volume vmstroe", "the pool has vmstore")


def test_a_stopped_volume_blocks() -> None:
    world = with_gluster(volume(started=False))
    assert_blocked(verdict("heal", world), "volume vmstore is stopped", "gluster volume start vmstore")


@pytest.mark.parametrize("bricks", [(), (brick("pve1"), brick("pve2"))])
def test_bricks_that_make_no_whole_sets_are_unknown(bricks: tuple[Brick, ...]) -> None:
    world = with_gluster(volume(bricks))
    reason = f"volume info lists {len(bricks)} bricks of vmstore: no whole sets of 3"
    for gate in ("heal", "volume-survives", "gluster-processes"):
        assert_unknown(verdict(gate, world), reason)


def test_a_cluster_without_gluster_is_not_asked_about_it() -> None:
    world = with_(drained(healthy(gluster={"enabled": False})), gluster=Unread("there is none", NOW))
    opinions = judge(world, "pve2", GatePhase.REBOOT, NOW, {})
    assert "heal" not in {opinion.gate for opinion in opinions}
    assert all(isinstance(opinion.verdict, Passed) for opinion in opinions)


# ---- bricks and daemons ------------------------------------------------------------------------------------------


def test_every_brick_and_daemon_online_opens() -> None:
    assert_passed(verdict("gluster-processes", healthy()))


def test_a_brick_that_is_offline_blocks() -> None:
    world = without_process(healthy(), "pve1", "pve2", daemon=False, offline=True)
    reason = "brick pve2:/srv/brick is offline (by pve1)"
    assert_blocked(verdict("gluster-processes", world), reason, "gluster volume start vmstore force")


def test_bricks_of_nodes_that_glusterd_takes_for_disconnected_are_left_out_and_that_blocks() -> None:
    """Seen: heal info all 0 and Connected, while volume status listed one brick of three, none of them offline."""
    own = [row for row in processes(volume(), NODES) if row.host_uuid == uuid("pve1")]
    world = with_status(healthy(), ["pve1"], rows=tuple(own))
    assert_passed(verdict("heal", world))
    reason = (
        "brick pve2:/srv/brick is not listed (by pve1), brick pve3:/srv/brick is not listed (by pve1), "
        "no self-heal daemon on pve2 for vmstore (by pve1), no self-heal daemon on pve3 for vmstore (by pve1)"
    )
    assert_blocked(verdict("gluster-processes", world), reason)


def test_a_dead_self_heal_daemon_blocks_although_nothing_is_pending() -> None:
    world = without_process(healthy(), "pve1", "pve3", daemon=True, offline=True)
    assert_passed(verdict("heal", world))
    assert_blocked(verdict("gluster-processes", world), "no self-heal daemon on pve3 for vmstore (by pve1)")


@pytest.mark.parametrize("option", ["cluster.self-heal-daemon", "cluster.disperse-self-heal-daemon"])
@pytest.mark.parametrize("word", ["off", "disable", "no", "false", "0", "OFF", "Disable"])
def test_self_heal_switched_off_blocks_although_the_daemons_run(option: str, word: str) -> None:
    """They run for another volume; and glusterd takes the word in any case, and keeps it as it was written."""
    world = with_status(with_gluster(volume(options={option: word})), rows=processes(volume(), NODES))
    reason = "self-heal is switched off for vmstore (by pve1, pve2, pve3)"
    assert_blocked(verdict("gluster-processes", world), reason)


def test_a_daemon_on_a_peer_without_a_brick_may_be_missing() -> None:
    two = volume((brick("pve1"), brick("pve2")), replica=2)
    world = with_status(with_gluster(two), rows=processes(two, ["pve1", "pve2"]))
    assert_passed(verdict("gluster-processes", world))


def test_a_locked_cluster_is_unknown_and_told_to_ask_again() -> None:
    why = "another transaction is in progress for vmstore (30802): ask again"
    world = with_view(healthy(), "pve2", status={"vmstore": Unread(why, NOW)})
    assert_unknown(verdict("gluster-processes", world), f"status of vmstore by pve2 not read: {why}")
    assert_unknown(verdict("gluster-tasks", world), f"status of vmstore by pve2 not read: {why}")


def test_a_peer_that_was_not_asked_for_its_status_is_unknown() -> None:
    world = with_view(healthy(), "pve2", status={})
    assert_unknown(verdict("gluster-processes", world), "pve2 was not asked for the status of vmstore")


@pytest.mark.parametrize("gate", ["gluster-processes", "gluster-tasks"])
def test_a_status_may_be_minutes_old_for_a_large_pool_gives_them_one_at_a_time(gate: str) -> None:
    def asked(ago: float) -> World:
        old = Read(VolumeStatus("vmstore", processes(volume(), NODES)), NOW - ago)
        world = with_view(healthy(), "pve2", status={"vmstore": old})
        return replace(world, machines=replace(world.machines, processes=Read(NODES, NOW - ago)))

    assert_passed(verdict(gate, asked(300)))
    assert_unknown(verdict(gate, asked(301)), "processes: evidence is 301 s old, limit 300 s")


@pytest.mark.parametrize("gate", ["gluster-processes", "gluster-tasks"])
def test_a_status_of_yesterday_is_unknown(gate: str) -> None:
    old = Read(VolumeStatus("vmstore", processes(volume(), NODES)), NOW - 301)
    world = with_view(healthy(), "pve2", status={"vmstore": old})
    assert_unknown(verdict(gate, world), "status of vmstore by pve2: evidence is 301 s old, limit 300 s")


@pytest.mark.parametrize("gate", ["gluster-processes", "gluster-tasks"])
def test_beside_an_old_status_the_pool_and_its_volumes_must_be_young(gate: str) -> None:
    """What is minutes old is what volume status alone tells, and nothing that it is compared with."""
    info = view_of(healthy(), "pve2").volumes
    assert isinstance(info, Read)
    world = with_view(healthy(), "pve2", volumes=Read(info.value, NOW - 31))
    assert_unknown(verdict(gate, world), "volume info of pve2: evidence is 31 s old, limit 30 s")


def test_a_row_of_a_brick_counts_by_uuid_whatever_the_host_is_called() -> None:
    rows = tuple(
        BrickProcess("localhost:/srv/brick", row.host_uuid, row.online, row.daemon) if not row.daemon else row
        for row in processes(volume(), NODES)
    )
    assert_passed(verdict("gluster-processes", with_status(healthy(), rows=rows)))


def test_a_rebalance_blocks_before_a_node_is_taken() -> None:
    world = with_status(healthy(), ["pve1"], tasks=("Rebalance",))
    assert_blocked(verdict("gluster-tasks", world), "in progress: Rebalance of vmstore", "rebalance vmstore status")
    assert_passed(verdict("gluster-tasks", healthy()))
