"""The bot's own `LiveCluster` against the faces, and beside it `SimCluster` on the same model.

Whatever the one reads over TLS and SSH, the other must read directly: this holds the two faces of the sandbox together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from cluster.api import Cluster, Refused, Uncertain, Unreachable
from cluster.facts import Guest, Machines, PathTest, Read, Topic, Unread
from cluster.live import LiveCluster
from sandbox.direct import SimCluster
from sandbox.faults import Fault as ModelFault
from sandbox.faults import How, Kind
from sandbox.lines import Fault
from sandbox.model.machines import Power
from sandbox.spec import ClusterSpec
from tests.edges.facing import Night

EVERYTHING = frozenset(Topic)


class Pair:
    """One model, read both ways."""

    def __init__(self, night: Night) -> None:
        self.night = night
        settings = night.settings
        settings = settings.model_copy(update={"gluster": settings.gluster.model_copy(update={"gap": 0.0})})
        self.live = LiveCluster(settings, night.clock, lambda _: None)
        self.sim = SimCluster(night.model, settings, night.clock)

    def one_path(self) -> None:
        """No other way to try: what broke on this one is unclear."""
        settings = self.live.settings.model_copy(update={"paths": ()})
        self.live.close()
        self.live = LiveCluster(settings, self.night.clock, lambda _: None)
        self.sim = SimCluster(self.night.model, settings, self.night.clock)

    def direct(self, ask: Callable[[Cluster], Any]) -> Any:
        return self.night.faces.run(lambda: ask(self.sim))

    def guest(self, number: int) -> Guest:
        return next(guest for guest in self.live.guests() if guest.id == number)


@pytest.fixture
def pair(night: Night) -> Iterator[Pair]:
    pair = Pair(night)
    yield pair
    pair.live.close()


# ---- the two faces say the same ----------------------------------------------------------------------------------


def facts(found: Any) -> Any:
    """A survey without its times, without the wording of what was not read, and without the way that a word took: a
    line that falls silent for a moment, on a busy machine, is gone round."""
    if isinstance(found, PathTest):
        return found.path, found.node, bool(found.ssh), bool(found.api)
    if isinstance(found, Read):
        return facts(found.value)
    if isinstance(found, Unread):
        return "unread"
    if is_dataclass(found):
        return {field.name: facts(getattr(found, field.name)) for field in fields(found) if field.name != "detours"}
    if isinstance(found, dict):
        return {key: facts(value) for key, value in found.items()}
    return [facts(one) for one in found] if isinstance(found, tuple) else found


def assert_same_facts(pair: Pair, node: str = "pve1") -> Machines:
    live = pair.live.survey(EVERYTHING, node)
    direct = pair.direct(lambda sim: sim.survey(EVERYTHING, node))
    for topic in EVERYTHING:
        assert facts(getattr(live, topic)) == facts(getattr(direct, topic)), topic
    assert pair.direct(lambda sim: sim.heal_progress("pve2")) == pair.live.heal_progress("pve2")
    return live


def test_a_healthy_cluster_reads_the_same_both_ways(pair: Pair) -> None:
    live = assert_same_facts(pair)
    for topic in EVERYTHING - {Topic.NODES}:
        assert isinstance(getattr(live, topic), Read), topic
    assert all(isinstance(reading, Read) for reading in live.nodes.values())


def test_a_healing_cluster_reads_the_same_both_ways(pair: Pair) -> None:
    reboot(pair, "pve2")
    pair.night.pass_time(240)
    live = assert_same_facts(pair)
    assert isinstance(live.gluster, Read)
    rows = live.gluster.value.views[0].heal["vmstore"][-1]
    assert isinstance(rows, Read)
    assert [row.total for row in rows.value][1] == 0
    assert (rows.value[0].total or 0) > 0


def test_a_cluster_with_a_node_off_reads_the_same_both_ways(pair: Pair) -> None:
    pair.night.power_cut("pve3")
    pair.night.pass_time(60)
    live = assert_same_facts(pair)
    assert isinstance(live.nodes["pve3"], Unread)
    assert isinstance(live.storages, Unread)


def test_maintenance_mode_reads_the_same_both_ways(pair: Pair) -> None:
    pair.live.maintenance("pve3", True, pair.live.node_status("pve3").uptime + 10)
    pair.night.pass_time(40)
    live = assert_same_facts(pair, "pve3")
    assert isinstance(live.ha, Read)
    assert live.ha.value.maintenance == {"pve3"}


# ---- acts --------------------------------------------------------------------------------------------------------


def test_a_guest_migrates_and_is_listed_on_its_target(pair: Pair) -> None:
    task = pair.live.migrate(pair.guest(101), "pve2")
    assert pair.live.task(task).running
    assert pair.live.find_task("qmigrate", 101, pair.night.clock() - 60) == task
    pair.night.pass_time(60)
    assert (pair.live.task(task).running, pair.live.task(task).error) == (False, "")
    assert pair.guest(101).node == "pve2"


def test_a_guest_is_shut_down_kept_down_and_started_again(pair: Pair) -> None:
    pair.live.set_onboot(pair.guest(101), False)
    pair.live.shutdown(pair.guest(101), 60)
    pair.night.pass_time(20)
    assert (pair.guest(101).status, pair.live.onboot(pair.guest(101))) == ("stopped", False)
    pair.live.start(pair.guest(101))
    pair.night.pass_time(10)
    assert pair.guest(101).running


def test_maintenance_mode_goes_on_and_off_again(pair: Pair) -> None:
    for wanted, shown in ((True, {"pve3"}), (False, set())):
        pair.live.maintenance("pve3", wanted, pair.live.node_status("pve3").uptime + 10)
        pair.night.pass_time(60)
        ha = pair.live.survey(frozenset({Topic.HA}), None).ha
        assert isinstance(ha, Read)
        assert ha.value.maintenance == shown


def test_an_upgrade_is_followed_to_its_end(pair: Pair) -> None:
    upgrade(pair, "pve1", "R1.pve1.upgrade")
    assert (pair.live.unit("pve1", "R1.pve1.upgrade").began, pair.live.unit("pve1", "R1.pve1.upgrade").exit) == (
        True,
        None,
    )
    upgrade(pair, "pve1", "R1.pve1.upgrade")
    pair.night.pass_time(200)
    assert pair.live.unit("pve1", "R1.pve1.upgrade").exit == 0
    assert pair.live.node_status("pve1").boot_kernel == "6.8.12-9-pve"
    assert not pair.live.unit("pve1", "R1.pve1.other").began


def upgrade(pair: Pair, node: str, unit: str) -> None:
    packages = pair.live.survey(frozenset({Topic.PACKAGES}), node).packages
    assert isinstance(packages, Read)
    pair.live.upgrade(node, unit, packages.value.checksum, pair.live.node_status(node).uptime + 10)


def reboot(pair: Pair, node: str) -> None:
    status = pair.live.node_status(node)
    pair.live.reboot(node, status.boot_id, status.uptime + 10)


def test_a_reboot_happens_once_and_only_for_the_boot_that_was_approved(pair: Pair) -> None:
    before = pair.live.node_status("pve2")
    reboot(pair, "pve2")
    pair.night.pass_time(400)
    assert pair.live.node_status("pve2").boot_id != before.boot_id
    with pytest.raises(Refused, match=f"not {before.boot_id}"):
        pair.live.reboot("pve2", before.boot_id, pair.live.node_status("pve2").uptime + 10)


def test_a_reboot_is_refused_while_the_volume_heals(pair: Pair) -> None:
    reboot(pair, "pve2")
    pair.night.pass_time(240)
    with pytest.raises(Refused, match="not healed"):
        reboot(pair, "pve3")
    assert pair.night.model.node("pve3").lit


def test_a_reboot_that_comes_too_late_is_refused(pair: Pair) -> None:
    status = pair.live.node_status("pve2")
    pair.night.pass_time(60)
    with pytest.raises(Refused, match="too late"):
        pair.live.reboot("pve2", status.boot_id, status.uptime + 10)


# ---- what goes wrong is told in sentences ------------------------------------------------------------------------


def test_a_dead_node_cannot_be_asked_about_its_guests(pair: Pair) -> None:
    guest = pair.guest(102)
    pair.night.power_cut("pve2")
    with pytest.raises(Unreachable, match=r"pve2 does not answer .*No route to host"):
        pair.live.migrate(guest, "pve1")


def test_a_missing_privilege_is_told_with_the_line_that_grants_it(pair: Pair) -> None:
    guest = pair.guest(101)
    pair.night.faces.acl.take("VM.Migrate")
    with pytest.raises(Refused, match=r"lacks VM\.Migrate on /vms/101") as caught:
        pair.live.migrate(guest, "pve2")
    assert "pveum role modify" in caught.value.hint


def test_a_line_that_breaks_after_the_reboot_order_leaves_it_uncertain_and_done(pair: Pair) -> None:
    pair.night.faces.faults.plan(Fault.DROP_AFTER, node="pve2", what="reboot")
    with pytest.raises(Uncertain):
        reboot(pair, "pve2")
    pair.night.pass_time(30)
    assert not pair.night.model.node("pve2").lit


def plan_line(pair: Pair, how: How, seconds: float = 0.0) -> None:
    """A scenario's fault of the line, as the direct face has it too."""
    fault = ModelFault(Kind.LINE, node="pve2", text="reboot", how=how, amount=seconds)
    pair.night.faces.run(lambda: pair.night.model.trouble.begin(fault))


def goes_down(pair: Pair, node: str) -> bool:
    return pair.night.model.node(node).power is not Power.UP


@pytest.mark.parametrize(
    ("how", "at_once", "later"), [(How.LOST, False, False), (How.LATE, False, True), (How.BROKEN, True, True)]
)
def test_a_scenarios_broken_line_breaks_here_too(pair: Pair, how: How, at_once: bool, later: bool) -> None:
    pair.one_path()
    plan_line(pair, how, seconds=8.0)
    with pytest.raises(Uncertain):
        reboot(pair, "pve2")
    assert goes_down(pair, "pve2") == at_once
    pair.night.pass_time(9)
    assert goes_down(pair, "pve2") == later


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.GARBAGE])
def test_an_answer_of_gluster_that_is_not_whole_is_unread(pair: Pair, fault: Fault) -> None:
    pair.night.faces.faults.plan(fault, node="pve2", what="heal-summary", times=9)
    found = pair.live.survey(frozenset({Topic.GLUSTER}), None).gluster
    assert isinstance(found, Read)
    answers = {view.node: view.heal["vmstore"][-1] for view in found.value.views}
    assert isinstance(answers["pve2"], Unread)
    assert isinstance(answers["pve1"], Read)


def test_a_helper_that_is_not_installed_is_told_with_the_command_that_installs_it(pair: Pair) -> None:
    pair.night.faces.faults.plan(Fault.MISSING, node="pve1")
    with pytest.raises(Refused, match="not installed") as caught:
        pair.live.node_status("pve1")
    assert "roundsman install-helper" in caught.value.hint


def test_a_container_is_restarted_on_its_target(start_night: Callable[[ClusterSpec], Night]) -> None:
    spec = ClusterSpec.from_dict({"guests": [{"id": 201, "name": "mail", "node": "pve1", "kind": "lxc"}], "groups": []})
    pair = Pair(start_night(spec))
    try:
        assert pair.live.move_options(pair.guest(201)).allowed == ("pve2", "pve3")
        pair.live.migrate(pair.guest(201), "pve3")
        pair.night.pass_time(60)
        assert pair.guest(201).node == "pve3"
    finally:
        pair.live.close()
