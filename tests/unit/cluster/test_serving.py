"""Health probes on real sockets, and what becomes of those that cannot be asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from cluster import serving
from cluster.api import Refused, Unreachable
from cluster.facts import Guest, Serving
from cluster.guest_settings import GuestGroup, HealthProbe
from cluster.probes._common import Failed, Ok, Probe, Result, Unknown
from cluster.serving import Health, looked, trouble
from sandbox.sockets import refused_port
from tests.unit.cluster.fakes import settings
from tests.unit.cluster.test_pve_rows import FakeApi

ROUTER = Guest(101, "router-a", "qemu", "pve1", "running", 1)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class Agents(FakeApi):
    """`no`: what the API says to an agent's ping."""

    def __init__(self, no: Exception | None = None) -> None:
        super().__init__()
        self.no = no

    def send(self, method: str, path: str, avoid: str = "", **params: Any) -> Any:
        self.sent.append((method, path, params))
        if self.no:
            raise self.no
        return {"result": {}}


def health(probe: dict[str, Any], api: FakeApi | None = None) -> Health:
    group = GuestGroup(name="routers", guests=(101, 102), health={101: HealthProbe.model_validate(probe)})
    return Health(api or Agents(), settings(groups=(group,)), map)  # type: ignore[arg-type]


# ---- TCP and ping ----------------------------------------------------------------------------------------------------


def tcp(port: int, host: str = "127.0.0.1") -> Serving:
    return looked(101, HealthProbe(tcp=f"{host}:{port}"))


def test_a_port_that_takes_connections_serves(port: int) -> None:
    assert tcp(port) == Serving(101, True, f"127.0.0.1:{port} answers")


def test_a_port_where_nobody_listens_does_not() -> None:
    with refused_port() as free:
        assert tcp(free) == Serving(101, False, f"127.0.0.1:{free} refuses connections")


def test_a_name_without_an_address_says_nothing_of_the_guest() -> None:
    found = tcp(443, "router-a.invalid")
    assert found.serves is None
    assert found.said.startswith("the name router-a.invalid has no address")


def looks_end(patch: pytest.MonkeyPatch, *results: Result) -> list[Probe]:
    """What one look after the other finds."""
    asked: list[Probe] = []

    async def look(probe: Probe) -> Result:
        asked.append(probe)
        return results[len(asked) - 1]

    patch.setattr(serving, "look", look)
    return asked


def test_one_lost_packet_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = looks_end(monkeypatch, Failed("no echo"), Unknown("no socket"), Ok("by TCP port 443"))
    assert looked(101, HealthProbe(ping="192.0.2.1")) == Serving(101, True, "192.0.2.1 answers by TCP port 443")
    assert [(probe.kind, probe.target) for probe in asked] == [("ping", "192.0.2.1")] * 3


@pytest.mark.parametrize(("last", "serves"), [(Failed("no echo"), False), (Unknown("no socket"), None)])
def test_the_last_look_counts(monkeypatch: pytest.MonkeyPatch, last: Result, serves: bool | None) -> None:
    looks_end(monkeypatch, Failed("first"), Failed("second"), last)
    found = looked(101, HealthProbe(ping="192.0.2.1"))
    assert (found.serves, found.said) == (serves, last.why if not isinstance(last, Ok) else "")


# ---- the agent -------------------------------------------------------------------------------------------------------


def test_an_agent_is_asked_on_the_node_of_its_guest() -> None:
    api = Agents()
    assert health({"agent": True}, api).read((ROUTER,), "") == (Serving(101, True, "its guest agent answers"),)
    assert api.sent == [("post", "nodes/pve1/qemu/101/agent/ping", {})]


def test_an_agent_that_does_not_answer_is_not_serving() -> None:
    no = Refused("the API on pve1 refused it: QEMU guest agent is not running")
    (found,) = health({"agent": True}, Agents(no)).read((ROUTER,), "")
    assert (found.serves, "QEMU guest agent is not running" in found.said) == (False, True)


def test_an_agent_that_nobody_could_ask_is_not_known() -> None:
    (found,) = health({"agent": True}, Agents(Unreachable("no line"))).read((ROUTER,), "")
    assert (found.serves, found.said) == (None, "its guest agent could not be asked: no line")
    (found,) = health({"agent": True}).read((), "")
    assert (found.serves, "not listed in the cluster" in found.said) == (None, True)


def test_only_agents_need_to_know_where_their_guests_are(port: int) -> None:
    assert health({"agent": True}).probes_agents
    probes = health({"tcp": f"127.0.0.1:{port}"})
    assert not probes.probes_agents
    assert [row.serves for row in probes.read((), "")] == [True]


# ---- what can be written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        ({}, "a health probe is one of ping, tcp and agent"),
        ({"ping": "192.0.2.1", "agent": True}, "a health probe is one of ping, tcp and agent"),
        ({"http": "192.0.2.1"}, "Extra inputs are not permitted"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(probe: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        HealthProbe.model_validate(probe)


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        ({"tcp": "192.0.2.1"}, "must be an address with a port"),
        ({"tcp": "192.0.2.1:99999"}, "must be an address with a port"),
        ({"ping": "two words"}, "must be a host name or an address"),
        ({"tcp": "[2001:db8::1]:22"}, ""),
        ({"ping": "router.example"}, ""),
        ({"agent": True}, ""),
    ],
)
def test_a_target_that_cannot_be_looked_at_is_told(probe: dict[str, Any], fault: str) -> None:
    told = trouble(HealthProbe.model_validate(probe), settings())
    assert told.startswith(fault) if fault else told == ""


def test_a_probe_of_no_member_is_refused() -> None:
    with pytest.raises(ValidationError, match="health names 103, no member of routers"):
        GuestGroup(name="routers", guests=(101, 102), health={103: HealthProbe(agent=True)})
