"""Ceph, ZFS replication, HA rules and guest agents over the real API client, judged by Proxmox VE's own schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cluster.api import Refused
from cluster.checks import check_cluster
from cluster.facts import Ceph, Read, ReplicationJob, Topic
from cluster.guest_settings import GuestGroup, HealthProbe
from cluster.install import helper_checksum
from sandbox.faults import Fault, Kind
from sandbox.spec import CephSpec, ClusterSpec, GuestSpec, ReplicaSpec, RuleSpec, default_spec
from tests.edges.facing import Night
from tests.edges.test_live_cluster import Pair, assert_same_facts

PROBED = GuestGroup(name="routers", guests=(101, 102), health={102: HealthProbe(agent=True)})


@pytest.fixture
def night(start_night: Callable[[ClusterSpec], Night]) -> Night:
    usual = default_spec()
    return start_night(
        replace(
            usual,
            guests=(*usual.guests, GuestSpec(110, "mail", "pve2", volume="")),
            groups=(PROBED,),
            ceph=CephSpec(nodes=("pve1", "pve2", "pve3")),
            replicas=(ReplicaSpec(110, "pve3"),),
            rules=(
                RuleSpec("apart-routers", ("vm:101", "vm:102")),
                RuleSpec("web-not-on-1", ("vm:104",), apart=False, nodes=("pve2", "pve3")),
            ),
            helper_checksum=helper_checksum(),
        )
    )


@pytest.fixture
def pair(night: Night) -> Iterator[Pair]:
    pair = Pair(night)
    yield pair
    pair.live.close()


def ceph(pair: Pair) -> Ceph:
    found = pair.live.survey(frozenset({Topic.CEPH}), "pve2").ceph
    assert isinstance(found, Read)
    assert found.value
    return found.value


def job(pair: Pair) -> ReplicationJob:
    found = pair.live.survey(frozenset({Topic.REPLICATION}), "pve2").replication
    assert isinstance(found, Read)
    return found.value[0]


def test_all_of_it_reads_the_same_both_ways(pair: Pair) -> None:
    live = assert_same_facts(pair, "pve2")
    assert isinstance(live.rules, Read)
    assert {rule.name for rule in live.rules.value if rule.apart} == {"apart-routers"}
    assert isinstance(live.moves, Read)
    assert next(move for move in live.moves.value if move.guest == 110).allowed == ("pve3",)


def test_a_ceph_that_recovers_reads_the_same_both_ways(pair: Pair) -> None:
    pair.night.power_cut("pve3")
    pair.night.pass_time(30)
    found = ceph(pair)
    assert (found.osds_up, found.osds_in, found.quorum) == (4, 6, frozenset({"pve1", "pve2"}))
    assert found == pair.direct(lambda sim: sim.survey(frozenset({Topic.CEPH}), "pve2").ceph.value)  # type: ignore[union-attr]


def test_noout_is_set_and_unset(pair: Pair) -> None:
    pair.live.ceph_flag("noout", True)
    assert (ceph(pair).flags, "OSDMAP_FLAGS" in ceph(pair).checks) == (frozenset({"noout"}), True)
    pair.live.ceph_flag("noout", False)
    assert (ceph(pair).flags, ceph(pair).checks) == (frozenset(), {})


def test_replication_runs_soon_after_it_was_asked_to(pair: Pair) -> None:
    before = job(pair)
    pair.live.replicate(before)
    pair.night.pass_time(60)
    assert job(pair).last_sync > before.last_sync


def test_a_replicated_guest_is_replicated_back_once_it_has_moved(pair: Pair) -> None:
    pair.live.migrate(pair.guest(110), "pve3")
    pair.night.pass_time(300)
    assert (job(pair).source, job(pair).target) == ("pve3", "pve2")


def test_a_guest_whose_agent_does_not_answer_does_not_serve(pair: Pair) -> None:
    pair.night.faces.run(lambda: pair.night.model.trouble.begin(Fault(Kind.NOT_SERVING, guest=102)))
    found = pair.live.survey(frozenset({Topic.SERVING}), "pve1").serving
    assert isinstance(found, Read)
    assert [(row.guest, row.serves) for row in found.value] == [(102, False)]
    assert "QEMU guest agent is not running" in found.value[0].said


def test_shutting_a_guest_under_ha_down_asks_ha_to_keep_it_down(pair: Pair) -> None:
    assert pair.live.ha_request(pair.guest(104)) == "started"
    assert pair.live.ha_request(pair.guest(103)) == ""
    pair.live.shutdown(pair.guest(104), 60)
    pair.night.pass_time(60)
    assert (pair.guest(104).ha, pair.live.ha_request(pair.guest(104))) == ("stopped", "stopped")
    pair.live.start(pair.guest(104))
    pair.night.pass_time(60)
    assert (pair.guest(104).ha, pair.live.ha_request(pair.guest(104))) == ("started", "started")


def test_every_health_probe_is_asked_by_the_check(pair: Pair) -> None:
    told = {line.subject: line for line in check_cluster(pair.night.settings)}
    assert (told["health of guest 102"].ok, told["health of guest 102"].text) == (True, "its guest agent answers")
    pair.night.faces.run(lambda: pair.night.model.trouble.begin(Fault(Kind.NOT_SERVING, guest=102)))
    told = {line.subject: line for line in check_cluster(pair.night.settings)}
    assert not told["health of guest 102"].ok
    assert "groups[].health" in told["health of guest 102"].remedy


@pytest.mark.parametrize(
    ("privilege", "path", "act"),
    [
        ("Sys.Modify", "/", lambda pair: pair.live.ceph_flag("noout", True)),
        ("VM.Replicate", "/vms", lambda pair: pair.live.replicate(job(pair))),
    ],
)
def test_a_privilege_that_is_missing_is_told_before_and_when_it_is_needed(
    pair: Pair, privilege: str, path: str, act: Callable[[Pair], None]
) -> None:
    assert [line for line in check_cluster(pair.night.settings) if not line.ok] == []
    pair.night.faces.acl.take(privilege)
    told = {line.subject: line for line in check_cluster(pair.night.settings) if not line.ok}
    assert privilege in told[f"token on {path}"].text
    assert privilege in told[f"token on {path}"].remedy
    with pytest.raises(Refused, match=privilege.replace(".", r"\.")):
        act(pair)
