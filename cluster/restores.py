"""The live half of cluster/rescue.py: over the PVE API where that has it, over the node helper where it has not.

Reads take what every node says that answers: on the night of a restore some do not. Acts go to one place once.
"""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from cluster import gluster
from cluster.api import ClusterError, NotSplit, Refused, TaskRef, Uncertain, Unreachable
from cluster.facts import Backup, Guest
from cluster.helper import Copies, Helper, first_to_answer, helper_of
from cluster.proxmox import Proxmox
from cluster.pve import backup, path_of, started, understanding
from cluster.rescue import GuestConfig, Space, Split, Trouble, entries_mark, guest_config, kept_by
from cluster.settings import ClusterSettings

T = TypeVar("T")

log = logging.getLogger(__name__)

LOG_LINES = 5000
"""More than any restore or backup writes; Proxmox VE shows 50 unless told."""
ENTRIES_AT_MOST = 1000
"""Names of entries that are looked through for the images of one guest."""
POWER_S = 60.0
"""For the command that cycles a node's power; a BMC answers within seconds or not at all."""


class LiveRescue:
    """`each` asks several nodes at the same time; `avoid()`: the node that is never the entry to the API."""

    def __init__(
        self,
        api: Proxmox,
        helpers: Mapping[str, Helper],
        settings: ClusterSettings,
        each: Callable[..., Any],
        avoid: Callable[[], str],
    ) -> None:
        self._api, self._helpers, self._settings = api, helpers, settings
        self._each, self._avoid = each, avoid

    # ---- reads ---------------------------------------------------------------------------------------------------

    def backups(self, guest: int) -> tuple[Backup, ...]:
        """A storage that cannot be listed hides no other; if none can, that is the answer."""
        found: dict[str, Backup] = {}
        told: set[str] = set()
        silent: list[ClusterError] = []
        for node, storage, shared in self._backup_storages():
            if storage in told:
                continue
            try:
                rows = self._backups_on(node, storage, guest)
            except ClusterError as error:
                log.warning("restores: backups on '%s' of %s were not listed: %s", storage, node, error)
                silent.append(error)
                continue
            told |= {storage} if shared else set()
            found |= {one.volid: one if shared else replace(one, node=node) for one in rows}
        if silent and not found:
            raise silent[0]
        return tuple(sorted(found.values(), key=lambda one: -one.made_at))

    def _backup_storages(self) -> Iterator[tuple[str, str, bool]]:
        """(node to ask, storage, whether every node has the same)."""
        for node, rows in self._storages(content="backup"):
            for row in rows:
                if str(row.get("active", 0)) == "1":
                    yield node, row["storage"], str(row.get("shared", 0)) == "1"

    def _backups_on(self, node: str, storage: str, guest: int) -> list[Backup]:
        path = f"nodes/{node}/storage/{storage}/content"
        with understanding(path):
            rows = self._api.get(path, self._avoid(), content="backup", vmid=guest)
            return [backup(storage, row) for row in rows if int(row.get("vmid", 0)) == guest]

    def _storages(self, **params: Any) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
        """Of every node that answers, online ones in the order of the settings. Raises Unreachable if none does."""

        def ask(node: str) -> Any:
            try:
                return self._api.get(f"nodes/{node}/storage", self._avoid(), **params)
            except ClusterError as error:
                return error

        nodes = list(self._settings.nodes)
        answers = list(zip(nodes, self._each(ask, nodes), strict=True))
        told = [(node, rows) for node, rows in answers if not isinstance(rows, ClusterError)]
        if not told:
            raise Unreachable("; ".join(str(error) for _, error in answers))
        return told

    def keeps(self, node: str, storage: str) -> int:
        """As this node's vzdump would have it: the storage's own setting, else that of its /etc/vzdump.conf."""
        path = f"nodes/{node}/vzdump/defaults"
        with understanding(path):
            return kept_by(str(self._api.get(path, self._avoid(), storage=storage).get("prune-backups", "")))

    def config(self, guest: Guest) -> GuestConfig:
        with understanding("the configuration of a guest"):
            return guest_config(self._api.get(f"{path_of(guest)}/config", self._avoid()), guest.kind)

    def spaces(self) -> tuple[Space, ...]:
        with understanding("/storage"):
            known = {row["storage"]: row for row in self._api.get("storage", self._avoid())}
            return tuple(
                _space(node, row, known.get(row["storage"], {})) for node, rows in self._storages() for row in rows
            )

    def log(self, ref: TaskRef) -> tuple[str, ...]:
        path = f"nodes/{ref.upid.split(':')[1]}/tasks/{ref.upid}/log"
        with understanding("a task's log"):
            return tuple(str(row["t"]) for row in self._api.get(path, self._avoid(), limit=LOG_LINES))

    def agent_answers(self, guest: Guest) -> bool:
        """Proxmox VE says no in several ways where the agent is silent, and always names it."""
        try:
            self._api.send("post", f"{path_of(guest)}/agent/ping", self._avoid())
        except Refused as no:
            if "agent" not in str(no).lower() or "lacks" in str(no):
                raise
            return False
        except Uncertain:
            return False
        return True

    def free_id(self) -> int:
        with understanding("/cluster/nextid"):
            return int(self._api.get("cluster/nextid", self._avoid()))

    def answers(self, node: str) -> str:
        """Raises Unreachable where nobody can tell: a node is dead only when the others say so."""
        if self._quietly(lambda: self._helper(node).status()):
            return "ssh"
        if self._quietly(lambda: self._api.ask(node, "get", "version")):
            return "its API"
        with understanding("/cluster/status"):
            rows = self._api.get("cluster/status", node)
            online = [row for row in rows if row["type"] == "node" and row["name"] == node and int(row["online"])]
        return "the cluster says online" if online else ""

    # ---- acts on guests ------------------------------------------------------------------------------------------

    def stop(self, guest: Guest) -> TaskRef:
        return self._started(f"{path_of(guest)}/status/stop")

    def detach(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        """Its own node is asked first whether it runs: the listing is some seconds old, the digest does not change with
        a start, and of a running guest Proxmox VE would unplug the disks."""
        with understanding("the status of a guest"):
            now = self._api.get(f"{path_of(guest)}/status/current", self._avoid())
            if now["status"] != "stopped":
                seen = now.get("qmpstatus", now["status"])
                raise Refused(f"guest {guest.id} is {seen} on {guest.node}: its disks are not taken away while it runs")
        self._take_out(guest, slots, digest)

    def forget(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        """The same request: of an unused disk it deletes the volume."""
        self._take_out(guest, slots, digest)

    def _take_out(self, guest: Guest, slots: Sequence[str], digest: str) -> None:
        self._api.send("put", f"{path_of(guest)}/config", self._avoid(), delete=",".join(slots), digest=digest)

    def unplug(self, guest: Guest, networks: Sequence[str]) -> None:
        self._api.send("put", f"{path_of(guest)}/config", self._avoid(), delete=",".join(networks))

    def restore(self, guest: int, kind: str, node: str, volid: str, storage: str, *, over: bool) -> TaskRef:
        if kind == "lxc":
            return self._started(f"nodes/{node}/lxc", vmid=guest, ostemplate=volid, restore=True, storage=storage)
        how: dict[str, Any] = {"force": True} if over else {"unique": True}
        return self._started(f"nodes/{node}/qemu", vmid=guest, archive=volid, storage=storage, **how)

    def back_up(self, guest: Guest, storage: str, notes: str, *, protected: bool) -> TaskRef:
        """`remove` 0: left alone, vzdump would prune by the storage's retention afterwards, and with keep-last=1 the
        backup of a damaged guest would push out the last good one. `prune-backups` could say the same, and wants
        Datastore.Allocate, which may delete every backup."""
        return self._started(
            f"nodes/{guest.node}/vzdump",
            vmid=str(guest.id),
            storage=storage,
            mode="snapshot",
            remove=False,
            protected=protected,
            **{"notes-template": notes},
        )

    def delete(self, guest: Guest) -> TaskRef:
        return self._started(path_of(guest), method="delete", purge=True)

    def unlock(self, guest: Guest, lock: str) -> None:
        self._helper(guest.node).unlock(guest.id, lock)

    def ha_state(self, guest: Guest, state: str, node: str, not_after_uptime: float) -> None:
        self._helper(node).ha_state(guest.sid, state, not_after_uptime)

    def _started(self, path: str, method: str = "post", **params: Any) -> TaskRef:
        return started(self._api, method, path, self._avoid(), **params)

    # ---- Gluster -------------------------------------------------------------------------------------------------

    def troubles(self) -> tuple[Trouble, ...]:
        nodes = self._settings.gluster.nodes or self._settings.nodes
        return first_to_answer((self._helpers[node] for node in nodes), self._troubles_seen_by)

    def _troubles_seen_by(self, helper: Helper) -> tuple[Trouble, ...]:
        volumes = self._settings.gluster.volumes or tuple(
            volume.name for volume in gluster.volume_info(helper.gluster("volume-info"), helper.node) if volume.started
        )
        return tuple(trouble for volume in volumes for trouble in _troubles(helper, volume))

    def split(self, volume: str, image: str) -> Split:
        """Every peer tells its own copies; who has one, and sees what is split, can be told to choose: a glusterd that
        does not see every brick lists nothing."""
        told = [(node, copies) for node, copies in self._copies(volume, image) if copies.sides]
        gfids = {copies.gfid for _, copies in told}
        sees = next(((node, copies) for node, copies in told if copies.entries), None)
        if sees is None:
            raise NotSplit(f"{image} is not in split-brain on {volume}")
        if len(gfids) > 1:
            raise Refused(
                f"{image} is another file on each side ({', '.join(sorted(gfids))}): that is no choice of a side",
                "gluster's documentation on GFID split-brain",
            )
        node, first = sees
        sides = tuple(replace(side, node=there) for there, copies in told for side in copies.sides)
        found = Split(volume, image, first.gfid, first.entries, sides, node)
        if found.mark != first.mark:
            raise Refused(f"{node}: the node helper counts what is split in another way than this bot")
        return found

    def _copies(self, volume: str, image: str) -> list[tuple[str, Copies]]:
        """Both sides must be known before one is chosen: a peer that does not answer is an error."""
        peers = list(self._settings.gluster.nodes or self._settings.nodes)
        return list(zip(peers, self._each(lambda node: self._helper(node).split(volume, image), peers), strict=True))

    def choose(self, split: Split, brick: str) -> None:
        mark = entries_mark(split.gfid, split.entries)
        self._helper(split.node).choose(split.volume, brick, mark, split.image)

    # ---- hardware ------------------------------------------------------------------------------------------------

    def power_cycle(self, node: str) -> None:
        """Its words are never shown whole: a BMC's command may hold what nobody should read."""
        command = self._settings.nodes[node].power_cycle
        if not command:
            raise Refused(f"the settings name no command that cycles the power of {node}", f"nodes.{node}.power_cycle")
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=POWER_S, check=False)
        except subprocess.TimeoutExpired:
            raise Uncertain(f"{command[0]} did not end within {POWER_S:.0f} s; {node} may have been cycled") from None
        except OSError as error:
            raise Refused(f"{command[0]} cannot be run: {error.strerror}", f"nodes.{node}.power_cycle") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
            raise Refused(f"{command[0]} ended with {done.returncode}: {said or 'no words'}")

    # ---- who is asked --------------------------------------------------------------------------------------------

    def _helper(self, node: str) -> Helper:
        return helper_of(node, self._helpers, self._settings)

    def _quietly(self, ask: Callable[[], object]) -> bool:
        """Did it answer? A refusal is an answer too."""
        try:
            ask()
        except Refused:
            return True
        except ClusterError:
            return False
        return True


def _troubles(helper: Helper, volume: str) -> Iterator[Trouble]:
    listed = gluster.heal_entries(helper.gluster("heal-info", volume), helper.node, ENTRIES_AT_MOST)
    if not listed:
        return
    split = gluster.heal_entries(helper.gluster("split-brain", volume), helper.node, ENTRIES_AT_MOST)
    for brick in sorted({*listed, *split}):
        torn = set(split.get(brick, ()))
        for name in dict.fromkeys((*listed.get(brick, ()), *split.get(brick, ()))):
            yield Trouble(volume, brick, name, name in torn)


def _space(node: str, row: Mapping[str, Any], config: Mapping[str, Any]) -> Space:
    """`config`: what storage.cfg has of it. `content-dirs` there moves folders: "images=disks,backup=dumps"."""
    moved = re.search(r"(?:^|,)images=([^,]+)", str(config.get("content-dirs", "")))
    return Space(
        node=node,
        storage=row["storage"],
        kind=row["type"],
        shared=str(row.get("shared", 0)) == "1",
        active=str(row.get("active", 0)) == "1",
        avail=int(row.get("avail", 0)),
        holds=tuple(str(row.get("content", "")).split(",")),
        path=str(config.get("path", "")),
        images=moved[1].strip("/") if moved else "images",
    )
