"""The pretend guests: they write and fsync all the while, and more when a node is off: much to heal."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.hardware import HERE, MOUNT, Lab, wait_for

IMAGES = {101: "images/101/vm-101-disk-0.raw", 102: "images/102/vm-102-disk-0.raw"}
RATE, BLOCKS = 40, 2048
BURST_MIB = 150
"""Written to each image while a node is off: what the guests of 2017 wrote in minutes."""


@dataclass
class Writes:
    """What one guest saw: how many writes, how many errors by name, and the slowest in seconds."""

    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0


class PretendGuests:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._writers: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        self._burster = threading.Thread(target=self._watch_nodes, name="bursts", daemon=True)

    def start(self) -> None:
        for image in IMAGES.values():
            path = f"{MOUNT}/{image}"
            self.lab.client.run("mkdir", "-p", str(Path(path).parent))
            self.lab.client.run("dd", "if=/dev/urandom", f"of={path}", "bs=1M", f"count={BURST_MIB}", "conv=fsync")
        for guest, image in IMAGES.items():
            argv = ["/usr/bin/python3", str(HERE / "writer.py"), f"{MOUNT}/{image}", str(RATE), str(BLOCKS)]
            with self._log(guest).open("w") as log:
                self._writers[guest] = subprocess.Popen(self.lab.client.argv(*argv), stdout=log, stderr=log)
        wait_for("the first writes", lambda: all(self.seen(g).done > 10 for g in IMAGES), 120)
        self._burster.start()

    def _log(self, guest: int) -> Path:
        return self.lab.folder / f"writes-{guest}.log"

    def _watch_nodes(self) -> None:
        """A burst into each image whenever a node has gone dark."""
        dark: set[str] = set()
        while not self._stopping.wait(0.1):
            now = {name for name, node in self.lab.nodes.items() if not node.pid}
            if now - dark:
                for image in IMAGES.values():
                    argv = ["dd", "if=/dev/urandom", f"of={MOUNT}/{image}", "bs=1M", f"count={BURST_MIB}"]
                    self.lab.client.run(*argv, "seek=8", "conv=notrunc,fsync", check=False, timeout=300)
            dark = now

    def stop(self) -> None:
        self._stopping.set()
        self._burster.join(310)
        for writer in self._writers.values():  # nsenter, whose child is the writer
            children = Path(f"/proc/{writer.pid}/task/{writer.pid}/children").read_text().split()
            subprocess.run(["kill", "-TERM", *(children or [str(writer.pid)])], check=False)
            writer.wait(150)

    def seen(self, guest: int) -> Writes:
        writes = Writes()
        for line in self._log(guest).read_text().splitlines():
            _, word, *rest = line.split()
            if word == "ok":
                writes.done += 1
            elif word == "error":
                writes.errors[rest[0]] = writes.errors.get(rest[0], 0) + 1
            writes.slowest = max(writes.slowest, float(rest[-1]))
        return writes
