"""The bot's engine on the lab: the real workflow, journal, runner and adapters; Slack alone is simulated, with a Carol
who approves at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.api import UnitState
from cluster.install import helper_checksum
from cluster.live import LiveCluster
from engine.journal import Pace, Rules
from engine.port import Workflow
from engine.runner import Runner
from sandbox.cast import ALICE, CAROL, readable
from sandbox.simchat import SimChat
from store.api import RunRow
from store.opening import open_store
from tests.lab.hardware import Lab
from tests.lab.stand_in import ProxmoxStandIn
from workflows import catalogue
from workflows.approvals import note_vote
from workflows.site import Site

PACE = Pace(divisor=40, least=0.25, most=5.0)
"""The lab's own pace: it heals in seconds what a data centre heals in hours."""


class LabBot:
    def __init__(self, proxmox: ProxmoxStandIn, folder: Path) -> None:
        self.managed = proxmox.settings()
        self.store = open_store(folder / "roundsman.sqlite3")
        self.chat = SimChat()
        self.live = LiveCluster(self.managed, time.time, time.sleep)
        self.site = Site(self.managed, self.live, self.chat, self.store, time.time, helper_checksum())
        self.thread: list[str] = []
        self.died: list[BaseException] = []
        self._stopping = threading.Event()
        self._woken: Callable[[], None] = lambda: None
        self._poster = threading.Thread(target=self._post, name="posting", daemon=True)

    def run(self, workflow: Workflow | None = None, *, timeout: float = 1800.0) -> RunRow:
        """One run from its start to its end."""
        workflows = {"rolling_upgrade": workflow} if workflow else catalogue({"lab": self.site})
        runner = Runner(
            self.store, workflows, time.time, self.died.append, rules=Rules(PACE), exit_process=lambda _: None
        )
        args = {
            "cluster": "lab",
            "nodes": ["pve1", "pve2", "pve3"],
            "reboot": "if-needed",
            "dry_run": False,
            "by": ALICE,
        }
        now = time.time()
        self._woken = runner.wake
        self._poster.start()
        runner.begin()
        runner.start(RunRow("lab-run", "rolling_upgrade", "lab", args, "active", now, ALICE, now))
        try:
            return self._wait(timeout)
        finally:
            self._stopping.set()
            runner.stop()
            self._poster.join()

    def _wait(self, timeout: float) -> RunRow:
        deadline = time.monotonic() + timeout
        row = None
        while time.monotonic() < deadline and not self.died:
            row = self.store.run("lab-run")
            if row and row.state == "done":
                return row
            if row and ".hold" in (row.parked or {}).get("key", ""):
                break
            time.sleep(0.2)
        parked = row.parked if row else None
        raise AssertionError(f"not done: {self.died or parked}\n" + "\n".join(self.thread))

    def _post(self) -> None:
        while not self._stopping.wait(0.1):
            for row in self.store.undelivered(time.time()):
                ts = self.chat.post(time.time(), row.message["kind"], "")
                self.store.delivered(row.id, time.time(), self.managed.channel, ts)
                self.thread.append(f"{time.strftime('%H:%M:%S')} {readable(row.message['text'])}")
                if row.message["kind"] == "approval":
                    self.chat.react(ts, CAROL, "white_check_mark")
                    marked = (row.run_id, row.key, CAROL, "white_check_mark", True, time.time())
                    note_vote(self.store, self.chat, self.managed, *marked)
                    self._woken()


class OldScript:
    """The way of 2017 to a node: ssh, apt-get, reboot, and nobody on the node who says no. Reads are the live ones."""

    def __init__(self, live: LiveCluster, lab: Lab) -> None:
        self._live, self._lab = live, lab

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._live, verb)

    def upgrade(self, node: str, unit: str, plan_checksum: str, not_after_uptime: float) -> None:
        self._lab.nodes[node].run("apt-get", "-y", "dist-upgrade")

    def unit(self, node: str, unit: str) -> UnitState:
        return UnitState(began=True, exit=0)

    def reboot(self, node: str, boot_id: str, not_after_uptime: float) -> None:
        self._lab.nodes[node].run("systemctl", "reboot")
