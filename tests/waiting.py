"""Waiting for what must come. How long that takes is the machine's affair, and no test's: a deadline is there to end a
wait for what never comes, and costs nothing when it comes."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""So long a slow and busy machine may take for anything that a quick one does in a moment."""
LOOK_S = 0.02


def eventually(true: Callable[[], object], within: float = PATIENCE_S, tell: Callable[[], str] = lambda: "") -> None:
    """Returns when it is `true`. `within`: seconds until it is given up; `tell`: what is said then."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"it did not come to be within {within:.0f} s\n{tell()}"
        time.sleep(LOOK_S)
