"""Random nights of what the others leave out: Ceph, ZFS replication, health probes, containers, and guests under HA
that cannot move; with crashes at every write and act, and orders at any time. What must never happen does not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from cluster.guest_settings import GuestGroup, HealthProbe
from sandbox.faults import Fault, How, Kind
from sandbox.luck import GOOD, HOUR, LASTS, MINUTE, WILD, LuckyNight, Odds
from sandbox.scenario import Scenario
from sandbox.spec import CephSpec, ClusterSpec, GuestSpec, ReplicaSpec, RuleSpec, VolumeSpec, default_spec
from workflows import node, putback

PROBES = {101: HealthProbe(ping="192.0.2.101"), 102: HealthProbe(agent=True)}
PEOPLE = {"operators": ["U0ALICE", "U0BOB"], "approvers": ["U0CAROL", "U0BOB"]}
LINES = (
    ("ceph_flag", 0, "noout"),
    ("replicate", 0, "110-0"),
    ("shutdown", 105, ""),
    ("start", 105, ""),
    ("migrate", 110, ""),
)


def cluster(rng: Random) -> ClusterSpec:
    """Every node has something that does not simply move."""
    usual, under_ha = default_spec(), rng.random() < 0.5
    routers = tuple(GuestSpec(n, name, node, ha=under_ha) for n, name, node in ((101, "a", "pve1"), (102, "b", "pve2")))
    others = (
        GuestSpec(105, "pbx", "pve2", ha=rng.random() < 0.5, stays="uses hostpci0", onboot=rng.random() < 0.5),
        GuestSpec(106, "dns", "pve3", kind="lxc"),
        GuestSpec(110, "mail", "pve3", volume=""),
    )
    return replace(
        usual,
        volumes=rng.choice(((), (VolumeSpec(),))),
        guests=(*routers, *others),
        groups=(GuestGroup(name="routers", guests=(101, 102), health=rng.choice(({}, PROBES))),),
        ceph=rng.choice((CephSpec(), CephSpec(), None)),
        replicas=(ReplicaSpec(110, "pve1"),),
        rules=(RuleSpec("apart", ("vm:101", "vm:102")),),
        timings=replace(usual.timings, spread=0.25),
        settings={
            "people": PEOPLE,
            "cannot_move": {"otherwise": "shutdown", "containers": rng.choice(("move", "shutdown"))},
        },
    )


def fault(rng: Random) -> Fault:
    at, lasts = rng.uniform(0, 2 * HOUR), rng.choice((10 * MINUTE, HOUR, 4 * HOUR))
    if rng.random() < 0.3:
        verb, guest, about = rng.choice(LINES)
        how = rng.choice((How.UNREACHABLE, How.LOST, How.BROKEN))
        return Fault(Kind.LINE, guest=guest, node=about, text=verb, how=how, at=at)
    kind, guest, text = rng.choice(
        (
            (Kind.NOT_SERVING, rng.choice((101, 102)), ""),
            (Kind.PROBE_SILENT, rng.choice((101, 102)), ""),
            (Kind.REPLICATION_FAILS, 110, "no space left"),
            (Kind.CEPH_STUCK, 0, ""),
            (Kind.CEPH_FLAGGED, 0, rng.choice(("noout", "noscrub"))),
            (Kind.CEPH_WARNS, 0, "MON_CLOCK_SKEW"),
            (Kind.SHUTDOWN_HANGS, 105, ""),
            (Kind.START_FAILS, 105, ""),
            (Kind.MIGRATE_FAILS, rng.choice((106, 110)), ""),
        )
    )
    return Fault(kind, guest=guest, text=text, at=at, lasts=lasts)


def lived(seed: int, odds: Odds) -> LuckyNight:
    rng = Random(f"stubborn {seed}")
    faults = () if odds is GOOD else tuple(fault(rng) for _ in range(rng.choice((0, 1, 2))))
    return LuckyNight(Scenario(f"seed {seed}", "", cluster(rng), faults, (), lasts=LASTS, seed=seed), odds=odds).live()


@pytest.mark.parametrize("seed", range(24))
def test_nothing_that_must_never_happen_happens(seed: int) -> None:
    assert lived(seed, WILD).wrong == []


@pytest.mark.parametrize("seed", range(6))
def test_a_night_without_trouble_upgrades_every_node_and_leaves_all_as_it_was(seed: int) -> None:
    night = lived(seed, GOOD)
    (run,) = night.store.runs()
    assert night.wrong == []
    assert run.result
    assert run.result["state"] == "done"
    assert {node.kernel for node in night.model.machines.all.values()} == {"6.8.12-9-pve"}
    assert night.model.ceph.by == {}
    assert [vm.id for vm in night.model.guests.all.values() if not vm.healthy or vm.onboot != vm.spec.onboot] == []
    assert {vm.id for vm in night.model.guests.all.values() if vm.wanted == "stopped"} == set()


# ---- and such nights would show it ---------------------------------------------------------------------------------


def found_in(nights: int, words: str) -> bool:
    return any(words in wrong for seed in range(nights) for wrong in lived(seed, WILD).wrong)


def test_a_flag_that_is_never_unset_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (node, putback):
        monkeypatch.setattr(module, "noout_off", lambda _: None)
    assert found_in(12, "left behind without a word: noout is set on Ceph")


def test_a_guest_that_is_never_started_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (node, putback):
        monkeypatch.setattr(module, "start_again", lambda *_: None)
    assert found_in(12, "left behind without a word: guest 105 is shut down")
