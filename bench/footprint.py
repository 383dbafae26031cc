"""What the real bot (`roundsman run`) takes: from its start to its first acknowledged command, and memory when idle.

Both are those of the unchanged process on the sandbox's Slack and cluster. Its memory is read twice: right after the
start, and after a dry run has used every library it has (SSH, HTTPS, Slack). Five starts, the middle one counts.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench._figures import show
from sandbox.house import BotProcess, House, house
from sandbox.scenario import Scenario
from sandbox.slack import ALICE, CHANNEL
from sandbox.spec import default_spec

STARTS = 5
FIRST_S, MEMORY_MB = 3.0, 150
SETTLED_S, PATIENCE_S = 3.0, 60.0


def main() -> int:
    scenario = Scenario("footprint", "", default_spec(), (), (), start=time.time())
    with tempfile.TemporaryDirectory() as folder, house(scenario, 1.0, Path(folder)) as around:
        firsts = [first_answer(around) for _ in range(STARTS)]
        fresh, used = memory(around)
    told = ", ".join(f"{first:.2f}" for first in sorted(firsts))
    middle = statistics.median(firsts)
    print(f"{STARTS} starts, seconds each: {told}")
    show("start to the first acknowledged command", f"{middle:.2f} s", f"under {FIRST_S:.0f} s", middle < FIRST_S)
    show("resident memory, idle after the start", f"{fresh} MB", f"under {MEMORY_MB} MB", fresh < MEMORY_MB)
    show("resident memory, idle after a dry run", f"{used} MB", f"under {MEMORY_MB} MB", used < MEMORY_MB)
    return 0


def first_answer(around: House) -> float:
    """Seconds from the start of the process. It is ended in order afterwards."""
    began = time.monotonic()
    with around.bot() as bot:
        await_answer(around, bot)
        return time.monotonic() - began


def memory(around: House) -> tuple[int, int]:
    """MB of one process: before it has done anything, and after a dry run."""
    with around.bot() as bot:
        await_answer(around, bot)
        time.sleep(SETTLED_S)
        fresh = resident_mb(bot.pid)
        around.slack.type(ALICE, CHANNEL, "/upgrade cluster dry-run")
        around.slack.wait_for(lambda message: "This is what a run would do" in message.text, PATIENCE_S)
        time.sleep(SETTLED_S)
        return fresh, resident_mb(bot.pid)


def await_answer(around: House, bot: BotProcess) -> None:
    end = time.monotonic() + PATIENCE_S
    while around.slack.type(ALICE, CHANNEL, "/upgrade help").failure:
        if not bot.alive or time.monotonic() > end:
            raise SystemExit(f"footprint: the bot never answered; its log:\n{(around.folder / 'bot.log').read_text()}")
        time.sleep(0.02)


def resident_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    if found is None:
        raise SystemExit("footprint: /proc does not say how much memory the bot takes")
    return int(found[1]) // 1024


if __name__ == "__main__":
    sys.exit(main())
