"""What a run is doing, read off its row and its journal, never kept a second time. The board, `/upgrade status` and
`/upgrade why` only show this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    dry_run: bool = False
