"""What the benches share: percentiles, and one way to print a figure beside what it is held to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parent.parent / "tests" / "scenarios"


def at(share: float, values: Sequence[float]) -> float:
    """The value that this share of them does not exceed: at(0.99, ...) is the 99th percentile."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def process_s(pid: int) -> float:
    """Processor time that a process has used so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def show(what: str, figure: str, target: str, reached: bool) -> None:
    """One line. A figure that is missed is shown, not failed: how fast this machine is just now is no test."""
    print(f"{'reached' if reached else 'MISSED ':<8} {what:<62} {figure:>12}   (target: {target})", flush=True)
