"""Tests that measure or kill run one after the other, in one worker of xdist, whatever else goes on beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest

FILE = """\
import os, pathlib, pytest, time

@pytest.mark.timing
@pytest.mark.parametrize("n", range(6))
def test_seconds(n):
    pathlib.Path(os.environ["PYTEST_XDIST_WORKER"] + ".alone").touch()
    time.sleep(0.1)

def test_other():
    pass
"""


def test_marks_are_read_off_decorators_and_off_the_file(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(FILE)
    (tmp_path / "all.py").write_text("pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]\n")
    (tmp_path / "none.py").write_text("@pytest.mark.slow\ndef test_a(): ...\n")
    found = {name: conftest.tests_alone(tmp_path / f"{name}.py") for name in ("some", "all", "none")}
    assert found == {"some": {"test_seconds"}, "all": {"*"}, "none": set()}


@pytest.mark.slow
def test_with_several_workers_only_one_of_them_gets_those_that_are_alone(tmp_path: Path) -> None:
    """With xdist's own scheduler this fails: it hands such tests to every worker."""
    shutil.copy(conftest.__file__, tmp_path / "conftest.py")
    (tmp_path / "test_some.py").write_text(FILE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    timing: as in the project\n")
    argv = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "loadgroup", "-q", "--rootdir", str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
    assert len(list(tmp_path.glob("*.alone"))) == 1
