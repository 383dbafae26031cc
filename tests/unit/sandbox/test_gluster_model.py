"""How bricks go, come back late, gather entries and heal; and what each node's glusterd says of it meanwhile."""

from __future__ import annotations

import pytest

from cluster.api import Unreachable
from cluster.facts import BrickHeal, Gluster, Read, Topic, Unread
from sandbox.model import Denied, What
from sandbox.model.gluster import brick_lag
from sandbox.model.replication import Debt, Pace
from sandbox.spec import GLUSTER_UPDATE, ClusterSpec
from tests.unit.sandbox.evening import Evening, with_timings

BOOTED = 20 + 150


def row(evening: Evening, asked: str, node: str) -> BrickHeal:
    rows = evening.model.heal(evening.clock.now, asked, "vmstore")
    return next(row for row in rows if row.brick.startswith(f"{node}:"))


# ---- going and coming back ---------------------------------------------------------------------------------------
def test_the_longer_a_node_was_off_the_later_its_brick_is_back() -> None:
    assert [brick_lag(off) for off in (5, 20, 30, 45, 150)] == [3.0, 3.0, 16.0, 32.0, 63.0]


def test_a_node_is_back_a_minute_before_its_brick(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(BOOTED + 5)
    assert evening.cluster.node_status("pve1").services["glusterd"] == "active"
    assert evening.cluster.heal_progress("").down == ("pve1:/srv/vmstore/brick",)
    evening.later(61)
    assert evening.cluster.heal_progress("").down == ()
    assert evening.happened(What.BRICKS_UP, "pve1") != []


def test_a_brick_that_is_away_has_no_number_and_is_not_read_as_healed(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(60)
    away = row(evening, "pve2", "pve1")
    assert (away.pending, away.total, away.healed) == (None, None, False)
    assert not evening.cluster.heal_progress("pve1").healed


def test_upgrading_the_server_takes_the_bricks_down_half_way(spec: ClusterSpec) -> None:
    evening = Evening(ClusterSpec.from_dict({"packages": [vars_of(GLUSTER_UPDATE)]}))
    evening.upgrade("pve2")
    evening.later(89)
    assert evening.happened(What.BRICKS_DOWN) == []
    evening.later(3)
    assert [e.node for e in evening.happened(What.BRICKS_DOWN)] == ["pve2"]
    evening.later(60)
    assert [e.node for e in evening.happened(What.BRICKS_UP)] == ["pve2"]
    assert evening.happened(What.REBOOT) == []


def vars_of(package: object) -> dict[str, str]:
    return {name: getattr(package, name) for name in ("name", "old", "new")}


# ---- entries and heal ---------------------------------------------------------------------------------------------
def test_who_is_away_is_listed_by_the_others_and_never_by_itself(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(BOOTED + 70)
    assert row(evening, "pve1", "pve1").total == 0
    assert (row(evening, "pve1", "pve2").total or 0) > 0
    assert row(evening, "pve1", "pve2").total == row(evening, "pve3", "pve3").total


def test_entries_grow_while_guests_write_and_fall_to_zero_while_it_heals(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(60)
    soon = evening.pending("pve1")
    evening.later(100)
    assert evening.pending("pve1") > soon
    evening.later(76)
    counts = []
    while evening.model.gluster.unhealed_since is not None:
        counts.append(evening.pending("pve1"))
        evening.later(5)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] > 0, "not one zero before the end"
    assert evening.cluster.heal_progress("pve1").healed


def test_the_count_may_climb_before_it_falls(spec: ClusterSpec) -> None:
    evening = Evening(with_timings(spec, heal_climb=0.4))
    evening.reboot("pve1")
    evening.later(BOOTED + 66)
    first = evening.pending("pve1")
    evening.later(40)
    assert evening.pending("pve1") > first


def test_a_wiped_brick_starts_at_one_entry_and_climbs_to_hundreds(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "brick-wiped", "node": "pve2", "amount": 400})
    assert evening.pending() == 1
    evening.later(125)
    assert evening.pending() > 300
    evening.later(300)
    assert evening.cluster.heal_progress("").healed


def test_the_last_entry_is_possibly_healing_with_nothing_pending(evening: Evening) -> None:
    evening.reboot("pve1")
    evening.later(BOOTED + 66)
    while (row(evening, "pve2", "pve2").total or 0) > 1:
        evening.later(1)
    last = row(evening, "pve2", "pve2")
    assert (last.pending, last.possibly_healing, last.total, last.healed) == (0, 1, 1, False)


def test_nobody_writing_means_nothing_to_heal() -> None:
    evening = Evening(ClusterSpec.from_dict({"guests": [], "groups": [], "backups": []}))
    evening.reboot("pve1")
    evening.later(BOOTED + 66)
    assert evening.cluster.heal_progress("").healed


def test_a_second_absence_adds_to_what_is_still_to_heal() -> None:
    pace = Pace(base=20.0, factor=0.5, climb=0.0, entries_s=0.2)
    once = Debt({"pve2"}, work=100.0, done=50.0, entries=40.0)
    again = Debt({"pve2"}, away_since=0.0, work=100.0, done=50.0, entries=40.0)
    assert pace.count(once, 4, 100.0, 1.0) == 20
    assert pace.count(again, 4, 100.0, 1.0) == 20 + 4 + 20


def test_a_heal_that_is_stuck_goes_on_when_that_ends(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "heal-stuck", "lasts": "2h"})
    evening.reboot("pve1")
    evening.later(3600)
    stuck = evening.pending("pve1")
    evening.later(1800)
    assert evening.pending("pve1") == stuck > 0
    evening.later(3600)
    assert evening.cluster.heal_progress("pve1").healed


def test_a_slow_heal_takes_as_many_times_as_long(spec: ClusterSpec) -> None:
    quick, slow = Evening(spec), Evening(spec, {"kind": "heal-slow", "amount": 0.1})
    for evening in (quick, slow):
        evening.reboot("pve1")
        evening.later(4 * 3600)
    took = [e.happened(What.HEALED)[0].at - e.happened(What.BRICKS_UP)[0].at for e in (quick, slow)]
    assert took[1] == pytest.approx(10 * took[0])


def test_without_any_self_heal_daemon_nothing_heals(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "shd-down"})
    evening.reboot("pve1")
    evening.later(4 * 3600)
    assert evening.pending("pve1") > 0


# ---- what glusterd says --------------------------------------------------------------------------------------------
def test_a_dead_self_heal_daemon_shows_in_volume_status_only(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "shd-down", "node": "pve2"})
    assert evening.cluster.heal_progress("").healed
    rows = evening.model.volume_status(evening.clock.now, "pve1", "vmstore").rows
    assert [r.name for r in rows if not r.online] == ["pve2:self-heal daemon"]


def test_glusterd_down_answers_nothing_and_makes_its_brick_unreachable_for_others(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "glusterd-down", "node": "pve2"})
    views = {view.node: view for view in gluster(evening).views}
    assert isinstance(views["pve2"].pool, Unread)
    assert row(evening, "pve1", "pve2").total is None
    assert evening.happened(What.BRICKS_DOWN) == [], "the brick serves on"


def gluster(evening: Evening) -> Gluster:
    reading = evening.cluster.survey(frozenset({Topic.GLUSTER}), None).gluster
    assert isinstance(reading, Read)
    return reading.value


def test_a_cut_peer_is_in_cluster_and_not_connected_while_heal_info_is_all_zero(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "peer-cut", "node": "pve2"})
    peer = next(p for p in evening.model.pool(evening.clock.now, "pve1") if p.host == "pve2")
    assert (peer.state, peer.connected) == (3, False)
    assert evening.cluster.heal_progress("").healed
    assert len(evening.model.volume_status(evening.clock.now, "pve2", "vmstore").rows) == 2, "its own brick and daemon"


def test_a_peer_still_counts_as_connected_for_twenty_seconds_after_a_power_cut(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60})
    evening.later(80)
    assert connected(evening, "pve2")
    evening.later(2)
    assert not connected(evening, "pve2")


def connected(evening: Evening, node: str) -> bool:
    return next(p.connected for p in evening.model.pool(evening.clock.now, "pve1") if p.host == node)


def test_volume_status_right_after_a_power_cut_hangs_and_leaves_its_lock_for_three_minutes(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "power-cut", "node": "pve2", "at": 60})
    evening.later(65)
    with pytest.raises(Denied, match="Request timed out"):
        evening.model.volume_status(evening.clock.now, "pve1", "vmstore")
    evening.later(170)
    with pytest.raises(Denied, match="Another transaction is in progress for vmstore"):
        evening.model.volume_status(evening.clock.now, "pve3", "vmstore")
    evening.later(11)
    assert evening.model.volume_status(evening.clock.now, "pve3", "vmstore").rows


def test_volume_status_is_not_asked_while_anything_heals(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "brick-wiped", "node": "pve2"})
    (status,) = {type(view.status["vmstore"]) for view in gluster(evening).views}
    assert status is Unread


def test_an_answer_that_is_not_xml_is_unread(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "not-xml", "node": "pve1"})
    view = gluster(evening).views[0]
    assert isinstance(view.volumes, Unread)
    assert "not XML" in view.volumes.why


def test_heal_progress_is_asked_elsewhere_and_says_when_nobody_answers(spec: ClusterSpec) -> None:
    evening = Evening(spec, {"kind": "ssh-down", "at": 60})
    assert evening.cluster.heal_progress("pve1").asked == "pve2"
    evening.later(61)
    with pytest.raises(Unreachable, match="ssh does not answer"):
        evening.cluster.heal_progress("pve1")


def test_distributed_sets_fail_and_heal_apart() -> None:
    nodes = [f"pve{n}" for n in range(1, 5)]
    spec = ClusterSpec.from_dict({"nodes": 4, "volumes": [{"replica": 2, "nodes": nodes}]})
    evening = Evening(spec)
    evening.reboot("pve1")
    evening.later(BOOTED + 70)
    assert evening.model.volumes(evening.clock.now, "pve1")[0].kind == "Distributed-Replicate"
    assert (row(evening, "pve3", "pve2").total or 0) > 0
    assert [row(evening, "pve3", n).total for n in ("pve3", "pve4")] == [0, 0]
