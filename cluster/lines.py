"""How a line to a machine is made, one class for each kind of path: directly, through SSH jump hosts, through a SOCKS5
proxy. What is made is the same for SSH and for the API: bytes that go to an address and a port.

`open` raises PathDown when the way itself fails (a jump host, a proxy), OSError when the machine at its end does not
answer. In either case nothing was sent to that machine.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Protocol

import paramiko
import socks

from base.dialing import NAMES, dial
from cluster.api import ClusterError, Unreachable
from cluster.login import BROKEN, LOGIN_S, Connection, Dial, Station, Wire, in_words, left, log_in
from cluster.settings import ClusterSettings, JumpHost, PathSettings

FAILED_FOR_S = 2.0
"""A jump host that just failed is not tried again for so long: whoever comes meanwhile need not wait as well."""
CHUNK = 64 * 1024
PROHIBITED = 1
"""SSH's reason code for a channel that the server does not allow (RFC 4254, 5.1)."""


class PathDown(Unreachable):
    """The way itself is down; nothing got as far as the machine at its end."""


class Dialer(Protocol):
    """`name` and `silence` are the path's."""

    name: str
    silence: float

    def open(self, address: str, port: int, deadline: float) -> Wire: ...

    def close(self) -> None: ...


def dialer_of(path: PathSettings, settings: ClusterSettings) -> Dialer:
    match path.kind:
        case "jump":
            return Jump(path, settings.ssh.key_file)
        case "socks":
            return Socks(path)
        case _:
            return Direct(path)


class Direct:
    def __init__(self, path: PathSettings) -> None:
        self.name, self.silence = path.name, path.silence

    def open(self, address: str, port: int, deadline: float) -> Wire:
        return _direct(self.silence, address, port, deadline)

    def close(self) -> None:
        """Nothing is kept."""


class Socks:
    """The proxy resolves host names, for only it may be able to."""

    def __init__(self, path: PathSettings) -> None:
        self.name, self.silence = path.name, path.silence
        self._proxy, (self._host, self._port) = path.proxy, path.socks()

    def open(self, address: str, port: int, deadline: float) -> Wire:
        limit = min(self.silence, left(deadline))
        try:
            wire: socket.socket = socks.create_connection(
                (address, port),
                timeout=limit,  # type: ignore[arg-type]  # the stubs want whole seconds
                proxy_type=socks.SOCKS5,
                proxy_addr=self._proxy_address(limit),
                proxy_port=self._port,
                proxy_rdns=True,
            )
            return _prompt(wire)
        except socks.SOCKS5Error as no:  # the proxy's own word about the machine behind it
            raise OSError(f"the SOCKS proxy {self._proxy} says: {no}") from None
        except socks.ProxyConnectionError as error:
            raise self._down(f"does not answer ({_why(error)})") from error
        except (socks.ProxyError, OSError) as error:
            timed_out = isinstance(getattr(error, "socket_err", error), TimeoutError)
            why = "accepts, and then says nothing" if timed_out else f"does not speak SOCKS5 ({_why(error)})"
            raise self._down(why) from error

    def close(self) -> None:
        """Nothing is kept."""

    def _proxy_address(self, limit: float) -> str:
        try:
            return str(NAMES.targets(self._host, self._port, limit)[0][1][0])
        except OSError as error:
            raise self._down(f"does not answer ({in_words(error)})") from error

    def _down(self, why: str) -> PathDown:
        return PathDown(f"path {self.name}: the SOCKS proxy {self._proxy} {why}", f"paths.{self.name}.proxy names it")


class Jump:
    """Connections to the jump hosts are kept, each over the one before; all lines of the path are channels of the last.
    Safe for threads."""

    def __init__(self, path: PathSettings, key_file: str) -> None:
        self.name, self.silence = path.name, path.silence
        self._stations = [station_of(path.name, number, host, key_file) for number, host in enumerate(path.jumps)]
        self._lock = threading.Lock()
        self._kept: list[Connection] = []
        self._failed: tuple[float, ClusterError] | None = None

    def open(self, address: str, port: int, deadline: float) -> Wire:
        """A kept connection that died unnoticed is replaced once, if there is time left."""
        for _ in range(2):
            connection, fresh = self._connection(deadline)
            try:
                return _forwarded(connection, address, port, deadline)
            except paramiko.ChannelException as no:
                raise self._refusal(no, f"{address}:{port}") from None
            except BROKEN as error:
                if connection.alive:
                    raise OSError(f"{self._stations[-1].name} gets no answer from it") from error
                if fresh or time.monotonic() >= deadline:
                    break
        raise PathDown(f"{self._stations[-1].name} fell silent")

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _refusal(self, no: paramiko.ChannelException, target: str) -> Exception:
        station = self._stations[-1]
        if no.code != PROHIBITED:
            return OSError(f"{station.name} says: {no.text}")
        return PathDown(
            f"{station.name} does not forward to {target}",
            f"its sshd_config needs `AllowTcpForwarding local`, and `PermitOpen {target}` if it has PermitOpen at all",
        )

    def _connection(self, deadline: float) -> tuple[Connection, bool]:
        """The last jump host's, and whether it was made just now. Raises PathDown."""
        if not self._lock.acquire(timeout=left(deadline)):
            raise PathDown(f"path {self.name}: connecting to its jump host takes too long")
        try:
            if self._kept and all(connection.alive for connection in self._kept):
                return self._kept[-1], False
            if self._failed and time.monotonic() < self._failed[0]:
                raise self._failed[1]
            self._connect(min(deadline, time.monotonic() + LOGIN_S))
            return self._kept[-1], True
        finally:
            self._lock.release()

    def _connect(self, deadline: float) -> None:
        self._drop()
        try:
            for station in self._stations:
                self._kept.append(log_in(station, self._hop(), deadline, self.silence))
        except ClusterError as error:
            self._drop()
            down = error if isinstance(error, PathDown) else PathDown(str(error), error.hint)
            self._failed = (time.monotonic() + FAILED_FOR_S, down)
            raise down from error

    def _hop(self) -> Dial:
        """To the first jump host directly, to each further one through the one before."""
        return partial(_forwarded, self._kept[-1]) if self._kept else partial(_direct, self.silence)

    def _drop(self) -> None:
        for connection in reversed(self._kept):
            connection.close()
        self._kept = []


def station_of(path: str, number: int, host: JumpHost, key_file: str) -> Station:
    key = host.key_file or key_file
    return Station(
        f"path {path}: the jump host {host.address}",
        host.address,
        host.port,
        host.user,
        key,
        host.host_key,
        f"paths.{path}.jumps[{number}].host_key",
        f"put the public key of {key} into {host.user}'s authorized_keys on {host.address}",
    )


def _direct(silence: float, address: str, port: int, deadline: float) -> socket.socket:
    return dial(address, port, min(silence, left(deadline)))


def _forwarded(connection: Connection, address: str, port: int, deadline: float) -> paramiko.Channel:
    """A channel that the machine at the other end hands on to the address. When nobody answers there, the silence limit
    tells which of the two lines is dead: the connection's own is closed then."""
    limit = min(left(deadline), connection.silence * 1.1)
    with connection.watched(time.monotonic() + 2 * limit, connection.close):
        return connection.transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=limit)


def plugged(wire: Wire) -> socket.socket:
    """A real socket, as TLS wants one. A channel gets one through a pair: two threads hand on what comes, until either
    side ends."""
    if isinstance(wire, socket.socket):
        return wire
    ours, theirs = socket.socketpair()
    wire.settimeout(None)
    channel = wire
    for source, target, end in (
        (channel.recv, theirs.sendall, lambda: _shut(theirs)),
        (theirs.recv, channel.sendall, channel.close),
    ):
        threading.Thread(target=_hand_on, args=(source, target, end), name="path-pump", daemon=True).start()
    return ours


def _hand_on(source: Callable[[int], bytes], target: Callable[[bytes], object], end: Callable[[], object]) -> None:
    with suppress(*BROKEN):
        while data := source(CHUNK):
            target(data)
    with suppress(*BROKEN):
        end()


def _shut(half: socket.socket) -> None:
    """Both directions: the other thread, which reads from it, ends as well."""
    with closing(half):
        half.shutdown(socket.SHUT_RDWR)


def _prompt(wire: socket.socket) -> socket.socket:
    """What is written goes out at once."""
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return wire


def _why(error: BaseException) -> str:
    return in_words(getattr(error, "socket_err", None) or error)
