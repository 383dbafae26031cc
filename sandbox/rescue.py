"""The model's direct face for what brings guests back: `cluster.rescue.Rescue` without any wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from cluster.api import NotSplit, Refused, TaskRef, Unreachable
from cluster.facts import Backup, Guest
from cluster.rescue import GuestConfig, Space, Split, Trouble, guest_config
from cluster.settings import ClusterSettings
from sandbox.model import Denied, Model
from sandbox.model.archives import Wish
from sandbox.model.core import US
from sandbox.model.gluster import gfid_of
from sandbox.model.guests import Vm
from sandbox.model.model import KEEPS_BACKUPS, OUR_USER
from sandbox.model.rescue import IMAGE, cycle_power, known_split, log_lines, sides, split_entries
from sandbox.spec import GIB

T = TypeVar("T")


class Lines(Protocol):
    """How a call goes over the simulated line (sandbox/direct.py)."""

    def act(self, verb: str, about: str, act: Callable[[float], T]) -> T: ...

    def api(self) -> AbstractContextManager[float]:
        """Some node's API answers; else Unreachable. The model's words become those of `cluster.api`."""
        ...

    def ssh(self) -> AbstractContextManager[float]: ...


class SimRescue:
    def __init__(self, model: Model, settings: ClusterSettings, line: Lines) -> None:
        self._model, self._settings, self._line = model, settings, line

    # ---- reads -----------------------------------------------------------------------------------------------------
    def backups(self, guest: int) -> tuple[Backup, ...]:
        with self._line.api() as now:
            mine = [backup for backup in self._model.backups(now) if backup.guest == guest]
            return tuple(sorted(mine, key=lambda backup: -backup.made_at))

    def keeps(self, node: str, storage: str) -> int:
        with self._line.api() as now:
            self._model.need_api(now, node)
            return self._model.archives.keeps(storage)

    def config(self, guest: Guest) -> GuestConfig:
        with self._line.api() as now:
            vm = self._model.guest(now, guest.id)
            self._model.need_api(now, vm.node)
            return guest_config(config_row(self._model, vm), vm.spec.kind)

    def spaces(self) -> tuple[Space, ...]:
        with self._line.api() as now:
            return tuple(
                Space(
                    name,
                    row.storage,
                    row.kind,
                    row.shared,
                    row.active,
                    self._room(row.storage, row.active),
                    holds,
                    row.path,
                )
                for name in self._settings.nodes
                if self._model.api_answers(now, name)
                for row in self._model.storages(now, name)
                if (holds := content_of(row.kind))
            )

    def log(self, ref: TaskRef) -> tuple[str, ...]:
        with self._line.api() as now:
            return tuple(log_lines(self._model, self._model.task(now, ref.upid)))

    def agent_answers(self, guest: Guest) -> bool:
        with self._line.api() as now:
            vm = self._model.guest(now, guest.id)
            return vm.healthy and vm.spec.agent

    def free_id(self) -> int:
        with self._line.api():
            return self._model.archives.free_id()

    def answers(self, node: str) -> str:
        with self._line.ssh() as now:
            if self._model.ssh_answers(now, node):
                return "ssh"
            if self._model.api_answers(now, node):
                return "its API"
            members = self._model.membership(now).members
            return "the cluster says online" if any(m.node == node and m.online for m in members) else ""

    def _room(self, storage: str, active: bool) -> int:
        return self._model.archives.room(storage) if active else 0

    # ---- acts on guests --------------------------------------------------------------------------------------------
    def stop(self, guest: Guest) -> TaskRef:
        return TaskRef(self._act("stop", guest.id, lambda: self._model.archives.stop(guest.id, OUR_USER, US)))

    def detach(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        self._act("detach", guest.id, lambda: self._model.archives.detach(guest.id, list(slots), digest))

    def forget(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        self._act("forget", guest.id, lambda: self._model.archives.forget(guest.id, list(slots), digest))

    def unplug(self, guest: Guest, networks: Sequence[str]) -> None:
        self._act("unplug", guest.id, lambda: self._model.archives.unplug(guest.id, list(networks)))

    def restore(self, guest: int, kind: str, node: str, volid: str, storage: str, *, over: bool) -> TaskRef:
        wish = Wish(guest, kind, node, volid, storage, over)
        return TaskRef(self._act("restore", guest, lambda: self._model.archives.restore(wish, OUR_USER)))

    def back_up(self, guest: Guest, storage: str, notes: str, *, protected: bool) -> TaskRef:
        def act() -> str:
            return self._model.archives.back_up(guest.id, storage, notes, OUR_USER, remove=False, protected=protected)

        return TaskRef(self._act("back_up", guest.id, act))

    def delete(self, guest: Guest) -> TaskRef:
        return TaskRef(self._act("delete", guest.id, lambda: self._model.archives.delete(guest.id, OUR_USER, US)))

    def unlock(self, guest: Guest, lock: str) -> None:
        self._act("unlock", guest.id, lambda: self._model.archives.unlock(guest.id, lock, US))

    def ha_state(self, guest: Guest, state: str, node: str, not_after_uptime: float) -> None:
        def act(now: float) -> None:
            self._model.ha_state(now, node, guest.id, state, not_after_uptime)

        self._line.act("ha_state", str(guest.id), act)

    def _act(self, verb: str, about: object, act: Callable[[], T]) -> T:
        def reached(now: float) -> T:
            with self._line.api():
                self._model.advance(now)
                return act()

        return self._line.act(verb, str(about), reached)

    # ---- Gluster ---------------------------------------------------------------------------------------------------
    def troubles(self) -> tuple[Trouble, ...]:
        with self._line.ssh() as now:
            asked = self._listener(now)
            return tuple(
                Trouble(volume, brick, name, known_split(self._model, volume, name))
                for volume in self._settings.gluster.volumes or self._model.gluster.volumes
                for brick, names in self._model.entries(now, asked, volume).items()
                for name in names
            )

    def split(self, volume: str, image: str) -> Split:
        with self._line.ssh() as now:
            asked = self._listener(now)
            entries = split_entries(self._model, volume, image)
            if not entries:
                raise NotSplit(f"{image} is not in split-brain on {volume}")
            return Split(volume, image, gfid_of(image), entries, sides(self._model, volume, image), asked)

    def choose(self, split: Split, brick: str) -> None:
        def act(now: float) -> None:
            self._model.need_ssh(now, split.node)
            if split_entries(self._model, split.volume, split.image) != split.entries:
                raise Denied(f"{split.node}: refused: what is split has changed since it was approved")
            number = int(IMAGE.search(split.image)[1])  # type: ignore[index]
            self._model.choose(now, split.node, split.volume, number, brick)

        self._line.act("choose", split.image, act)

    def _listener(self, now: float) -> str:
        for name in self._settings.gluster.nodes or self._settings.nodes:
            if self._model.ssh_answers(now, name):
                return name
        raise Unreachable("no node answers what is not healed")

    # ---- hardware --------------------------------------------------------------------------------------------------
    def power_cycle(self, node: str) -> None:
        if not self._settings.nodes[node].power_cycle:
            raise Refused(f"the settings name no command that cycles the power of {node}", f"nodes.{node}.power_cycle")
        self._line.act("power_cycle", node, lambda now: cycle_power(self._model, now, node))


def config_row(model: Model, vm: Vm) -> Mapping[str, object]:
    """A guest's configuration as the API shows it. A guest that does not start with its node has no `onboot`; one whose
    restore failed has next to nothing."""
    container = vm.spec.kind == "lxc"
    size = f"size={vm.spec.disk // GIB}G"
    head: dict[str, object] = {"memory": vm.spec.memory // (1 << 20) if container else str(vm.spec.memory // (1 << 20))}
    if vm.bare:
        head = {"memory": 128 if container else "128"}
    else:
        head |= {"hostname" if container else "name": vm.spec.name}
        head |= {} if container or not vm.spec.agent else {"agent": "1"}
    head |= {slot: f"{volid},{size}" for slot, volid in vm.disks.items()} | dict(vm.unused if not vm.bare else {})
    head |= {} if vm.bare or container else {"boot": f"order={';'.join([*sorted(vm.disks), 'net0'])}"}
    head |= (
        {} if vm.bare else {name: f"virtio=BC:24:11:00:00:{n:02X},bridge=vmbr0" for n, name in enumerate(vm.networks)}
    )
    head |= {"ipconfig0": f"ip={vm.spec.address}/24"} if vm.spec.address and not (vm.bare or container) else {}
    head |= {"onboot": 1} if vm.onboot and not vm.bare else {}
    head |= {"lock": lock} if (lock := model.guests.lock(vm)) else {}
    return head | {"digest": model.archives.digest(vm)}


def content_of(kind: str) -> tuple[str, ...]:
    return ("backup",) if kind in KEEPS_BACKUPS else ("images", "rootdir")
