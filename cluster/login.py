"""An SSH connection to one machine, node or jump host: a pinned host key, a login by key, a line that is asked whether
it lives.

paramiko looks at its socket ten times a second, and waits without any limit for the answer to a request: the `Line`
under it looks less often once it is logged in, and a watch ends whatever meets a silent line or its deadline.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import paramiko

from cluster.api import ClusterError, Refused, Unreachable

KEEPALIVE_S = 15
LOGIN_S = 20.0  # from a line to logged in
LOOK_S = 2.0  # paramiko looks up from its socket this often, once it is logged in
ASKED_WITHIN = 5  # a line is looked after so many times within its silence limit

WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
}

BROKEN = (paramiko.SSHException, EOFError, OSError)

Wire = socket.socket | paramiko.Channel
Dial = Callable[[str, int, float], Wire]
"""(address, port, deadline) -> a line to it. Raises OSError or paramiko's SSHException when nobody answers there."""


class Stranger(Refused):
    """Somebody else is at the other end: another way may lead to the right machine."""


@dataclass(frozen=True, slots=True)
class Station:
    """Who is logged in to. `name`: as it is spoken of; `setting`: where the settings pin its host key; `remedy`: what
    lets the bot's login in."""

    name: str
    address: str
    port: int
    user: str
    key_file: str
    host_key: str
    setting: str
    remedy: str

    @property
    def pinned(self) -> tuple[str, str]:
        kind, _, rest = self.host_key.strip().partition(" ")
        return kind, rest.split(" ")[0]

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    def silent(self, why: str) -> Unreachable:
        said = re.sub(r"^\[Errno -?\d+\] ", "", why)
        return Unreachable(f"{self.name} does not answer over SSH ({self.place}): {said}")


def in_words(error: BaseException) -> str:
    """ "Connection refused", without the number that the system has for it, nor paramiko's word for a line on which
    nothing is said."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return said.replace("Error reading SSH protocol banner", "no SSH greeting comes ").strip()


def hang_up(wire: Wire) -> None:
    """Closing a channel says so over its line, which may have died at this very moment: then it is closed all the
    same, and the thread that closes it goes on."""
    with suppress(*BROKEN):
        wire.close()


class Line:
    """A socket or a channel under paramiko's transport. `heard`: when something came last, by the monotonic clock."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._closed = False  # paramiko looks at it, as sockets have it
        self._patience = 0.0
        self.heard = time.monotonic()

    def settimeout(self, seconds: float) -> None:
        self._wire.settimeout(max(seconds, self._patience))

    def rest(self) -> None:
        """The handshake is over; from now on nobody has to look up ten times a second."""
        self._patience = LOOK_S
        self._wire.settimeout(LOOK_S)

    def recv(self, most: int) -> bytes:
        read = self._wire.recv(most)
        self.heard = time.monotonic()
        return read

    def send(self, data: bytes) -> int:
        return self._wire.send(data)

    def close(self) -> None:
        self._closed = True
        if isinstance(self._wire, socket.socket):
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
        hang_up(self._wire)


class Connection:
    """Logged in. Whoever sends something over it does so within `watched`."""

    def __init__(self, transport: paramiko.Transport, line: Line, silence: float) -> None:
        self.transport, self.silence = transport, silence
        self._line = line
        self._asking: threading.Thread | None = None
        self.fell_silent = False
        self._lock, self._users, self._doubtful = threading.Lock(), 0, False

    @property
    def alive(self) -> bool:
        return self.transport.is_active() and not self._doubtful

    def close(self) -> None:
        self.transport.close()

    def doubt(self) -> None:
        """It takes nothing new. What is under way is watched, and may end in peace."""
        self._doubtful = True

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """One of those that share it. The last to leave a doubtful one closes it."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                forsaken = self._doubtful and not self._users
            if forsaken:
                self.close()

    @contextmanager
    def watched(self, deadline: float, late: Callable[[], object]) -> Iterator[None]:
        """Until the block ends: `late` is called at the deadline; a line that says nothing for its silence limit,
        although it is asked, is closed, which ends all that waits on it."""
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over, deadline, late), name="ssh-watch", daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()

    def _watch(self, over: threading.Event, deadline: float, late: Callable[[], object]) -> None:
        since, pause = time.monotonic(), self.silence / ASKED_WITHIN
        while not over.wait(min(pause, left(deadline))):
            if time.monotonic() >= deadline:
                with suppress(*BROKEN):  # it may have died at this very moment
                    late()
                return
            quiet = time.monotonic() - max(self._line.heard, since)
            if quiet >= self.silence - pause / 2:
                self.fell_silent = True
                with suppress(*BROKEN):
                    self.close()
                return
            if quiet >= pause / 2:
                self._ask()

    def _ask(self) -> None:
        """Any answer will do, also a no. In a thread of its own, for paramiko waits for it as long as it takes."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._request, name="ssh-ask", daemon=True)
            self._asking.start()

    def _request(self) -> None:
        with suppress(*BROKEN):
            self.transport.global_request("keepalive@openssh.com", wait=True)


def log_in(station: Station, dial: Dial, deadline: float, silence: float, hello: float = 0.0) -> Connection:
    """`hello`: seconds until its first word must be there, the silence limit if not given. Raises Stranger (another
    host key), Refused (no login), Unreachable, and what `dial` raises but OSError."""
    key = private_key(station.key_file)
    first_word = min(deadline, time.monotonic() + (hello or silence))
    try:
        line = Line(dial(station.address, station.port, first_word))
        transport = paramiko.Transport(line, disabled_algorithms=WEAK)  # type: ignore[arg-type]  # all it asks of one
    except BROKEN as error:
        raise station.silent(in_words(error)) from error
    try:
        _check_host_key(station, transport, deadline, first_word)
        transport.auth_timeout = left(deadline)
        transport.auth_publickey(station.user, key)
        transport.set_keepalive(KEEPALIVE_S)
        line.rest()
    except BROKEN as error:
        raise _no_login(station, error) from error
    finally:
        if not transport.is_authenticated():
            transport.close()
    return Connection(transport, line, silence)


def host_key_of(dial: Dial, address: str, port: int, deadline: float) -> tuple[str, str]:
    """(kind, base64) of the host key that answers there. Logs in nowhere. Raises OSError when nobody does."""
    try:
        transport = paramiko.Transport(Line(dial(address, port, deadline)))  # type: ignore[arg-type]
        try:
            transport.banner_timeout = left(deadline)
            transport.start_client(timeout=left(deadline))
            shown = transport.get_remote_server_key()
            return shown.get_name(), shown.get_base64()
        finally:
            transport.close()
    except BROKEN as error:
        raise OSError(str(error) or type(error).__name__) from error


def _check_host_key(station: Station, transport: paramiko.Transport, deadline: float, first_word: float) -> None:
    """Ask for a key of the pinned kind first, so that a server with several shows the one that is known."""
    options = transport.get_security_options()
    pinned = "rsa-sha2-512" if station.pinned[0] == "ssh-rsa" else station.pinned[0]
    options.key_types = sorted(options.key_types, key=lambda kind: kind != pinned)
    transport.banner_timeout = left(first_word)
    transport.start_client(timeout=left(deadline))
    shown = transport.get_remote_server_key()
    if (shown.get_name(), shown.get_base64()) != station.pinned:
        raise _wrong_host_key(station, shown)


def _no_login(station: Station, error: Exception) -> ClusterError:
    if not isinstance(error, paramiko.AuthenticationException):
        return station.silent(in_words(error))
    return Refused(
        f"{station.name} does not let {station.user} in with the key {station.key_file}",
        station.remedy,
    )


def _wrong_host_key(station: Station, shown: paramiko.PKey) -> Stranger:
    return Stranger(
        f"{station.name} ({station.address}) shows the SSH host key {fingerprint(shown.get_base64())}, but the "
        f"settings pin {fingerprint(station.pinned[1])}: it was installed anew, or something else is in its place",
        "compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its own console; if that is right, "
        f'set {station.setting} to "{shown.get_name()} {shown.get_base64()}"',
    )


def fingerprint(base64_key: str) -> str:
    """As ssh-keygen -l prints it; a pinned key that is no base64 is named as it stands."""
    try:
        digest = hashlib.sha256(base64.b64decode(base64_key, validate=True)).digest()
    except ValueError:
        return f"{base64_key[:20]!r} (not a host key)"
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def public_key(key_file: str) -> str:
    """The public half of a private key, as authorized_keys wants it."""
    key = private_key(key_file)
    return f"{key.get_name()} {key.get_base64()}"


def private_key(path: str) -> paramiko.PKey:
    """Raises Refused, which says why the key cannot be used, and nothing of what is in it."""
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError:
        raise _no_key(path, "it does not exist") from None
    except PermissionError:
        raise Refused(f"the private key {path} cannot be read: permission denied", "look as root") from None
    except paramiko.PasswordRequiredException:
        raise _no_key(path, "it asks for a passphrase, and nobody is there to type it") from None
    except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise _no_key(path, type(error).__name__) from None


def _no_key(path: str, why: str) -> ClusterError:
    return Refused(f"the private key {path} cannot be used: {why}", "`ssh-keygen -t ed25519 -N '' -f FILE` makes one")


def left(deadline: float) -> float:
    """Seconds until then; never 0, which some calls take for "no limit"."""
    return max(0.001, deadline - time.monotonic())
