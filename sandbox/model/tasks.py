"""PVE's tasks: started on a node, named by a UPID, gone quiet when the node goes dark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.model.core import Core

ROOT = "root@pam"


@dataclass(slots=True)
class Task:
    """`guest`: its id as text, may be empty. `exit`: "" while it runs, then "OK" or what went wrong. `lasts`: as
    planned, in seconds."""

    upid: str
    node: str
    kind: str
    guest: str
    user: str
    started: float
    finish: Callable[[], str]
    cut: Callable[[], None]
    ended: float | None = None
    exit: str = ""
    lasts: float | None = None

    @property
    def running(self) -> bool:
        return self.ended is None


class Tasks:
    def __init__(self, core: Core) -> None:
        self.core = core
        self.all: dict[str, Task] = {}
        self._pid = 0x1000

    def start(
        self,
        kind: str,
        node: str,
        guest: int | str,
        user: str,
        lasts: float | None,
        finish: Callable[[], str] = lambda: "OK",
        cut: Callable[[], None] = lambda: None,
    ) -> str:
        """A new task; `finish` does its work at its end and says how it went, `cut` cleans up if the node dies before.
        `lasts` None: until somebody calls `end`."""
        upid = self._upid(node, kind, str(guest), user)
        task = self.all[upid] = Task(upid, node, kind, str(guest), user, self.core.now, finish, cut, lasts=lasts)
        if lasts is not None:
            self.core.later(lasts, lambda: self.end(task))
        self.core.version += 1
        return upid

    def end(self, task: Task) -> None:
        if task.running:
            task.exit = task.finish()
            task.ended = self.core.now

    def running(self, node: str) -> list[Task]:
        return [task for task in self.all.values() if task.running and task.node == node]

    def node_dark(self, node: str) -> None:
        """Its workers die with it, without a last word."""
        for task in self.running(node):
            task.exit, task.ended = "unexpected status", self.core.now
            task.cut()

    def newest(self, kind: str, guest: int, since: float, user: str) -> Task | None:
        fits = [
            task
            for task in self.all.values()
            if task.kind == kind and task.guest == str(guest) and task.user == user and task.started >= since
        ]
        return fits[-1] if fits else None

    def _upid(self, node: str, kind: str, guest: str, user: str) -> str:
        self._pid += 1
        ticks = int(self.core.now * 100) & 0xFFFFFFFF
        return f"UPID:{node}:{self._pid:08X}:{ticks:08X}:{int(self.core.now):08X}:{kind}:{guest}:{user}:"
