"""What is looked at without a line in the settings, and what is wrong with lines that are there."""

from __future__ import annotations

from typing import Any

from cluster.watchlist import troubles, watchlist
from sandbox.spec import default_spec, managed_settings
from workflows.settings import ManagedCluster


def cluster(*probes: dict[str, Any], **changes: Any) -> ManagedCluster:
    plain = managed_settings(default_spec()).model_dump() | {"probing": {}}
    plain["api"]["token"] = "not-a-secret"
    return ManagedCluster.model_validate(plain | {"probes": probes} | changes)


def found(*probes: dict[str, Any], **changes: Any) -> list[tuple[int, str, str]]:
    return list(troubles(cluster(*probes, **changes)))


def test_every_node_every_guest_of_a_group_and_gluster_are_looked_at() -> None:
    probes = {probe.name: probe for probe in watchlist(cluster())}
    assert list(probes) == [
        *("pve1 ssh", "pve1 api", "pve2 ssh", "pve2 api", "pve3 ssh", "pve3 api"),
        *("guest 101", "guest 102", "gluster", "gluster processes"),
    ]
    assert (probes["pve1 ssh"].target, probes["pve1 ssh"].expect) == ("127.0.0.1:22", "SSH-")
    assert probes["pve1 api"].parents == ("pve1 ssh",)
    assert probes["guest 101"].parents == ("pve1 api", "pve2 api", "pve3 api")
    assert probes["guest 101"].subject == "guest 101 of routers"
    assert probes["gluster"].storage
    assert probes["gluster processes"].storage
    assert probes["gluster processes"].pace.every == 3600.0
    assert {probes["pve2 ssh"].node, probes["pve2 api"].node} == {"pve2"}


def test_a_member_that_has_a_health_probe_is_looked_at_by_that_too() -> None:
    routers = {"name": "routers", "guests": [101, 102], "health": {102: {"ping": "192.0.2.102"}}}
    probes = {probe.name: probe for probe in watchlist(cluster(groups=[routers]))}
    assert "guest 101 serves" not in probes
    serves = probes["guest 102 serves"]
    assert (serves.kind, serves.target, serves.guest) == ("serving", "102", 102)
    assert serves.parents == ("guest 102",)  # one that does not run is one alert
    assert serves.pace.every == 60.0


def test_a_cluster_without_gluster_is_not_asked_about_it() -> None:
    assert not [probe for probe in watchlist(cluster(gluster={"enabled": False})) if "gluster" in probe.name]


def test_a_written_probe_takes_the_place_of_the_default_one() -> None:
    probes = watchlist(cluster({"name": "pve1 ssh", "kind": "tcp", "target": "10.0.0.1:22", "every": "30s"}))
    assert [probe.target for probe in probes if probe.name == "pve1 ssh"] == ["10.0.0.1:22"]
    assert len(probes) == 10


def test_without_defaults_only_what_is_written_is_looked_at() -> None:
    assert watchlist(cluster(probing={"defaults": False})) == ()
    assert list(troubles(cluster(probing={"defaults": False}))) == []


def test_a_guest_probe_goes_down_with_its_guest() -> None:
    (probe,) = watchlist(cluster({"name": "db", "kind": "guest", "target": "103"}, probing={"defaults": False}))
    assert probe.guest == 103


def test_sound_probes_of_every_kind_are_no_trouble() -> None:
    assert (
        found(
            {"name": "uplink", "kind": "ping", "target": "192.0.2.1"},
            {"name": "ssh", "kind": "tcp", "target": "[2001:db8::1]:22", "parents": ["uplink"]},
            {"name": "shop", "kind": "http", "target": "https://shop.example.org/x?y=z", "parents": ["ssh", "uplink"]},
            {"name": "api", "kind": "pve_api", "target": "pve1", "node": "pve1"},
            {"name": "db", "kind": "guest", "target": "103", "parents": ["pve1 api"]},
            {"name": "heal", "kind": "gluster", "every": "10m", "timeout": "5m"},
        )
        == []
    )


def test_what_is_wrong_is_said_with_what_was_meant() -> None:
    assert found({"name": "a", "kind": "pinng", "target": "x"}) == [
        (0, "kind", 'is no kind of probe (did you mean "ping"?)')
    ]
    assert found({"name": "a", "kind": "tcp", "target": "192.0.2.1"}) == [
        (0, "target", 'must be an address with a port, such as "192.0.2.1:443"')
    ]
    assert found({"name": "a", "kind": "ping", "target": "192.0.2.1", "parents": ["pve1 shh"]}) == [
        (0, "parents", 'there is no probe "pve1 shh" (did you mean "pve1 ssh"?)')
    ]
    assert found({"name": "a", "kind": "guest", "target": "router-a"})[0][1:] == (
        "target",
        'must be a guest\'s id, such as "101"',
    )


def test_targets_that_no_kind_can_read_are_refused() -> None:
    for kind, target in (
        ("tcp", "192.0.2.1:0"),
        ("tcp", "2001:db8::1"),
        ("tcp", ":22"),
        ("tcp", "host:70000"),
        ("http", "shop.example.org"),
        ("http", "ftp://shop.example.org"),
        ("http", "https://[::1"),
        ("http", "https://host:99999/"),
        ("ping", ""),
        ("ping", "two words"),
        ("pve_api", "pve9"),
        ("gluster", "gv0"),
        ("gluster_processes", "gv0"),
        ("serving", "101"),  # without a health probe in its group
    ):
        assert [key for _, key, _ in found({"name": "a", "kind": kind, "target": target})] == ["target"], target


def test_paces_that_cannot_work_are_refused() -> None:
    base = {"name": "a", "kind": "ping", "target": "192.0.2.1"}
    assert found({**base, "fails": 4, "of": 3})[0][1] == "of"
    assert found({**base, "every": "3s", "timeout": "3s"})[0][1] == "timeout"


def test_names_that_stand_twice_and_parents_that_lead_in_a_circle_are_refused() -> None:
    a = {"name": "a", "kind": "ping", "target": "192.0.2.1", "parents": ["b"]}
    b = {"name": "b", "kind": "ping", "target": "192.0.2.2", "parents": ["a"]}
    assert [(place, key) for place, key, _ in found(a, b)] == [(0, "parents"), (1, "parents")]
    assert found({**a, "parents": ["a"]}) == [(0, "parents", "leads back to the probe itself")]
    assert found({**a, "parents": []}, {**a, "parents": []}) == [(1, "name", "is the name of another probe too")]
    assert found({**a, "parents": [], "node": "pve7"})[0][:2] == (0, "node")
