"""The Proxmox VE API over HTTPS with a token; the only file that knows proxmoxer.

Any node can be asked about any other, so there is a list of entries: the settings' nodes in their order, never the one
under the knife, a silent one last. Each entry is reached over the paths of the settings in turn: an act goes on to the
next one only while nothing was sent, a read also when its line says nothing for the path's silence limit. A client is
lent to one request at a time (sessions are not thread-safe).

What goes wrong comes in three families of exceptions and one that is none: proxmoxer's ResourceException (the API said
no), requests' exceptions (the network), proxmoxer's own trouble with odd answers, and a 2xx that is not JSON, which
proxmoxer returns as if it were an answer. All of it becomes a ClusterError here.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import requests
from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException

from base.web import Ending, TooLong
from cluster.api import ClusterError, Refused, Uncertain, Unreachable
from cluster.lines import Dialer, PathDown, plugged
from cluster.paths import Paths, all_failed
from cluster.routes import Face
from cluster.settings import ClusterSettings

CONNECT_S = 10.0
SILENT_S = 30.0  # for so long a silent entry is asked last
KEPT_S = 4.0  # a connection that rests is used again for so long; Proxmox VE closes it after 5
MOST_BYTES = 64 << 20  # of one answer: a hundred times what a thousand guests have to tell
ROLE, ROLE_ON_ALL = "Roundsman", "RoundsmanLook"
"""As docs/install.md makes them: what is given on / holds for everything below, so it is a role of its own."""

_ODD = (AttributeError, KeyError, TypeError)  # proxmoxer's, on an answer that is JSON but not the API's
_NO_CONNECTION = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


class EntrySilent(Unreachable):
    """No connection to this entry: another one may be asked, even to act."""


class EntryLost(Uncertain):
    """This entry gave no answer, or not the API's: another one may be asked, but only to read."""


class TooOld(Refused):
    """This release of Proxmox VE has no such method."""


class Proxmox:
    """Asks and orders. `avoid` is the node under the knife, which is never the entry. Parameters that are booleans go
    out as 1 and 0: anything else is refused."""

    def __init__(self, settings: ClusterSettings, paths: Paths | None = None) -> None:
        self._settings = settings
        self._paths = paths or Paths(settings)
        self._alone = len(self._paths.ways) == 1
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str, float], list[tuple[Any, float]]] = defaultdict(list)
        """Clients, and since when each rests."""
        self._sessions: list[requests.Session] = []
        self._silent_until: dict[str, float] = {}

    def get(self, path: str, avoid: str = "", **params: Any) -> Any:
        """Read, from the first entry that answers. None is no answer to a read."""
        return self._first(avoid, (EntrySilent, EntryLost), "get", path, params)

    def send(self, method: str, path: str, avoid: str = "", **params: Any) -> Any:
        """Act ("post", "put"). Another entry is tried only while nothing was sent."""
        return self._first(avoid, (EntrySilent,), method, path, params)

    def ask(self, entry: str, method: str, path: str, **params: Any) -> Any:
        """One request to this very entry, over the first path that lives. Raises Refused, Unreachable, Uncertain."""
        ways = self._paths.routes.order(entry, Face.API)
        if method == "get" and len(ways) > 1:
            return self._raced(entry, ways, path, params)
        errors: dict[str, ClusterError] = {}
        for way in ways:
            try:
                answer = self.once(entry, way, method, path, params)
            except EntrySilent as error:
                errors[way] = error
            else:
                self._paths.routes.used(entry, Face.API, way, errors, time.monotonic())
                return answer
        raise self._no_way(entry, errors)

    def _raced(self, entry: str, ways: list[str], path: str, params: dict[str, Any]) -> Any:
        """A read over the first path; over the next one as well as soon as that fails or has said nothing for its
        silence limit. The first answer counts, also if it is a no."""
        answers: SimpleQueue[tuple[str, Any, Exception | None]] = SimpleQueue()

        def go(way: str) -> None:
            try:
                answers.put((way, self.once(entry, way, "get", path, params), None))
            except Exception as error:  # noqa: BLE001 - raised by whoever waits for it, who would wait for ever
                answers.put((way, None, error))

        errors: dict[str, ClusterError] = {}
        for number, way in enumerate(ways):
            threading.Thread(target=go, args=(way,), name="api-read", daemon=True).start()
            while True:
                last = number + 1 == len(ways)
                try:
                    who, answer, error = answers.get(timeout=None if last else self._paths.ways[way].silence)
                except Empty:
                    break
                if not isinstance(error, EntrySilent | EntryLost):
                    before = ways[: ways.index(who)]
                    self._paths.routes.used(entry, Face.API, who, before, time.monotonic())
                    if error:
                        raise error
                    return answer
                errors[who] = error
                if len(errors) == number + 1:
                    break
        raise self._no_way(entry, errors)

    def _no_way(self, entry: str, errors: dict[str, ClusterError]) -> ClusterError:
        self._paths.routes.told(entry, Face.API, [], errors, time.monotonic())
        return _silent(errors)

    def once(self, entry: str, way: str, method: str, path: str, params: dict[str, Any], timeout: float = 0.0) -> Any:
        """One request to this entry over this path, within `timeout` seconds, else those of the settings. Raises as
        `ask` does."""
        plain = {name: int(value) if isinstance(value, bool) else value for name, value in params.items()}
        try:
            with self._line(entry, self._paths.ways[way], method, timeout or self._settings.api.timeout) as client:
                answer = getattr(client(path), method)(**plain)
        except PathDown as down:
            raise EntrySilent(str(down), down.hint) from None
        except ResourceException as error:
            raise self._said_no(entry, method, path, error) from None
        except OSError as error:  # all of requests' exceptions are some, and a CA file that is not there
            raise self._network(entry, way, error) from None
        except _ODD as error:
            raise self._not_the_api(entry, repr(error)) from None
        if (answer is None and method == "get") or (
            isinstance(answer, dict) and isinstance(answer.get("errors"), bytes)
        ):
            raise self._not_the_api(entry, "no JSON")
        return answer

    def close(self) -> None:
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()
            self._idle.clear()

    # ---- entries -------------------------------------------------------------------------------------------------

    def _first(
        self, avoid: str, next_after: tuple[type[ClusterError], ...], method: str, path: str, params: dict[str, Any]
    ) -> Any:
        silent: list[ClusterError] = []
        for entry in self._entries(avoid):
            try:
                return self.ask(entry, method, path, **params)
            except next_after as error:
                self._silent_until[entry] = time.monotonic() + SILENT_S
                silent.append(error)
        raise Unreachable("; ".join(str(error) for error in silent), silent[0].hint)

    def _entries(self, avoid: str) -> Iterator[str]:
        """With one node in the settings there is no other choice."""
        nodes = [node for node in self._settings.nodes if node != avoid] or list(self._settings.nodes)
        now = time.monotonic()
        yield from sorted(nodes, key=lambda node: self._silent_until.get(node, 0.0) > now)

    @contextmanager
    def _line(self, entry: str, way: Dialer, method: str, timeout: float) -> Iterator[Any]:
        """A client for one request. An act gets a fresh connection: PVE closes idle ones after seconds, and an act on a
        connection that was just closed might have been done or not. A read gets none that rested for long."""
        if method != "get":
            client = self._new_client(entry, way, timeout)
            with closing(client._store["session"]):
                yield client
            return
        with self._lock:
            idle = self._idle[entry, way.name, timeout]
            client, since = idle.pop() if idle else (None, 0.0)
        if client is None:
            client = self._new_client(entry, way, timeout)
            with self._lock:
                self._sessions.append(client._store["session"])
        elif time.monotonic() - since >= KEPT_S:
            client._store["session"].close()  # its next request connects anew
        try:
            yield client
        finally:
            with self._lock:
                idle.append((client, time.monotonic()))

    def _new_client(self, entry: str, way: Dialer, timeout: float) -> Any:
        node, api = self._settings.nodes[entry], self._settings.api
        user, _, name = api.token_id.partition("!")
        client = ProxmoxAPI(
            node.address,
            port=node.api_port,
            user=user,
            token_name=name,
            token_value=api.token.get_secret_value().strip(),
            verify_ssl=False if node.fingerprint else api.ca_file or True,
            timeout=(min(CONNECT_S, way.silence), timeout),
        )
        session: requests.Session = client._store["session"]
        session.trust_env = False  # no proxy and no CA from the environment
        session.max_redirects = 0  # the API has none, and each would have a time of its own
        session.mount("https://", _OverWay(way, node.fingerprint, timeout))
        return client

    # ---- what went wrong, in sentences ---------------------------------------------------------------------------

    def _said_no(self, entry: str, method: str, path: str, error: ResourceException) -> ClusterError:
        text = re.sub(r"\s+", " ", str(error.content)).strip()
        match error.status_code:
            case 401:
                return Refused(
                    f"the API on {entry} does not accept the token {self._settings.api.token_id}",
                    "compare `pveum user token list` with api.token_id, and its secret with the environment",
                )
            case 403:
                return self._not_allowed(text)
            case 400:
                return Refused(f"the API on {entry} refused {method} {path}: {_why(error.errors) or text}")
            case 595:
                return Unreachable(f"{_target(path) or entry} does not answer (so says {entry}: {text})")
            case 596 | 597 | 598 | 599:
                hangs = f"{_target(path) or entry} does not answer in time (so says {entry}: {text})"
                return Unreachable(hangs) if method == "get" else Uncertain(hangs)
            case 501:
                return TooOld(f"Proxmox VE on {entry} is too old for {method} {path}")
        if method != "get" and "timeout" in text:
            return Uncertain(f"{entry} says of {method} {path}: {text}")
        return Refused(f"the API on {entry} refused {method} {path}: {text}")

    def _not_allowed(self, text: str) -> Refused:
        found = re.search(r"\((/[^,]*), ([^)]*)\)", text)
        if not found:
            return Refused(f"the token {self._settings.api.token_id} may not do that: {text}")
        path, privilege = found[1], found[2].split("|")[0]
        return Refused(
            f"the token {self._settings.api.token_id} lacks {privilege} on {path}",
            grant(path, privilege, self._settings.api.token_id),
        )

    def _network(self, entry: str, way: str, error: OSError) -> ClusterError:
        over = "" if self._alone else f" over {way}"
        where = f"{self._settings.nodes[entry].address}:{self._settings.nodes[entry].api_port}{over}"
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "ingerprint" in text:
            return self._not_trusted(entry, text)
        if isinstance(error, TooLong | requests.TooManyRedirects):
            return self._not_the_api(entry, "it does not end" if isinstance(error, TooLong) else "it sends elsewhere")
        if "CA certificate bundle" in text:
            return Refused(f"there is no CA file {self._settings.api.ca_file}", "api.ca_file in the settings names it")
        if any(name in _causes(error) for name in _NO_CONNECTION):
            return EntrySilent(f"no connection to the API of {entry} ({where})")
        kind = "did not answer in time" if isinstance(error, requests.Timeout) else "broke the line"
        return EntryLost(f"the API of {entry} ({where}) {kind}: what was asked may have been done or not")

    def _not_trusted(self, entry: str, text: str) -> EntrySilent:
        got = re.search(r'got "([0-9a-f]+)"', text)
        if got:
            shown = ":".join(re.findall("..", got[1].upper()))
            return EntrySilent(
                f"the API of {entry} shows another certificate than the one that is pinned: {shown}",
                f"if it was renewed, put that into nodes.{entry}.fingerprint; `pvenode cert info` on {entry} tells",
            )
        why = re.search(r"certificate verify failed: ([^(]+?) *\(", text)
        return EntrySilent(
            f"the certificate of the API of {entry} is not trusted: {why[1] if why else text[:200]}",
            "copy /etc/pve/pve-root-ca.pem of the cluster to this machine and name it in api.ca_file, "
            f"or set nodes.{entry}.fingerprint",
        )

    def _not_the_api(self, entry: str, why: str) -> EntryLost:
        node = self._settings.nodes[entry]
        return EntryLost(
            f"{node.address}:{node.api_port} answers, but not as the Proxmox VE API does ({why})",
            f"is nodes.{entry}.api_port right, and nothing in between?",
        )


class _OverWay(Ending):
    """Connects over one path; TLS and its checks are the same on all. With a SHA-256 fingerprint it trusts that one
    certificate, and asks no CA. Each request ends within `whole` seconds."""

    def __init__(self, way: Dialer, fingerprint: str, whole: float) -> None:
        self._way, self._fingerprint = way, fingerprint
        super().__init__(lambda: time.monotonic() + whole, MOST_BYTES)

    def open(self, host: str, port: int, limit: float) -> socket.socket:
        return plugged(self._way.open(host, port, time.monotonic() + limit))

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        if self._fingerprint:
            named["assert_fingerprint"] = self._fingerprint
        super().init_poolmanager(*args, **named)


def _silent(errors: dict[str, ClusterError]) -> ClusterError:
    """Of several paths to one entry. Another entry may be asked: to act, only if none of them carried anything."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    told = all_failed(errors)
    return (EntryLost if isinstance(told, Uncertain) else EntrySilent)(str(told), told.hint)


def grant(path: str, privilege: str, token_id: str) -> str:
    """The shell line that gives a privilege to the token and, since it is no more than that, to its user."""
    root = "/" + path.split("/")[1] if path != "/" else path
    role = ROLE_ON_ALL if root == "/" else ROLE
    user = token_id.partition("!")[0]
    return (
        f"`pveum role modify {role} --append 1 --privs {privilege}` and "
        f"`pveum acl modify {root} --roles {role} --users '{user}' --tokens '{token_id}'`"
    )


def _target(path: str) -> str:
    """The node that a path is about, if it is about one."""
    parts = path.split("/")
    return parts[1] if parts[0] == "nodes" and len(parts) > 1 else ""


def _why(errors: Any) -> str:
    """{"target": "target is local node."} -> "target: target is local node."""
    return "; ".join(f"{name}: {why}" for name, why in errors.items()).strip() if isinstance(errors, dict) else ""


def _causes(error: BaseException) -> set[str]:
    """Class names of an exception and of all that is wrapped inside of it."""
    names: set[str] = set()
    inner: Any = error
    while isinstance(inner, BaseException):
        names |= {kind.__name__ for kind in type(inner).__mro__}
        inner = getattr(inner, "reason", None) or next(
            (arg for arg in inner.args if isinstance(arg, BaseException)), None
        )
    return names
