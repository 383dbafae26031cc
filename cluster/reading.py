"""From a question to a Reading: the answer, or why there is none, with the time it was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from cluster.api import ClusterError
from cluster.facts import Read, Reading, Unread

T = TypeVar("T")
P = ParamSpec("P")


def reading(clock: Callable[[], float], ask: Callable[P, T], *args: P.args, **named: P.kwargs) -> Reading[T]:
    """The answer of `ask(*args)`, stamped with the moment before the question: it is at least as old as that."""
    at = clock()
    try:
        return Read(ask(*args, **named), at)
    except ClusterError as error:
        return Unread(told(error), at)


def told(error: ClusterError) -> str:
    """An error with its hint, in one line."""
    return f"{error} ({error.hint})" if error.hint else str(error)
