"""What more than one way in costs, and how soon the next one answers. The cluster is the sandbox's, on real ports and
in a process of its own; measured is the bot's side alone: SSH, TLS, jump host and SOCKS proxy included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench._figures import show
from cluster.paths import Paths, PathTests
from cluster.proxmox import Proxmox
from cluster.settings import ClusterSettings
from sandbox.lines import Fault
from sandbox.model import Model
from sandbox.nodes import TOKEN, Faces
from sandbox.spec import ClusterSpec, NodeSpec, VolumeSpec

NODES, SILENCE_S, MINUTES, TRIES = 50, 3.0, 3, 3
STATUS = ["sudo", "-n", "/usr/local/sbin/roundsman-helper", "status"]


# ---- the cluster's side, in its own process ------------------------------------------------------------------------


def serve(nodes: int) -> None:
    """Prints how to reach it, then obeys one word a line until its input ends."""
    names = [f"pve{n}" for n in range(1, nodes + 1)]
    spec = ClusterSpec(nodes=tuple(map(NodeSpec, names)), volumes=(VolumeSpec(nodes=tuple(names[:3])),))
    with tempfile.TemporaryDirectory() as folder:
        faces = Faces(Model(spec, start=time.time()), time.time, Path(folder))
        faces.start()
        section = {**faces.section(), "name": "bench", "channel": "C0"}
        section["paths"] += [faces.socks_path().model_dump(mode="json", exclude={"silence"})]
        print(json.dumps(section), flush=True)
        for line in sys.stdin:
            obey(faces, line.split())
            print("done", flush=True)
        faces.stop()


def obey(faces: Faces, words: list[str]) -> None:
    match words:
        case ["hang"]:
            faces.faults.plan(Fault.HANG, node="pve1", what="status")
        case ["silence"]:
            faces.hold_ways()
            faces.run(lambda: be_silent(faces))
        case ["mend"]:
            faces.release_ways()
            faces.settle()


def be_silent(faces: Faces) -> None:
    for line in faces.direct_lines:
        line.silent = True


class Side:
    """That process, seen from here."""

    def __init__(self, nodes: int) -> None:
        argv = [sys.executable, __file__, "--serve", str(nodes)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._told = self._process.stdout
        self.section: dict[str, Any] = json.loads(self._told.readline())

    def tell(self, word: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._told.readline()

    def settings(self) -> ClusterSettings:
        api = {**self.section["api"], "token": TOKEN}
        paths = [{**path, "silence": f"{SILENCE_S:g}s"} for path in self.section["paths"]]
        return ClusterSettings.model_validate({**self.section, "api": api, "paths": paths})

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def cluster(nodes: int) -> Iterator[tuple[Side, ClusterSettings]]:
    side = Side(nodes)
    try:
        yield side, side.settings()
    finally:
        side.end()


# ---- the figures ---------------------------------------------------------------------------------------------------


def rounds() -> None:
    """A minute with its round of tests in it, and all that idle connections cost. Every API connection is made anew,
    for Proxmox VE closes idle ones after seconds."""
    shares, took = [], []
    with (
        cluster(NODES) as (_, settings),
        closing(Paths(settings)) as paths,
        closing(Proxmox(settings, paths)) as api,
        closing(PathTests(settings, paths, api, time.time)) as tests,
    ):
        dead = [test.why for test in tests.run() if not test.alive]
        assert not dead, dead[:3]
        for _ in range(MINUTES):
            api.close()
            began, cpu = time.monotonic(), time.process_time()
            tests.run()
            took.append(time.monotonic() - began)
            time.sleep(max(60.0 - (time.monotonic() - began), 0.0))
            shares.append((time.process_time() - cpu) / (time.monotonic() - began))
    share = sorted(shares)[len(shares) // 2]
    what = f"{NODES} nodes x 3 paths tested every minute, share of a core"
    show(what, f"{share:.1%}", "under 5 %", share < 0.05)
    show("the same: one round lasts at most", f"{max(took):.1f} s", "under 60 s", max(took) < 60)


def fail_over() -> None:
    """A read in flight on a line that falls silent; its own time is what it takes over the next path by itself."""
    for what, measure in (("SSH", _command), ("API", _question)):
        slowest = max(measure() for _ in range(TRIES))
        name = f"{what}: answer over the next path, without the read's own time"
        show(name, f"{slowest:.1f} s", f"silence limit {SILENCE_S:g} s + 1 s", slowest < SILENCE_S + 1.0)


def _command() -> float:
    """Seconds from the moment in which the line dies."""
    with cluster(3) as (side, settings), closing(Paths(settings)) as paths:
        own = _took(lambda: paths.line("pve1", "lte").run(STATUS, 30))
        paths.line("pve1", "direct").run(STATUS, 30)
        side.tell("hang")
        died: list[float] = []

        def die() -> None:
            side.tell("silence")
            died.append(time.monotonic())

        threading.Timer(0.5, die).start()
        paths.shells["pve1"].run(STATUS, 60, twice=True)
        return time.monotonic() - died[0] - own


def _question() -> float:
    with (
        cluster(3) as (side, settings),
        closing(Paths(settings)) as paths,
        closing(Proxmox(settings, paths)) as api,
    ):
        own = _took(lambda: api.once("pve1", "lte", "get", "version", {}))
        api.ask("pve1", "get", "version")
        side.tell("silence")
        return _took(lambda: api.ask("pve1", "get", "version")) - own


def _took(act: Any) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    else:
        fail_over()
        rounds()
