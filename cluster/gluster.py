"""What GlusterFS says, read strictly: an answer that is not whole, not XML or not meant as one is an error, and a
number that is not there is None, never 0.

The shapes were recorded from GlusterFS 10.3. Whoever asks passes on what came back (`Done`) and whom it asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from cluster.api import Refused
from cluster.facts import Brick, BrickHeal, BrickProcess, Peer, Volume, VolumeStatus
from cluster.ssh import Done

MAX_BYTES = 16 * 1024 * 1024  # 50,000 pending entries were 11.5 MB
IN_CLUSTER = 3  # a peer's state; a glusterd prints none for itself
BUSY = ("30800", "30802")  # locking failed, another transaction is in progress: no fault of the cluster
ENDED = ("completed", "failed", "stopped", "not started")  # what a task may say when nothing is going on


class GlusterError(Refused):
    """Gluster answered, but not with what was asked for."""


class AskAgain(GlusterError):
    """Somebody else's command holds gluster's lock just now."""


def pool_list(answer: Done, asked: str) -> tuple[Peer, ...]:
    """All peers, the asked node itself included (as "localhost")."""
    rows = _document(answer, asked).iter("peer")
    return tuple(Peer(_text(row, "uuid"), _text(row, "hostname"), _flag(row, "connected"), _state(row)) for row in rows)


def _state(row: Element) -> int:
    own = _text(row, "hostname") == "localhost" and row.find("state") is None
    return IN_CLUSTER if own else _number(row, "state")


def volume_info(answer: Done, asked: str) -> tuple[Volume, ...]:
    return tuple(_volume(row) for row in _document(answer, asked).iter("volume"))


def _volume(row: Element) -> Volume:
    return Volume(
        name=_text(row, "name"),
        kind=_text(row, "typeStr"),
        started=_text(row, "status") == "1",
        replica=_number(row, "replicaCount"),
        arbiters=_number(row, "arbiterCount"),
        bricks=tuple(_brick(brick) for brick in row.iter("brick")),
        options={_text(option, "name"): option.findtext("value", "") for option in row.iter("option")},
        disperse=_number(row, "disperseCount"),
        redundancy=_number(row, "redundancyCount"),
    )


def _brick(row: Element) -> Brick:
    return Brick(_text(row, "name"), _text(row, "hostUuid"), row.findtext("isArbiter") == "1")


def heal_summary(answer: Done, asked: str) -> tuple[BrickHeal, ...]:
    """A brick that is down is listed without any counter, and its status has the text of the last one run into it."""
    return tuple(_heal(row) for row in _document(answer, asked).iter("brick"))


def _heal(row: Element) -> BrickHeal:
    return BrickHeal(
        brick=_text(row, "name"),
        host_uuid=row.get("hostUuid", "-"),
        status=_text(row, "status"),
        pending=_count(row, "numberOfEntriesInHealPending"),
        split_brain=_count(row, "numberOfEntriesInSplitBrain"),
        possibly_healing=_count(row, "numberOfEntriesPossiblyHealing"),
        total=_count(row, "totalNumberOfEntries"),
    )


IMAGE = re.compile(r"(?:vm|subvol|base)-(\d+)-[\w.-]+")
"""An image as Proxmox VE names it, with the id of its guest."""


def heal_entries(answer: Done, asked: str, at_most: int) -> dict[str, tuple[str, ...]]:
    """Names of entries that wait for their heal, of each brick that lists some: images of guests first, no more than
    `at_most` of each brick."""
    names = {
        _text(row, "name"): tuple(images_first((file.text or "" for file in row.findall("file")), at_most))
        for row in _document(answer, asked).iter("brick")
    }
    return {brick: files for brick, files in names.items() if files}


def images_first(names: Iterable[str], at_most: int) -> list[str]:
    return sorted(names, key=lambda name: not IMAGE.search(name))[:at_most]


def volume_status(answer: Done, asked: str) -> VolumeStatus:
    """Bricks and self-heal daemons that the asked glusterd knows of (not those of nodes it takes for disconnected)."""
    root = _document(answer, asked)
    rows = (_process(row, asked) for row in root.iter("node"))
    tasks = (f"{_text(task, 'type')} ({_text(task, 'statusStr')})" for task in root.iter("task") if _goes_on(task))
    return VolumeStatus(_text(root, ".//volName"), tuple(row for row in rows if row), tuple(tasks))


def _process(row: Element, asked: str) -> BrickProcess | None:
    """A brick's path begins with a slash; a daemon has its node there ("localhost": the one that was asked)."""
    host, path, uuid, online = _text(row, "hostname"), _text(row, "path"), _text(row, "peerid"), _flag(row, "status")
    if path.startswith("/"):
        return BrickProcess(f"{host}:{path}", uuid, online, daemon=False)
    if host == "Self-heal Daemon":
        return BrickProcess(f"{asked if path == 'localhost' else path}:self-heal daemon", uuid, online, daemon=True)
    return None  # quota, bitrot, snapshots: no concern of a heal


def _goes_on(task: Element) -> bool:
    return _text(task, "statusStr").removeprefix("fix-layout ") not in ENDED


# ---- reading an answer -------------------------------------------------------------------------------------------


def _document(answer: Done, asked: str) -> Element:
    """The answer's root, once it is known to be whole and meant as an answer. The exit code alone says too little:
    refusals come with exit code 0."""
    if len(answer.out) > MAX_BYTES:
        raise GlusterError(f"gluster on {asked} answered with {len(answer.out)} bytes, more than can be read safely")
    if not answer.out.lstrip().startswith(b"<"):
        raise _words(answer, asked)
    try:
        root: Element = fromstring(answer.out, forbid_dtd=True)
    except ParseError as error:
        raise GlusterError(f"the answer of gluster on {asked} breaks off or is damaged ({error})") from None
    except DefusedXmlException as error:
        raise GlusterError(f"the answer of gluster on {asked} is not gluster's ({type(error).__name__})") from None
    if root.findtext("opRet") != "0" or answer.rc:
        raise _refusal(root, answer.rc, asked)
    return root


def _words(answer: Done, asked: str) -> GlusterError:
    """Plain text in place of XML: gluster says so when its glusterd does not answer."""
    lines = (answer.out + b"\n" + answer.err).decode(errors="replace").split("\n")
    said = next((line.strip() for line in lines if line.strip()), "nothing")
    return GlusterError(f"gluster on {asked} says: {said[:200]}", f"`systemctl status glusterd` on {asked}")


def _refusal(root: Element, rc: int, asked: str) -> GlusterError:
    why = root.findtext("opErrstr") or f"opRet {root.findtext('opRet')}, exit code {rc}"
    if root.findtext("opErrno") in BUSY and not why.endswith(("does not exist", "is not started")):
        return AskAgain(f"gluster on {asked} is busy: {why}", "somebody else's gluster command is running; asked again")
    return GlusterError(f"gluster on {asked} refused: {why}")


def _text(row: Element, tag: str) -> str:
    text = row.findtext(tag)
    if not text:
        raise GlusterError(f"an answer of gluster has no <{tag.lstrip('./')}> where one belongs")
    return text


def _flag(row: Element, tag: str) -> bool:
    return _text(row, tag) == "1"


def _number(row: Element, tag: str) -> int:
    number = _count(row, tag)
    if number is None:
        raise GlusterError(f"an answer of gluster has {row.findtext(tag)!r} where the number <{tag}> belongs")
    return number


def _count(row: Element, tag: str) -> int | None:
    """None where no number stands ("-", or no such element): never 0."""
    text = row.findtext(tag, "")
    return int(text) if text.isascii() and text.isdigit() else None
