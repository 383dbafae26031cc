"""What the tests of the adapters share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.cluster.fakes import NODES, Clock, FakeSsh


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ssh() -> dict[str, FakeSsh]:
    return {name: FakeSsh(name) for name in NODES}


@pytest.fixture
def workers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool
