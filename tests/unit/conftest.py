"""What the unit tests share: every kind of store, so that what holds for one holds for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.api import Store
from store.memory import MemoryStore
from store.opening import open_store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = MemoryStore(check_plain=True) if request.param == "memory" else open_store(tmp_path / "night.db")
    yield opened
    opened.close()
