"""What a fault does to the cluster at the moment it begins, and at the moment it ends. Kinds that are not here are
asked for where they matter."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sandbox.faults import Fault, Kind
from sandbox.model.core import SOMEBODY, Denied
from sandbox.model.tasks import ROOT
from sandbox.model.trouble import Effect

if TYPE_CHECKING:
    from sandbox.model.model import Model

MANY = 300.0
"""Entries that a wiped brick climbs to, unless the fault says otherwise."""


def wire_faults(model: Model) -> None:
    """Hand the trouble room its effects."""
    model.trouble.begins.update(_begins(model))
    model.trouble.ends.update(_ends(model))


def _begins(model: Model) -> dict[Kind, Effect]:
    gluster = model.gluster
    return {
        Kind.FOREIGN_REBOOT: lambda fault: _foreign_reboot(model, fault),
        Kind.POWER_CUT: lambda fault: model.machines.cut(model.node(fault.node), comes_back=False),
        Kind.FOREIGN_MAINTENANCE: lambda fault: model.ha_manager.request(fault.node, True, SOMEBODY, {}),
        Kind.GUEST_STOPS: lambda fault: model.guests.stops(model.guests.get(fault.guest), ""),
        Kind.GUEST_STARTS: lambda fault: _by_hand(model, fault),
        Kind.BACKUP_RUNNING: lambda fault: _backup(model, fault),
        Kind.BACKUPS_GONE: lambda fault: model.archives.lose(fault.guest),
        Kind.BACKUP_PRUNED: lambda fault: model.archives.prune(fault.guest),
        Kind.HA_ERROR: lambda fault: model.archives.give_up(fault.guest),
        Kind.NEW_PACKAGES: lambda fault: model.packages.newer(fault.node, fault.text),
        Kind.HEAL_STUCK: lambda _: gluster.reconsider(),
        Kind.HEAL_SLOW: lambda _: gluster.reconsider(),
        Kind.SHD_DOWN: lambda _: gluster.reconsider(),
        Kind.SPLIT_BRAIN: lambda fault: gluster.tear(fault.volume, fault.guest, fault.text == "shard"),
        Kind.BRICK_DOWN: lambda fault: gluster.stop_bricks(fault.node),
        Kind.CEPH_STUCK: lambda _: model.ceph.reconsider(),
        Kind.CEPH_FLAGGED: lambda fault: model.ceph.flag(fault.text or "noscrub", True, SOMEBODY),
        Kind.BRICK_WIPED: lambda fault: gluster.wipe(fault.node, fault.amount or MANY),
    }


def _by_hand(model: Model, fault: Fault) -> None:
    """If it can be started just now."""
    with suppress(Denied):
        model.guests.start(fault.guest, SOMEBODY)


def _ends(model: Model) -> dict[Kind, Effect]:
    gluster = model.gluster
    return {
        Kind.STAYS_DOWN: lambda fault: model.machines.light(model.node(fault.node)),
        Kind.POWER_CUT: lambda fault: model.machines.light(model.node(fault.node)),
        Kind.FOREIGN_MAINTENANCE: lambda fault: model.ha_manager.request(fault.node, False, SOMEBODY, {}),
        Kind.BACKUP_RUNNING: lambda fault: _backup_over(model, fault),
        Kind.HEAL_STUCK: lambda _: gluster.reconsider(),
        Kind.HEAL_SLOW: lambda _: gluster.reconsider(),
        Kind.SHD_DOWN: lambda _: gluster.reconsider(),
        Kind.SPLIT_BRAIN: lambda fault: gluster.mend(fault.volume),
        Kind.BRICK_DOWN: lambda fault: gluster.start_bricks(fault.node),
        Kind.CEPH_STUCK: lambda _: model.ceph.reconsider(),
        Kind.CEPH_FLAGGED: lambda fault: model.ceph.flag(fault.text or "noscrub", False, SOMEBODY),
    }


def _foreign_reboot(model: Model, fault: Fault) -> None:
    """Somebody types reboot on the node; no helper asks any question."""
    node = model.node(fault.node)
    if node.lit:
        model.reboot(model.core.now, node.name, node.boot_id, 0.0, guard=False, by=SOMEBODY)


def _backup(model: Model, fault: Fault) -> None:
    vm = model.guests.get(fault.guest)
    vm.lock = "backup"
    model.tasks.start("vzdump", vm.node, fault.guest, ROOT, fault.lasts)


def _backup_over(model: Model, fault: Fault) -> None:
    vm = model.guests.get(fault.guest)
    vm.lock = "" if vm.lock == "backup" else vm.lock
