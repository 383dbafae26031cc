"""The SSH face of a node: a real server with a real host key, which lets the bot's key in and runs one program only.

What the program says comes from `sandbox.helper`; here is the line it travels on, and the ways in which that breaks.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from sandbox.lines import Fault, Faults, Gone

HELPER = ("sudo", "-n", "/usr/local/sbin/roundsman-helper")
FLOOD = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program printed, and its exit code."""

    out: str = ""
    err: str = ""
    exit: int = 0


Answer = Callable[[str, Sequence[str]], Reply]
"""(node, the helper's arguments) -> what the helper prints there. Raises Gone when the line breaks meanwhile."""


class SshFace:
    """One node's SSH server. `host_key` may be changed while the door is shut."""

    def __init__(self, node: str, user: str, client_keys: Path, answer: Answer, faults: Faults) -> None:
        self.node = node
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._user = user
        self._client_keys = client_keys
        self._answer = answer
        self._faults = faults
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def public_host_key(self) -> str:
        """As in known_hosts: "ssh-ed25519 AAAA..."."""
        return str(self.host_key.export_public_key().decode().strip())

    async def open(self, listener: socket.socket) -> None:
        self._acceptor = await asyncssh.listen(
            sock=listener,
            server_factory=lambda: _Login(self._user, self._connections),
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self._client_keys),
            process_factory=self._run,
            password_auth=False,
            kbdint_auth=False,
            encoding=None,
            sftp_factory=None,
        )

    async def close(self) -> None:
        if self._acceptor:
            await hang_up(self._acceptor, self._connections)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        fault = self._faults.take(self.node, command)
        if fault is Fault.HANG:
            await process.wait_closed()
        elif fault is Fault.FLOOD:
            await _flood(process)
        elif fault is Fault.DROP_BEFORE:
            process.channel.get_connection().abort()
        else:
            self._finish(process, command, fault)

    def _finish(self, process: asyncssh.SSHServerProcess[bytes], command: str, fault: Fault | None) -> None:
        try:
            reply = self._reply(command, fault)
        except Gone:
            fault = Fault.DROP_AFTER
        if fault is Fault.DROP_AFTER:
            process.channel.get_connection().abort()
            return
        process.stdout.write(reply.out.encode())
        process.stderr.write(reply.err.encode())
        process.exit(reply.exit)

    def _reply(self, command: str, fault: Fault | None) -> Reply:
        words = shlex.split(command)
        if fault is Fault.MISSING:
            return Reply(err=f"sudo: {HELPER[-1]}: command not found\n", exit=1)
        if tuple(words[:3]) != HELPER:
            return _not_allowed(words)
        reply = self._answer(self.node, words[3:])
        if fault is Fault.CUT:
            return Reply(reply.out[: len(reply.out) // 2], reply.err, reply.exit)
        return Reply("<!doctype html><p>It works!") if fault is Fault.GARBAGE else reply


async def hang_up(acceptor: asyncssh.SSHAcceptor, connections: Iterable[asyncssh.SSHServerConnection]) -> None:
    """Nobody is let in any more, and every line breaks. In this order: from Python 3.12 on a server is closed only when
    its last connection is."""
    acceptor.close()
    for connection in tuple(connections):
        connection.abort()
    await acceptor.wait_closed()


class _Login(asyncssh.SSHServer):
    """Lets one login name in, and remembers the connection so that it can be broken."""

    def __init__(self, user: str, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._user = user
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        if username != self._user and self._connection:
            raise asyncssh.PermissionDenied(f"no login {username!r} here")
        return True


def _not_allowed(words: Sequence[str]) -> Reply:
    """Whatever else is typed: sudo asks for a password that nobody has, a plain program is not there."""
    if words[:1] == ["sudo"]:
        return Reply(err="sudo: a password is required\n", exit=1)
    return Reply(err=f"bash: line 1: {words[0] if words else ''}: command not found\n", exit=127)


async def _flood(process: asyncssh.SSHServerProcess[bytes]) -> None:
    line = b"heal heal heal heal heal heal heal heal heal heal heal heal hea\n" * 1024
    try:
        for _ in range(FLOOD // len(line)):
            process.stdout.write(line)
            await process.stdout.drain()
        process.exit(0)
    except (OSError, asyncssh.Error, asyncio.CancelledError):
        return  # the other side had enough, which is what it should have
