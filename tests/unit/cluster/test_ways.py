"""What becomes of a guest when its node is drained: by guest, by kind, and by what Proxmox VE allows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cluster.facts import Guest, Move
from cluster.guest_settings import CannotMove
from cluster.ways import WayOut, way_out
from tests.unit.cluster.fakes import settings

VM = Guest(103, "db", "qemu", "pve2", "running", 1)
BOX = Guest(103, "box", "lxc", "pve2", "running", 1)
FREE = Move(103, ("pve1", "pve3"), {})
BOUND = Move(103, (), {"pve1": "uses hostpci0", "pve3": "uses hostpci0"}, local_devices=("hostpci0",))
DISKS = Move(103, ("pve1",), {}, local_disks=("local-zfs:vm-103-disk-0",))
NOWHERE = Move(103, (), {"pve1": "storage is not there"})


def way(guest: Guest, move: Move, **policy: Any) -> str:
    return way_out(CannotMove.model_validate(policy), guest, move).way


@pytest.mark.parametrize(
    ("guest", "move", "policy", "expected"),
    [
        (VM, FREE, {}, "move"),
        (VM, NOWHERE, {}, "refuse"),
        (VM, NOWHERE, {"otherwise": "shutdown"}, "shutdown"),
        (VM, BOUND, {"otherwise": "shutdown"}, "shutdown"),
        (VM, BOUND, {"passthrough": "shutdown"}, "shutdown"),
        (VM, NOWHERE, {"passthrough": "shutdown"}, "refuse"),
        (VM, BOUND, {"otherwise": "shutdown", "passthrough": "refuse"}, "refuse"),
        (VM, DISKS, {}, "move"),
        (VM, DISKS, {"local_disks": "shutdown"}, "shutdown"),
        (VM, DISKS, {"local_disks": "refuse"}, "refuse"),
        (VM, FREE, {"local_disks": "refuse"}, "move"),
        (BOX, FREE, {}, "move"),
        (BOX, FREE, {"containers": "shutdown"}, "shutdown"),
        (BOX, NOWHERE, {"containers": "move"}, "refuse"),
        (VM, FREE, {"containers": "shutdown"}, "move"),
        (VM, FREE, {"guests": {103: "shutdown"}}, "shutdown"),
        (BOX, FREE, {"containers": "refuse", "guests": {103: "move"}}, "move"),
        (VM, NOWHERE, {"guests": {103: "move"}, "otherwise": "shutdown"}, "shutdown"),
        (VM, FREE, {"guests": {104: "refuse"}}, "move"),
    ],
)
def test_a_policy_decides(guest: Guest, move: Move, policy: dict[str, Any], expected: str) -> None:
    assert way(guest, move, **policy) == expected


def test_nodes_that_take_nobody_now_are_no_way_out() -> None:
    assert way_out(CannotMove(), VM, FREE, {"pve3"}) == WayOut("move")
    assert way_out(CannotMove(), VM, FREE, set()).way == "refuse"


def test_the_reason_is_told_in_the_words_of_proxmox_and_once() -> None:
    assert way_out(CannotMove(), VM, BOUND).why == "pve1, pve3: uses hostpci0"
    assert way_out(CannotMove(), VM, NOWHERE).why == "pve1: storage is not there"
    assert way_out(CannotMove(), VM, Move(103, (), {})).why == "no node is allowed"
    assert "local-zfs:vm-103-disk-0" in way_out(CannotMove(local_disks="refuse"), VM, DISKS).why


def test_one_word_means_all_who_have_nowhere_to_go() -> None:
    assert settings(cannot_move="shutdown").cannot_move == CannotMove(otherwise="shutdown")
    assert settings().cannot_move == CannotMove()
    assert settings(cannot_move={"guests": {"103": "move"}}).cannot_move.guests == {103: "move"}


def test_a_word_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="'stop' is neither refuse nor shutdown; by kind and by guest"):
        settings(cannot_move="stop")
    with pytest.raises(ValidationError, match="Input should be 'refuse' or 'shutdown'"):
        settings(cannot_move={"passthrough": "move"})
