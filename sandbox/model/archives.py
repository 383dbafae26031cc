"""Backups, and what restores from them, lies of Proxmox VE included: a restore over a guest deletes its attached disks
*before* it writes, and one that fails leaves neither old nor new, nor a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cluster.facts import Backup
from sandbox.faults import Kind
from sandbox.model.core import US, Core, Denied, What
from sandbox.model.gluster import Gluster
from sandbox.model.guests import NO_QUORUM, Guests, Vm
from sandbox.model.machines import Machines
from sandbox.model.tasks import Tasks
from sandbox.model.trouble import Trouble
from sandbox.spec import GIB, BackupSpec, GuestSpec

MIB = 1 << 20
ROOM, WHOLE = 600 * GIB, 1000 * GIB
"""Of every storage, unless a fault says otherwise."""
FIRST_FREE = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """One restore as it was asked for. `over`: over the guest of that id."""

    guest: int
    kind: str
    node: str
    volid: str
    storage: str
    over: bool


class Archives:
    """`holds(node)`: the storages of a node that take disks of guests."""

    def __init__(
        self, core: Core, trouble: Trouble, machines: Machines, guests: Guests, tasks: Tasks, gluster: Gluster
    ) -> None:
        self.core, self.trouble, self.machines = core, trouble, machines
        self.guests, self.tasks, self.gluster = guests, tasks, gluster
        self.holds: Callable[[str], dict[str, str]] = lambda _: {}
        self.all: list[Backup] = []
        self.errors: dict[str, str] = {}
        """Of tasks whose last word does not say what went wrong: UPID -> the error in the log."""
        for spec in core.spec.backups:
            self._born(spec)

    # what can be seen -------------------------------------------------------------------------------------------
    def room(self, storage: str) -> int:
        """Bytes that are left on it."""
        full = self.trouble.has(Kind.STORAGE_FULL)
        return int(full.amount * GIB) if full and full.text in ("", storage) else ROOM

    def progress(self, upid: str) -> int | None:
        """Percent of a restore or a backup that runs; None for any other task."""
        task = self.tasks.all[upid]
        if task.kind not in ("qmrestore", "vzdump") or not task.lasts:
            return None
        return min(100, int(100 * (self.core.now - task.started) / task.lasts))

    def keeps(self, storage: str) -> int:
        """Backups of one guest that the storage's retention leaves; 0: all."""
        return self.core.spec.keep_last.get(storage, 0)

    def free_id(self) -> int:
        return next(number for number in range(FIRST_FREE, 1 << 20) if number not in self.guests.all)

    # what happens to backups --------------------------------------------------------------------------------------
    def lose(self, guest: int) -> None:
        """Somebody pruned too much. 0: of every guest."""
        self.all = [backup for backup in self.all if guest not in (0, backup.guest)]

    def prune(self, guest: int) -> None:
        """Its newest one is gone."""
        mine = [backup for backup in self.all if backup.guest == guest]
        self.all.remove(max(mine, key=lambda backup: backup.made_at))

    def give_up(self, guest: int) -> None:
        """The HA manager puts its service into the error state."""
        vm = self.guests.get(guest)
        if vm.running:
            self.guests.stops(vm, "")
        vm.ha = "error"

    # acts ---------------------------------------------------------------------------------------------------------
    def stop(self, guest: int, user: str, by: str) -> str:
        """Pull its plug."""
        vm = self._reached(guest)
        self.core.note(What.STOPPING, vm.node, guest=guest, by=by)
        kind = "hastop" if vm.ha else self._kind(vm, "stop")
        return self.tasks.start(kind, vm.node, guest, user, self.core.timings.stop, lambda: self._stopped(vm, by))

    def detach(self, guest: int, slots: list[str], digest: str) -> None:
        """All of them or none; their volumes stay as unused disks."""
        vm = self._unchanged(guest, digest)
        if missing := [slot for slot in slots if slot not in vm.disks]:
            raise Denied(f"no disk at {missing[0]}")
        self.core.note(What.DETACHED, vm.node, guest=guest, by=US, text=", ".join(slots))
        for slot in slots:
            vm.unused[self._free_slot(vm)] = vm.disks.pop(slot)
        self._changed(vm)

    def forget(self, guest: int, slots: list[str], digest: str) -> None:
        """Delete unused disks; with a split image goes its split-brain."""
        vm = self._unchanged(guest, digest)
        if missing := [slot for slot in slots if slot not in vm.unused]:
            raise Denied(f"no unused disk at {missing[0]}")
        gone = [vm.unused.pop(slot) for slot in slots]
        self.core.note(What.FORGOTTEN, vm.node, guest=guest, by=US, text=", ".join(gone))
        for volume in {volid.partition(":")[0] for volid in gone} & set(self.gluster.volumes):
            if any(volid.startswith(f"{volume}:{guest}/vm-{guest}-disk-0.") for volid in gone):
                self.gluster.choose(volume, guest)
        self._changed(vm)

    def _unchanged(self, guest: int, digest: str) -> Vm:
        vm = self._reached(guest)
        if digest and digest != self.digest(vm):
            raise Denied("detected modified configuration - file changed by other user? Try again.")
        return vm

    def unplug(self, guest: int, networks: list[str]) -> None:
        vm = self._reached(guest)
        vm.networks = [name for name in vm.networks if name not in networks]
        self._changed(vm)

    def restore(self, wish: Wish, user: str) -> str:
        """Start the task that restores; what is wrong with it may come to light in there only."""
        there = self.guests.all.get(wish.guest)
        verb = "restore" if wish.over else "create"
        if not self.machines.quorate():
            raise Denied(NO_QUORUM)
        if there and (not wish.over or there.node != wish.node):
            raise Denied(f"unable to {verb} VM {wish.guest} - VM {wish.guest} already exists on node '{there.node}'")
        if there and self.guests.lock(there):
            raise Denied(f"unable to restore VM {wish.guest} - VM is locked ({self.guests.lock(there)})")
        backup = self._backup(wish.volid)
        if wish.storage not in self.holds(wish.node):
            raise Denied(f"storage '{wish.storage}' is not available on node '{wish.node}'")
        return self._write(wish, backup, there, user)

    def back_up(self, guest: int, storage: str, notes: str, user: str, *, remove: bool, protected: bool) -> str:
        """`remove`: prune by the storage's retention at the end, which is vzdump's default. Without it, and unless the
        new one is `protected`, it is refused in the task where that retention is reached."""
        vm = self._reached(guest)
        if not (remove or protected) and 0 < self.keeps(storage) <= len(self._unprotected(guest, storage)):
            return self._over_the_limit(vm, storage, user)
        vm.lock = "backup"
        lasts = self.core.takes(self._size(vm.spec) / MIB / self.core.timings.backup_mib)

        def finish() -> str:
            vm.lock = ""
            self.all.append(replace(self._made(guest, vm.spec.kind, storage, notes), protected=protected))
            if remove:
                self._prune_by_retention(guest, storage)
            self.core.note(What.BACKED_UP, vm.node, guest=guest)
            return "OK"

        return self.tasks.start("vzdump", vm.node, guest, user, lasts, finish, lambda: _unlock(vm))

    def _over_the_limit(self, vm: Vm, storage: str, user: str) -> str:
        """The task's last word says nothing of the reason; its log does."""
        upid = self.tasks.start("vzdump", vm.node, vm.id, user, 1.0, lambda: "job errors")
        self.errors[upid] = (
            f"Backup of VM {vm.id} failed - There is a max backup limit of {self.keeps(storage)} enforced by the "
            "target storage or the vzdump parameters. Either increase the limit or delete old backups."
        )
        return upid

    def _unprotected(self, guest: int, storage: str) -> list[Backup]:
        """Oldest first."""
        mine = [b for b in self.all if (b.guest, b.storage) == (guest, storage) and not b.protected]
        return sorted(mine, key=lambda backup: backup.made_at)

    def _prune_by_retention(self, guest: int, storage: str) -> None:
        keeps, mine = self.keeps(storage), self._unprotected(guest, storage)
        gone = mine[: max(len(mine) - keeps, 0)] if keeps else []
        self.all = [backup for backup in self.all if backup not in gone]

    def delete(self, guest: int, user: str, by: str) -> str:
        vm = self._reached(guest)
        if vm.running:
            raise Denied(f"VM {guest} is running - destroy failed")

        def finish() -> str:
            del self.guests.all[guest]
            self.core.note(What.DELETED, vm.node, guest=guest, by=by)
            return "OK"

        return self.tasks.start(self._kind(vm, "destroy"), vm.node, guest, user, 2.0, finish)

    def unlock(self, guest: int, lock: str, by: str) -> None:
        """What the helper does, with its guard."""
        vm = self.guests.get(guest)
        if (now := self.guests.lock(vm)) != lock:
            raise Denied(f"guest {guest} is locked by {now or 'nothing'}, not by {lock}")
        busy = [task.kind for task in self.tasks.running(vm.node) if task.guest == str(guest)]
        if busy:
            raise Denied(f"a task of guest {guest} runs still: {busy[0]}")
        vm.lock = ""
        self.core.note(What.UNLOCKED, vm.node, guest=guest, by=by)

    def ha_state(self, guest: int, state: str) -> None:
        """`ha-manager set`. Out of the error state leads only "disabled"."""
        vm = self.guests.get(guest)
        if not vm.ha:
            raise Denied(f"no such resource 'vm:{guest}'")
        if state == "disabled":
            if vm.running:
                self.guests.stops(vm, US)
            vm.ha = "disabled"
        elif state == "started" and vm.ha != "error":
            vm.ha = "request_start"
            self.core.later(self.core.timings.ha_queue, lambda: self.guests.ha_start(vm))
        self.core.version += 1

    # how ----------------------------------------------------------------------------------------------------------
    def digest(self, vm: Vm) -> str:
        """Of its configuration as it stands."""
        return f"{vm.id:08x}{vm.changes:032x}"

    def _reached(self, guest: int) -> Vm:
        vm = self.guests.get(guest)
        if not self.machines.quorate():
            raise Denied(NO_QUORUM)
        if not self.machines.all[vm.node].api:
            raise Denied(f"{vm.node}: No route to host", 595)
        if lock := self.guests.lock(vm):
            raise Denied(f"VM is locked ({lock})")
        return vm

    def _stopped(self, vm: Vm, by: str) -> str:
        if vm.running:
            self.guests.stops(vm, by)
        return "OK"

    def _write(self, wish: Wish, backup: Backup, there: Vm | None, user: str) -> str:
        source = self._source(backup.guest)
        broken = self.trouble.take(Kind.ARCHIVE_BAD, str(backup.guest))
        if there and there.running:
            lasts, finish = 1.0, lambda: f"unable to restore VM {wish.guest} - vm is running"
            return self.tasks.start("qmrestore", wish.node, wish.guest, user, lasts, finish)
        self.core.note(What.RESTORING, wish.node, guest=wish.guest, by=US, text=wish.volid)
        vm = self._emptied(there) if there else self._new(wish, source)
        lasts = self.core.takes(self._size(source) / MIB / self.core.timings.restore_mib)
        if self._size(source) > self.room(wish.storage):
            return self._task(wish, user, 2.0, lambda: self._failed(vm, wish, "no space left on device"))
        if broken:
            why = "command 'vma extract' failed: exit code 1 (short vma extent)"
            return self._task(wish, user, lasts / 2, lambda: self._failed(vm, wish, why))
        return self._task(wish, user, lasts, lambda: self._restored(vm, wish, source))

    def _task(self, wish: Wish, user: str, lasts: float, finish: Callable[[], str]) -> str:
        """Cut off by its node's end it leaves its lock behind."""
        kind = "vzrestore" if wish.kind == "lxc" else "qmrestore"
        return self.tasks.start(kind, wish.node, wish.guest, user, lasts, finish)

    def _emptied(self, vm: Vm) -> Vm:
        """Before the first byte is written: attached disks are deleted, the configuration is bare and locked."""
        if vm.disks:
            self.core.note(What.DISKS_FREED, vm.node, guest=vm.id, text=", ".join(vm.disks.values()))
        vm.disks, vm.bare, vm.lock = {}, True, "create"
        self._changed(vm)
        return vm

    def _new(self, wish: Wish, source: GuestSpec) -> Vm:
        spec = replace(source, id=wish.guest, node=wish.node, ha=False, status="stopped")
        vm = self.guests.all[wish.guest] = Vm(spec, wish.node, "stopped", spec.onboot, "create", "", bare=True)
        self._changed(vm)
        return vm

    def _failed(self, vm: Vm, wish: Wish, why: str) -> str:
        vm.lock = ""
        if not wish.over:
            del self.guests.all[wish.guest]
        self.core.note(What.RESTORE_FAILED, wish.node, guest=wish.guest, text=why)
        self._changed(vm)
        return why

    def _restored(self, vm: Vm, wish: Wish, source: GuestSpec) -> str:
        """The new configuration comes out of the backup; unused volumes are found again by a scan."""
        taken = {*vm.unused.values()}
        names = (f"{wish.storage}:{wish.guest}/vm-{wish.guest}-disk-{n}.raw" for n in range(1 << 16))
        image = next(name for name in names if name not in taken)
        vm.disks = {"rootfs" if wish.kind == "lxc" else "scsi0": image}
        vm.lock, vm.bare, vm.onboot, vm.networks = "", False, source.onboot, ["net0"]
        self.gluster.renewed.add(wish.guest)
        self._changed(vm)
        self.core.note(What.RESTORED, wish.node, guest=wish.guest, text=wish.volid)
        return "OK"

    def _backup(self, volid: str) -> Backup:
        found = next((backup for backup in self.all if backup.volid == volid), None)
        if found is None:
            raise Denied(f"volume '{volid}' does not exist")
        return found

    def _source(self, guest: int) -> GuestSpec:
        """What the backup has of the guest: as the night began."""
        return next(spec for spec in self.core.spec.guests if spec.id == guest)

    def _size(self, spec: GuestSpec) -> int:
        return spec.disk

    def _free_slot(self, vm: Vm) -> str:
        return next(slot for slot in (f"unused{n}" for n in range(256)) if slot not in vm.unused)

    def _changed(self, vm: Vm) -> None:
        vm.changes += 1
        self.core.version += 1

    def _born(self, spec: BackupSpec) -> None:
        kind = next((guest.kind for guest in self.core.spec.guests if guest.id == spec.guest), "qemu")
        made = self._made(spec.guest, kind, spec.storage, spec.notes, spec.age)
        self.all.append(replace(made, size=spec.size, verified=spec.verified, protected=spec.protected))

    def _made(self, guest: int, kind: str, storage: str, notes: str, age: float = 0.0) -> Backup:
        at = self.core.now - age
        stamp = datetime.fromtimestamp(at, UTC)
        word = "ct" if kind == "lxc" else "vm"
        name = f"backup/{word}/{guest}/{stamp:%Y-%m-%dT%H:%M:%SZ}"
        if storage != "backup":
            dump = "lxc" if kind == "lxc" else "qemu"
            end = "tar.zst" if kind == "lxc" else "vma.zst"
            name = f"backup/vzdump-{dump}-{guest}-{stamp:%Y_%m_%d-%H_%M_%S}.{end}"
        return Backup(guest, storage, at, 4 * GIB, None, volid=f"{storage}:{name}", notes=notes)

    def _kind(self, vm: Vm, verb: str) -> str:
        return f"{'vz' if vm.spec.kind == 'lxc' else 'qm'}{verb}"


def _unlock(vm: Vm) -> None:
    vm.lock = ""
