"""What a path depends on, found by addresses, network cards and host keys; and where the bot lives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster import kin
from cluster.api import Refused
from cluster.facts import Guest
from cluster.kin import Kin, Nets, Own, configured, dependences, home_of, outside, own_host, seen_inside
from cluster.settings import JumpHost, PathSettings
from tests.unit.cluster.fakes import settings

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIMDB"
LTE = PathSettings(name="lte", kind="jump", jumps=(JumpHost(address="lte.example", host_key=f"ssh-ed25519 {KEY} box"),))
VPN = PathSettings(name="vpn", kind="socks", proxy="192.0.2.9:1080")
RESOLVED = {"lte.example": frozenset({"192.0.2.7"}), "192.0.2.9": frozenset({"192.0.2.9"})}


def test_a_vm_is_known_by_its_cards_and_the_addresses_that_cloud_init_gives_it() -> None:
    config = {
        "name": "router-a",
        "net0": "virtio=BC:24:11:AA:BB:01,bridge=vmbr0",
        "net1": "e1000=BC:24:11:AA:BB:02,bridge=vmbr1,firewall=1",
        "ipconfig0": "ip=192.0.2.7/24,gw=192.0.2.1",
        "ipconfig1": "ip=dhcp,ip6=2001:db8::7/64",
        "description": "spare: BC:24:11:AA:BB:99 ip=192.0.2.99",
    }
    assert configured(101, config) == Nets(
        101,
        frozenset({"bc:24:11:aa:bb:01", "bc:24:11:aa:bb:02"}),
        frozenset({"192.0.2.7", "2001:db8::7"}),
    )


def test_a_container_has_both_in_one_line() -> None:
    config = {"hostname": "dns", "net0": "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:05,ip=192.0.2.5/24,type=veth"}
    assert configured(110, config) == Nets(110, frozenset({"bc:24:11:00:00:05"}), frozenset({"192.0.2.5"}))


def test_what_every_machine_has_tells_nobody_from_anybody() -> None:
    agent = [{"ip-addresses": [{"ip-address": "127.0.0.1"}, {"ip-address": "192.0.2.7"}, {"ip-address": "fe80::1"}]}]
    assert seen_inside(agent) == {"192.0.2.7"}
    assert seen_inside([{"name": "lo", "inet": "127.0.0.1/8"}, {"inet": "192.0.2.5/24", "inet6": "::1/128"}]) == {
        "192.0.2.5"
    }
    assert outside(["", "::1", "169.254.3.4", "192.0.2.1"]) == {"192.0.2.1"}


def test_a_jump_host_and_a_proxy_are_found_by_the_address_of_a_guest() -> None:
    nets = [Nets(101, addresses=frozenset({"192.0.2.7"})), Nets(102, addresses=frozenset({"192.0.2.9"}))]
    found = dependences(settings(paths=(LTE, VPN)), nets, RESOLVED)
    assert found == {
        "lte": {101: "lte.example is an address of its network devices"},
        "vpn": {102: "192.0.2.9 is an address of its network devices"},
    }


def test_a_jump_host_behind_an_address_of_its_own_is_found_by_its_host_key() -> None:
    nets = [Nets(101, keys=frozenset({("ssh-ed25519", KEY)})), Nets(102, keys=frozenset({("ssh-ed25519", "other")}))]
    found = dependences(settings(paths=(LTE,)), nets, {})
    assert found == {"lte": {101: "it shows the SSH host key of the jump host lte.example"}}


def test_a_node_that_is_its_own_jump_host_is_found() -> None:
    jump = JumpHost(address="pve1.example", host_key="ssh-ed25519 AAAA")
    path = PathSettings(name="lte", kind="jump", jumps=(jump,))
    resolved = {"pve1.example": frozenset({"192.0.2.11"})}
    found = dependences(settings(paths=(path,)), [], resolved)["lte"]
    assert found["pve1"] in ("pve1.example is its own address", "the jump host pve1.example has its SSH host key")


def test_what_the_settings_say_counts_beside_what_is_found() -> None:
    path = PathSettings(name="direct", guests=(101, 102))
    assert dependences(settings(paths=(path,)), [], {}) == {
        "direct": {101: "the settings say so", 102: "the settings say so"}
    }


@pytest.mark.parametrize(
    ("own", "home"),
    [
        (Own(frozenset({"bc:24:11:aa:bb:01"}), frozenset()), (105, "it has this host's network card")),
        (Own(frozenset(), frozenset({"192.0.2.5"})), (105, "it has this host's address")),
        (Own(frozenset(), frozenset({"192.0.2.11"})), ("pve1", "it has this host's address")),
        (Own(frozenset({"bc:24:11:aa:bb:09"}), frozenset({"192.0.2.200"})), None),
    ],
)
def test_the_bot_s_own_host_is_found_among_the_guests_and_nodes(own: Own, home: tuple[int | str, str] | None) -> None:
    nets = [Nets(105, frozenset({"bc:24:11:aa:bb:01"}), frozenset({"192.0.2.5"}))]
    assert home_of(settings(), nets, {"pve1.example": frozenset({"192.0.2.11"})}, own) == home


def test_this_host_knows_its_own_network_cards() -> None:
    found = own_host(settings())
    assert all(len(mac) == 17 for mac in found.macs)
    assert "00:00:00:00:00:00" not in found.macs


class Api:
    """Answers by path; what is not there is refused, as without an agent or a privilege."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, path: str) -> Any:
        self.asked.append(path)
        for end, answer in self.answers.items():
            if path.endswith(end.replace("__", "/")):
                return answer
        raise Refused("QEMU guest agent is not running")


ROUTER = Guest(101, "router-a", "qemu", "pve1", "running", 1)


@pytest.fixture
def lonely(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is known, and nobody answers."""
    monkeypatch.setattr(kin, "addresses_of", lambda host: RESOLVED.get(host, frozenset()))
    monkeypatch.setattr(kin, "_keys_of", lambda guest: frozenset({("ssh-ed25519", KEY)}))


@pytest.mark.usefixtures("lonely")
def test_the_agent_is_asked_where_there_is_one() -> None:
    api = Api(config={"net0": "virtio=BC:24:11:AA:BB:01"})
    api.answers["network-get-interfaces"] = {"result": [{"ip-addresses": [{"ip-address": "192.0.2.7"}]}]}
    depends, home = Kin(settings(paths=(LTE,)), api, map).look([ROUTER])
    assert (depends["lte"], home) == ({101: "lte.example is an address of its network devices"}, None)


@pytest.mark.usefixtures("lonely")
def test_without_an_agent_the_configuration_is_all_there_is() -> None:
    api = Api(config={"ipconfig0": "ip=192.0.2.7/24"})
    assert 101 in Kin(settings(paths=(LTE,)), api, map).look([ROUTER])[0]["lte"]


@pytest.mark.usefixtures("lonely")
def test_a_jump_host_that_no_address_gave_away_is_looked_for_by_its_host_key() -> None:
    api = Api(config={"ipconfig0": "ip=203.0.113.5/24"})
    found = Kin(settings(paths=(LTE,)), api, map).look([ROUTER])[0]
    assert found == {"lte": {101: "it shows the SSH host key of the jump host lte.example"}}


@pytest.mark.usefixtures("lonely")
def test_no_guest_is_asked_for_its_key_where_addresses_give_every_jump_host_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look at port 22 of all guests, every quarter of an hour, is nothing to do without need."""
    asked: list[int] = []

    def keys_of(guest: Nets) -> frozenset[tuple[str, str]]:
        asked.append(guest.guest)
        return frozenset()

    monkeypatch.setattr(kin, "_keys_of", keys_of)
    two = PathSettings(name="two", kind="jump", jumps=(*LTE.jumps, JumpHost(address="b.example", host_key="ssh-rsa x")))
    found = Kin(settings(paths=(two,)), lambda _: {}, map)
    nets = (Nets(101, addresses=frozenset({"192.0.2.7"})), Nets(102, addresses=frozenset({"192.0.2.8"})))
    resolved = {"lte.example": frozenset({"192.0.2.7"}), "b.example": frozenset({"192.0.2.8"})}
    assert found._with_keys(nets, resolved) == nets
    assert asked == []


def test_guests_are_not_asked_again_each_minute_and_a_silent_api_is_no_error() -> None:
    api = Api()
    asked = Kin(settings(paths=(LTE,)), api, map)
    assert asked.look([ROUTER])[0] == asked.look([ROUTER])[0] == {"lte": {}}
    assert api.asked == ["nodes/pve1/qemu/101/config"]


ADDRESS = {"result": [{"ip-addresses": [{"ip-address": "192.0.2.7"}]}]}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look asks anew."""
    monkeypatch.setattr(kin, "NETS_S", -1.0)
    monkeypatch.setattr(kin, "_keys_of", lambda guest: frozenset())


@pytest.mark.slow
@pytest.mark.usefixtures("lonely", "later")
def test_what_was_found_out_stands_while_nobody_can_be_asked() -> None:
    """A router that is down just now, or an API that is silent, makes no path free of that router."""
    api = Api(config={"net0": "virtio=BC:24:11:AA:BB:01"})
    api.answers["network-get-interfaces"] = ADDRESS
    asked = Kin(settings(paths=(LTE,)), api, map)
    assert 101 in asked.look([ROUTER])[0]["lte"]
    del api.answers["network-get-interfaces"]
    assert 101 in asked.look([ROUTER])[0]["lte"], "its agent is silent"
    assert 101 in asked.look([replace(ROUTER, status="stopped")])[0]["lte"], "it is down"
    api.answers.clear()
    assert 101 in asked.look([ROUTER])[0]["lte"], "the API does not answer"
    assert 101 in asked.look([])[0]["lte"], "the guests were not listed"


@pytest.mark.slow
@pytest.mark.usefixtures("lonely")
def test_guests_that_could_not_be_listed_are_asked_about_at_the_next_look() -> None:
    api = Api(config={"ipconfig0": "ip=192.0.2.7/24"})
    asked = Kin(settings(paths=(LTE,)), api, map)
    assert asked.look([])[0] == {"lte": {}}
    assert 101 in asked.look([ROUTER])[0]["lte"]


@pytest.mark.usefixtures("lonely")
def test_an_address_stands_while_the_name_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Kin(settings(paths=(LTE,)), Api(config={"ipconfig0": "ip=192.0.2.7/24"}), map)
    assert 101 in asked.look([ROUTER])[0]["lte"]
    monkeypatch.setattr(kin, "addresses_of", lambda host: frozenset())
    assert 101 in asked.look([ROUTER])[0]["lte"]


@pytest.mark.usefixtures("lonely", "later")
def test_a_guest_that_tells_another_address_now_has_that_one() -> None:
    api = Api(config={"net0": "virtio=BC:24:11:AA:BB:01"})
    api.answers["network-get-interfaces"] = ADDRESS
    asked = Kin(settings(paths=(LTE,)), api, map)
    asked.look([ROUTER])
    api.answers["network-get-interfaces"] = {"result": [{"ip-addresses": [{"ip-address": "192.0.2.88"}]}]}
    assert asked.look([ROUTER])[0] == {"lte": {}}


@pytest.mark.parametrize("line", ["ip=dhcp,ip6=auto", "ip=manual,ip6=dhcp", "name=eth0,ip=dhcp,ip6=auto,type=veth"])
def test_how_an_address_is_got_is_no_address(line: str) -> None:
    """ "auto" was read as a host called "a", which was looked up and asked for its SSH key at every reading."""
    assert configured(110, {"net0": line, "ipconfig0": line}).addresses == frozenset()


def test_an_address_of_ip_6_is_known_however_it_is_written() -> None:
    assert configured(101, {"ipconfig0": "ip6=2001:DB8:0::5/64"}).addresses == frozenset({"2001:db8::5"})
    assert seen_inside([{"ip-addresses": [{"ip-address": "2001:db8::5"}]}]) == frozenset({"2001:db8::5"})
