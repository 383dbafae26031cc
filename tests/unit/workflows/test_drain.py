"""Where a guest goes when its node is drained."""

from __future__ import annotations

from cluster.facts import Capacity, Guest, Machines, Member, Membership, Move, Read
from cluster.settings import GuestGroup
from workflows.drain import choose
from workflows.plan import impossible

GIB = 1 << 30
ROUTERS = (GuestGroup(name="routers", guests=(101, 102)),)


def machines(*guests: Guest, memory: int = 16 * GIB) -> Machines:
    rows = tuple(Capacity(f"pve{n}", memory) for n in (1, 2, 3))
    return Machines(guests=Read(guests, 0.0), capacity=Read(rows, 0.0))


def guest(number: int, node: str, gib: int = 2) -> Guest:
    return Guest(number, f"guest-{number}", "qemu", node, "running", gib * GIB)


def move(number: int, *allowed: str) -> Move:
    return Move(number, allowed, {})


def test_a_guest_goes_where_most_memory_is_left() -> None:
    world = machines(guest(101, "pve1"), guest(103, "pve2", 8))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), (), frozenset()) == "pve3"


def test_two_members_of_a_group_are_kept_apart_even_where_memory_is_tighter() -> None:
    world = machines(guest(101, "pve1"), guest(102, "pve3"), guest(103, "pve2", 8))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), ROUTERS, frozenset()) == "pve2"


def test_two_members_share_a_node_when_no_other_is_left() -> None:
    world = machines(guest(101, "pve1"), guest(102, "pve3"))
    assert choose(world, guest(101, "pve1"), move(101, "pve3"), ROUTERS, frozenset()) == "pve3"


def test_a_guest_that_fits_nowhere_goes_nowhere() -> None:
    world = machines(guest(101, "pve1", 12), guest(103, "pve2", 8), guest(104, "pve3", 8))
    assert choose(world, guest(101, "pve1", 12), move(101, "pve2", "pve3"), (), frozenset()) == ""


def test_a_node_that_we_have_down_takes_nobody() -> None:
    world = machines(guest(101, "pve1"))
    assert choose(world, guest(101, "pve1"), move(101, "pve2", "pve3"), (), frozenset({"pve2"})) == "pve3"


def members(*votes: int, quorum: int, qdevice: int = 0) -> Membership:
    rows = tuple(Member(f"pve{n}", True, vote) for n, vote in enumerate(votes, 1))
    return Membership("lab", True, rows, quorum, qdevice, 4)


def test_two_nodes_without_a_qdevice_can_never_lose_one() -> None:
    assert impossible(members(1, 1, quorum=2), ["pve1", "pve2"]) == (
        "with pve1 down 1 of 2 votes are left, and quorum needs 2"
    )


def test_two_nodes_with_a_qdevice_and_three_nodes_can() -> None:
    assert impossible(members(1, 1, quorum=2, qdevice=1), ["pve1", "pve2"]) == ""
    assert impossible(members(1, 1, 1, quorum=2), ["pve1", "pve2", "pve3"]) == ""
