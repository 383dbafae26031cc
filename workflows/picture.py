"""What a run is doing, read off its row and its journal, never kept a second time. The board, `/upgrade status` and
`/upgrade why` only show this."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from store.api import Entry, OrderRow, RunRow
from workflows.orders import Order
from workflows.phases import STATES, UNTOUCHED, Phase, key_of, parsed, unnumbered

ORDER_KEY = "run.look.order.wait"
GONE = "gone"
"""What a wait for a guest sees of one that somebody removed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a run waits for. Times in seconds since the epoch. `detail` of a heal wait: {"pending": {brick: n|null},
    "curve": [[time, total], ...], "split_brain": n, "down": [brick, ...]}."""

    key: str
    why: str
    who: str
    seen: str
    since: float
    deadline: float
    looked_at: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodePicture:
    """`state`: one word of workflows.phases (waiting, asking, draining, upgrading, rebooting, healing, returning, done,
    skipped, ...). `note`: half a sentence ("new kernel 6.8.12-9-pve", "nothing to do")."""

    node: str
    state: str
    since: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunPicture:
    """`state`: running, holding, watching, done, aborted, refused. `left`: what it changed and has not put back."""

    run_id: str
    cluster: str
    state: str
    started_at: float
    started_by: str
    finished_at: float | None
    nodes: tuple[NodePicture, ...]
    wait: Wait | None
    left: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    outcome: str = ""
    why: str = ""
    """Why it was refused, "" if it was not."""
    dry_run: bool = False


class Step(NamedTuple):
    """An entry of one node's way: its phase, and the rest of its key without the number of its try."""

    entry: Entry
    phase: Phase | None
    rest: str

    @property
    def last(self) -> bool:
        """How the node ended as a whole."""
        return self.entry.kind == "result" and "." not in self.entry.key


def by_node(nodes: Iterable[str], entries: Iterable[Entry]) -> Mapping[str, list[Step]]:
    """Node -> its steps, oldest first. One pass: a cluster may have hundreds of nodes, and each hundreds of steps."""
    found: dict[str, list[Step]] = {node: [] for node in nodes}
    for entry in entries:
        node, phase, rest = parsed(entry.key)
        if node in found:
            found[node].append(Step(entry, phase, rest))
    return found


def picture(run: RunRow, entries: Sequence[Entry], given: Sequence[OrderRow] = ()) -> RunPicture:
    """`given`: the run's orders, for its overrides."""
    ways = by_node(nodes_of(run, entries), entries)
    wait = wait_of(run)
    result = run.result or {}
    return RunPicture(
        run_id=run.id,
        cluster=run.cluster,
        state=state_of(run, wait),
        started_at=run.created_at,
        started_by=run.created_by,
        finished_at=run.finished_at,
        nodes=tuple(_node(node, way, wait, run.state == "active") for node, way in ways.items()),
        wait=wait,
        left=tuple(_left(list(ways), entries)),
        overrides=tuple(f"{o.about}: {o.reason} (<@{o.by}>)" for o in given if o.verb == Order.OVERRIDE),
        outcome=result.get("state", ""),
        why=result.get("why", ""),
        dry_run=bool(run.args.get("dry_run")),
    )


def nodes_of(run: RunRow, entries: Sequence[Entry]) -> list[str]:
    for entry in entries:
        if entry.key == ORDER_KEY and entry.kind == "result" and entry.value and entry.value[0] == "saw":
            return list(entry.value[1]["nodes"])
    return list(run.args.get("nodes", []))


def wait_of(run: RunRow) -> Wait | None:
    if run.state != "active" or not run.parked:
        return None
    p = run.parked
    return Wait(
        key=p["key"],
        why=p["why"],
        who=p["who"],
        seen=p["seen"],
        since=p["since"],
        deadline=p["deadline"],
        looked_at=p["looked_at"],
        detail=p.get("detail") or {},
    )


def state_of(run: RunRow, wait: Wait | None) -> str:
    if run.state != "active":
        return str((run.result or {}).get("state", "done"))
    if wait is None:
        return "running"
    if ".hold" in wait.key:
        return "holding"
    if ".paused" in wait.key:
        return "paused"
    return "watching" if wait.key.startswith("watch.") else "running"


def _node(node: str, way: Sequence[Step], wait: Wait | None, active: bool) -> NodePicture:
    """The last phase that the journal knows of this node, since its first entry in a row."""
    phase, since, released = None, None, False
    for step in way:
        entry, found, _ = step
        if step.last:
            return NodePicture(node, _ended(str(entry.value)), entry.at, str(entry.value))
        released = released or found is Phase.RELEASE
        if found is Phase.MOVE and released:
            found = Phase.RETURN  # the same moves, the other way
        if found and found is not phase:
            phase, since = found, entry.at
    if phase is None or phase is Phase.PREFLIGHT or (phase in UNTOUCHED and not active):
        return NodePicture(node, "waiting" if active else "not taken", None)
    if phase is Phase.PUT_BACK and not active:
        return NodePicture(node, "put back", since)
    if wait is not None and ".hold" in wait.key and wait.key.startswith(f"{node}."):
        return NodePicture(node, "holding", wait.since)  # why, the wait says
    return NodePicture(node, STATES[phase], since)


def _ended(outcome: str) -> str:
    return outcome if outcome in ("skipped", "nothing to do") else "done"


def _left(nodes: Sequence[str], entries: Sequence[Entry]) -> Iterator[str]:
    """What this run changed and has not put back, by its results; the world is asked where it is put back."""
    results = [e for e in entries if e.kind == "result" and isinstance(e.value, list)]
    did = {unnumbered(e.key) for e in results if e.value[:1] == ["did"]}
    saw = {unnumbered(e.key): e.value[1] for e in results if e.value[:1] == ["saw"]}
    unclear = {unnumbered(e.key) for e in results if e.value[:1] == ["unclear"]}
    for node in nodes:
        on = key_of(node, Phase.MAINTENANCE)
        if on in did | unclear and not _released(node, saw):
            yield f"{node} {'is' if on in did else 'may be'} in maintenance mode"
        if key_of(node, Phase.CEPH, "noout") in did and key_of(node, Phase.CEPH, "back") not in did:
            yield "noout is set on Ceph"
        yield from _down(node, did, saw)


def _down(node: str, did: Collection[str], saw: Mapping[str, Any]) -> Iterator[str]:
    """Guests that were shut down, or whose onboot was switched off, until that was seen to be over."""
    for key in sorted(k for k in did if k.startswith(f"{node}.{Phase.STOP}.") and k.endswith(".onboot")):
        guest = key.split(".")[2]
        off, on = key_of(node, Phase.STOP, f"{guest}.off"), key_of(node, Phase.RETURN, f"{guest}.onboot")
        if _removed(node, guest, saw):
            continue
        if saw.get(key_of(node, Phase.RETURN, f"{guest}.running.wait")) != "running":
            yield f"guest {guest} is shut down"
        elif off in did and on not in did:
            yield f"onboot of guest {guest} is off"


def _removed(node: str, guest: str, saw: Mapping[str, Any]) -> bool:
    """Some wait for it saw that it is no more."""
    return any(
        seen == GONE and key.startswith(f"{node}.") and parsed(key)[2].startswith(f"{guest}.")
        for key, seen in saw.items()
    )


def _released(node: str, saw: Mapping[str, Any]) -> bool:
    """Its end was seen, not only ordered: what HA does about an order may take hours, and people must know."""
    gone = (key_of(node, phase, "reached.wait") for phase in (Phase.RELEASE, Phase.PUT_BACK))
    asked = saw.get(key_of(node, Phase.PUT_BACK, "asked.wait"), {})
    return any(key in saw for key in gone) or asked.get("maintenance") is False
