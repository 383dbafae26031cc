"""A TCP connection to a name: within its time, and by the last known addresses when no name server answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from base import dialing
from base.dialing import Names, Target, dial

HERE: Target = (socket.AF_INET, ("192.0.2.1", 443))
THERE: Target = (socket.AF_INET, ("192.0.2.2", 443))


class NameServer:
    """Says where names are, at once, or never, or that there is no such name. `asked`: how often."""

    def __init__(self) -> None:
        self.says: Sequence[Target] | OSError | None = [HERE]
        self.asked, self.over = 0, threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[Target]:
        self.asked += 1
        if self.says is None:
            self.over.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "silent")
        if isinstance(self.says, OSError):
            raise self.says
        return self.says


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.over.set()


@pytest.fixture
def names(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> Names:
    monkeypatch.setattr(dialing, "PATIENCE_S", 0.02)
    return Names(server)


def test_an_answer_is_asked_for_each_time_while_there_is_one(server: NameServer, names: Names) -> None:
    assert names.targets("api.example", 443, 30) == [HERE]
    server.says = [THERE, HERE]
    assert names.targets("api.example", 443, 30) == [THERE, HERE]


def test_a_silent_name_server_has_no_more_than_the_time_that_there_is(server: NameServer, names: Names) -> None:
    server.says = None
    with pytest.raises(TimeoutError, match=r"no name server said within 0 s where api\.example is"):
        names.targets("api.example", 443, 0.02)


@pytest.mark.parametrize("trouble", [None, socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("no route")])
def test_without_an_answer_the_last_one_counts_and_the_server_rests(
    server: NameServer, names: Names, trouble: OSError | None
) -> None:
    names.targets("api.example", 443, 30)
    server.says = trouble
    assert [names.targets("api.example", 443, 30) for _ in range(3)] == [[HERE]] * 3
    assert server.asked == 2  # once well, once not; then it rests


def test_a_name_server_is_asked_again_after_its_rest(
    server: NameServer, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "AGAIN_S", 0.0)
    names.targets("api.example", 443, 30)
    server.says = OSError("no route")
    names.targets("api.example", 443, 30)
    server.says = [THERE]
    assert names.targets("api.example", 443, 30) == [THERE]


def test_another_name_is_asked_for_although_the_server_rests(server: NameServer, names: Names) -> None:
    names.targets("api.example", 443, 30)
    server.says = socket.gaierror(socket.EAI_NONAME, "unknown")
    names.targets("api.example", 443, 30)
    with pytest.raises(socket.gaierror, match="unknown"):
        names.targets("other.example", 443, 30)


def test_many_who_wait_for_a_silent_server_ask_it_once(server: NameServer, names: Names) -> None:
    server.says = None
    for _ in range(5):
        with pytest.raises(TimeoutError):
            names.targets("api.example", 443, 0.01)
    assert server.asked == 1


@pytest.mark.parametrize("literal", ["192.0.2.1", "2001:db8::1"])
def test_an_address_needs_no_name_server(server: NameServer, names: Names, literal: str) -> None:
    assert names.targets(literal, 443, 30)[0][1][:2] == (literal, 443)
    assert server.asked == 0


# ---- connecting ----------------------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield socket.AF_INET, server.getsockname()


@pytest.fixture
def nobody() -> Target:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.AF_INET, server.getsockname()


def at(monkeypatch: pytest.MonkeyPatch, *targets: Target) -> None:
    monkeypatch.setattr(dialing, "NAMES", Names(lambda host, port: targets))


def test_of_several_addresses_the_one_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch, nobody: Target, listening: Target
) -> None:
    at(monkeypatch, nobody, listening)
    with closing(dial("api.example", 443, 30)) as wire:
        assert wire.getpeername() == listening[1]
        assert (wire.gettimeout(), wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0) == (30, True)


def test_an_address_that_drops_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, listening: Target
) -> None:
    given: list[float] = []

    def connected(target: Target, limit: float) -> socket.socket:
        given.append(limit)
        if target == HERE:
            raise TimeoutError
        return socket.create_connection(target[1])

    at(monkeypatch, HERE, listening)
    monkeypatch.setattr(dialing, "_connected", connected)
    dial("api.example", 443, 30).close()
    assert given[0] <= 15 < given[1] <= 30


def test_when_no_address_answers_the_last_failure_is_told(monkeypatch: pytest.MonkeyPatch, nobody: Target) -> None:
    at(monkeypatch, nobody)
    with pytest.raises(ConnectionRefusedError):
        dial("api.example", 443, 30)
    at(monkeypatch)
    with pytest.raises(OSError, match=r"api\.example has no address"):
        dial("api.example", 443, 30)


def test_no_time_is_no_connection(monkeypatch: pytest.MonkeyPatch, listening: Target) -> None:
    at(monkeypatch, listening)
    with pytest.raises(TimeoutError):
        dial("api.example", 443, 0.0)
