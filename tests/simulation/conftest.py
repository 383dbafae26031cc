"""Nights by the hundred."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Nights are full of broken lines; writing each into a log takes longer than living the night."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
