"""Tells systemd that the bot is ready, and that it lives (Type=notify, WatchdogSec=): a datagram, no library."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


def notify(environ: Mapping[str, str], state: str) -> bool:
    """Send "READY=1", "WATCHDOG=1" or "STOPPING=1"; False where nobody listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        log.warning("systemd: '%s' was not told %s: %s", address, state, error)
        return False
    return True


def watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear of us: half of its limit. None if it does not."""
    limit = environ.get("WATCHDOG_USEC", "")
    return int(limit) / 2e6 if limit.isdigit() and int(limit) > 0 else None
