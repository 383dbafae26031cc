"""Runs that a former version of the bot began go on: their journals hold less than today's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from cluster.api import NotSplit
from cluster.facts import HealProgress
from cluster.rescue import Trouble
from workflows.backup import save
from workflows.split_image import _is_split, _no_longer_split
from workflows.steward import Steward
from workflows.wheel import Wheel

IMAGE = "/images/101/vm-101-disk-0.raw"
FORMER = {"image": IMAGE, "brick": "pve1:/b", "question": "May I take the copy on pve1?"}


def steward(*troubles: Trouble) -> Steward:
    def split(volume: str, image: str) -> None:
        assert (volume, image) == ("vmstore", IMAGE)
        raise NotSplit("it is whole")

    rescue = SimpleNamespace(troubles=lambda: troubles, split=split)
    progress = HealProgress("pve1", {"pve1:/b": 0, "pve2:/b": 0}, 0, 0, ())
    cluster = SimpleNamespace(rescue=rescue, heal_progress=lambda avoid: progress)
    return cast(Steward, SimpleNamespace(site=SimpleNamespace(cluster=cluster)))


def test_a_side_that_was_approved_before_the_volume_was_kept_is_still_waited_for() -> None:
    torn = Trouble("vmstore", "pve1:/b", IMAGE, True)
    assert _is_split(steward(torn), FORMER)
    assert not _is_split(steward(), FORMER)
    assert _no_longer_split(steward(), FORMER, 7.0) == 7.0
    assert not _is_split(steward(torn), {**FORMER, "volume": "vmstore"})


class Former:
    """A wheel whose journal was written by a former version: of the new backup it knows the volume id alone."""

    def __init__(self) -> None:
        limits = SimpleNamespace(restore=600.0)
        self.site = SimpleNamespace(managed=SimpleNamespace(limits=limits))
        self.over: set[str] = set()
        self.told: list[str] = []

    def key(self, stage: Any, detail: str) -> str:
        return f"run.{stage}.{detail}"

    def act(self, stage: Any, fn: Any, detail: str) -> Any:
        return 1000.0 if detail.endswith("began") else "UPID:pve1:1"

    def wait(self, stage: Any, probe: Any, timeout: float, **_: str) -> Any:
        return {"error": "", "took": 60.0, "said": ""}

    def read(self, stage: Any, fn: Any, what: str, detail: str) -> Any:
        return "backup:backup/vm/101/x"

    def say(self, stage: Any, detail: str, fn: Any) -> None:
        self.told.append(fn().text)


def test_a_backup_that_was_found_before_its_protection_was_kept_is_told_as_it_was() -> None:
    wheel = Former()
    assert save(cast(Wheel, wheel), 101, "router-a", "backup") == "backup:backup/vm/101/x"
    assert "It is protected" not in wheel.told[-1]
