"""A pretended node: a folder for its root, and a table of programs for its PATH."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "deploy" / "roundsman-helper"
RECORDED = Path(__file__).parents[1] / "cluster" / "samples"


@pytest.fixture(scope="session")
def helper() -> ModuleType:
    """The helper's one file, as a module; no bytecode is left beside it."""
    loader = importlib.machinery.SourceFileLoader("roundsman_helper", str(FILE))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = written
    return module


class Pve2:
    """Node pve2 at uptime 5000 s, healthy, part of a healthy pool. A test changes files, programs and the time.

    `programs`: the beginning of a command line -> what it prints, or (exit code, stdout, stderr), or a function that
    gives that; the longest match answers. `ran`: every command line. `marks`: file -> its extended attributes.
    """

    BOOT = "11111111-2222-3333-4444-555555555555"
    UUID = "5285e5bb-e6c2-4ba0-900d-a255b2a329b2"

    def __init__(self, helper: ModuleType, root: Path) -> None:
        self.helper, self.root = helper, root
        self.ran: list[str] = []
        self.marks: dict[str, dict[str, bytes]] = {}
        self.programs: dict[str, Any] = {
            "hostname": "pve2\n",
            "uname -r": "6.8.12-4-pve\n",
            "systemctl is-active roundsman-": (3, "inactive\n", ""),
            "systemctl is-active corosync": "active\n" * 8,
            "systemctl reboot": "",
            "systemd-run": "",
            "dpkg --audit": "",
            "gluster --mode=script pool list": self.recorded("pool_list.xml"),
            "gluster --mode=script volume info": self.recorded("volume_info_replica3.xml"),
            "gluster --mode=script volume heal vmstore info summary": self.recorded("summary_healthy.xml"),
            "apt-get -s": PLAN,
            "ha-manager": "",
        }
        self.file("/proc/uptime", "5000.00 9000.00\n")
        self.file("/proc/sys/kernel/random/boot_id", f"{self.BOOT}\n")
        self.file("/var/lib/glusterd/glusterd.info", f"UUID={self.UUID}\noperating-version=100000\n")
        self.file("/boot/vmlinuz-6.8.12-4-pve", "")
        self.file("/var/lib/dpkg/lock-frontend", "")

    @staticmethod
    def recorded(name: str) -> str:
        return (RECORDED / name).read_text()

    def file(self, name: str, text: str) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def at_uptime(self, seconds: float) -> None:
        self.file("/proc/uptime", f"{seconds:.2f} 9000.00\n")

    def order(self, words: str, forced: str = "") -> tuple[int, Any]:
        """Exit code and answer (JSON parsed, gluster's XML as text) of one order."""
        given = self.helper.order_given(words.split(), forced)
        try:
            answer = self.helper.obey(self.machine(), given)
        except self.helper.Refused as refused:
            return 3, {"refused": str(refused), "hint": refused.hint}
        if isinstance(answer, self.helper.Done):
            return answer.rc, answer.out
        return 0, json.loads(json.dumps(answer))

    def did(self, program: str) -> list[str]:
        return [line for line in self.ran if line.startswith(program)]

    def machine(self) -> Any:
        pve2 = self

        class Pretended(self.helper.Machine):  # type: ignore[misc, name-defined]
            def run(self, *argv: str, limit: float = 0.0) -> Any:
                return pve2._run(" ".join(argv))

            def lines(self, *argv: str, limit: float = 0.0) -> Any:
                yield from pve2._run(" ".join(argv)).out.splitlines()

            def xattrs(self, file: Path) -> dict[str, bytes]:
                return pve2.marks.get(f"/{file.relative_to(pve2.root)}", {})

        return Pretended(str(self.root))

    def _run(self, line: str) -> Any:
        self.ran.append(line)
        known = [start for start in self.programs if line.startswith(start)]
        answer: Any = (
            self.programs[max(known, key=len)] if known else (127, "", f"{line.split()[0]}: command not found")
        )
        if callable(answer):
            answer = answer()
        return self.helper.Done(*((0, answer, "") if isinstance(answer, str) else answer))


PLAN = """NOTE: This is only a simulation!
Reading package lists...
Inst libssl3 [3.0.15-1] (3.0.16-1 Debian:12/stable [amd64])
Inst pve-manager [8.3.0] (8.3.5 Proxmox:8/stable [amd64]) [bar:amd64 ]
Inst proxmox-kernel-6.8.12-9-pve-signed (6.8.12-9 Proxmox:8/stable [amd64])
Conf libssl3 (3.0.16-1 Debian:12/stable [amd64])
Conf pve-manager (8.3.5 Proxmox:8/stable [amd64])
Conf proxmox-kernel-6.8.12-9-pve-signed (6.8.12-9 Proxmox:8/stable [amd64])
"""


@pytest.fixture
def pve2(helper: ModuleType, tmp_path: Path) -> Pve2:
    return Pve2(helper, tmp_path)


HOLD = """import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock_holder(pve2: Any) -> Iterator[int]:
    """A real process that holds the frontend lock as apt does."""
    lock = pve2.root / "var/lib/dpkg/lock-frontend"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pve2.file(f"/proc/{process.pid}/comm", "unattended-upgr\n")
        yield process.pid
        process.kill()
