"""A model cluster with its real-protocol faces, and the libraries that speak to them.

Model time stands still but when a test moves it, so whatever takes minutes there takes none here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests
from proxmoxer import ProxmoxAPI

from cluster.settings import ClusterSettings
from cluster.ssh import Done, SshNode
from sandbox.clock import VirtualClock
from sandbox.model import Model
from sandbox.model.model import OUR_USER
from sandbox.nodes import TOKEN, Faces
from sandbox.spec import ClusterSpec
from tests.waiting import PATIENCE_S

START = 1_800_000_000.0
HELPER = ("sudo", "-n", "/usr/local/sbin/roundsman-helper")


class Night:
    """A cluster at rest with its faces, and the two libraries that speak to them."""

    def __init__(self, directory: Path, spec: ClusterSpec) -> None:
        self.clock = VirtualClock(START)
        self.model = Model(spec, start=START)
        self.faces = Faces(self.model, self.clock, directory)
        self.faces.start()
        self._sessions: list[requests.Session] = []

    def end(self) -> None:
        for session in self._sessions:
            session.close()
        self.faces.stop()

    @property
    def settings(self) -> ClusterSettings:
        return self.faces.settings()

    def pass_time(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.faces.settle()

    def api(self, node: str, token: str = TOKEN) -> Any:
        user, _, name = OUR_USER.partition("!")
        api = ProxmoxAPI(
            "127.0.0.1",
            port=self.settings.nodes[node].api_port,
            user=user,
            token_name=name,
            token_value=token,
            verify_ssl=self.settings.api.ca_file,
            timeout=PATIENCE_S,
        )
        self._sessions.append(api._store["session"])
        return api

    def ssh(self, node: str, *words: str, timeout: float = PATIENCE_S) -> Done:
        line = SshNode(node, self.settings.nodes[node], self.settings.ssh)
        try:
            return line.run(words, timeout)
        finally:
            line.close()

    def helper(self, node: str, *words: str) -> Any:
        return json.loads(self.ssh(node, *HELPER, *words).out)

    def power_cut(self, node: str) -> None:
        self.faces.run(lambda: self.model.machines.cut(self.model.node(node), comes_back=False))
        self.faces.settle()
