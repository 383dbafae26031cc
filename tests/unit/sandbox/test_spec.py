"""A scenario's cluster, as written and as refused."""

from __future__ import annotations

import pytest

from sandbox.faults import BadFault, Fault, How, Kind
from sandbox.model import Model
from sandbox.spec import BadSpec, ClusterSpec, NodeSpec, managed_settings


def test_an_empty_description_is_three_nodes_with_two_routers() -> None:
    spec = ClusterSpec.from_dict({})
    assert [node.name for node in spec.nodes] == ["pve1", "pve2", "pve3"]
    assert [(g.id, g.name, g.node) for g in spec.guests[:2]] == [(101, "router-a", "pve1"), (102, "router-b", "pve2")]
    assert [(g.name, g.guests, g.keep_running) for g in spec.groups] == [("routers", (101, 102), 1)]


def test_times_may_be_written_with_their_unit() -> None:
    spec = ClusterSpec.from_dict({"timings": {"boot": "10m", "upgrade": 90}})
    assert (spec.timings.boot, spec.timings.upgrade) == (600.0, 90.0)


def test_a_wrong_word_is_answered_with_what_was_meant() -> None:
    with pytest.raises(BadSpec, match=r'unknown key "guest" .did you mean "guests"'):
        ClusterSpec.from_dict({"guest": []})
    with pytest.raises(BadSpec, match=r'unknown key "memroy" .did you mean "memory"'):
        ClusterSpec.from_dict({"nodes": [{"name": "pve1", "memroy": 1}]})


def test_a_guest_on_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadSpec, match='guest 101: there is no node "pve9"'):
        ClusterSpec.from_dict({"guests": [{"id": 101, "name": "router-a", "node": "pve9"}]})


def test_bricks_that_make_no_whole_replica_sets_are_refused() -> None:
    with pytest.raises(BadSpec, match="make no whole sets of 3"):
        ClusterSpec.from_dict({"volumes": [{"nodes": ["pve1", "pve2"]}]})


def test_with_fewer_nodes_the_usual_guests_move_together() -> None:
    spec = ClusterSpec.from_dict({"nodes": 2, "volumes": [{"replica": 2}]})
    assert {guest.node for guest in spec.guests} == {"pve1", "pve2"}


def test_nodes_may_differ() -> None:
    spec = ClusterSpec.from_dict({"nodes": ["pve1", {"name": "pve2", "kernel": "6.5.13-1-pve"}, "pve3"]})
    assert spec.node("pve2") == NodeSpec("pve2", kernel="6.5.13-1-pve")


def test_the_settings_carry_what_the_scenario_adds() -> None:
    managed = managed_settings(ClusterSpec.from_dict({"settings": {"limits": {"heal": "2h"}}}))
    assert (managed.limits.heal, list(managed.nodes)) == (7200.0, ["pve1", "pve2", "pve3"])


def test_a_fault_is_read_from_plain_data() -> None:
    fault = Fault.from_dict({"kind": "line", "text": "reboot", "node": "pve2", "how": "late", "amount": 180})
    assert fault == Fault(Kind.LINE, node="pve2", text="reboot", how=How.LATE, amount=180)


def test_a_fault_nobody_knows_is_answered_with_what_was_meant() -> None:
    with pytest.raises(BadFault, match=r'unknown kind "heal-stick" .did you mean "heal-stuck"'):
        Fault.from_dict({"kind": "heal-stick"})
    with pytest.raises(BadFault, match=r'unknown key "nodes" .did you mean "node"'):
        Fault.from_dict({"kind": "heal-stuck", "nodes": "pve1"})


def test_a_fault_that_waits_for_something_that_never_happens_is_refused(spec: ClusterSpec) -> None:
    with pytest.raises(BadFault, match='nothing is ever called "rebooot"'):
        Model(spec, faults=[{"kind": "heal-stuck", "after": "rebooot pve1"}])
