"""Alerts whose outage has ended, and alerts about runs that go on again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow, Entry, RunRow, StoreError
from store.memory import MemoryStore
from workflows.alerts import FAULT, Alert, adopt, clear_alerts, clear_faults, raise_alerts
from workflows.settings import ManagedCluster

NOW = 1000.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(check_plain=True)


@pytest.fixture
def lab() -> ManagedCluster:
    return managed_settings(default_spec())


def alert(mark: str, source: str = "probe") -> Alert:
    return Alert(mark, source, "router-a", "is silent", "critical", NOW)


def test_what_recovers_while_it_is_adopted_is_not_raised_again(store: MemoryStore, lab: ManagedCluster) -> None:
    """Nobody would ever clear it: the probe has said already that all is well."""
    store.finish(raise_alerts(store, lab, [alert("probe:a")], NOW), {"state": "resolved"}, NOW)
    real, recovery = store.firing, Thread(target=clear_alerts, args=(store, "lab", ["probe:a"], NOW))

    def recovers_meanwhile(cluster: str = "", fingerprints: Sequence[str] = ()) -> list[AlertRow]:
        found = real(cluster, fingerprints)
        if not recovery.ident:
            recovery.start()
            recovery.join(0.2)
        return found

    store.firing = recovers_meanwhile  # type: ignore[method-assign]
    adopt(store, {"lab": lab}, NOW)
    recovery.join()
    assert real() == []


def test_what_is_adopted_wakes_the_people_of_its_own_policy_again(store: MemoryStore, lab: ManagedCluster) -> None:
    store.finish(raise_alerts(store, lab, [replace(alert("probe:a"), policy="network")], NOW), {}, NOW)
    (again,) = adopt(store, {"lab": lab}, NOW + 60)
    run = store.run(again)
    assert run is not None
    assert run.args["policy"] == "network"


def test_a_bot_that_dies_while_it_adopts_loses_no_alert(
    store: MemoryStore, lab: ManagedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells again what a person declared, nor a monitoring that repeats itself every four hours."""
    store.finish(raise_alerts(store, lab, [alert("person/1", "person")], NOW), {"state": "resolved"}, NOW)

    def dies(*_: Any) -> Any:
        raise StoreError("the process ended here")

    with monkeypatch.context() as crash:
        crash.setattr(store, "alert", dies)
        with pytest.raises(StoreError):
            adopt(store, {"lab": lab}, NOW)
    assert len(adopt(store, {"lab": lab}, NOW + 60)) == 1
    assert marks(store) == ["person/1"]


def test_a_flood_is_adopted_as_one_outage_in_one_transaction(store: MemoryStore, lab: ManagedCluster) -> None:
    place = raise_alerts(store, lab, [alert(f"probe:{number}") for number in range(100)], NOW)
    store.finish(place, {"state": "resolved"}, NOW)
    (again,) = adopt(store, {"lab": lab}, NOW + 60)
    assert [row.firing for row in store.alerts(place)] == [False] * 100
    assert [row.firing for row in store.alerts(again)] == [True] * 100
    assert adopt(store, {"lab": lab}, NOW + 70) == []


def test_what_fires_of_a_cluster_that_left_the_settings_wakes_people_as_an_outage_of_the_first_one(
    store: MemoryStore, lab: ManagedCluster
) -> None:
    barn = lab.model_copy(update={"name": "barn"})
    store.finish(raise_alerts(store, barn, [alert("probe:a")], NOW), {"state": "left"}, NOW)
    (again,) = adopt(store, {"lab": lab}, NOW + 60)
    assert store.firing("barn") == []
    (row,) = store.firing("lab")
    assert (row.outage, row.fingerprint, row.source) == (again, "barn/probe:a", "left")
    assert (row.subject, row.began_at) == ("router-a of barn", NOW)
    assert row.summary == "is silent, when barn left the settings; nobody looks at it any more"


# ---- runs that stand still -------------------------------------------------------------------------------------------


def faulted(store: MemoryStore, lab: ManagedCluster) -> None:
    store.start_run(RunRow("run-1", "rolling_upgrade", "lab", {}, "active", NOW, "U1", NOW))
    store.write("run-1", Entry("pve1.look", "intent", None, NOW))
    store.write("run-1", Entry("fault#1", "fault", {"place": 1, "sentence": "KeyError: 'x'"}, NOW))
    raise_alerts(store, lab, [alert(f"{FAULT}/run-1", FAULT)], NOW)


def marks(store: MemoryStore) -> list[Any]:
    return [row.fingerprint for row in store.firing()]


def test_a_run_that_stands_still_stays_an_outage(store: MemoryStore, lab: ManagedCluster) -> None:
    faulted(store, lab)
    clear_faults(store, NOW + 3600)
    assert marks(store) == ["fault/run-1"]


def test_a_run_that_goes_on_again_is_nobodys_trouble_any_more(store: MemoryStore, lab: ManagedCluster) -> None:
    faulted(store, lab)
    store.write("run-1", Entry("pve1.look", "result", 1, NOW + 300))
    clear_faults(store, NOW + 301)
    assert marks(store) == []


def test_a_run_that_has_ended_is_nobodys_trouble_any_more(store: MemoryStore, lab: ManagedCluster) -> None:
    faulted(store, lab)
    store.finish("run-1", {"state": "aborted"}, NOW + 300)
    clear_faults(store, NOW + 301)
    assert marks(store) == []


def test_a_fault_that_the_journal_does_not_know_of_yet_is_left_alone(store: MemoryStore, lab: ManagedCluster) -> None:
    store.start_run(RunRow("run-1", "rolling_upgrade", "lab", {}, "active", NOW, "U1", NOW))
    raise_alerts(store, lab, [alert(f"{FAULT}/run-1", FAULT)], NOW)
    clear_faults(store, NOW + 1)
    assert marks(store) == ["fault/run-1"]


def test_other_alerts_are_left_alone(store: MemoryStore, lab: ManagedCluster) -> None:
    raise_alerts(store, lab, [alert("probe:a")], NOW)
    clear_faults(store, NOW + 3600)
    assert marks(store) == ["probe:a"]
