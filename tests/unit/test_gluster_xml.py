"""The stand-in prints, byte for byte, what a real GlusterFS 10.3 printed (recorded on three nodes of Debian 12).

`gluster_10_3/` holds the recordings; what has no meaning for anybody (ports, process ids, a volume's own id) is masked.
"""

from __future__ import annotations

import re
from pathlib import Path

from cluster.facts import Brick, BrickHeal, BrickProcess, Peer, Volume, VolumeStatus
from sandbox import gluster_xml

RECORDED = Path(__file__).parent / "gluster_10_3"
PVE1, PVE2, PVE3 = (
    "cb948f49-73fd-4e32-ae88-9c8c86809c0b",
    "b102ed97-e8b4-4c20-af5c-00eeb59e00b9",
    "36906ec5-b2e8-4dbb-acbc-c625a5d34dce",
)
FAILED = "Failed to process entries completely. (Transport endpoint is not connected)totalNumberOfEntries0"
PATH = "/mnt/data/vmstore/brick"


def recorded(name: str) -> str:
    return masked((RECORDED / f"{name}.xml").read_text())


def masked(text: str) -> str:
    text = re.sub(r"<(port|tcp|pid|id)>[^<]+</", r"<\1>*</", text)
    return re.sub(r'gfid="[^"]*"', 'gfid="*"', text)


def healed(node: str, uuid: str, total: int = 0) -> BrickHeal:
    return BrickHeal(f"{node}:{PATH}", uuid, "Connected", total, 0, 0, total)


def dead(node: str) -> BrickHeal:
    return BrickHeal(f"{node}:{PATH}", "-", FAILED, None, None, None, None)


def pool(pve3: bool) -> tuple[Peer, ...]:
    return (
        Peer(PVE1, "localhost", True, 3),
        Peer(PVE2, "pve2", True, 3),
        Peer(PVE3, "pve3", pve3, 3),
    )


def processes(*rows: tuple[str, str, bool]) -> tuple[BrickProcess, ...]:
    return tuple(BrickProcess(name, uuid, True, daemon) for name, uuid, daemon in rows)


def test_the_pool_of_a_whole_cluster() -> None:
    assert masked(gluster_xml.pool_list(pool(pve3=True))) == recorded("pool")


def test_the_pool_with_a_peer_that_is_gone_still_says_peer_in_cluster() -> None:
    assert masked(gluster_xml.pool_list(pool(pve3=False))) == recorded("pool-down")


def test_volume_info() -> None:
    bricks = [Brick(f"{node}:{PATH}", uuid) for node, uuid in (("pve1", PVE1), ("pve2", PVE2), ("pve3", PVE3))]
    options = {
        "cluster.granular-entry-heal": "on",
        "storage.fips-mode-rchecksum": "on",
        "transport.address-family": "inet",
        "nfs.disable": "on",
        "performance.client-io-threads": "off",
    }
    volume = Volume("vmstore", "Replicate", True, 3, 0, tuple(bricks), options)
    assert masked(gluster_xml.volume_info([volume])) == recorded("info")


def test_volume_status_lists_self_heal_daemons_by_their_node() -> None:
    rows = processes(
        (f"pve1:{PATH}", PVE1, False),
        (f"pve2:{PATH}", PVE2, False),
        (f"pve3:{PATH}", PVE3, False),
        ("localhost", PVE1, True),
        ("pve3", PVE3, True),
        ("pve2", PVE2, True),
    )
    assert masked(gluster_xml.volume_status(VolumeStatus("vmstore", rows))) == recorded("status")


def test_volume_status_leaves_out_what_its_glusterd_takes_for_gone() -> None:
    rows = processes(
        (f"pve1:{PATH}", PVE1, False), (f"pve2:{PATH}", PVE2, False), ("localhost", PVE1, True), ("pve2", PVE2, True)
    )
    assert masked(gluster_xml.volume_status(VolumeStatus("vmstore", rows))) == recorded("status-down")


def test_a_healed_volume() -> None:
    rows = [healed("pve1", PVE1), healed("pve2", PVE2), healed("pve3", PVE3)]
    assert masked(gluster_xml.heal_summary(rows)) == recorded("summary")


def test_a_dead_brick_has_no_counter_and_a_count_inside_of_its_status() -> None:
    rows = [healed("pve1", PVE1, 2), healed("pve2", PVE2, 2), dead("pve3")]
    assert masked(gluster_xml.heal_summary(rows)) == recorded("summary-down")


def test_the_names_of_what_waits_to_be_healed() -> None:
    rows = [healed("pve1", PVE1, 2), healed("pve2", PVE2, 2), dead("pve3")]
    names = dict.fromkeys((f"pve1:{PATH}", f"pve2:{PATH}"), ("/images/a.raw", "/images"))
    assert masked(gluster_xml.heal_info(rows, names)) == recorded("healinfo-down")


def test_a_locked_volume_is_refused_with_oprets_minus_one() -> None:
    text = gluster_xml.refused(30802, "Another transaction is in progress for vmstore.")
    assert "<opRet>-1</opRet>\n  <opErrno>30802</opErrno>" in text
