"""Guest groups in depth: who serves, who lies beside whom, and what the HA manager may do to that."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.facts import Guest, Ha, HaRule, Move, Serving, Unread
from cluster.world import GatePhase, World
from tests.unit.gates.build import (
    GIB,
    NOW,
    assert_blocked,
    assert_passed,
    assert_unknown,
    guests_of,
    healthy,
    membership,
    verdict,
    with_,
    with_guest,
)

PROBED = {"name": "routers", "guests": [101, 102], "health": {101: {"ping": "192.0.2.1"}, 102: {"agent": True}}}
SERVES = Serving(102, True, "its guest agent answers")
DUMB = Serving(101, False, "192.0.2.1 does not answer ping")
ALWAYS = [GatePhase.UPGRADE, GatePhase.REBOOT, GatePhase.HEALED, GatePhase.WATCH]


def probed(*rows: Serving, **changes: Any) -> World:
    return with_(healthy(groups=[PROBED | changes]), serving=rows)


# ---- serving -------------------------------------------------------------------------------------------------------


def test_a_router_that_runs_and_serves_lets_the_other_one_s_node_go() -> None:
    world = probed(Serving(101, True, "192.0.2.1 answers ping"), SERVES)
    assert_passed(verdict("guest-groups", world, GatePhase.REBOOT))
    assert_passed(verdict("last-member", world))


@pytest.mark.parametrize("phase", [GatePhase.UPGRADE, GatePhase.REBOOT])
def test_a_router_that_runs_and_does_not_serve_is_no_router(phase: GatePhase) -> None:
    reason = (
        "routers: 0 of 2 serve outside of pve2, 1 must: router-a (101) is running on pve1, but does not serve: "
        "192.0.2.1 does not answer ping, router-b (102) is running on pve2"
    )
    assert_blocked(verdict("guest-groups", probed(DUMB, SERVES), phase), reason, "`qm terminal 101`")


@pytest.mark.parametrize("row", [Serving(101, None, "ping could not be sent"), None])
def test_a_probe_that_nobody_could_ask_is_not_serving(row: Serving | None) -> None:
    said = row.said if row else "its health probe was not asked"
    found = verdict("guest-groups", probed(*([row] if row else []), SERVES), GatePhase.REBOOT)
    reason = (
        f"routers: 0 of 2 serve outside of pve2, 1 must: router-a (101) is running on pve1, but does not serve: {said}"
    )
    assert_blocked(found, f"{reason}, router-b (102) is running on pve2")


def test_probes_that_were_not_read_are_unknown() -> None:
    world = with_(healthy(groups=[PROBED]), serving=Unread("HTTP 595", NOW))
    for gate, phase in (("guest-groups", GatePhase.WATCH), ("last-member", GatePhase.ASK)):
        assert_unknown(verdict(gate, world, phase), "serving not read: HTTP 595")


def test_the_only_router_that_serves_may_leave_its_node_alive() -> None:
    assert_passed(verdict("last-member", probed(DUMB, SERVES)))


def test_the_only_router_that_serves_keeps_its_node_if_it_cannot_move() -> None:
    world = with_(probed(DUMB, SERVES), moves=(Move(102, (), {}), Move(103, ("pve1",), {})))
    reason = (
        "routers: 1 must serve, 0 of 2 would: router-b (102) would go down with pve2; "
        "router-a (101) does not serve: 192.0.2.1 does not answer ping"
    )
    assert_blocked(verdict("last-member", world), reason)


def test_a_router_that_the_settings_shut_down_does_not_stay() -> None:
    world = with_guest(healthy(cannot_move={"guests": {102: "shutdown"}}), 101, status="stopped")
    reason = "routers: 1 must run, 0 of 2 would: router-b (102) would go down with pve2"
    assert_blocked(verdict("last-member", world), reason)


def test_a_stopped_router_is_started_and_not_looked_into() -> None:
    world = with_guest(probed(DUMB, SERVES), 102, status="stopped")
    found = verdict("guest-groups", world, GatePhase.WATCH)
    reason = (
        "routers: 0 of 2 serve, 1 must: router-a (101) is running on pve1, but does not serve: "
        "192.0.2.1 does not answer ping, router-b (102) is stopped on pve2"
    )
    assert_blocked(found, reason, "`qm start 102`")


# ---- apart ---------------------------------------------------------------------------------------------------------


def test_two_routers_on_one_node_block_while_another_has_none() -> None:
    world = with_guest(healthy(), 101, node="pve3")
    assert_passed(verdict("members-apart", world))
    world = with_guest(with_guest(healthy(), 101, node="pve1"), 102, node="pve1")
    reason = "router-a (101), router-b (102) of routers are together on pve1, while pve3 has none"
    assert_blocked(verdict("members-apart", world), reason, "`qm migrate 102 pve3 --online`")


def test_the_node_that_is_about_to_go_is_no_place_for_one_of_them() -> None:
    world = with_guest(with_guest(healthy(), 101, node="pve1"), 102, node="pve1")
    offline = with_(world, membership=membership(offline=["pve3"]))
    note = "router-a (101), router-b (102) of routers are together on pve1: no other node is left"
    assert_passed(verdict("members-apart", offline), note)
    taken = with_(world, ha=Ha("pve1", frozenset({"pve3"}), {}, True))
    assert_passed(verdict("members-apart", taken), note)


def test_more_members_than_nodes_are_said_and_do_not_block() -> None:
    world = healthy(groups=[{"name": "routers", "guests": [101, 102, 104, 105]}])
    rows = (*guests_of(world), Guest(105, "router-d", "qemu", "pve3", "running", GIB))
    note = "web (104), router-d (105) of routers are together on pve3: no other node is left"
    assert_passed(verdict("members-apart", with_(world, guests=rows)), note)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"kind": "lxc"}, "`pct migrate 102 pve3 --restart`"),
        ({"ha": "started"}, "`ha-manager crm-command migrate vm:102 pve3`"),
    ],
)
def test_the_command_is_the_one_for_this_kind_of_guest(changes: dict[str, str], command: str) -> None:
    world = with_guest(with_guest(healthy(), 101, node="pve1"), 102, node="pve1", **changes)
    reason = "router-a (101), router-b (102) of routers are together on pve1, while pve3 has none"
    assert_blocked(verdict("members-apart", world), reason, command)


# ---- under HA ------------------------------------------------------------------------------------------------------

APART = HaRule("keep-routers-apart", "resource-affinity", frozenset({"vm:101", "vm:102"}), apart=True)
TO_PVE3 = HaRule("b-on-2-or-3", "node-affinity", frozenset({"vm:102"}), nodes=frozenset({"pve2", "pve3"}), strict=True)
MEET = (
    "router-b (102) of routers is under HA, and no rule keeps it apart from router-a (101): "
    "the HA manager may put them on one node"
)
ADD = "`ha-manager rules add resource-affinity apart-routers --affinity negative --resources vm:101,vm:102`"


def under_ha(*rules: HaRule, both: bool = True) -> World:
    world = with_guest(healthy(), 102, ha="started")
    return with_(with_guest(world, 101, ha="started") if both else world, rules=rules)


def test_routers_under_ha_without_a_rule_block_with_the_rule_to_add() -> None:
    assert_blocked(verdict("ha-affinity", under_ha()), MEET, ADD)


def test_a_rule_that_keeps_them_apart_opens() -> None:
    assert_passed(verdict("ha-affinity", under_ha(APART)))


@pytest.mark.parametrize(
    "rule",
    [
        HaRule("together", "resource-affinity", APART.resources),
        HaRule("others", "resource-affinity", frozenset({"vm:102", "vm:104"}), apart=True),
        HaRule("of-the-other-one", "resource-affinity", frozenset({"vm:101", "vm:104"}), apart=True),
        HaRule("web-on-2-or-3", "node-affinity", frozenset({"vm:104"}), nodes=TO_PVE3.nodes, strict=True),
        HaRule("wishes", "node-affinity", TO_PVE3.resources, nodes=TO_PVE3.nodes, strict=False),
        HaRule("of-a-later-release", "moon-phase", APART.resources),
    ],
)
def test_a_rule_that_says_something_else_does_not(rule: HaRule) -> None:
    assert_blocked(verdict("ha-affinity", under_ha(rule)), MEET, ADD)


def test_a_strict_rule_for_nodes_is_proof_enough() -> None:
    assert_passed(verdict("ha-affinity", under_ha(TO_PVE3)))
    assert_passed(verdict("ha-affinity", under_ha(TO_PVE3, both=False)))


def test_a_member_that_is_not_under_ha_has_to_come_under_it_before_a_rule_can_name_it() -> None:
    assert_blocked(verdict("ha-affinity", under_ha(APART, both=False)), MEET, f"`ha-manager add vm:101`, then {ADD}")


def test_members_that_leave_one_node_together_need_the_rule_as_well() -> None:
    world = with_guest(under_ha(), 101, node="pve2")
    reason = (
        MEET.replace("router-b (102)", "X").replace("router-a (101)", "router-b (102)").replace("X", "router-a (101)")
    )
    assert_blocked(verdict("ha-affinity", world), reason, ADD)
    assert_passed(verdict("ha-affinity", with_(world, rules=(APART,))))


def test_where_no_node_is_free_of_members_it_is_said() -> None:
    world = with_(under_ha(), membership=membership(offline=["pve3"]))
    note = "wherever HA moves router-b (102), it meets another member of routers"
    assert_passed(verdict("ha-affinity", world), note)


def test_a_guest_that_ha_is_told_to_ignore_is_moved_by_us_and_needs_no_rule() -> None:
    assert_passed(verdict("ha-affinity", with_guest(healthy(), 102, ha="ignored")))


def test_members_on_other_nodes_are_not_moved_by_this_maintenance_mode() -> None:
    assert_passed(verdict("ha-affinity", with_guest(healthy(), 101, ha="started")))


def test_rules_that_were_not_read_are_unknown() -> None:
    world = with_(healthy(), rules=Unread("HTTP 403", NOW))
    assert_unknown(verdict("ha-affinity", world), "rules not read: HTTP 403")
