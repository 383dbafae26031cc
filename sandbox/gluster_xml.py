"""What `gluster ... --xml` prints, odd shapes included, from the same facts that the bot's parser must get back.

The shapes are those of GlusterFS 10.3: names differ by who is asked (a peer calls itself "localhost"), a brick that is
down has a status with the count run into it and no counters, and a refusal is opRet -1 with exit code 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import NAMESPACE_DNS, uuid5
from xml.etree import ElementTree as ET

from cluster.facts import BrickHeal, BrickProcess, Peer, Volume, VolumeStatus

_KINDS = {
    "Distribute": "0",
    "Replicate": "2",
    "Disperse": "4",
    "Distributed-Replicate": "7",
    "Distributed-Disperse": "9",
}

SELF = "localhost"
DOWN = "Transport endpoint is not connected"


def refused(errno: int, why: str) -> str:
    """opRet -1: the command ends with exit code 0 all the same."""
    return _document(_tree("cliOutput", *_verdict(-1, errno, why)))


def pool_list(peers: Iterable[Peer]) -> str:
    """The asked peer's own row ("localhost") comes last and says neither its state nor its names."""
    rows = [_peer(peer) for peer in sorted(peers, key=lambda peer: peer.host == SELF)]
    return _document(_tree("cliOutput", *_verdict(), _tree("peerStatus", *rows)))


def _peer(peer: Peer) -> ET.Element:
    head = _text("uuid", peer.uuid), _text("hostname", peer.host)
    connected = _text("connected", int(peer.connected))
    if peer.host == SELF:
        return _tree("peer", *head, connected)
    state = "Peer in Cluster" if peer.state == 3 else "Probe Sent to Peer"
    names = _tree("hostnames", _text("hostname", peer.host))
    return _tree("peer", *head, names, connected, _text("state", peer.state), _text("stateStr", state))


def volume_info(volumes: Sequence[Volume]) -> str:
    rows = [_volume(volume) for volume in volumes]
    info = _tree("volInfo", _tree("volumes", *rows, _text("count", len(rows))))
    return _document(_tree("cliOutput", *_verdict(), info))


def _volume(volume: Volume) -> ET.Element:
    bricks = [
        _tree(
            "brick",
            _text("name", brick.name),
            _text("hostUuid", brick.host_uuid),
            _text("isArbiter", int(brick.arbiter)),
            attributes={"uuid": brick.host_uuid},
            text=brick.name,
        )
        for brick in volume.bricks
    ]
    options = [_tree("option", _text("name", name), _text("value", value)) for name, value in volume.options.items()]
    return _tree(
        "volume",
        _text("name", volume.name),
        _text("id", uuid5(NAMESPACE_DNS, volume.name)),
        _text("status", 1 if volume.started else 2),
        _text("statusStr", "Started" if volume.started else "Stopped"),
        _text("snapshotCount", 0),
        _text("brickCount", len(bricks)),
        _text("distCount", max(1, len(bricks) // max(volume.replica, volume.disperse, 1))),
        _text("replicaCount", volume.replica),
        _text("arbiterCount", volume.arbiters),
        _text("disperseCount", volume.disperse),
        _text("redundancyCount", volume.redundancy),
        _text("type", _KINDS.get(volume.kind, "2")),
        _text("typeStr", volume.kind),
        _text("transport", 0),
        _tree("bricks", *bricks),
        _text("optCount", len(options)),
        _tree("options", *options),
    )


def volume_status(status: VolumeStatus) -> str:
    rows = [_process(row) for row in status.rows]
    tasks = [_task(*task.removesuffix(")").split(" (")) for task in status.tasks]
    volume = _tree(
        "volume", _text("volName", status.volume), _text("nodeCount", len(rows)), *rows, _tree("tasks", *tasks)
    )
    return _document(_tree("cliOutput", *_verdict(), _tree("volStatus", _tree("volumes", volume))))


def _task(kind: str, state: str) -> ET.Element:
    return _tree("task", _text("type", kind), _text("status", 1), _text("statusStr", state))


def _process(row: BrickProcess) -> ET.Element:
    """A self-heal daemon's row has its node where a brick's has the path."""
    host, _, path = row.name.partition(":")
    name, place = ("Self-heal Daemon", host) if row.daemon else (host, path)
    port = "N/A" if row.daemon or not row.online else "49152"
    return _tree(
        "node",
        _text("hostname", name),
        _text("path", place),
        _text("peerid", row.host_uuid),
        _text("status", int(row.online)),
        _text("port", port),
        _tree("ports", _text("tcp", port), _text("rdma", "N/A")),
        _text("pid", 1200 if row.online else -1),
    )


def heal_summary(bricks: Iterable[BrickHeal]) -> str:
    return _heal(_summary(brick) for brick in bricks)


def _summary(brick: BrickHeal) -> ET.Element:
    if brick.total is None:  # no counter at all; the status has the text of one inside
        return _brick(brick.brick, "-", _text("status", brick.status))
    return _brick(
        brick.brick,
        brick.host_uuid,
        _text("status", brick.status),
        _text("totalNumberOfEntries", brick.total),
        _text("numberOfEntriesInHealPending", brick.pending),
        _text("numberOfEntriesInSplitBrain", brick.split_brain),
        _text("numberOfEntriesPossiblyHealing", brick.possibly_healing),
    )


def heal_info(bricks: Iterable[BrickHeal], entries: Mapping[str, Sequence[str]]) -> str:
    """`entries`: brick -> names; a brick that is down prints "-" for its count."""
    return _heal(_listing(brick, entries.get(brick.brick, ())) for brick in bricks)


def _listing(brick: BrickHeal, names: Sequence[str]) -> ET.Element:
    if brick.total is None:
        return _brick(brick.brick, "-", _text("status", DOWN), _text("numberOfEntries", "-"))
    files = [_tree("file", attributes={"gfid": ""}, text=name) for name in names]
    rest = (_text("status", brick.status), _text("numberOfEntries", brick.total))
    return _brick(brick.brick, brick.host_uuid, *files, *rest)


def _brick(name: str, uuid: str, *children: ET.Element) -> ET.Element:
    return _tree("brick", _text("name", name), *children, attributes={"hostUuid": uuid})


def _heal(bricks: Iterable[ET.Element]) -> str:
    return _document(_tree("cliOutput", _tree("healInfo", _tree("bricks", *bricks)), *_verdict()))


def _verdict(ret: int = 0, errno: int = 0, why: str = "") -> tuple[ET.Element, ...]:
    return _text("opRet", ret), _text("opErrno", errno), _text("opErrstr", why)


def _text(tag: str, text: object) -> ET.Element:
    return _tree(tag, text=str(text))


def _tree(tag: str, *children: ET.Element, attributes: Mapping[str, str] | None = None, text: str = "") -> ET.Element:
    element = ET.Element(tag, dict(attributes or {}))
    element.text = text or None
    element.extend(children)
    return element


def _document(root: ET.Element) -> str:
    """Laid out as Gluster does: two blanks a level, but all of a brick of `volume info` on one line."""
    ET.indent(root)
    for inner in root.iterfind(".//brick[@uuid]/*"):
        inner.tail = None
    body = ET.tostring(root, encoding="unicode").replace(" />", "/>")
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{body}\n'
