"""One node over SSH, on one path: one kept connection, a deadline that holds, both streams drained and bounded.

paramiko's own ways are not enough: `recv_exit_status` ignores timeouts, unread output deadlocks after 2 MiB, and a
request that the server never answers waits for ever.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import paramiko

from cluster.api import Uncertain
from cluster.lines import Dialer, Direct
from cluster.login import BROKEN, LOGIN_S, Connection, Station, hang_up, left, log_in
from cluster.settings import NodeSettings, PathSettings, SshSettings

LIMIT_BYTES = 4 * 1024 * 1024  # of one command's output, both streams together
CHUNK = 64 * 1024


class LineLost(Uncertain):
    """The line broke or fell silent after the command was sent: another way may be tried, if twice does no harm."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: exit code, and what it printed."""

    rc: int
    out: bytes
    err: bytes
    doubt: str = ""
    """Why an earlier try over another path may have done it already, in a sentence; or ""."""


class SshNode:
    """Runs commands on one node. Safe for several threads, which share the connection. `over`: the name of the way,
    where there are several.

    Raises Unreachable (nothing was sent), Refused (host key, login), Uncertain (it was sent, then the line broke, the
    deadline passed, or too much came back).
    """

    def __init__(
        self, name: str, node: NodeSettings, login: SshSettings, way: Dialer | None = None, over: str = ""
    ) -> None:
        self.name = name
        self._way = way or Direct(PathSettings(name="direct"))
        self._station = Station(
            f"{name} over {over}" if over else name,
            node.address,
            node.ssh_port,
            login.user,
            login.key_file,
            node.host_key,
            f"nodes.{name}.host_key",
            "put its public key into that login's authorized_keys on the node, or run `roundsman install-helper`",
        )
        self._lock = threading.Lock()
        self._kept: Connection | None = None

    def run(
        self,
        argv: Sequence[str],
        timeout: float,
        limit_bytes: int = LIMIT_BYTES,
        stdin: bytes = b"",
        *,
        twice: bool = False,
    ) -> Done:
        """Run a command to its end, within `timeout` seconds, connecting included. `twice` changes nothing on one way:
        it is sent once."""
        deadline = time.monotonic() + timeout
        with self._channel(deadline) as (connection, channel), connection.watched(deadline, channel.close):
            try:
                channel.set_environment_variable("LC_ALL", "C")  # Debian's sshd takes it; others ignore it
                channel.exec_command(shlex.join(argv))
                channel.sendall(stdin)
                channel.shutdown_write()
            except BROKEN as error:
                raise self._unsure(argv, timeout, deadline, connection) from error
            out, err = _drain(channel, deadline, limit_bytes)
            if len(out.read) + len(err.read) > limit_bytes:
                raise Uncertain(f"{self._what(argv)} printed more than {limit_bytes} bytes; the rest was not read")
            channel.status_event.wait(left(deadline))
            if channel.exit_status < 0 or not (out.ended and err.ended):
                raise self._unsure(argv, timeout, deadline, connection)
            return Done(channel.exit_status, bytes(out.read), bytes(err.read))

    def close(self) -> None:
        with self._lock:
            if self._kept:
                self._kept.close()
            self._kept = None

    def _unsure(self, argv: Sequence[str], timeout: float, deadline: float, connection: Connection) -> Uncertain:
        if connection.fell_silent:
            return LineLost(
                f"the line to {self._station.name} fell silent for {self._way.silence:g} s after {self._what(argv)} "
                "was sent: it may have been done or not"
            )
        if time.monotonic() >= deadline:
            return Uncertain(f"{self._what(argv)} did not end within {timeout:g} s")
        return LineLost(f"the line broke after {self._what(argv)} was sent: it may have been done or not")

    def _what(self, argv: Sequence[str]) -> str:
        return f"`{spoken(argv)}` on {self.name}"

    # ---- connecting ----------------------------------------------------------------------------------------------

    @contextmanager
    def _channel(self, deadline: float) -> Iterator[tuple[Connection, paramiko.Channel]]:
        """A channel on the kept connection. One that seems to have died unnoticed is replaced: nothing was sent over it
        yet. Half of the silence limit is for seeing that, and half for the first word of the next."""
        for patience in (self._way.silence, self._way.silence / 2):
            connection = self._connection(deadline, patience)
            with connection.in_use():
                try:
                    limit = min(self._way.silence / 2, left(deadline))
                    channel = connection.transport.open_session(timeout=limit)
                except paramiko.ChannelException as error:
                    raise self._station.silent(f"it opens no further session ({error.text})") from error
                except BROKEN:
                    connection.doubt()
                    continue
                try:
                    channel.settimeout(left(deadline))
                    yield connection, channel
                finally:
                    hang_up(channel)
                return
        raise self._station.silent("the connection breaks at once")

    def _connection(self, deadline: float, patience: float) -> Connection:
        if not self._lock.acquire(timeout=left(deadline)):
            raise self._station.silent("connecting takes too long")
        try:
            if self._kept is None or not self._kept.alive:
                self._kept = self._connect(min(deadline, time.monotonic() + LOGIN_S), patience)
            return self._kept
        finally:
            self._lock.release()

    def _connect(self, deadline: float, patience: float) -> Connection:
        return log_in(self._station, self._way.open, deadline, self._way.silence, patience)


def spoken(argv: Sequence[str]) -> str:
    """A command as a person would name it: the helper's verb without sudo and path."""
    helper = [place for place, word in enumerate(argv) if word.endswith("roundsman-helper")]
    return " ".join(argv[helper[0] + 1 :] if helper else argv)[:120]


class _Stream(threading.Thread):
    """Reads one stream until its end, the deadline, or until more than `limit` bytes came.

    A thread for one of the two: what paramiko offers to select() on loses a wake-up now and then, when one stream is
    read empty in the moment in which the other one gets something.
    """

    def __init__(self, channel: paramiko.Channel, recv: Callable[[int], bytes], deadline: float, limit: int) -> None:
        super().__init__(name="ssh-stream", daemon=True)
        self.read = bytearray()
        self.ended = False
        self._channel, self._recv, self._deadline, self._limit = channel, recv, deadline, limit

    def run(self) -> None:
        try:
            while len(self.read) <= self._limit and not self.ended:
                self._channel.settimeout(left(self._deadline))
                chunk = self._recv(CHUNK)
                self.read += chunk
                self.ended = not chunk
        except BROKEN:
            pass  # late, or cut off: `ended` stays False, which is all there is to say
        if not self.ended:
            hang_up(self._channel)  # ends the other stream as well


def _drain(channel: paramiko.Channel, deadline: float, limit: int) -> tuple[_Stream, _Stream]:
    out, err = (_Stream(channel, recv, deadline, limit) for recv in (channel.recv, channel.recv_stderr))
    err.start()
    out.run()
    err.join()
    return out, err
