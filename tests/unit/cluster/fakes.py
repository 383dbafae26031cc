"""A cluster of three nodes whose helpers answer from a table, and a clock that only pauses move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cluster.settings import ApiSettings, ClusterSettings, GlusterSettings, NodeSettings, SshSettings
from cluster.ssh import Done

SAMPLES = Path(__file__).parent / "samples"

Answer = Done | Exception | Callable[[], Done]


def xml(sample: str, rc: int = 0) -> Done:
    """What gluster said, as recorded."""
    return Done(rc, (SAMPLES / sample).read_bytes(), b"")


def settings(**more: Any) -> ClusterSettings:
    nodes = {name: NodeSettings(address=f"{name}.example", host_key="ssh-ed25519 AAAA") for name in NODES}
    api = ApiSettings(token_id="roundsman@pve!bot", token="secret")
    base: dict[str, Any] = {"name": "attic", "channel": "C1", "nodes": nodes, "api": api}
    return ClusterSettings(**{**base, "ssh": SshSettings(key_file="/key"), "gluster": GlusterSettings(), **more})


NODES = ("pve1", "pve2", "pve3")


class Clock:
    """Seconds; only `pause` lets time pass."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class FakeSsh:
    """Stands for a Shell. `answers`: the helper's words -> what comes back; a list is used up, its last one stays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers: dict[str, Answer | list[Answer]] = {}
        self.asked: list[str] = []
        self.limits: list[tuple[float, int]] = []
        self.twice: list[bool] = []

    def run(
        self, argv: Sequence[str], timeout: float, limit_bytes: int = 0, stdin: bytes = b"", *, twice: bool = False
    ) -> Done:
        assert list(argv[:3]) == ["sudo", "-n", "/usr/local/sbin/roundsman-helper"]
        words = " ".join(argv[3:])
        self.asked.append(words)
        self.limits.append((timeout, limit_bytes))
        self.twice.append(twice)
        answer = self.answers.get(words)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        assert answer is not None, f"nobody expected `{words}` on {self.name}"
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def close(self) -> None:
        self.asked.append("closed")
