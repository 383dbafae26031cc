"""How fast whole nights are lived: people, faults, crashes, invariants after each step, on one core, no transcript.

A simulation that is slow is run rarely, and finds little: a planted fault that breaks one night in a hundred should be
found within a second. Beside it: the same nights at the pace of life, and one scenario with its whole transcript.
Processor time of this process is what counts, so that a busy machine does not spoil the figure.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable

from bench._figures import SCENARIOS, show
from engine.journal import Rules
from sandbox.luck import SIMULATED, night_of
from sandbox.night import Night
from sandbox.scenario import load

NIGHTS = 100
TIMES = 5
PER_S, SCENARIO_MS = 100, 100
PROTOTYPE = "a prototype with far fewer gates: 155 to 229"


def main() -> None:
    logging.disable(logging.CRITICAL)  # nights are full of broken lines, and a trace of each is no part of the figure
    night_of(0)  # the first one loads the code,
    gc.freeze()  # and no later one looks through it for garbage, as in the tests
    gc.set_threshold(10_000)
    nights_at("simulator pace", SIMULATED, f"{PER_S}/s; {PROTOTYPE}")
    nights_at("real pace", Rules(strict=True), f"none, to compare; {PROTOTYPE.replace('155 to 229', '94')}")
    scenario()


def nights_at(pace: str, rules: Rules, target: str) -> None:
    crashes: list[int] = []
    took = cpu_s(lambda: crashes.extend(night_of(seed, rules=rules).crashes for seed in range(NIGHTS)))
    speed = NIGHTS / took
    show(
        f"nights per second, {pace} ({sum(crashes) / NIGHTS:.1f} crashes a night)",
        f"{speed:.0f}",
        target,
        speed >= PER_S,
    )


def scenario() -> None:
    story = load(SCENARIOS / "good-night")
    took = min(cpu_s(lambda: Night(story).live()) for _ in range(TIMES)) * 1000
    show(
        "the scenario good-night with its whole transcript", f"{took:.0f} ms", f"{SCENARIO_MS} ms", took <= SCENARIO_MS
    )


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
