"""`/restore heal|start|unlock|unfreeze|power-cycle`: the other acts of the runbook, each with an approval."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, must_operate, node_of
from commands.rescuing import VOLUME_LETTERS, must_exist, plain_name, start
from workflows.phases import RUNBOOK
from workflows.runbook import FORGET, HEAL, POWER_CYCLE, START_ON, UNFREEZE, UNLOCK
from workflows.settings import ManagedCluster

HEAL_USAGE = "/restore heal GUEST [from=NODE|BRICK]"
START_USAGE = "/restore start GUEST NODE"


def _words(desk: Desk, typed: Typed, words: list[str], most: int, usage: str) -> tuple[ManagedCluster, list[str]]:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "act on a guest or a node")
    if not rest or len(rest) > most:
        raise Wrong(f"that takes other words: `{usage}`.")
    return managed, rest


def _begin(desk: Desk, typed: Typed, managed: ManagedCluster, act: str, title: str, **about: str) -> Reply:
    return start(desk, typed, managed, RUNBOOK, {"act": act, "title": title, **about}, title)


def heal(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = _words(desk, typed, words, 2, HEAL_USAGE)
    guest = must_exist(desk, managed, rest[0])
    if len(rest) == 1:
        return _begin(desk, typed, managed, HEAL, f"A look at both sides of the image of {guest}", guest=guest)
    if not rest[1].startswith("from="):
        raise Wrong(f'unknown argument "{rest[1]}". Type `{HEAL_USAGE}`.')
    brick = plain_name(rest[1].removeprefix("from="), "node or brick", VOLUME_LETTERS)
    return _begin(desk, typed, managed, HEAL, f"Healing the image of {guest}", guest=guest, brick=brick)


def start_on(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = _words(desk, typed, words, 2, START_USAGE)
    if len(rest) < 2:
        raise Wrong(f"name the guest and the node: `{START_USAGE}`.")
    guest, node = must_exist(desk, managed, rest[0]), node_of(managed, rest[1])
    return _begin(desk, typed, managed, START_ON, f"Starting {guest} on {node}", guest=guest, node=node)


def unlock(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    return _on_guest(desk, typed, words, UNLOCK, "Unlocking {}")


def unfreeze(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    return _on_guest(desk, typed, words, UNFREEZE, "Unfreezing {} in HA")


def forget(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    return _on_guest(desk, typed, words, FORGET, "Deleting the unused disks of {}")


def _on_guest(desk: Desk, typed: Typed, words: list[str], act: str, title: str) -> Reply:
    managed, rest = _words(desk, typed, words, 1, f"/restore {act} GUEST")
    guest = must_exist(desk, managed, rest[0])
    return _begin(desk, typed, managed, act, title.format(guest), guest=guest)


def power_cycle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = _words(desk, typed, words, 1, "/restore power-cycle NODE")
    node = node_of(managed, rest[0])
    if not managed.nodes[node].power_cycle:
        raise Wrong(f"the settings name no command that cycles the power of {node}: nodes.{node}.power_cycle.")
    return _begin(desk, typed, managed, POWER_CYCLE, f"Cycling the power of {node}", node=node)


COMMANDS = (
    Command(
        "/restore",
        "heal",
        HEAL_USAGE,
        "operators: show both sides of an image in split-brain; `from=` takes one as the good one, with an approval.",
        heal,
    ),
    Command(
        "/restore", "start", START_USAGE, "operators: start a stopped guest on a node, with an approval.", start_on
    ),
    Command("/restore", "unlock", "/restore unlock GUEST", "operators: take a lock off that was left behind.", unlock),
    Command(
        "/restore", "unfreeze", "/restore unfreeze GUEST", "operators: get a guest out of HA's error state.", unfreeze
    ),
    Command(
        "/restore",
        "forget",
        "/restore forget GUEST",
        "operators: delete the disks that a restore set aside, once the guest runs again, with an approval.",
        forget,
    ),
    Command(
        "/restore",
        "power-cycle",
        "/restore power-cycle NODE",
        "operators: switch a node off and on that answers nobody, with the command of the settings.",
        power_cycle,
    ),
)
