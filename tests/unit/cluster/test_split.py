"""An image in split-brain as its peers tell it: each its own copies, and what it sees of what is split."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import NotSplit
from cluster.helper import Copies
from cluster.rescue import Side, entries_mark
from cluster.restores import LiveRescue
from tests.unit.cluster.fakes import NODES, settings

IMAGE = "/images/101/vm-101-disk-0.raw"


def rescue(**entries: tuple[str, ...]) -> LiveRescue:
    """Peer -> what it sees of what is split; each has a copy."""

    def copies(node: str) -> Copies:
        side = Side(f"{node}:/brick", "", 1, 0.0, 0.0, {})
        return Copies("gfid", entries[node], entries_mark("gfid", entries[node]), (side,))

    helpers: dict[str, Any] = {node: SimpleNamespace(split=lambda *_, node=node: copies(node)) for node in NODES}
    return LiveRescue(None, helpers, settings(), map, lambda: "")  # type: ignore[arg-type]


def test_it_is_split_if_any_peer_sees_it_and_that_one_is_told_to_choose() -> None:
    """A glusterd that takes another node for disconnected lists nothing as split, for it cannot compare."""
    found = rescue(pve1=(), pve2=(IMAGE,), pve3=(IMAGE,)).split("vmstore", IMAGE)
    assert (found.node, found.entries) == ("pve2", (IMAGE,))
    assert [(side.node, side.brick) for side in found.sides] == [(node, f"{node}:/brick") for node in NODES]


def test_it_is_not_split_if_no_peer_sees_it() -> None:
    with pytest.raises(NotSplit, match=f"{IMAGE} is not in split-brain on vmstore"):
        rescue(pve1=(), pve2=(), pve3=()).split("vmstore", IMAGE)
