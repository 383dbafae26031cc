"""A TCP connection to a name within a time limit, and by the name's last known addresses when no name server answers.

The system's resolver takes no time limit: it waits for every server of /etc/resolv.conf that is silent, 10 s for each
unless told otherwise. So it is asked in a thread that nobody has to wait for. Safe for threads.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

PATIENCE_S = 2.0
"""For a name whose last answer is known."""
AGAIN_S = 60.0
"""A name server that did not answer about such a name is asked again after so long."""

Target = tuple[int, Any]
"""(family, socket address)."""
Resolve = Callable[[str, int], Sequence[Target]]


class Names:
    """Where names lead. `resolve` may take as long as it likes; raises OSError."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._asking: dict[tuple[str, int], Future[Sequence[Target]]] = {}
        self._known: dict[tuple[str, int], Sequence[Target]] = {}
        self._rests_until: dict[tuple[str, int], float] = {}

    def targets(self, host: str, port: int, limit: float) -> Sequence[Target]:
        """Within `limit` seconds. Raises OSError (a TimeoutError is one) for a name that was never known."""
        if literal := _literal(host, port):
            return [literal]
        name = (host, port)
        before = self._known.get(name)
        if before and time.monotonic() < self._rests_until.get(name, 0.0):
            return before
        try:
            found = self._ask(name).result(min(limit, PATIENCE_S) if before else limit)
        except TimeoutError:
            if not before:
                raise TimeoutError(f"no name server said within {limit:.0f} s where {host} is") from None
        except OSError:
            if not before:
                raise
        else:
            self._known[name] = found
            return found
        self._rests_until[name] = time.monotonic() + AGAIN_S
        return before

    def _ask(self, name: tuple[str, int]) -> Future[Sequence[Target]]:
        """One question at a time about each name, however many wait for the answer."""
        with self._lock:
            asking = self._asking.get(name)
            if asking is None or asking.done():
                asking = self._asking[name] = Future()
                threading.Thread(target=self._answer, args=(name, asking), name="names", daemon=True).start()
            return asking

    def _answer(self, name: tuple[str, int], asking: Future[Sequence[Target]]) -> None:
        try:
            asking.set_result(self._resolve(*name))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits for it
            asking.set_exception(error)


def system(host: str, port: int) -> list[Target]:
    return [(int(found[0]), found[4]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


NAMES = Names(system)


def dial(host: str, port: int, limit: float) -> socket.socket:
    """Connected within `limit` seconds, which stay its time limit; what is written goes out at once. Of several
    addresses each is given its share of the time, for the first may be one that drops everything. Raises OSError."""
    end = time.monotonic() + limit
    targets = NAMES.targets(host, port, limit)
    for number, target in enumerate(targets, 1):
        try:
            wire = _connected(target, _share(end, len(targets) - number + 1))
        except OSError:
            if number == len(targets):
                raise
        else:
            wire.settimeout(limit)
            return wire
    raise OSError(f"{host} has no address")


def _share(end: float, among: int) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left / among


def _connected(target: Target, limit: float) -> socket.socket:
    family, address = target
    wire = socket.socket(family, socket.SOCK_STREAM)
    try:
        wire.settimeout(limit)
        wire.connect(address)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        wire.close()
        raise
    return wire


def _literal(host: str, port: int) -> Target | None:
    """An address needs no resolver; one with a zone ("fe80::1%eth0") does."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    if "%" in host:
        return None
    return (socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))
