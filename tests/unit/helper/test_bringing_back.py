"""The node helper's verbs that bring guests back, on the pretended node: a split image, a lock, a state of HA."""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from typing import Any

import pytest

from cluster.rescue import entries_mark
from tests.unit.helper.orders import BRICK

IMAGE = "/images/101/vm-101-disk-0.raw"
GFID = "6f1ce54b-70a5-4b3a-9f3e-0f3a2c9e5d11"
SHARD = "0d5a1c2e-9a53-4f6e-8a0e-5f7b6c1d2e3f"
SPLIT = "gluster --mode=script volume heal vmstore info split-brain"
HEAL = "gluster --mode=script volume heal vmstore split-brain"
RESOURCES = "pvesh get /cluster/resources"
CURRENT = "pvesh get /nodes/pve1/qemu/101/status/current"


def listed(guest: int, status: str) -> dict[str, Any]:
    return {"vmid": guest, "status": status, "node": "pve1", "type": "qemu"}


def heal_info(*files: str) -> str:
    listed = "".join(f"<file>{file.replace('<', '&lt;').replace('>', '&gt;')}</file>" for file in files)
    return (
        "<cliOutput><healInfo><bricks>"
        f"<brick><name>pve1:{BRICK}</name><status>Connected</status>{listed}</brick>"
        f"<brick><name>pve2:{BRICK}</name><status>Connected</status></brick>"
        "</bricks></healInfo><opRet>0</opRet><opErrno>0</opErrno></cliOutput>"
    )


@pytest.fixture
def split(pve2: Any) -> Any:
    """An image of 2 GiB with one shard, both split, as pve2 has them; its guest is stopped."""
    pve2.file(f"{BRICK}{IMAGE}", "base")
    pve2.file(f"{BRICK}/.shard/{GFID}.7", "shard")
    pve2.marks = {
        f"{BRICK}{IMAGE}": {
            "trusted.gfid": uuid.UUID(GFID).bytes,
            "trusted.glusterfs.shard.file-size": struct.pack(">qqqq", 2 << 30, 0, 4, 0),
            "trusted.afr.vmstore-client-0": struct.pack(">3i", 5, 1, 0),
            "trusted.afr.vmstore-client-2": struct.pack(">3i", 0, 0, 0),
            "trusted.afr.dirty": struct.pack(">3i", 1, 0, 0),
        },
        f"{BRICK}/.shard/{GFID}.7": {"trusted.gfid": uuid.UUID(SHARD).bytes},
    }
    pve2.programs[SPLIT] = heal_info(IMAGE, f"<gfid:{SHARD}>", "/images/102/vm-102-disk-0.raw")
    pve2.programs[RESOURCES] = json.dumps([listed(101, "stopped"), listed(102, "running")])
    pve2.programs[CURRENT] = json.dumps({"vmid": 101, "status": "stopped"})
    pve2.programs[HEAL] = "Healed the file.\n"
    return pve2


def choose(node: Any, mark: str = "", brick: str = f"pve1:{BRICK}") -> tuple[int, Any]:
    mark = mark or node.order(f"split vmstore {IMAGE}")[1]["mark"]
    answer: tuple[int, Any] = node.order(f"choose vmstore {brick} {mark} {IMAGE}")
    return answer


# ---- what may be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        "split vmstore /etc/shadow",
        "unlock ١٠١ backup",
        "split vmstore /images/101/../../etc/shadow",
        "split vmstore images/101/vm-101-disk-0.raw",
        "split vmstore /../101/vm-101-disk-0.raw",
        "split vmstore /.glusterfs/101/vm-101-disk-0.raw",
        "split vmstore /images//101/vm-101-disk-0.raw",
        f"choose vmstore pve1:{BRICK} 0000 {IMAGE}",
        f"choose vmstore pve1;reboot:{BRICK} {'0' * 64} {IMAGE}",
        "unlock 101",
        "unlock 101 backup;reboot",
        "unlock 1 backup",
        "ha-state vm:101 error 100",
        "ha-state vm:101;x started 100",
        "ha-state node:101 started 100",
        "ha-state vm:101 started",
    ],
)
def test_whatever_is_not_a_fixed_verb_is_refused_and_runs_nothing(pve2: Any, order: str) -> None:
    code, answer = pve2.order(order)
    assert (code, answer["refused"][:38], pve2.ran) == (3, "roundsman-helper does not understand '", [])


# ---- a split image -------------------------------------------------------------------------------------------------


def test_this_nodes_copy_is_told_with_size_times_and_whom_it_blames(split: Any) -> None:
    code, told = split.order(f"split vmstore {IMAGE}")
    assert code == 0
    (copy,) = told["copies"]
    assert (copy["brick"], copy["size"], copy["shards"], copy["gfid"]) == (f"pve2:{BRICK}", 2 << 30, 1, GFID)
    assert copy["changelog"] == {f"pve1:{BRICK}": [5, 1, 0]}
    assert copy["modified"] > 0
    assert copy["changed"] > 0


@pytest.mark.parametrize("folder", ["", "/pve/images", "/a/b_2/disks.old"])
def test_an_image_may_lie_in_any_folder_of_its_volume(split: Any, folder: str) -> None:
    image = f"{folder}/101/vm-101-disk-0.raw"
    split.file(f"{BRICK}{image}", "base")
    split.marks[f"{BRICK}{image}"] = split.marks.pop(f"{BRICK}{IMAGE}")
    split.programs[SPLIT] = heal_info(image)
    told = split.order(f"split vmstore {image}")[1]
    assert (len(told["copies"]), told["entries"]) == (1, [image])
    order = f"choose vmstore pve1:{BRICK} {told['mark']} {image}"
    assert split.order(order) == (0, {"healed": [image]})
    split.programs[RESOURCES] = json.dumps([listed(101, "running")])
    assert split.order(order)[1]["refused"] == "guest 101 is running, not stopped"


def test_an_entry_that_is_named_by_its_gfid_is_found_to_be_a_shard(split: Any) -> None:
    told = split.order(f"split vmstore {IMAGE}")[1]
    assert told["entries"] == [f"/.shard/{GFID}.7", IMAGE]


def test_node_and_bot_work_out_the_same_mark(split: Any) -> None:
    told = split.order(f"split vmstore {IMAGE}")[1]
    assert told["mark"] == entries_mark(told["gfid"], told["entries"])
    assert told["mark"] == hashlib.sha256(f"{GFID}\n/.shard/{GFID}.7\n{IMAGE}".encode()).hexdigest()


def test_an_image_without_shards_is_as_large_as_its_file(split: Any) -> None:
    del split.marks[f"{BRICK}{IMAGE}"]["trusted.glusterfs.shard.file-size"]
    assert split.order(f"split vmstore {IMAGE}")[1]["copies"][0]["size"] == len("base")


def test_a_node_without_a_copy_tells_none(pve2: Any) -> None:
    pve2.programs[SPLIT] = heal_info(IMAGE)
    told = pve2.order(f"split vmstore {IMAGE}")[1]
    assert (told["copies"], told["gfid"], told["entries"]) == ([], "", [IMAGE])


def test_one_side_is_taken_for_base_and_shards(split: Any) -> None:
    code, answer = choose(split)
    assert (code, answer) == (0, {"healed": [f"/.shard/{GFID}.7", IMAGE]})
    assert split.did(HEAL) == [
        f"{HEAL} source-brick pve1:{BRICK} /.shard/{GFID}.7",
        f"{HEAL} source-brick pve1:{BRICK} {IMAGE}",
    ]


def refused_and_nothing_healed(node: Any, answer: tuple[int, Any], words: str) -> None:
    code, said = answer
    assert code == 3
    assert words in said["refused"]
    assert node.did(HEAL + " source-brick") == []


def test_another_set_of_entries_than_the_approved_one_is_left_alone(split: Any) -> None:
    mark = split.order(f"split vmstore {IMAGE}")[1]["mark"]
    split.programs[SPLIT] = heal_info(IMAGE)
    refused_and_nothing_healed(split, choose(split, mark), "has changed since it was approved")


def test_an_image_that_is_split_no_more_is_left_alone(split: Any) -> None:
    split.programs[SPLIT] = heal_info()
    refused_and_nothing_healed(split, choose(split), "has changed since it was approved")


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        (json.dumps([listed(101, "running")]), "guest 101 is running, not stopped"),
        (json.dumps([listed(101, "io-error")]), "guest 101 is io-error, not stopped"),
        (json.dumps([{"vmid": 101, "status": "stopped"}]), "whether guest 101 is stopped is not known"),
        (json.dumps([]), "guest 101 is not listed, not stopped"),
        ((255, "", "ipcc_send_rec failed\n"), "is not known: ipcc_send_rec failed"),
    ],
)
def test_while_its_guest_is_not_known_to_be_stopped_nothing_is_taken(split: Any, listed: Any, why: str) -> None:
    split.programs[RESOURCES] = listed
    refused_and_nothing_healed(split, choose(split), why)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (json.dumps({"vmid": 101, "status": "running"}), "guest 101 is running, not stopped"),
        ((2, "", "no such VM\n"), "whether guest 101 is stopped is not known: no such VM"),
        ("{}", "is not known"),
    ],
)
def test_a_guest_that_was_started_since_it_was_listed_keeps_its_image(split: Any, told: Any, why: str) -> None:
    """The listing is what each node published last, some seconds ago."""
    split.programs[CURRENT] = told
    refused_and_nothing_healed(split, choose(split), why)


def test_a_link_on_the_brick_is_no_copy(split: Any) -> None:
    (split.root / BRICK.lstrip("/") / "images").rename(split.root / "elsewhere")
    (split.root / BRICK.lstrip("/") / "images").symlink_to(split.root / "elsewhere")
    split.marks[f"/elsewhere/{IMAGE.partition('/images/')[2]}"] = {}
    assert split.order(f"split vmstore {IMAGE}")[1]["copies"] == []


def test_a_brick_may_itself_be_reached_by_a_link(split: Any) -> None:
    (split.root / "mnt" / "data").rename(split.root / "disks")
    (split.root / "mnt" / "data").symlink_to(split.root / "disks")
    split.marks = {file.replace("/mnt/data", "/disks"): marks for file, marks in split.marks.items()}
    (copy,) = split.order(f"split vmstore {IMAGE}")[1]["copies"]
    assert (copy["brick"], copy["size"]) == (f"pve2:{BRICK}", 2 << 30)


def test_a_brick_that_the_volume_has_not_is_refused(split: Any) -> None:
    refused_and_nothing_healed(split, choose(split, brick="pve9:/x"), "volume vmstore has no brick pve9:/x")


def test_a_pointer_to_another_replica_set_is_no_side(split: Any) -> None:
    """On a distributed volume a file that was renamed leaves one behind: the same name and gfid, and empty."""
    split.marks[f"{BRICK}{IMAGE}"]["trusted.glusterfs.dht.linkto"] = b"vmstore-replicate-1\0"
    assert split.order(f"split vmstore {IMAGE}")[1]["copies"] == []


def test_an_arbiter_is_no_side_and_no_source(split: Any) -> None:
    """It has every file, and nothing in it: healed from there, an image would be empty."""
    info = split.programs["gluster --mode=script volume info"]
    mark = split.order(f"split vmstore {IMAGE}")[1]["mark"]
    uuid_here, before = f"<hostUuid>{split.UUID}</hostUuid>", info.partition(f"<hostUuid>{split.UUID}</hostUuid>")[0]
    after = info[len(before) :].replace("<isArbiter>0", "<isArbiter>1", 1)
    assert after.startswith(uuid_here)
    split.programs["gluster --mode=script volume info"] = before + after
    assert split.order(f"split vmstore {IMAGE}")[1]["copies"] == []
    refused_and_nothing_healed(split, choose(split, mark, f"pve2:{BRICK}"), "is an arbiter")


def test_what_gluster_does_not_heal_is_told_in_its_words(split: Any) -> None:
    split.programs[HEAL] = (1, "Healing failed: Transport endpoint is not connected.\n", "")
    code, said = choose(split)
    assert code == 3
    assert "Transport endpoint is not connected" in said["refused"]
    assert "0 of 2 entries were healed before" in said["refused"]


# ---- a lock --------------------------------------------------------------------------------------------------------

TASKS = "pvesh get /nodes/localhost/tasks --source active --limit 1000"
CONF = "/etc/pve/qemu-server/101.conf"


@pytest.fixture
def locked(pve2: Any) -> Any:
    pve2.file(CONF, "lock: backup\nname: router-a\n\n[before]\nlock: snapshot\n")
    pve2.programs |= {TASKS: "[]", "qm unlock": "", "pct unlock": ""}
    return pve2


def test_the_lock_that_was_approved_is_taken_off(locked: Any) -> None:
    assert locked.order("unlock 101 backup") == (0, {"unlocked": "101", "lock": "backup"})
    assert locked.did("qm unlock") == ["qm unlock 101"]


def test_a_container_is_unlocked_by_its_own_tool(locked: Any) -> None:
    (locked.root / CONF.lstrip("/")).unlink()
    locked.file("/etc/pve/lxc/101.conf", "lock: backup\n")
    assert locked.order("unlock 101 backup")[0] == 0
    assert locked.did("pct unlock") == ["pct unlock 101"]


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ("lock: migrate\n", "guest 101 is locked by migrate, not by backup"),
        ("name: router-a\n\n[before]\nlock: backup\n", "guest 101 is locked by nothing, not by backup"),
        ("", "guest 101 is not on this node"),
    ],
)
def test_another_lock_than_that_stays(locked: Any, conf: str, why: str) -> None:
    locked.file(CONF, conf)
    code, said = locked.order("unlock 101 backup")
    assert (code, said["refused"], locked.did("qm unlock")) == (3, why, [])


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        (json.dumps([{"type": "vzdump", "id": "101"}]), "a task of guest 101 still runs: vzdump"),
        (json.dumps([{"type": "vzdump", "id": ""}]), "a task of guest 101 still runs: vzdump"),
        ((2, "", "proxmox is upgrading\n"), "is not known: proxmox is upgrading"),
        ('{"oops": 1}', "is not known"),
    ],
)
def test_while_a_task_of_the_guest_may_run_its_lock_stays(locked: Any, tasks: Any, why: str) -> None:
    locked.programs[TASKS] = tasks
    code, said = locked.order("unlock 101 backup")
    assert code == 3
    assert why in said["refused"]
    assert locked.did("qm unlock") == []


def test_a_task_of_another_guest_does_not_hold_the_lock(locked: Any) -> None:
    rows = [
        {"type": "vzdump", "id": "102"},
        {"type": "vzdump", "id": "101", "endtime": 5},
        {"type": "qmclone", "id": "102"},
        {"type": "vncshell", "id": ""},
    ]
    locked.programs[TASKS] = json.dumps(rows)
    assert locked.order("unlock 101 backup")[0] == 0


def test_a_clone_is_named_after_the_guest_that_is_cloned(locked: Any) -> None:
    locked.file(CONF, "lock: clone\n")
    locked.programs[TASKS] = json.dumps([{"type": "qmclone", "id": "102"}])
    assert locked.order("unlock 101 clone")[1]["refused"] == "a task of guest 101 still runs: qmclone"
    assert locked.did("qm unlock") == []


# ---- HA ------------------------------------------------------------------------------------------------------------


def test_ha_is_told_the_state(pve2: Any) -> None:
    order = "ha-state ct:110 disabled 5010.00"
    assert pve2.order(order) == (0, {"sid": "ct:110", "requested": "disabled"})
    assert pve2.did("ha-manager set") == ["ha-manager set ct:110 --state disabled"]


@pytest.mark.parametrize(("after", "why"), [(-1.0, "the order came 1.0 s too late"), (61.0, "for another boot")])
def test_ha_is_told_nothing_out_of_time(pve2: Any, after: float, why: str) -> None:
    code, said = pve2.order(f"ha-state vm:101 disabled {5000 + after:.2f}")
    assert code == 3
    assert why in said["refused"]
    assert pve2.did("ha-manager") == []


def test_what_ha_manager_refuses_is_told_in_its_words(pve2: Any) -> None:
    pve2.programs["ha-manager set"] = (255, "", "no such resource 'vm:101'\n")
    code, said = pve2.order("ha-state vm:101 started 5010.00")
    assert code == 3
    assert "no such resource 'vm:101'" in said["refused"]
