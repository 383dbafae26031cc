"""Breaking a connection the way networks do."""

from __future__ import annotations

import asyncio
import socket
import struct

RESET = struct.pack("ii", 1, 0)  # linger on, 0 s: closing sends a reset


def cut(transport: asyncio.BaseTransport | None) -> None:
    """Reset a connection: the other side finds the line broken and learns nothing. None: it is gone already."""
    if not isinstance(transport, asyncio.Transport):
        return
    line = transport.get_extra_info("socket")
    if line is not None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
