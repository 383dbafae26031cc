"""The bench that measures from the first failed look to the first page, a tenth of it: that it runs, and that every
port that dies is paged for. How fast this machine is just now is no test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timing
@pytest.mark.timeout(240)
def test_every_port_that_dies_is_paged_for() -> None:
    program = [sys.executable, str(ROOT / "bench" / "probes.py"), "--short"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "paged: 5 of 5" in done.stdout
