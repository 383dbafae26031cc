"""The loop that makes all looks: real sockets, a real database, threads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from bot import probing as probing_module
from bot.probing import Probing
from cluster.api import Cluster, Unreachable
from sandbox.sockets import refused_port, silent_port
from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow, StoreError
from store.opening import open_store
from store.sql import SqlStore
from tests.waiting import PATIENCE_S, eventually
from workflows.alerts import OUTAGE
from workflows.night_watch import NightWatch
from workflows.settings import ManagedCluster

QUICK = {"every": "1s", "timeout": "0.3s", "fails": 2, "of": 3, "recover": 2}


class Lab:
    """A cluster whose guests are what `guests` answers; everything else is on this machine."""

    def __init__(self, path: Path) -> None:
        self.store: SqlStore = open_store(path / "lab.db")
        self.guests: Callable[[], Any] = tuple
        self.faults: list[BaseException] = []
        self.raised = threading.Event()
        self.loops: list[Probing] = []

    def ask_api(self, node: str) -> None:
        raise Unreachable(f"no connection to {node}")

    def watch(self, *probes: dict[str, Any]) -> Probing:
        plain = managed_settings(default_spec()).model_dump() | {"probing": {"defaults": False}}
        plain["api"]["token"] = "not-a-secret"
        managed = ManagedCluster.model_validate(plain | {"probes": [QUICK | probe for probe in probes]})
        watch = NightWatch(self.store, managed, time.monotonic(), time.time())
        adapters = cast(Cluster, self)  # of all its verbs, those that probes ask
        clock, faults = time.time, self.faults.append
        probing = Probing([watch], {"lab": adapters}, clock, time.monotonic, self.raised.set, faults)
        probing.start()
        self.loops.append(probing)
        return probing

    def alerts(self) -> list[AlertRow]:
        return [row for run in self.store.runs(workflow=OUTAGE) for row in self.store.alerts(run.id)]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    for probing in lab.loops:
        probing.stop()
    lab.store.close()
    assert lab.faults == []


@pytest.mark.slow
def test_a_port_that_dies_becomes_an_outage_and_ends_when_it_is_back(lab: Lab) -> None:
    with refused_port() as port:
        lab.watch({"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"})
        eventually(lab.alerts)
        (row,) = lab.alerts()
        assert (row.subject, row.summary) == ("shop", f"127.0.0.1:{port} refuses connections")
        assert row.at - row.began_at >= 0.7, (
            "it began with the first look that failed, a second before the one that told"
        )
        assert lab.raised.wait(PATIENCE_S)
    with socket.create_server(("127.0.0.1", port)):
        eventually(lambda: not lab.store.firing())


@pytest.mark.slow
def test_a_judgement_that_hangs_can_be_seen_from_outside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing_module, "STILL_S", 1.0)
    monkeypatch.setattr(probing_module, "TURN_S", 0.1)
    judged, go_on = threading.Event(), threading.Event()

    def hang(*_: Any) -> None:
        judged.set()
        go_on.wait(20.0)

    monkeypatch.setattr(NightWatch, "hand_over", hang)
    with refused_port() as port:
        probing = lab.watch({"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"})
        assert judged.wait(10.0)
        eventually(lambda: not probing.alive)
        go_on.set()
        eventually(lambda: probing.alive)


@pytest.mark.slow
def test_a_loop_that_hangs_can_be_seen_from_outside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing_module, "STILL_S", 1.0)
    monkeypatch.setattr(probing_module, "TURN_S", 0.1)
    go_on = threading.Event()
    with silent_port() as port:
        probing = lab.watch({"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"})
        time.sleep(1.2)
        eventually(lambda: probing.alive)
        monkeypatch.setattr(NightWatch, "due", lambda *_: [go_on.wait(20.0)][:0])
        eventually(lambda: not probing.alive)
        go_on.set()


@pytest.mark.slow
def test_silent_ports_are_looked_at_all_at_once_and_hold_up_nobody(lab: Lab) -> None:
    """One after the other would take two minutes and a half, before the turn of the last comes."""
    with silent_port() as silent, refused_port() as refused:
        slow = {"kind": "tcp", "target": f"127.0.0.1:{silent}", "every": "6s", "timeout": "5s", "fails": 1}
        probing = lab.watch(
            *({"name": f"silent {n}", **slow} for n in range(30)),
            {"name": "refused", "kind": "tcp", "target": f"127.0.0.1:{refused}", "fails": 1},
        )
        eventually(lab.alerts)
        assert [row.subject for row in lab.alerts()] == ["refused"]
        eventually(lambda: len(lab.store.firing()) == 31)
        assert probing.states()["lab", "down"] == 31


@pytest.mark.slow
def test_a_look_that_hangs_holds_up_only_itself(lab: Lab) -> None:
    let_go = threading.Event()
    asked: list[float] = []

    def hang() -> Any:
        asked.append(time.monotonic())
        let_go.wait(20.0)
        return ()

    lab.guests = hang
    with refused_port() as port:
        probing = lab.watch(
            {"name": "guest", "kind": "guest", "target": "101", "timeout": "0.2s"},
            {"name": "api", "kind": "pve_api", "target": "pve1"},
            {"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"},
        )
        eventually(lambda: {row.subject for row in lab.alerts()} >= {"shop", "api", "guest"})
        eventually(lambda: probing.looks()["lab", "guest", "unknown"] >= 4)
    (guest,) = [row for row in lab.alerts() if row.subject == "guest"]
    assert guest.summary.startswith("nobody can tell how it is: ")
    assert len(asked) == 1  # it is not sent out again before it is back
    let_go.set()
    eventually(lambda: len(asked) > 1)


@pytest.mark.slow
def test_a_restart_with_an_open_outage_makes_no_second_one(lab: Lab) -> None:
    with refused_port() as port:
        shop = {"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"}
        first = lab.watch(shop)
        eventually(lab.alerts)
        first.stop()
        second = lab.watch(shop)
        eventually(lambda: second.looks()["lab", "tcp", "failed"] >= 4)
        assert [row.count for row in lab.alerts()] == [1]


@pytest.mark.slow
def test_a_dead_parent_is_found_by_its_child(lab: Lab) -> None:
    """The parent's own turn would come in an hour."""
    with refused_port() as port:
        target = f"127.0.0.1:{port}"
        with socket.create_server(("127.0.0.1", 0)) as alive:
            lab.watch(
                {"name": "uplink", "kind": "tcp", "target": target, "every": "1h"},
                {"name": "a", "kind": "tcp", "target": target, "parents": ["uplink"]},
                {"name": "fine", "kind": "tcp", "target": f"127.0.0.1:{alive.getsockname()[1]}", "timeout": "5s"},
            )
            eventually(lab.alerts)
            time.sleep(1.0)
    assert [row.subject for row in lab.alerts()] == ["uplink"]


def test_a_store_that_fails_ends_the_process(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("the database is full")

    monkeypatch.setattr(lab.store, "alert", full)
    with refused_port() as port:
        lab.watch({"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"})
        eventually(lambda: lab.faults)
    assert str(lab.faults[0]) == "the database is full"
    lab.faults.clear()
    lab.loops.pop().stop()
    lab.faults.clear()


def test_nothing_to_look_at_is_well_and_takes_no_thread(lab: Lab) -> None:
    before = set(threading.enumerate())  # some of them, of other tests, may end meanwhile
    probing = lab.watch()
    assert probing.alive
    assert set(threading.enumerate()) <= before


def test_it_stops_at_once_even_while_looks_are_out(lab: Lab) -> None:
    with silent_port() as port:
        probing = lab.watch(
            {"name": "a", "kind": "tcp", "target": f"127.0.0.1:{port}", "every": "60s", "timeout": "50s"}
        )
        time.sleep(0.3)
        probing.stop()  # waits END_S at most, and the look takes ten times as long
        assert not probing.alive
