"""HTTP requests that end: connecting, TLS, headers and body within one time, and no more than so many bytes.

The time limits of `requests` are between two bytes, so whoever sends a byte now and then holds a caller for as long as
it likes, already in the headers. Here a watch beside the request shuts the line when the time is over. TLS and its
checks are those of `requests`.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from base.dialing import dial

PIECE_BYTES = 64 * 1024
MOMENT_S = 0.001  # a time limit of 0 would mean: do not wait at all


class TooLong(requests.RequestException):
    """The answer has more bytes than are taken."""


class Ending(HTTPAdapter):
    """For one request at a time, headers and body. Each ends when `until()` says, a time.monotonic() asked at its
    beginning: else it raises requests.ReadTimeout. `most`: bytes of a body; raises TooLong when there are more."""

    def __init__(self, until: Callable[[], float], most: int) -> None:
        self._until, self._most = until, most
        self._watch = _Watch(math.inf, None)
        super().__init__()

    def open(self, host: str, port: int, limit: float) -> socket.socket:
        """The line to the machine. Raises OSError."""
        return dial(host, port, limit)

    def send(self, request: requests.PreparedRequest, stream: bool = False, *more: Any, **named: Any) -> Any:
        with self._watched(request):
            response = super().send(request, True, *more, **named)
            response._content = _whole(response, self._most)
        return response

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = _pools(self)
        return manager

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """For the connection classes below, in the words that urllib3 has for what went wrong."""
        limit = min(connection.timeout or math.inf, self._watch.left())
        try:
            wire = self.open(connection.host, connection.port, limit)
        except socket.gaierror as error:
            raise NameResolutionError(connection.host, connection, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "no connection in time") from error
        except OSError as error:
            raise NewConnectionError(connection, f"no connection: {error}") from error
        wire.settimeout(limit)  # of the TLS handshake: a line through a jump host comes without
        self.hold(wire)
        return wire

    def hold(self, wire: socket.socket) -> None:
        """What is to be shut when the time is over."""
        self._watch.hold(wire)

    @contextmanager
    def _watched(self, request: requests.PreparedRequest) -> Iterator[None]:
        watch = self._watch = self._watch.next(self._until())
        bell = threading.Timer(watch.left(), watch.end)
        bell.daemon = True
        bell.start()
        try:
            yield
            if watch.late:  # a body that ends with its line looks whole
                raise TimeoutError("cut off")
        except OSError as error:  # all of requests' exceptions are some
            if watch.late and not isinstance(error, requests.ConnectTimeout):
                raise requests.ReadTimeout("no whole answer in time", request=request) from error
            raise
        finally:
            bell.cancel()


class _Watch:
    """Over one request: shuts its line, also one that is made only later."""

    def __init__(self, until: float, wire: socket.socket | None) -> None:
        self._until, self._wire = until, wire
        self._lock = threading.Lock()
        self.late = False

    def next(self, until: float) -> _Watch:
        """For the next request, which may go over the same line."""
        return _Watch(until, self._wire)

    def left(self) -> float:
        return max(MOMENT_S, self._until - time.monotonic())

    def hold(self, wire: socket.socket) -> None:
        with self._lock:
            self._wire = wire
            if self.late:
                raise TimeoutError("the time is over")

    def end(self) -> None:
        with self._lock:
            self.late = True
            if self._wire is not None:
                with suppress(OSError):  # closed already
                    socket.socket.shutdown(self._wire, socket.SHUT_RDWR)  # past TLS, which has no say in it


def request(method: str, url: str, whole: float, most: int, connect: float = 0.0, **named: Any) -> requests.Response:
    """One request that ends within `whole` seconds, redirects and all, and brings no more than `most` bytes; `connect`
    seconds are given to each connection, 0 = all of the time. Else as `requests.request`; raises its exceptions."""
    end = time.monotonic() + whole
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, Ending(lambda: end, most))
        return session.request(method, url, timeout=(connect or whole, whole), **named)


def _whole(response: requests.Response, most: int) -> bytes:
    body = bytearray()
    for piece in response.iter_content(PIECE_BYTES):
        body += piece
        if len(body) > most:
            response.close()
            raise TooLong(f"more than {most} bytes", response=response)
    return bytes(body)


def _pools(ending: Ending) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return ending.connect(self)

    class Safe(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return ending.connect(self)

        def connect(self) -> None:
            super().connect()
            ending.hold(getattr(self.sock, "socket", self.sock))  # inside of a proxy's own TLS it is none itself

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SafePool(HTTPSConnectionPool):
        ConnectionCls = Safe

    return {"http": PlainPool, "https": SafePool}
