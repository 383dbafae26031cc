"""In which folder a storage keeps the disks of guests."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.restores import LiveRescue
from tests.unit.cluster.fakes import NODES, settings
from tests.unit.cluster.test_pve_rows import FakeApi


@pytest.mark.parametrize(
    ("config", "images"),
    [
        ({}, "images"),
        ({"content-dirs": "images=guests/disks"}, "guests/disks"),
        ({"content-dirs": "backup=dumps,images=/disks/"}, "disks"),
        ({"content-dirs": "backup=images"}, "images"),
    ],
)
def test_a_folder_that_was_moved_is_known(config: dict[str, str], images: str) -> None:
    api: Any = FakeApi()
    row = {"storage": "gfs", "type": "dir", "content": "images"}
    known = [{"storage": "gfs", "path": "/mnt/pve/vmstore"} | config]
    api.answers = {"storage": known, **{f"nodes/{node}/storage": [row] for node in NODES}}
    rescue = LiveRescue(api, {}, settings(), map, lambda: "")
    assert {(space.path, space.images) for space in rescue.spaces()} == {("/mnt/pve/vmstore", images)}
