"""Nights by the hundred."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def nothing_old_is_looked_through() -> Iterator[None]:
    """What was loaded before the first night is no garbage, and looking through it is a twentieth of every night."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Nights are full of broken lines; writing each into a log takes longer than living the night."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
