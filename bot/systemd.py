"""Telling systemd how the service is doing (sd_notify); nothing happens where no systemd listens."""

from __future__ import annotations

import os
import socket


def tell(state: str) -> None:
    """One message, such as "READY=1", "STATUS=two runs wait" or "STOPPING=1"."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.sendall(state.encode())
