"""The heal gate in every state that was measured (a brick of vmstore on each of pve1, pve2, pve3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.facts import Read, Unread
from cluster.world import Blocked, GatePhase, Passed, World
from tests.unit.gates.build import (
    DEAD,
    MALFORMED,
    NODES,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    brick,
    gluster_of,
    healthy,
    uuid,
    verdict,
    view_of,
    volume,
    with_,
    with_gluster,
    with_heal,
    with_view,
)

NO_COUNTERS: dict[str, Any] = {"pending": None, "split_brain": None, "possibly_healing": None, "total": None}


def with_entries(world: World, *names: str) -> World:
    return with_(world, gluster=replace(gluster_of(world), entries={"pve1:/srv/brick": names}))


@pytest.mark.parametrize("phase", GatePhase)
def test_nothing_to_heal_by_every_peer_and_every_read_opens(phase: GatePhase) -> None:
    assert_passed(verdict("heal", healthy(), phase))
    assert_passed(verdict("split-brain", healthy(), phase))


def test_pending_entries_block_with_their_number() -> None:
    world = with_heal(healthy(), "pve1", pending=14, total=14)
    assert_blocked(verdict("heal", world), "pve1:/srv/brick: 14 pending", "gluster volume heal vmstore info summary")


def test_the_image_its_guest_and_its_group_are_named() -> None:
    world = with_entries(
        with_heal(healthy(), "pve1", pending=2, total=2),
        "/images/101/vm-101-disk-0.qcow2",
        "/images/103/vm-103-disk-1.raw",
        "<gfid:1f3870be-274f-4c>",
    )
    reason = (
        "pve1:/srv/brick: 2 pending; vm-101-disk-0.qcow2 of router-a (group routers) heals on pve1: 2 pending, "
        "vm-103-disk-1.raw of db heals on pve1: 2 pending"
    )
    assert_blocked(verdict("heal", world), reason)


def test_an_image_of_an_unknown_guest_is_named_by_its_number() -> None:
    world = with_entries(with_heal(healthy(), "pve1", pending=1, total=1), "vm-999-disk-0")
    reason = "pve1:/srv/brick: 1 pending; vm-999-disk-0 of guest 999 heals on pve1: 1 pending"
    assert_blocked(verdict("heal", world), reason)


def test_an_image_is_told_once_with_all_bricks_that_list_it_and_the_largest_count() -> None:
    world = with_heal(with_heal(healthy(), "pve1", pending=12, total=12), "pve3", pending=14, total=14)
    names = ("/images/103/vm-103-disk-0", "/images/102/vm-102-disk-0")
    entries = {f"{node}:/srv/brick": names for node in ("pve1", "pve3")}
    found = verdict("heal", with_(world, gluster=replace(gluster_of(world), entries=entries)))
    assert isinstance(found, Blocked)
    assert found.reason.endswith(
        "; vm-102-disk-0 of router-b (group routers) heals on pve1, pve3: 14 pending, "
        "vm-103-disk-0 of db heals on pve1, pve3: 14 pending"
    )


def test_images_are_named_even_when_the_guests_were_not_read() -> None:
    world = with_entries(with_heal(healthy(), "pve1", pending=1, total=1), "vm-101-disk-0")
    world = with_(world, guests=Unread("no answer", NOW))
    reason = "pve1:/srv/brick: 1 pending; vm-101-disk-0 of guest 101 (group routers) heals on pve1: 1 pending"
    assert_blocked(verdict("heal", world), reason)


def test_a_dead_brick_whose_counters_are_missing_is_not_healed() -> None:
    world = with_heal(healthy(), "pve2", host_uuid="-", status=MALFORMED, **NO_COUNTERS)
    assert_blocked(verdict("heal", world, node="pve1"), f"pve2:/srv/brick: not connected ({MALFORMED[:80]})")


def test_a_dead_brick_whose_counters_say_zero_is_not_healed() -> None:
    world = with_heal(healthy(), "pve2", host_uuid="-", status=DEAD)
    assert_blocked(verdict("heal", world, node="pve1"), f"pve2:/srv/brick: not connected ({DEAD})")


@pytest.mark.parametrize("counter", NO_COUNTERS)
def test_one_missing_counter_of_a_connected_brick_is_not_zero(counter: str) -> None:
    missing: dict[str, Any] = {counter: None}
    world = with_heal(healthy(), "pve2", **missing)
    assert_blocked(verdict("heal", world), "pve2:/srv/brick: connected, but its counters are missing")


def test_possibly_healing_with_nothing_pending_blocks() -> None:
    world = with_heal(healthy(), "pve3", possibly_healing=1, total=1)
    assert_blocked(verdict("heal", world), "pve3:/srv/brick: 0 pending, 1 possibly healing")


def test_a_total_that_its_parts_do_not_explain_blocks() -> None:
    assert_blocked(verdict("heal", with_heal(healthy(), "pve3", total=3)), "pve3:/srv/brick: 3 entries")


def test_a_wiped_brick_that_starts_at_one_entry_and_climbs_to_hundreds_blocks_all_the_way() -> None:
    first = with_heal(healthy(), "pve1", pending=1, total=1)
    assert_blocked(verdict("heal", first), "pve1:/srv/brick: 1 pending")
    climbing = first
    for read, count in enumerate((1, 40, 300)):
        climbing = with_heal(climbing, "pve1", reads=[read], pending=count, total=count)
    assert_blocked(verdict("heal", climbing), "pve1:/srv/brick: 300 pending")


def test_a_node_that_lists_nothing_while_its_peers_list_what_it_misses_is_named() -> None:
    world = with_heal(healthy(), "pve1", by=["pve1", "pve3"], pending=14, total=14)
    assert_blocked(verdict("heal", world), "pve1:/srv/brick: 14 pending (by pve1, pve3, but not by pve2)")


@pytest.mark.parametrize("read", range(3))
def test_one_read_of_one_peer_that_was_not_zero_blocks(read: int) -> None:
    world = with_heal(healthy(), "pve1", by=["pve3"], reads=[read], pending=1, total=1)
    assert_blocked(verdict("heal", world), "pve1:/srv/brick: 1 pending (by pve3, but not by pve1, pve2)")


def test_no_bricks_at_all_is_no_healed_volume() -> None:
    """Server quorum lost: an empty list of bricks, and a sum over nothing is 0."""
    world = healthy()
    for node in NODES:
        world = with_view(world, node, heal={"vmstore": (Read((), NOW),) * 3})
    reason = "pve1:/srv/brick: not listed, pve2:/srv/brick: not listed, pve3:/srv/brick: not listed"
    assert_blocked(verdict("heal", world), reason)


def test_a_brick_that_is_left_out_is_not_healed() -> None:
    assert_blocked(verdict("heal", with_heal(healthy(), "pve3", gone=True)), "pve3:/srv/brick: not listed")


def test_a_brick_that_volume_info_does_not_know_blocks() -> None:
    world = with_heal(healthy(), "pve3", by=["pve1"], brick="pve3:/srv/old")
    reason = (
        "pve3:/srv/brick: not listed (by pve1, but not by pve2, pve3), "
        "pve3:/srv/old: listed twice, or no brick of the volume (by pve1, but not by pve2, pve3)"
    )
    assert_blocked(verdict("heal", world), reason)


def test_a_brick_named_otherwise_by_who_is_asked_is_known_by_its_uuid() -> None:
    assert_passed(verdict("heal", with_heal(healthy(), "pve1", by=["pve1"], brick="localhost:/srv/brick")))
    assert_passed(verdict("heal", with_heal(healthy(), "pve1", by=["pve2"], brick="pve1.lab.example:/srv/brick")))


def test_a_brick_of_the_same_name_on_another_host_is_another_brick() -> None:
    world = with_heal(healthy(), "pve3", by=["pve1"], host_uuid="uuid-of-a-stranger")
    reason = "pve3:/srv/brick: listed twice, or no brick of the volume (by pve1, but not by pve2, pve3)"
    assert_blocked(verdict("heal", world), reason)


def test_of_two_rows_about_one_brick_neither_hides_the_other() -> None:
    said = view_of(healthy(), "pve1").heal["vmstore"][0]
    assert isinstance(said, Read)
    twice = Read((*said.value, replace(said.value[2], pending=5, total=5)), NOW)
    world = with_view(healthy(), "pve1", heal={"vmstore": (twice,) * 3})
    reason = "pve3:/srv/brick: listed twice, or no brick of the volume (by pve1, but not by pve2, pve3)"
    assert_blocked(verdict("heal", world), reason)


def test_two_bricks_of_one_node_are_two_bricks() -> None:
    both = volume((brick("pve1", "/a"), brick("pve2", "/a"), brick("pve1", "/b"), brick("pve2", "/b")), replica=2)
    assert_passed(verdict("heal", with_gluster(both, nodes=["pve1", "pve2"], gluster={"nodes": ["pve1", "pve2"]})))


@pytest.mark.parametrize(
    "why",
    [
        "glusterd is not running on pve3: Connection failed. Please check if gluster daemon is operational.",
        "another transaction is in progress for vmstore (30802): ask again",
        "the answer is not XML: cut at line 12",
        "opRet -1, opErrno 5, with exit code 0",
        "no answer in 130 s; 50057 entries were listed before",
    ],
)
def test_a_peer_that_gave_no_answer_is_unknown_with_its_reason(why: str) -> None:
    said = view_of(healthy(), "pve3").heal["vmstore"]
    world = with_view(healthy(), "pve3", heal={"vmstore": (*said[:2], Unread(why, NOW))})
    assert_unknown(verdict("heal", world), f"heal of vmstore by pve3 not read: {why}")
    assert_unknown(
        verdict("split-brain", world),
        f"nobody knows about split brain: heal of vmstore by pve3 not read: {why}",
    )


def test_what_is_known_is_said_although_one_peer_did_not_answer() -> None:
    world = with_heal(healthy(), "pve1", by=["pve1"], pending=50057, total=50057)
    world = with_view(world, "pve3", heal={"vmstore": (Unread("no answer in 130 s", NOW),) * 3})
    assert_blocked(verdict("heal", world), "pve1:/srv/brick: 50057 pending (by pve1, but not by pve2, pve3)")


def test_a_round_that_ended_early_names_who_did_not_answer_not_who_was_asked_too_few_times() -> None:
    world = healthy()
    for node in NODES:
        answer = Unread("no answer in 130 s", NOW) if node == "pve3" else view_of(world, node).heal["vmstore"][0]
        world = with_view(world, node, heal={"vmstore": (answer,)})
    assert_unknown(verdict("heal", world), "heal of vmstore by pve3 not read: no answer in 130 s")


def test_a_peer_that_was_asked_too_few_times_is_unknown() -> None:
    world = with_view(healthy(), "pve3", heal={"vmstore": view_of(healthy(), "pve3").heal["vmstore"][:2]})
    assert_unknown(verdict("heal", world), "pve3 was asked 2 of 3 times how vmstore heals")


def test_a_peer_that_was_not_asked_about_the_volume_is_unknown() -> None:
    world, why = with_view(healthy(), "pve3", heal={}), "pve3 was asked 0 of 3 times how vmstore heals"
    assert_unknown(verdict("heal", world), why)
    assert_unknown(verdict("split-brain", world), f"nobody knows about split brain: {why}")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"pending": 14, "total": 14}, True),
        ({"pending": 13, "possibly_healing": 1, "total": 14}, False),
        ({"split_brain": 1, "total": 1}, False),
        ({"pending": 14, "total": 14, "status": "Transport endpoint is not connected"}, False),
    ],
    ids=["nobody is at work", "something heals", "split", "a brick is away"],
)
def test_what_nobody_heals_is_told_with_the_command_that_makes_the_daemons_look(
    said: dict[str, Any], told: bool
) -> None:
    found = verdict("heal", with_heal(healthy(), "pve3", **said))
    assert isinstance(found, Blocked)
    assert ("`gluster volume heal vmstore`, which is harmless" in found.hint) == told


@pytest.mark.parametrize("split", [0, 2])
def test_one_answer_of_every_peer_tells_whether_there_is_a_split_brain(split: int) -> None:
    """While something is to be healed none is asked twice: every heal was called a split brain that nobody knew of."""
    world = with_heal(healthy(), "pve3", pending=14, split_brain=split, total=14 + split)
    for node in NODES:
        world = with_view(world, node, heal={"vmstore": view_of(world, node).heal["vmstore"][:1]})
    assert isinstance(verdict("heal", world), Blocked)
    assert isinstance(verdict("split-brain", world), Blocked if split else Passed)


def test_more_reads_are_wanted_by_the_settings_than_were_made() -> None:
    found = verdict("heal", healthy(gluster={"reads": 5}))
    assert_unknown(found, ", ".join(f"{node} was asked 3 of 5 times how vmstore heals" for node in NODES))


def test_only_the_last_read_has_to_be_fresh() -> None:
    said = view_of(healthy(), "pve3").heal["vmstore"]
    assert isinstance(said[0], Read)
    old = replace(said[0], at=NOW - 31)
    assert_passed(verdict("heal", with_view(healthy(), "pve3", heal={"vmstore": (old, *said[1:])})))
    stale = with_view(healthy(), "pve3", heal={"vmstore": (*said[1:], old)})
    assert_unknown(verdict("heal", stale), "heal of vmstore by pve3: evidence is 31 s old, limit 30 s")


def test_a_plain_distributed_volume_has_nothing_to_heal() -> None:
    world = with_gluster(volume(kind="Distribute", replica=1))
    for node in NODES:
        world = with_view(world, node, heal={"vmstore": (Unread("is not of type replicate", NOW),)})
    assert_passed(verdict("heal", world))


def test_only_the_volumes_of_the_settings_must_be_healed() -> None:
    world = with_gluster(volume(), volume(name="scratch"), gluster={"volumes": ["vmstore"]})
    assert_passed(verdict("heal", with_view(world, "pve1", heal=view_of(healthy(), "pve1").heal)))


# ---- split brain -----------------------------------------------------------------------------------------------


def test_a_file_in_split_brain_blocks_both_gates() -> None:
    world = with_heal(healthy(), "pve1", by=["pve2"], reads=[1], split_brain=1, total=1)
    reason = "files in split brain: 1 on pve1:/srv/brick of vmstore"
    assert_blocked(verdict("split-brain", world), reason, "gluster volume heal vmstore info split-brain")
    assert_blocked(
        verdict("heal", world), "pve1:/srv/brick: 0 pending, 1 in split-brain (by pve2, but not by pve1, pve3)"
    )


def test_a_brick_that_does_not_say_is_unknown_never_zero() -> None:
    world = with_heal(healthy(), "pve3", host_uuid="-", status=MALFORMED, **NO_COUNTERS)
    assert_unknown(
        verdict("split-brain", world), "nobody knows about split brain: pve3:/srv/brick of vmstore did not say"
    )


@pytest.mark.parametrize("first", [["pve1"], ["pve3"]], ids=["silent first", "silent last"])
def test_a_brick_that_says_nothing_to_one_peer_is_unknown_whoever_is_asked_first(first: list[str]) -> None:
    world = with_heal(healthy(), "pve3", by=first, split_brain=None)
    assert_unknown(
        verdict("split-brain", world), "nobody knows about split brain: pve3:/srv/brick of vmstore did not say"
    )
    split = with_heal(world, "pve3", by=["pve2"], split_brain=2, total=2)
    assert_blocked(verdict("split-brain", split), "files in split brain: 2 on pve3:/srv/brick of vmstore")


def test_of_different_counts_the_highest_is_told() -> None:
    world = with_heal(healthy(), "pve3", by=["pve1"], split_brain=1, total=1)
    world = with_heal(world, "pve3", by=["pve2"], split_brain=5, total=5)
    assert_blocked(verdict("split-brain", world), "files in split brain: 5 on pve3:/srv/brick of vmstore")


def test_a_split_brain_is_worse_than_a_brick_that_does_not_say() -> None:
    world = with_heal(healthy(), "pve3", by=["pve1"], split_brain=2, total=2)
    world = with_heal(world, "pve3", by=["pve2", "pve3"], split_brain=None)
    assert_blocked(verdict("split-brain", world), "files in split brain: 2 on pve3:/srv/brick of vmstore")


def test_a_brick_with_another_uuid_says_nothing_about_the_one_that_is_asked_for() -> None:
    world = with_heal(healthy(), "pve3", host_uuid=uuid("pve9"))
    assert_unknown(
        verdict("split-brain", world), "nobody knows about split brain: pve3:/srv/brick of vmstore did not say"
    )
