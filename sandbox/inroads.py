"""The ways in to a cluster on real ports: a line that can be cut or slowed, an SSH jump host, a SOCKS proxy.

A node's address in the settings is a `Line`'s port, the way that the bot takes directly; behind it is the node's own
port. The jump host and the proxy are asked for the first, and go to the second by themselves, as machines on another
line do.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from sandbox.door import HOST
from sandbox.ssh_server import hang_up

Target = Callable[[int], int]
"""A port of the settings -> the port that is really there. Raises KeyError for any other."""

CHUNK = 64 * 1024
JUMP_USER = "jump"


class Line:
    """Hands on what comes to `port`. `silent`: nothing comes through any more, and nobody is told; `slow`: seconds that
    each piece takes longer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.silent = False
        self.slow = 0.0
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def close(self) -> None:
        if self._server:
            self._server.close()
        await self.cut_off()

    async def cut_off(self) -> None:
        """Every connection breaks now."""
        for end in tuple(self._ends):
            end.transport.abort()
        for pump in tuple(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            there, out = await asyncio.open_connection(HOST, self._port)
        except OSError:
            self._end(writer)
            return
        self._ends.add(out)
        for source, target in ((reader, out), (there, writer)):
            pump = asyncio.create_task(self._pump(source, target))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await asyncio.sleep(self.slow)
                if not self.silent:
                    target.write(data)
                    await target.drain()
            target.write_eof()
        except (OSError, RuntimeError):
            self._end(target)
        finally:
            if source.exception():  # the other end was reset: so is this one
                self._end(target)

    def _end(self, end: asyncio.StreamWriter) -> None:
        self._ends.discard(end)
        end.transport.abort()


class JumpHost:
    """Lets the bot's key in as `jump`, runs nothing, and forwards to the cluster's ports alone."""

    def __init__(self, client_keys: Path, target: Target) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._client_keys, self._target = client_keys, target
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self.connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def public_host_key(self) -> str:
        return str(self.host_key.export_public_key().decode().strip())

    async def open(self, listener: socket.socket) -> None:
        self._acceptor = await asyncssh.listen(
            sock=listener,
            server_factory=lambda: _Forwarding(self, self._target),
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self._client_keys),
            password_auth=False,
            kbdint_auth=False,
            sftp_factory=None,
        )

    async def close(self) -> None:
        if self._acceptor:
            await hang_up(self._acceptor, self.connections)


class _Forwarding(asyncssh.SSHServer):
    def __init__(self, host: JumpHost, target: Target) -> None:
        self._host, self._target = host, target
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._host.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._host.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        if username != JUMP_USER:
            raise asyncssh.PermissionDenied(f"no login {username!r} here")
        return True

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Coroutine[Any, Any, Any]:
        try:
            port = self._target(dest_port)
        except KeyError:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed") from None
        assert self._connection
        return self._connection.forward_connection(HOST, port)


class SocksProxy:
    """SOCKS5 (RFC 1928), CONNECT, without a login. `mute`: it accepts, and then says nothing."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.mute = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            if self.mute:
                await asyncio.Event().wait()
            with suppress(OSError, asyncio.IncompleteReadError, struct.error):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        length = 4 if kind == 1 else 16 if kind == 4 else (await reader.readexactly(1))[0]
        await reader.readexactly(length)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        try:
            there, out = await asyncio.open_connection(HOST, self._target(port))
        except (OSError, KeyError):
            writer.write(b"\x05\x05\x00\x01" + bytes(6))  # connection refused
            await writer.drain()
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        try:
            await asyncio.gather(_copy(reader, out), _copy(there, writer))
        finally:
            out.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        target.write(data)
        await target.drain()
    with suppress(OSError, RuntimeError):
        target.write_eof()
