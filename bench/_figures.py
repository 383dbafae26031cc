"""What the benches share: percentiles, and one way to print a figure beside what it is held to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parent.parent / "tests" / "scenarios"


def at(share: float, values: Sequence[float]) -> float:
    """The value that this share of them does not exceed: at(0.99, ...) is the 99th percentile."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def show(what: str, figure: str, target: str, reached: bool) -> None:
    """One line. A figure that is missed is shown, not failed: how fast this machine is just now is no test."""
    print(f"{'reached' if reached else 'MISSED ':<8} {what:<62} {figure:>12}   (target: {target})", flush=True)
