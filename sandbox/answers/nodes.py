"""What the stand-in says of a node, its packages and its kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.answers.ask import GIB, Ask, Row
from sandbox.model import Denied
from sandbox.model.core import SOMEBODY
from sandbox.model.machines import Node

APT_UPDATE_S = 5.0


def nodes(ask: Ask) -> list[Row]:
    return [
        {
            "node": node.name,
            "status": node_state(node),
            "maxmem": node.spec.memory,
            "uptime": uptime(ask, node),
            "ssl_fingerprint": ask.fingerprint(node.name),
        }
        for node in ask.model.machines.all.values()
    ]


def node_status(ask: Ask) -> Row:
    node = ask.model.node(ask.target)
    memory = node.spec.memory
    return {
        "uptime": uptime(ask, node),
        "cpu": 0.05,
        "wait": 0,
        "loadavg": ["0.10", "0.12", "0.09"],
        "pveversion": "pve-manager/9.2.11/14a22df3",
        "boot-info": {"mode": "efi", "secureboot": 0},
        "cpuinfo": {"cores": 8, "cpus": 16, "model": "a model of a processor", "sockets": 1},
        "current-kernel": {"machine": "x86_64", "release": node.kernel, "sysname": "Linux", "version": "#1 SMP"},
        "memory": {"total": memory, "used": memory // 4, "free": memory // 2, "available": memory * 3 // 4},
        "rootfs": {"total": 100 * GIB, "used": 10 * GIB, "free": 90 * GIB, "avail": 90 * GIB},
    }


def node_command(ask: Ask) -> None:
    """Reboot, unguarded; the bot's token may not."""
    if ask.values["command"] != "reboot":
        raise Denied("the nodes of the sandbox reboot, they do not shut down")
    boot_id = ask.model.node(ask.target).boot_id
    ask.model.reboot(ask.now, ask.target, boot_id, 0.0, guard=False, by=SOMEBODY)


def apt_pending(ask: Ask) -> list[Row]:
    plan = ask.model.packages.plan(ask.target)
    return [_package(p.name, p.new) | {"OldVersion": p.old} for p in plan.upgrades]


def apt_refresh(ask: Ask) -> str:
    return ask.model.tasks.start("aptupdate", ask.target, "", ask.user, APT_UPDATE_S)


def apt_versions(ask: Ask) -> list[Row]:
    node = ask.model.node(ask.target)
    kernels = [_installed(f"proxmox-kernel-{kernel}-signed", kernel.removesuffix("-pve")) for kernel in node.kernels]
    return [_installed("proxmox-ve", "9.2.0") | {"RunningKernel": node.kernel}, *kernels]


def _installed(name: str, version: str) -> Row:
    return _package(name, version) | {"CurrentState": "Installed", "OldVersion": version}


def _package(name: str, version: str) -> Row:
    return {
        "Package": name,
        "Version": version,
        "Title": name,
        "Description": name,
        "Arch": "amd64",
        "Origin": "Proxmox",
        "Priority": "optional",
        "Section": "admin",
    }


def node_state(node: Node) -> str:
    if not node.online:
        return "offline"
    return "online" if node.api else "unknown"


def uptime(ask: Ask, node: Node) -> int:
    return int(ask.now - node.booted_at) if node.lit else 0


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /nodes": nodes,
    "GET /nodes/{node}/status": node_status,
    "POST /nodes/{node}/status": node_command,
    "GET /nodes/{node}/apt/update": apt_pending,
    "POST /nodes/{node}/apt/update": apt_refresh,
    "GET /nodes/{node}/apt/versions": apt_versions,
}
