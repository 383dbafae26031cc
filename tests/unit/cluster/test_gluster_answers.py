"""Reading GlusterFS: answers recorded from GlusterFS 10.3 (samples/), and the damage that the night can do to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import gluster
from cluster.facts import BrickHeal
from cluster.gluster import AskAgain, GlusterError
from cluster.ssh import Done

SAMPLES = Path(__file__).parent / "samples"
BRICK = "/mnt/data/vmstore/brick"
UUID1, UUID2, UUID3 = (
    "172fc417-c6ed-4cb4-879e-abe152dc79ce",
    "5285e5bb-e6c2-4ba0-900d-a255b2a329b2",
    "98aabf71-bc5f-4ede-8d87-75c4891a1a23",
)


def recorded(name: str, rc: int = 0) -> Done:
    return Done(rc, (SAMPLES / name).read_bytes(), b"")


def changed(name: str, old: bytes, new: bytes) -> Done:
    whole = (SAMPLES / name).read_bytes()
    assert old in whole
    return Done(0, whole.replace(old, new), b"")


# ---- the pool ----------------------------------------------------------------------------------------------------


def test_the_asked_node_is_listed_as_localhost_and_counts_as_in_the_cluster() -> None:
    peers = gluster.pool_list(recorded("pool_list.xml"), "pve1")
    assert [(peer.host, peer.uuid, peer.connected, peer.state) for peer in peers] == [
        ("pve2", UUID2, True, 3),
        ("pve3", UUID3, True, 3),
        ("localhost", UUID1, True, 3),
    ]


def test_a_node_that_is_off_still_says_peer_in_cluster_but_is_not_connected() -> None:
    off = gluster.pool_list(recorded("pool_list_node_off.xml"), "pve1")[1]
    assert (off.host, off.state, off.connected) == ("pve3", 3, False)


def test_another_peer_without_a_state_is_not_taken_for_in_the_cluster() -> None:
    with pytest.raises(GlusterError, match="None where the number <state> belongs"):
        gluster.pool_list(changed("pool_list.xml", b"<state>3</state>", b""), "pve1")


# ---- volumes -----------------------------------------------------------------------------------------------------


def test_a_replica_three_volume() -> None:
    (volume,) = gluster.volume_info(recorded("volume_info_replica3.xml"), "pve1")
    assert (volume.name, volume.kind, volume.started) == ("vmstore", "Replicate", True)
    assert (volume.replica, volume.arbiters, volume.disperse, volume.redundancy) == (3, 0, 0, 0)
    assert [(brick.name, brick.host_uuid, brick.arbiter) for brick in volume.bricks] == [
        (f"pve1:{BRICK}", UUID1, False),
        (f"pve2:{BRICK}", UUID2, False),
        (f"pve3:{BRICK}", UUID3, False),
    ]
    assert volume.options["cluster.granular-entry-heal"] == "on"


def test_an_arbiter_brick_is_told_apart() -> None:
    (volume,) = gluster.volume_info(recorded("volume_info_arbiter.xml"), "pve1")
    assert (volume.replica, volume.arbiters) == (3, 1)
    assert [brick.arbiter for brick in volume.bricks] == [False, False, True]


def test_several_volumes_one_of_them_distributed() -> None:
    dist, vmstore = gluster.volume_info(recorded("volume_info_distributed.xml"), "pve1")
    assert (dist.kind, dist.replica, len(dist.bricks)) == ("Distributed-Replicate", 3, 6)
    assert vmstore.kind == "Replicate"


def test_a_stopped_volume_is_not_started() -> None:
    answer = changed("volume_info_replica3.xml", b"<status>1</status>", b"<status>2</status>")
    assert not gluster.volume_info(answer, "pve1")[0].started


# ---- heal --------------------------------------------------------------------------------------------------------


def test_a_healed_volume() -> None:
    bricks = gluster.heal_summary(recorded("summary_healthy.xml"), "pve1")
    assert [brick.brick for brick in bricks] == [f"pve1:{BRICK}", f"pve2:{BRICK}", f"pve3:{BRICK}"]
    assert all(brick.healed for brick in bricks)


def test_a_dead_brick_has_no_counters_and_is_not_healed() -> None:
    one, two, dead = gluster.heal_summary(recorded("summary_node_off.xml"), "pve1")
    assert (one.pending, one.total, two.total) == (1, 1, 1)
    assert dead == BrickHeal(
        brick=f"pve3:{BRICK}",
        host_uuid="-",
        status="Failed to process entries completely. (Transport endpoint is not connected)totalNumberOfEntries0",
        pending=None,
        split_brain=None,
        possibly_healing=None,
        total=None,
    )
    assert not dead.healed


def test_a_split_brain_has_nothing_pending_and_is_not_healed() -> None:
    brick = gluster.heal_summary(recorded("summary_split_brain.xml"), "pve1")[0]
    assert (brick.pending, brick.split_brain, brick.total, brick.healed) == (0, 1, 1, False)


def test_possibly_healing_with_nothing_pending_is_not_healed() -> None:
    answer = changed(
        "summary_healthy.xml",
        b"<totalNumberOfEntries>0</totalNumberOfEntries>",
        b"<totalNumberOfEntries>2</totalNumberOfEntries>",
    )
    brick = gluster.heal_summary(answer, "pve1")[0]
    assert (brick.pending, brick.healed) == (0, False)


@pytest.mark.parametrize("written", [b"-", b"", b"0x0", b"-1", b" 0", "٠".encode()])
def test_a_counter_that_is_no_plain_number_is_none(written: bytes) -> None:
    answer = changed(
        "summary_healthy.xml",
        b"<totalNumberOfEntries>0</totalNumberOfEntries>",
        b"<totalNumberOfEntries>" + written + b"</totalNumberOfEntries>",
    )
    brick = gluster.heal_summary(answer, "pve1")[0]
    assert (brick.total, brick.healed) == (None, False)


def test_lost_server_quorum_is_a_refusal_and_not_an_empty_list_of_healed_bricks() -> None:
    with pytest.raises(GlusterError, match="gluster on pve1 refused: vmstore: Not able to fetch volfile"):
        gluster.heal_summary(recorded("summary_quorum_lost.xml", rc=251), "pve1")


def test_an_unknown_volume_is_a_refusal() -> None:
    with pytest.raises(GlusterError, match="Volume nosuch does not exist"):
        gluster.heal_summary(recorded("summary_nosuch.xml", rc=254), "pve1")


def test_two_replica_sets_list_all_their_bricks() -> None:
    assert len(gluster.heal_summary(recorded("summary_distributed.xml"), "pve1")) == 6


def test_entries_are_named_for_the_bricks_that_list_some() -> None:
    entries = gluster.heal_entries(recorded("heal_info_node_off.xml"), "pve1", at_most=20)
    assert entries == {f"pve1:{BRICK}": ("/images/101/x.raw",), f"pve2:{BRICK}": ("/images/101/x.raw",)}


def test_in_a_split_brain_one_brick_names_the_file_and_another_its_gfid() -> None:
    entries = gluster.heal_entries(recorded("heal_info_split_brain.xml"), "pve1", at_most=20)
    assert list(entries.values()) == [
        ("/images/101/vm-101-disk-0.raw",),
        ("<gfid:42c1ee46-9861-4002-9b85-b762c96bc9d2>",),
    ]


def test_fifty_thousand_entries_are_cut_to_a_few_names() -> None:
    entry = b'<file gfid="39e8216f-dcb7-40f0-a556-5048b909c8aa">/images/101/x.raw</file>'
    assert entry in (SAMPLES / "heal_info_node_off.xml").read_bytes()
    entries = gluster.heal_entries(changed("heal_info_node_off.xml", entry, entry * 25_000), "pve1", at_most=20)
    assert [len(names) for names in entries.values()] == [20, 20]


# ---- volume status -----------------------------------------------------------------------------------------------


def test_bricks_and_self_heal_daemons_of_a_healthy_volume() -> None:
    status = gluster.volume_status(recorded("status_healthy.xml"), "pve1")
    assert [(row.name, row.host_uuid, row.online, row.daemon) for row in status.rows] == [
        (f"pve1:{BRICK}", UUID1, True, False),
        (f"pve2:{BRICK}", UUID2, True, False),
        (f"pve3:{BRICK}", UUID3, True, False),
        ("pve1:self-heal daemon", UUID1, True, True),
        ("pve2:self-heal daemon", UUID2, True, True),
        ("pve3:self-heal daemon", UUID3, True, True),
    ]
    assert (status.volume, status.tasks) == ("vmstore", ())


def test_a_dead_self_heal_daemon_is_seen() -> None:
    status = gluster.volume_status(recorded("status_shd_dead.xml"), "pve1")
    assert [row.name for row in status.rows if not row.online] == ["pve2:self-heal daemon"]


def test_the_bricks_of_a_node_that_is_off_are_left_out_not_listed_as_offline() -> None:
    status = gluster.volume_status(recorded("status_node_off.xml"), "pve1")
    assert [row.name for row in status.rows if not row.daemon] == [f"pve1:{BRICK}", f"pve2:{BRICK}"]


def test_a_rebalance_in_progress_is_a_task_and_a_completed_one_is_not() -> None:
    assert gluster.volume_status(recorded("status_rebalance.xml"), "pve1").tasks == ("Rebalance (in progress)",)
    assert gluster.volume_status(recorded("status_rebalance_done.xml"), "pve1").tasks == ()


@pytest.mark.parametrize("word", ["completed", "failed", "stopped"])
def test_a_layout_that_was_mended_is_over_too(word: str) -> None:
    """`rebalance V fix-layout start` has words of its own, and they stay there until the next rebalance."""
    done = recorded("status_rebalance.xml").out
    ended = Done(0, done.replace(b">in progress<", f">fix-layout {word}<".encode()), b"")
    assert gluster.volume_status(ended, "pve1").tasks == ()
    going = Done(0, done.replace(b">in progress<", b">fix-layout in progress<"), b"")
    assert gluster.volume_status(going, "pve1").tasks == ("Rebalance (fix-layout in progress)",)


@pytest.mark.parametrize(("errno", "why"), [(b"30802", b""), (b"30800", b"Locking failed on pve2.")])
def test_a_locked_cluster_is_to_be_asked_again(errno: bytes, why: bytes) -> None:
    said = why or b"Another transaction is in progress for vmstore. Please try again after some time."
    answer = recorded("status_locked.xml").out.replace(b"30802", errno)
    locked = answer.replace(b"Another transaction is in progress for vmstore. Please try again after some time.", said)
    with pytest.raises(AskAgain, match="gluster on pve1 is busy: " + said.decode()[:20]):
        gluster.volume_status(Done(0, locked, b""), "pve1")


def test_an_unknown_volume_has_the_errno_of_a_lock_but_asking_again_would_not_help() -> None:
    with pytest.raises(GlusterError, match="Volume nosuch does not exist") as refused:
        gluster.volume_status(recorded("status_nosuch.xml"), "pve1")
    assert not isinstance(refused.value, AskAgain)


# ---- damage ------------------------------------------------------------------------------------------------------


def test_exit_code_zero_with_op_ret_minus_one_is_a_refusal() -> None:
    with pytest.raises(GlusterError, match="refused"):
        gluster.heal_summary(changed("summary_healthy.xml", b"<opRet>0</opRet>", b"<opRet>-1</opRet>"), "pve1")


def test_an_answer_without_verdict_is_no_answer() -> None:
    with pytest.raises(GlusterError, match="refused: opRet None"):
        gluster.heal_summary(changed("summary_healthy.xml", b"<opRet>0</opRet>", b""), "pve1")


def test_a_good_document_with_a_bad_exit_code_is_a_refusal() -> None:
    with pytest.raises(GlusterError, match="exit code 1"):
        gluster.heal_summary(recorded("summary_healthy.xml", rc=1), "pve1")


def test_a_dead_glusterd_answers_in_plain_words() -> None:
    with pytest.raises(GlusterError, match=r"gluster on pve1 says: Connection failed\. Please check") as refused:
        gluster.pool_list(recorded("glusterd_down.txt", rc=1), "pve1")
    assert refused.value.hint == "`systemctl status glusterd` on pve1"


def test_silence_is_no_answer() -> None:
    with pytest.raises(GlusterError, match="gluster on pve1 says: nothing"):
        gluster.pool_list(Done(0, b"", b""), "pve1")


@pytest.mark.parametrize("name", ["pool_list.xml", "volume_info_replica3.xml", "summary_healthy.xml"])
def test_xml_cut_anywhere_is_never_an_answer(name: str) -> None:
    whole = recorded(name).out.rstrip()
    read = {"pool": gluster.pool_list, "volume": gluster.volume_info, "summary": gluster.heal_summary}[
        name.split("_")[0]
    ]
    for end in range(0, len(whole), 7):
        with pytest.raises(GlusterError):
            read(Done(0, whole[:end], b""), "pve1")


def test_a_cut_answer_is_called_so() -> None:
    with pytest.raises(GlusterError, match="the answer of gluster on pve1 breaks off or is damaged"):
        gluster.heal_summary(Done(0, recorded("summary_healthy.xml").out[:600], b""), "pve1")


def test_xml_that_declares_entities_is_not_gluster_s() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><cliOutput><opRet>0</opRet>&a;</cliOutput>'
    with pytest.raises(GlusterError, match="is not gluster's"):
        gluster.heal_summary(Done(0, bomb, b""), "pve1")


def test_an_answer_of_unreasonable_size_is_not_even_parsed() -> None:
    with pytest.raises(GlusterError, match="more than can be read safely"):
        gluster.heal_summary(Done(0, b"<" * (gluster.MAX_BYTES + 1), b""), "pve1")


def test_a_page_of_something_else_lacks_what_belongs_there() -> None:
    with pytest.raises(GlusterError, match="has no <uuid>"):
        gluster.pool_list(Done(0, b"<cliOutput><opRet>0</opRet><peer/></cliOutput>", b""), "pve1")
