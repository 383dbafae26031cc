"""Records: small classes that nobody changes once they are made, compared by what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(made: type[T]) -> type[T]:
    """A frozen dataclass with slots, held to it by the type checker alone.

    For what is made by the thousand: a `frozen=True` that watches at run time makes each of them three times as dear,
    and a simulated night, which makes six thousand, a sixth slower.
    """
    return dataclass(slots=True, unsafe_hash=True)(made)
