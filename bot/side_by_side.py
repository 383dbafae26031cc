"""Several things that block, done at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MOST = 32
"""So many at a time: everybody of a large policy, in every way that rings."""


def side_by_side(works: Sequence[Callable[[], T]]) -> list[T]:
    """Their answers in the same order, once all are through; what one of them raised is raised then. Each call has
    threads of its own: a service that hangs for one outage holds up no other one."""
    if len(works) < 2:
        return [work() for work in works]
    with ThreadPoolExecutor(min(len(works), MOST), "page") as pool:
        answers = [pool.submit(work) for work in works]
    return [answer.result() for answer in answers]
