"""A cluster on real ports for every test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.spec import ClusterSpec, default_spec
from tests.edges.facing import Night


@pytest.fixture
def start_night(tmp_path: Path) -> Iterator[Callable[[ClusterSpec], Night]]:
    nights: list[Night] = []

    def start(spec: ClusterSpec) -> Night:
        nights.append(Night(tmp_path, spec))
        return nights[-1]

    yield start
    for night in nights:
        night.end()


@pytest.fixture
def night(start_night: Callable[[ClusterSpec], Night]) -> Night:
    return start_night(default_spec())
