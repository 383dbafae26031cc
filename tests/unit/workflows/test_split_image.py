"""When an image counts as healed from the side that was chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import NotSplit
from cluster.facts import HealProgress
from cluster.rescue import Trouble
from engine.port import Waiting
from workflows.split_image import _no_longer_split

IMAGE = "/images/101/vm-101-disk-0.raw"
DATA = {"image": IMAGE, "volume": "vmstore", "gfid": "gfid", "brick": "pve1:/b"}


def steward(listed: str, down: tuple[str, ...]) -> Any:
    def split(volume: str, image: str) -> None:
        raise NotSplit("no brick lists it as split")

    troubles = tuple(Trouble("vmstore", "pve1:/b", name, split=False) for name in [listed] if name)
    rescue = SimpleNamespace(troubles=lambda: troubles, split=split)
    progress = HealProgress("pve2", {"pve1:/b": None if down else 0, "pve2:/b": 0}, 0, 0, (), down)
    return SimpleNamespace(
        site=SimpleNamespace(cluster=SimpleNamespace(rescue=rescue, heal_progress=lambda _: progress))
    )


def test_it_is_healed_when_nothing_of_it_is_listed_any_more() -> None:
    assert _no_longer_split(steward("/images/102/vm-102-disk-0.raw", ()), DATA, 7.0) == 7.0


@pytest.mark.parametrize("name", [IMAGE, "/.shard/gfid.3"])
def test_it_heals_as_long_as_it_or_a_piece_of_it_is_listed(name: str) -> None:
    assert _no_longer_split(steward(name, ()), DATA, 7.0) == Waiting("it heals: 1 entries of it are listed")


def test_while_a_brick_is_away_nobody_knows_whether_it_is_healed() -> None:
    """The side that was taken lists what it has for the others; when its brick goes, nothing is listed."""
    assert _no_longer_split(steward("", ("pve1:/b",)), DATA, 7.0) == Waiting("pve1:/b is down")
