"""Orders that many tests of the helper give, and times for them: too late, soon, made for another boot."""

from __future__ import annotations

from typing import Any

LATE, SOON, NEVER = "4999.9", "5010.0", "9000.0"
BRICK = "/mnt/data/vmstore/brick"
LISTED = """Manually selected kernels:
None.

Automatically selected kernels:
6.8.12-9-pve
6.8.12-10-pve
"""
"""What proxmox-boot-tool lists where nothing is pinned."""


def checksum_of(pve2: Any) -> str:
    return str(pve2.order("plan")[1]["checksum"])


def reboot(pve2: Any, boot_id: str = "", not_after: str = SOON) -> tuple[int, Any]:
    answer: tuple[int, Any] = pve2.order(f"reboot {boot_id or pve2.BOOT} {not_after}")
    return answer


def upgrade(pve2: Any, unit: str = "night.pve2.upgrade", plan: str = "", not_after: str = SOON) -> tuple[int, Any]:
    answer: tuple[int, Any] = pve2.order(f"upgrade {unit} {plan or checksum_of(pve2)} {not_after}")
    return answer
