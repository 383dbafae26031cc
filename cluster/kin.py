"""What the ways in depend on, where it can be found out: guests and nodes of the very cluster that they lead to; and
where the bot itself lives.

A guest is known by its id in the settings, by the addresses and hardware addresses of its network devices (its
configuration, its agent), and by the SSH host key that answers at its addresses. What cannot be read is no evidence of
independence, but neither of the opposite: the settings' `guests` are there for what only a person knows.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from pathlib import Path
from typing import Any

from base.dialing import NAMES
from cluster.api import ClusterError
from cluster.facts import Guest
from cluster.lines import Direct
from cluster.login import host_key_of
from cluster.settings import ClusterSettings, PathSettings

NETS_S = 900.0
"""Network devices of guests change seldom, and reading them is a question or two for each guest."""
SCAN_S = 3.0
NAMED_S = 5.0  # for a name server to answer
MOST_SCANNED = 64
"""Guests whose SSH host key is asked for at most; only where a jump host was not found by its address."""
CARDS = Path("/sys/class/net")

_MAC = re.compile(r"\b(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\b", re.IGNORECASE)
_IP = re.compile(r"\bip6?=([0-9a-fA-F.:]+)")
_NETS = re.compile(r"(net|ipconfig)\d+")

What = int | str
"""A guest's id or a node's name."""


@dataclass(frozen=True, slots=True)
class Nets:
    """What one guest is known by in a network. `macs` in lower case; `keys`: SSH host keys, as (kind, base64)."""

    guest: int
    macs: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    keys: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Own:
    """The bot's own host."""

    macs: frozenset[str]
    addresses: frozenset[str]


# ---- rows of the API -----------------------------------------------------------------------------------------------


def configured(guest: int, config: Mapping[str, Any]) -> Nets:
    """From a guest's configuration: `net0: virtio=BC:24:11:..,bridge=vmbr0`, `ipconfig0: ip=192.0.2.5/24,gw=..`."""
    lines = " ".join(str(value) for name, value in config.items() if _NETS.fullmatch(name))
    return Nets(guest, frozenset(map(str.lower, _MAC.findall(lines))), outside(_IP.findall(lines)))


def seen_inside(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Addresses as a guest's agent, or a container's interfaces, tell them; loopback and link-local ones left out."""
    found = set()
    for row in rows:
        for each in row.get("ip-addresses") or ():
            found.add(str(each.get("ip-address", "")))
        for name in ("inet", "inet6"):
            found.add(str(row.get(name, "")).partition("/")[0])
    return outside(found)


# ---- who depends on whom -------------------------------------------------------------------------------------------


def hosts_of(path: PathSettings) -> list[str]:
    """Machines that the path goes through, as the settings name them."""
    jumps = [jump.address for jump in path.jumps]
    return [*jumps, path.socks()[0]] if path.kind == "socks" else jumps


def dependences(
    settings: ClusterSettings, nets: Sequence[Nets], resolved: Mapping[str, frozenset[str]]
) -> dict[str, dict[What, str]]:
    """Path -> what it goes through -> how that is known. `resolved`: host of the settings -> its addresses."""
    return {path.name: dict(_of_path(path, settings, nets, resolved)) for path in settings.ways}


def _of_path(
    path: PathSettings, settings: ClusterSettings, nets: Sequence[Nets], resolved: Mapping[str, frozenset[str]]
) -> Iterable[tuple[What, str]]:
    for host in hosts_of(path):
        found = resolved.get(host, frozenset())
        for guest in nets:
            if found & guest.addresses:
                yield guest.guest, f"{host} is an address of its network devices"
        for node, place in settings.nodes.items():
            if found & resolved.get(place.address, frozenset()):
                yield node, f"{host} is its own address"
    for jump in path.jumps:
        pinned = _key(jump.host_key)
        for guest in nets:
            if pinned in guest.keys:
                yield guest.guest, f"it shows the SSH host key of the jump host {jump.address}"
        for node, place in settings.nodes.items():
            if _key(place.host_key) == pinned:
                yield node, f"the jump host {jump.address} has its SSH host key"
    for number in path.guests:
        yield number, "the settings say so"


def home_of(
    settings: ClusterSettings, nets: Sequence[Nets], resolved: Mapping[str, frozenset[str]], own: Own
) -> tuple[What, str] | None:
    """Where the bot itself runs, if that is a guest or a node of this cluster."""
    for guest in nets:
        if guest.macs & own.macs:
            return guest.guest, "it has this host's network card"
        if guest.addresses & own.addresses:
            return guest.guest, "it has this host's address"
    for node, place in settings.nodes.items():
        if resolved.get(place.address, frozenset()) & own.addresses:
            return node, "it has this host's address"
    return None


def _key(pinned: str) -> tuple[str, str]:
    kind, _, rest = pinned.strip().partition(" ")
    return kind, rest.split(" ")[0]


# ---- asking --------------------------------------------------------------------------------------------------------

AskPve = Callable[[str], Any]
"""(path of the API) -> what it says. Raises ClusterError."""


class Kin:
    """Asks for guests' network devices now and then, and remembers. `each`: like map(), at the same time."""

    def __init__(self, settings: ClusterSettings, ask: AskPve, each: Callable[..., Iterable[Any]]) -> None:
        self._settings, self._ask, self._each = settings, ask, each
        self._nets: tuple[Nets, ...] = ()
        self._addresses: dict[str, frozenset[str]] = {}
        self._read_at = float("-inf")

    def look(self, guests: Sequence[Guest]) -> tuple[dict[str, dict[What, str]], tuple[What, str] | None]:
        """What each path depends on, and where the bot lives. What was found out stands until something else is told:
        that nobody answers just now, or that no guest could be listed, makes no path independent."""
        resolved = self._resolved()
        if guests and time.monotonic() - self._read_at > NETS_S:
            nets = tuple(self._each(self._nets_of, [guest for guest in guests if not guest.template]))
            self._nets = self._with_keys(nets, resolved)
            self._read_at = time.monotonic()
        own = own_host(self._settings)
        return dependences(self._settings, self._nets, resolved), home_of(self._settings, self._nets, resolved, own)

    def _nets_of(self, guest: Guest) -> Nets:
        base = f"nodes/{guest.node}/{guest.kind}/{guest.id}"
        before = next((known for known in self._nets if known.guest == guest.id), Nets(guest.id))
        try:
            nets = configured(guest.id, self._ask(f"{base}/config"))
        except (ClusterError, AttributeError, TypeError):
            return before
        silent = Nets(guest.id, nets.macs, nets.addresses | before.addresses, before.keys)
        if not guest.running:
            return silent
        try:
            inside = "agent/network-get-interfaces" if guest.kind == "qemu" else "interfaces"
            told = self._ask(f"{base}/{inside}")
            rows = told["result"] if isinstance(told, Mapping) else told
            return Nets(guest.id, nets.macs, nets.addresses | seen_inside(rows))
        except (ClusterError, KeyError, AttributeError, TypeError):
            return silent  # no agent, no privilege: beside the configuration there is only what was known

    def _with_keys(self, nets: tuple[Nets, ...], resolved: Mapping[str, frozenset[str]]) -> tuple[Nets, ...]:
        """SSH host keys of guests with an address, if there is a jump host that no address gave away."""
        known = frozenset(chain.from_iterable(guest.addresses for guest in nets))
        unknown = [
            jump
            for path in self._settings.ways
            for jump in path.jumps
            if not resolved.get(jump.address, frozenset()) & known
        ]
        with_address = [guest for guest in nets if guest.addresses][:MOST_SCANNED]
        if not unknown:
            return nets
        keys = dict(zip((g.guest for g in with_address), self._each(_keys_of, with_address), strict=True))
        return tuple(Nets(n.guest, n.macs, n.addresses, keys.get(n.guest) or n.keys) for n in nets)

    def _resolved(self) -> dict[str, frozenset[str]]:
        hosts = chain.from_iterable(hosts_of(path) for path in self._settings.ways)
        for host in {*hosts, *(node.address for node in self._settings.nodes.values())}:
            self._addresses[host] = addresses_of(host) or self._addresses.get(host, frozenset())
        return self._addresses


def _keys_of(guest: Nets) -> frozenset[tuple[str, str]]:
    way = Direct(PathSettings(name="scan", silence=SCAN_S))
    found = set()
    for address in sorted(guest.addresses)[:2]:
        try:
            found.add(host_key_of(way.open, address, 22, time.monotonic() + SCAN_S))
        except OSError:
            continue
    return frozenset(found)


def addresses_of(host: str) -> frozenset[str]:
    """Every address that a name has here; of an address itself. Empty where nobody knows."""
    try:
        return outside(str(target[0]) for _, target in NAMES.targets(host, 0, NAMED_S))
    except OSError:
        return frozenset()


def outside(addresses: Iterable[str]) -> frozenset[str]:
    """In one spelling, and without those that every machine has, or gives itself: they tell nobody from anybody. What
    is no address (how one is got: "ip6=auto") is left out too."""
    found = [address for text in addresses if (address := _address(text))]
    return frozenset(str(address) for address in found if not (address.is_loopback or address.is_link_local))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def own_host(settings: ClusterSettings) -> Own:
    """Network cards of this host, and the addresses with which it speaks to the nodes (loopback left out)."""
    macs = {path.read_text().strip().lower() for path in CARDS.glob("*/address")} if CARDS.is_dir() else set()
    addresses = {_address_towards(node.address, node.ssh_port) for node in settings.nodes.values()}
    return Own(
        frozenset(macs) - {"", "00:00:00:00:00:00"},
        outside(addresses),
    )


def _address_towards(host: str, port: int) -> str:
    """Nothing is sent: a datagram socket that is connected knows its own end."""
    try:
        family, target = NAMES.targets(host, port, NAMED_S)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:
        return ""
