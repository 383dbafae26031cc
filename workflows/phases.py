"""The phases of one node, in the order of the runbook. Every key of a journal is built from a node and a phase."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

RESTORE, RUNBOOK, BACKUP, DRILL = "restore", "runbook", "backup", "drill_restore"
"""Workflows that bring guests back, or make sure that they can be."""
UPGRADE = "rolling_upgrade"
"""The workflow whose runs `/upgrade` speaks of; others (outages, restores) share the table of runs."""


class Phase(StrEnum):
    PREFLIGHT = "preflight"  # all gates of every node, before the first is touched
    LOOK = "look"  # what the node needs: packages, a new kernel, nothing
    GATES = "gates"  # gates before a person is asked
    ASK = "ask"  # the approval, asked while the cluster is whole
    MAINTENANCE = "maintenance"  # maintenance mode on
    DRAIN = "drain"  # the node is listed again, until no guest runs on it
    MOVE = "move"  # one guest migrates to another node
    STOP = "stop"  # one guest that cannot move is shut down
    UPGRADE = "upgrade"  # apt-get dist-upgrade, which may stop the bricks by itself
    BRICKS = "bricks"  # every brick is connected again
    HEAL = "heal"  # the storage heals
    REPLICATION = "replication"  # ZFS replication runs, before guests move and after the node is back
    CEPH = "ceph"  # noout on before the reboot, and off when all is clean again
    REBOOT = "reboot"  # the guarded reboot
    PROOF = "proof"  # another boot id, the expected kernel
    REJOIN = "rejoin"  # quorum, services, storages, and the heal gate once more
    RELEASE = "release"  # maintenance mode off
    RETURN = "return"  # guests back and running
    PUT_BACK = "putback"  # after skip or abort: what was changed is put back


class Stage(StrEnum):
    """Stages of bringing one guest back, and of the other approved acts of the runbook; keys as those of a node."""

    LOOK = "look"  # the guest, its disks, its image, its backups
    ASK = "ask"  # the approval of the next step
    ASIDE = "aside"  # stopped, and its disks detached: they stay as unused disks
    MOVE = "move"  # its configuration moves to another node
    RESTORE = "restore"  # the backup is written
    BACKUP = "backup"  # a backup is made
    ACT = "act"  # any other approved act
    NETWORK = "network"  # of a drill's copy: network devices taken away
    START = "start"  # it boots
    SERVE = "serve"  # it is well
    DELETE = "delete"  # of a drill's copy
    PUT_BACK = "putback"  # after an abort: what is left is looked at, and said


AnyPhase = Phase | Stage


STATES = {
    Phase.PREFLIGHT: "waiting",
    Phase.LOOK: "being looked at",
    Phase.GATES: "at its gates",
    Phase.ASK: "waiting for approval",
    Phase.MAINTENANCE: "maintenance",
    Phase.DRAIN: "draining",
    Phase.MOVE: "draining",
    Phase.STOP: "draining",
    Phase.UPGRADE: "upgrading",
    Phase.BRICKS: "healing",
    Phase.HEAL: "healing",
    Phase.REPLICATION: "replicating",
    Phase.CEPH: "healing",
    Phase.REBOOT: "rebooting",
    Phase.PROOF: "rebooting",
    Phase.REJOIN: "rejoining",
    Phase.RELEASE: "rejoining",
    Phase.RETURN: "getting its guests back",
    Phase.PUT_BACK: "putting back",
}
"""The word that people see for a node in that phase."""


UNTOUCHED = frozenset({Phase.PREFLIGHT, Phase.LOOK, Phase.GATES, Phase.ASK})
"""Phases in which nothing of the node has been changed yet."""

_WORDS = {phase.value: phase for phase in Phase}


def key_of(node: str, phase: AnyPhase, detail: str = "") -> str:
    return f"{node}.{phase}.{detail}" if detail else f"{node}.{phase}"


def unnumbered(key: str) -> str:
    """A key without the number that a phase gets when it comes round again: "pve2.ask#2" -> "pve2.ask"."""
    return key.partition("#")[0]


@lru_cache(maxsize=8192)
def parsed(key: str) -> tuple[str, Phase | None, str]:
    """Node, phase and the rest of a key, without the number of its try: "pve2.move.101.end.wait#2" -> ("pve2",
    Phase.MOVE, "101.end.wait"). Phase None: the run's own keys, and those of other workflows."""
    node, _, path = key.partition(".")
    phase, _, rest = path.partition(".")
    return node, _WORDS.get(phase.split("#")[0]), rest.split("#")[0]
