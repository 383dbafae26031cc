"""What namespaces cannot be: Proxmox VE's cluster. A model answers its API over real TLS on each node's own address (a
relay inside the node, so that it dies with the node), and follows the hardware: a node that goes dark in the lab goes
dark there too, and `ha-manager` on a node becomes a request to the model."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.model import Model
from sandbox.nodes import TOKEN, Faces
from sandbox.spec import ClusterSpec
from tests.lab.hardware import HOST_IP, NODES, VOLUME, Lab
from tests.lab.node_init import relay
from workflows.settings import ManagedCluster

SPEC: dict[str, Any] = {
    "name": "lab",
    "guests": [
        {"id": 101, "name": "router-a", "node": "pve1"},
        {"id": 102, "name": "router-b", "node": "pve2"},
        {"id": 103, "name": "db", "node": "pve3"},
    ],
    "timings": {
        "boot": 0.1,
        "api_lag": 0.5,
        "member_lag": 2.0,
        "maintenance_request": 0.5,
        "maintenance_mode": 0.7,
        "maintenance_reached": 1.0,
        "migrate": 1.0,
        "migrate_gib": 0.2,
        "watchdog": 600.0,
    },
}


class ProxmoxStandIn:
    """Start it before the lab is up: the nodes' relays need its ports."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        folder.mkdir(parents=True)
        spec = {**SPEC, "volumes": [{"name": VOLUME, "replica": lab.replica, "nodes": list(NODES)[: lab.replica]}]}
        self.model = Model(ClusterSpec.from_dict(spec), seed=1, start=time.time())
        self.faces = Faces(self.model, time.time, folder)
        self._servers: list[socket.socket] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="stand-in", daemon=True)
        self._read: dict[str, int] = dict.fromkeys(NODES, 0)

    def start(self) -> None:
        self.faces.start()
        section = self.faces.section()
        self.lab.api_ports = {name: section["nodes"][name]["api_port"] for name in NODES}

    def follow(self) -> None:
        """From now on the model follows the hardware, and the nodes' relays reach it over the lab's bridge."""
        for port in self.lab.api_ports.values():
            server = socket.create_server((HOST_IP, port))
            threading.Thread(target=self._relay, args=(server, port), daemon=True).start()
            self._servers.append(server)
        self._thread.start()

    def _relay(self, server: socket.socket, port: int) -> None:
        with server, suppress(OSError):  # shut down: the stand-in stops
            while True:
                relay(server.accept()[0], ("127.0.0.1", port))

    def stop(self) -> None:
        self._stopping.set()
        for server in self._servers:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self.faces.stop()

    def settings(self, **more: Any) -> ManagedCluster:
        """As an admin would write them for the lab; its own pace and stability reads, one second apart."""
        section = self.faces.section()
        nodes = {
            name: {
                "address": node.ip,
                "host_key": node.host_key,
                "fingerprint": self.faces.certificates[name].fingerprint,
            }
            for name, node in self.lab.nodes.items()
        }
        data = {
            "name": "lab",
            "channel": "C0LAB",
            "nodes": nodes,
            "api": {"token_id": section["api"]["token_id"], "token": TOKEN},
            "ssh": {
                "user": "root",
                "key_file": str(self.lab.key),
                "helper": "/usr/local/sbin/roundsman-helper",
            },
            "gluster": {"volumes": [VOLUME], "gap": "1s"},
            "groups": [{"name": "routers", "guests": [101, 102]}],
            "people": {"operators": ["U0ALICE"], "approvers": ["U0CAROL"]},
            "paths_required": 1,
            "limits": {"watch": "0s", "heal": "10m", "brick_back": "5m", "reboot": "3m"},
            **more,
        }
        return ManagedCluster.model_validate(data)

    def _follow(self) -> None:
        while not self._stopping.wait(0.1):
            for name, node in self.lab.nodes.items():
                self.faces.run(lambda name=name, up=bool(node.pid): self._power(name, up))  # type: ignore[misc]
                self._requests(name)

    def _power(self, name: str, up: bool) -> None:
        known = self.model.node(name)
        if known.lit and not up:
            self.model.machines.cut(known, comes_back=False)
        elif not known.lit and up:
            self.model.machines.light(known)

    def _requests(self, name: str) -> None:
        """What `ha-manager` on this node was told since the last look."""
        file = self.lab.nodes[name].disk / "root" / "ha-requests"
        lines = file.read_text().splitlines() if file.exists() else []
        for line in lines[self._read[name] :]:
            verb, whom = line.split()
            self.faces.run(lambda w=whom, on=verb == "enable": self.model.ha_manager.request(w, on, "us", {}))  # type: ignore[misc]
        self._read[name] = len(lines)
