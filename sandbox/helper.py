"""The node helper of a model node: the real one's own grammar, answered out of the model.

Which orders there are, and how they are spelled, is read from `deploy/roundsman-helper` itself, so that an order that
the real one would not understand is not understood here. What it prints has the same keys, shapes and exit codes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

from cluster.facts import BrickProcess
from cluster.rescue import entries_mark
from sandbox import gluster_xml
from sandbox.lines import Acts, Gone
from sandbox.model import Away, Denied, Model
from sandbox.model.core import US
from sandbox.model.gluster import LOCKED, NO_DAEMON, TIMED_OUT, gfid_of
from sandbox.model.rescue import known_split, sides, split_entries
from sandbox.ssh_server import Reply

FILE = Path(__file__).parent.parent / "deploy" / "roundsman-helper"
REFUSED = 3
LOCK_ERRNO, OTHER_ERRNO = 30802, 30800

Found = Mapping[str, str | None]


def checksum() -> str:
    """What the real helper's file hashes to; a sandbox for the unchanged bot has nodes that say so."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def _grammar() -> list[tuple[re.Pattern[str], str]]:
    """The orders of the real helper: how each is spelled, and the name of the function that obeys it."""
    loader = SourceFileLoader("roundsman_helper", str(FILE))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None, "a loader was given"
    module = module_from_spec(spec)
    loader.exec_module(module)
    return [(re.compile(form), act.__name__) for form, act in module.VERBS]


class Helper:
    """All nodes' helpers. `answer` may raise Gone: the node went dark while it was asked."""

    def __init__(self, model: Model, clock: Callable[[], float], line: Acts) -> None:
        self._model, self._clock, self._line = model, clock, line
        self._grammar = _grammar()
        self._refreshed: dict[str, float] = {}
        self._acts: Mapping[str, Callable[[str, Found], Mapping[str, Any]]] = {
            "status": self._status,
            "images": self._images,
            "plan": self._plan,
            "maintenance": self._maintenance,
            "upgrade": self._upgrade,
            "unit_state": self._unit,
            "reboot": self._reboot,
            "split": self._split,
            "choose": self._choose,
            "unlock": self._unlock,
            "ha_state": self._ha_state,
        }

    def answer(self, node: str, words: Sequence[str]) -> Reply:
        order = " ".join(words)
        try:
            for form, act in self._grammar:
                if found := form.fullmatch(order):
                    return self._obey(node, act, found.groupdict())
        except Away as away:
            raise Gone from away
        return _refusal(f"roundsman-helper does not understand {order[:200]!r}")

    def _obey(self, node: str, act: str, found: Found) -> Reply:
        if act == "gluster":
            return self._gluster(node, found["read"] or "", found.get("volume") or "")
        try:
            return Reply(json.dumps(self._acts[act](node, found)) + "\n")
        except Denied as no:
            return _refusal(str(no).removeprefix(f"{node}: refused: "))

    # JSON -----------------------------------------------------------------------------------------------------
    def _status(self, node: str, _: Found) -> Mapping[str, Any]:
        said = self._model.status(self._clock(), node)
        return asdict(said) | {"votes": self._votes(), "gluster_mounts": list(said.gluster_mounts)}

    def _votes(self) -> Mapping[str, Any]:
        seen = self._model.membership(self._clock())
        return {
            "nodes": {member.node: member.votes for member in seen.members},
            "expected": sum(member.votes for member in seen.members) + seen.qdevice_votes,
            "total": sum(member.votes for member in seen.members if member.online) + seen.qdevice_votes,
            "quorum": seen.quorum,
            "qdevice": seen.qdevice_votes,
        }

    def _images(self, node: str, found: Found) -> Mapping[str, Any]:
        images = self._model.images(self._clock(), node, found["volume"] or "")
        entries = sum(len(names) for names in images.values())
        return {"images": {brick: list(names) for brick, names in images.items()}, "entries": entries, "whole": True}

    def _plan(self, node: str, found: Found) -> Mapping[str, Any]:
        now = self._clock()
        plan = asdict(self._model.plan(now, node))
        if found["refresh"]:
            self._refreshed[node] = now
        at = self._refreshed.get(node)
        return plan | {"trouble": "", "hint": "", "refreshed_s_ago": None if at is None else now - at}

    def _maintenance(self, node: str, found: Found) -> Mapping[str, Any]:
        target = found.get("node") or node
        on, late = found["word"] == "on", found.get("not_after")
        until = float(late) if late else None
        self._line.do("maintenance", target, lambda: self._model.maintenance(self._clock(), node, target, on, until))
        return {"node": target, "requested": found["word"]}

    def _upgrade(self, node: str, found: Found) -> Mapping[str, Any]:
        unit, plan, not_after = found["unit"] or "", found["plan"] or "", float(found["not_after"] or 0)
        already = self._model.unit(self._clock(), node, unit).began
        self._line.do("upgrade", node, lambda: self._model.upgrade(self._clock(), node, unit, plan, not_after))
        return {"began": True, "already": already}

    def _unit(self, node: str, found: Found) -> Mapping[str, Any]:
        return asdict(self._model.unit(self._clock(), node, found["unit"] or "")) | {"hint": ""}

    def _reboot(self, node: str, found: Found) -> Mapping[str, Any]:
        boot_id, not_after = found["approved"] or "", float(found["not_after"] or 0)
        self._line.do("reboot", node, lambda: self._model.reboot(self._clock(), node, boot_id, not_after))
        return {"rebooting": True}

    # what brings guests back ----------------------------------------------------------------------------------
    def _split(self, node: str, found: Found) -> Mapping[str, Any]:
        """This node's own copies; the mark is worked out as the real one does."""
        model, volume, image = self._model, found["volume"] or "", found["image"] or ""
        model.need_ssh(self._clock(), node)
        entries = split_entries(model, volume, image)
        own = [side for side in sides(model, volume, image) if side.node == node] if entries else []
        gfid = gfid_of(image) if own else ""
        copies = [asdict(side) | {"gfid": gfid} for side in own]
        return {"copies": copies, "gfid": gfid, "entries": list(entries), "mark": entries_mark(gfid, entries)}

    def _choose(self, node: str, found: Found) -> Mapping[str, Any]:
        volume, image, brick = found["volume"] or "", found["image"] or "", found["brick"] or ""
        number = re.search(r"/(\d+)/[^/]+$", image)
        assert number is not None, "the grammar has it"

        def act() -> None:
            now = split_entries(self._model, volume, image)
            if not now or entries_mark(gfid_of(image), now) != found["mark"]:
                raise Denied(f"{node}: refused: what is split has changed since it was approved")
            self._model.choose(self._clock(), node, volume, int(number[1]), brick)

        entries = split_entries(self._model, volume, image)
        self._line.do("choose", image, act)
        return {"healed": list(entries)}

    def _unlock(self, node: str, found: Found) -> Mapping[str, Any]:
        guest, lock = int(found["guest"] or 0), found["lock"] or ""
        self._line.do("unlock", str(guest), lambda: self._model.archives.unlock(guest, lock, US))
        return {"unlocked": guest, "lock": lock}

    def _ha_state(self, node: str, found: Found) -> Mapping[str, Any]:
        sid, state = found["sid"] or "", found["state"] or ""
        guest, not_after = int(sid.partition(":")[2]), float(found["not_after"] or 0)
        self._line.do(
            "ha_state", str(guest), lambda: self._model.ha_state(self._clock(), node, guest, state, not_after)
        )
        return {"sid": sid, "requested": state}

    # gluster --------------------------------------------------------------------------------------------------
    def _gluster(self, node: str, read: str, volume: str) -> Reply:
        try:
            return Reply(self._xml(node, read, volume))
        except Denied as no:
            return _no_gluster(str(no), volume)

    def _xml(self, node: str, read: str, volume: str) -> str:
        model, now = self._model, self._clock()
        if read == "pool-list":
            return gluster_xml.pool_list(model.pool(now, node))
        if read == "volume-info":
            return gluster_xml.volume_info(model.volumes(now, node))
        if read == "volume-status":
            status = model.volume_status(now, node, volume)
            return gluster_xml.volume_status(replace(status, rows=tuple(_seen(row, node) for row in status.rows)))
        rows = model.heal(now, node, volume)
        if read == "split-brain":
            named = model.entries(now, node, volume)
            split = {b: tuple(n for n in names if known_split(model, volume, n)) for b, names in named.items()}
            return gluster_xml.heal_info(rows, split)
        if read == "heal-summary":
            return gluster_xml.heal_summary(rows)
        return gluster_xml.heal_info(rows, model.entries(now, node, volume))


def _seen(row: BrickProcess, asked: str) -> BrickProcess:
    """Of self-heal daemons, the asked node's own has no name but localhost."""
    own = row.daemon and row.name.partition(":")[0] == asked
    return replace(row, name=gluster_xml.SELF) if own else row


def _no_gluster(why: str, volume: str) -> Reply:
    """Gluster's ways to say no: a refusal in XML with exit code 0, or plain words with exit code 1."""
    if why == LOCKED.format(volume=volume):
        return Reply(gluster_xml.refused(LOCK_ERRNO, why))
    if why in (NO_DAEMON, TIMED_OUT):
        return Reply(err=f"{why}\n", exit=1)
    if "not XML" in why:  # the model's fault of this name
        return Reply("gluster: symbol lookup error: undefined symbol: xdr_gf_cli_rsp\n")
    return Reply(gluster_xml.refused(OTHER_ERRNO, why))


def _refusal(why: str, hint: str = "") -> Reply:
    return Reply(json.dumps({"refused": why, "hint": hint}) + "\n", exit=REFUSED)
