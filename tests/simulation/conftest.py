"""Nights by the hundred."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def nothing_old_is_looked_through() -> Iterator[None]:
    """What was loaded before the first night is no garbage, and looking through it is a twentieth of every night."""
    gc.freeze()
    yield
    gc.unfreeze()
