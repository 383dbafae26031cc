"""One node over SSH: a pinned host key, one kept connection, a deadline that holds, both streams drained and bounded.

paramiko's own ways are not enough: `recv_exit_status` ignores timeouts, unread output deadlocks after 2 MiB, and a
request that the server never answers waits for ever.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import paramiko

from cluster.api import ClusterError, Refused, Uncertain, Unreachable
from cluster.settings import NodeSettings, SshSettings

LIMIT_BYTES = 4 * 1024 * 1024  # of one command's output, both streams together
KEEPALIVE_S = 15
LOGIN_S = 20.0  # from nothing to logged in; a host that is off says nothing at all
OPEN_S = 10.0  # for a channel on a kept connection; longer means that the connection is dead
CHUNK = 64 * 1024

WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
}

_BROKEN = (paramiko.SSHException, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: exit code, and what it printed."""

    rc: int
    out: bytes
    err: bytes


class SshNode:
    """A way to run commands on one node. Safe for several threads, which share the connection.

    Raises Unreachable (nothing was sent), Refused (host key, login), Uncertain (it was sent, then the line broke, the
    deadline passed, or too much came back).
    """

    def __init__(self, name: str, node: NodeSettings, login: SshSettings) -> None:
        self.name = name
        self._node = node
        self._login = login
        self._lock = threading.Lock()
        self._kept: paramiko.Transport | None = None

    def run(self, argv: Sequence[str], timeout: float, limit_bytes: int = LIMIT_BYTES, stdin: bytes = b"") -> Done:
        """Run a command to its end, within `timeout` seconds, connecting included."""
        deadline = time.monotonic() + timeout
        with closing(self._channel(deadline)) as channel:
            try:
                with _closed_at(channel, deadline):
                    channel.exec_command(shlex.join(argv))
                    channel.sendall(stdin)
                    channel.shutdown_write()
            except _BROKEN as error:
                raise self._unsure(argv, timeout, deadline) from error
            out, err = _drain(channel, deadline, limit_bytes)
            if len(out.read) + len(err.read) > limit_bytes:
                raise Uncertain(f"{self._what(argv)} printed more than {limit_bytes} bytes; the rest was not read")
            channel.status_event.wait(_left(deadline))
            if channel.exit_status < 0 or not (out.ended and err.ended):
                raise self._unsure(argv, timeout, deadline)
            return Done(channel.exit_status, bytes(out.read), bytes(err.read))

    def close(self) -> None:
        with self._lock:
            if self._kept:
                self._kept.close()
            self._kept = None

    def _unsure(self, argv: Sequence[str], timeout: float, deadline: float) -> Uncertain:
        if time.monotonic() >= deadline:
            return Uncertain(f"{self._what(argv)} did not end within {timeout:g} s")
        return Uncertain(f"the line broke after {self._what(argv)} was sent: it may have been done or not")

    def _what(self, argv: Sequence[str]) -> str:
        return f"`{spoken(argv)}` on {self.name}"

    # ---- connecting ----------------------------------------------------------------------------------------------

    def _channel(self, deadline: float) -> paramiko.Channel:
        """A channel on the kept connection. One that died unnoticed is replaced: nothing was sent over it yet."""
        for _ in range(2):
            transport = self._connection(deadline)
            try:
                channel = transport.open_session(timeout=min(OPEN_S, _left(deadline)))
                channel.settimeout(_left(deadline))
                return channel
            except paramiko.ChannelException as error:
                raise self._silent(f"it opens no further session ({error.text})") from error
            except _BROKEN:
                transport.close()
        raise self._silent("the connection breaks at once")

    def _connection(self, deadline: float) -> paramiko.Transport:
        if not self._lock.acquire(timeout=_left(deadline)):
            raise self._silent("connecting takes too long")
        try:
            if self._kept is None or not self._kept.is_active():
                self._kept = self._connect(min(deadline, time.monotonic() + LOGIN_S))
            return self._kept
        finally:
            self._lock.release()

    def _connect(self, deadline: float) -> paramiko.Transport:
        key = _private_key(self._login.key_file)
        try:
            line = socket.create_connection((self._node.address, self._node.ssh_port), timeout=_left(deadline))
            transport = paramiko.Transport(line, disabled_algorithms=WEAK)
        except _BROKEN as error:
            raise self._silent(str(error) or type(error).__name__) from error
        try:
            self._check_host_key(transport, deadline)
            transport.auth_timeout = _left(deadline)
            transport.auth_publickey(self._login.user, key)
            transport.set_keepalive(KEEPALIVE_S)
        except _BROKEN as error:
            raise self._no_login(error) from error
        finally:
            if not transport.is_authenticated():
                transport.close()
        return transport

    def _check_host_key(self, transport: paramiko.Transport, deadline: float) -> None:
        """Ask for a key of the pinned kind first, so that a server with several shows the one that is known."""
        options = transport.get_security_options()
        pinned = "rsa-sha2-512" if self._pinned[0] == "ssh-rsa" else self._pinned[0]
        options.key_types = sorted(options.key_types, key=lambda kind: kind != pinned)
        transport.banner_timeout = _left(deadline)
        transport.start_client(timeout=_left(deadline))
        shown = transport.get_remote_server_key()
        if (shown.get_name(), shown.get_base64()) != self._pinned:
            raise self._wrong_host_key(shown)

    @property
    def _pinned(self) -> tuple[str, str]:
        kind, _, rest = self._node.host_key.strip().partition(" ")
        return kind, rest.split(" ")[0]

    # ---- sentences -----------------------------------------------------------------------------------------------

    def _no_login(self, error: Exception) -> ClusterError:
        if not isinstance(error, paramiko.AuthenticationException):
            return self._silent(str(error) or type(error).__name__)
        return Refused(
            f"{self.name} does not let {self._login.user} in with the key {self._login.key_file}",
            "put its public key into that login's authorized_keys on the node, or run `roundsman install-helper`",
        )

    def _wrong_host_key(self, shown: paramiko.PKey) -> Refused:
        return Refused(
            f"{self.name} ({self._node.address}) shows the SSH host key {fingerprint(shown.get_base64())}, but the "
            f"settings pin {fingerprint(self._pinned[1])}: it was installed anew, or something else is in its place",
            "compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its own console; if that is right, "
            f'set nodes.{self.name}.host_key to "{shown.get_name()} {shown.get_base64()}"',
        )

    def _silent(self, why: str) -> Unreachable:
        return Unreachable(f"{self.name} does not answer over SSH ({self._node.address}:{self._node.ssh_port}): {why}")


def spoken(argv: Sequence[str]) -> str:
    """A command as a person would name it: the helper's verb without sudo and path."""
    helper = [place for place, word in enumerate(argv) if word.endswith("roundsman-helper")]
    return " ".join(argv[helper[0] + 1 :] if helper else argv)[:120]


def fingerprint(base64_key: str) -> str:
    """As ssh-keygen -l prints it; a pinned key that is no base64 is named as it stands."""
    try:
        digest = hashlib.sha256(base64.b64decode(base64_key, validate=True)).digest()
    except ValueError:
        return f"{base64_key[:20]!r} (not a host key)"
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def public_key(key_file: str) -> str:
    """The public half of a private key, as authorized_keys wants it."""
    key = _private_key(key_file)
    return f"{key.get_name()} {key.get_base64()}"


def _private_key(path: str) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError:
        raise _no_key(path, "it does not exist") from None
    except paramiko.PasswordRequiredException:
        raise _no_key(path, "it asks for a passphrase, and nobody is there to type it") from None
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise _no_key(path, type(error).__name__) from None


def _no_key(path: str, why: str) -> ClusterError:
    return Refused(f"the private key {path} cannot be used: {why}", "`ssh-keygen -t ed25519 -N '' -f FILE` makes one")


@contextmanager
def _closed_at(channel: paramiko.Channel, deadline: float) -> Iterator[None]:
    """Close the channel at the deadline: paramiko waits without any limit for the answer to a request."""
    watchdog = threading.Timer(_left(deadline), channel.close)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


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
                self._channel.settimeout(_left(self._deadline))
                chunk = self._recv(CHUNK)
                self.read += chunk
                self.ended = not chunk
        except TimeoutError:
            pass  # `ended` stays False, which is all there is to say
        if not self.ended:
            self._channel.close()  # ends the other stream as well


def _drain(channel: paramiko.Channel, deadline: float, limit: int) -> tuple[_Stream, _Stream]:
    out, err = (_Stream(channel, recv, deadline, limit) for recv in (channel.recv, channel.recv_stderr))
    err.start()
    out.run()
    err.join()
    return out, err


def _left(deadline: float) -> float:
    """Seconds until then; never 0, which some calls take for "no limit"."""
    return max(0.001, deadline - time.monotonic())
