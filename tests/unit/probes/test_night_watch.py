"""Probes, journal and outages together, over the store in memory, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.probes._common import Failed, Ok, Probe, Result
from sandbox.night import Night
from sandbox.outside import Outside
from sandbox.scenario import START, Scenario, load
from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow
from store.memory import MemoryStore
from workflows.alerts import OUTAGE, Alert, raise_alerts
from workflows.night_watch import NightWatch, fingerprint
from workflows.own_work import own_work

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


class Watched:
    """A scenario whose cluster is looked at from outside meanwhile; outages are only written down."""

    def __init__(self, name: str = "") -> None:
        scenario = load(SCENARIOS / name) if name else Scenario("quiet", "", default_spec(), (), (), lasts=3600.0)
        self.night = Night(scenario, transcript=False)
        self.outside = Outside(self.night.model, self.night.cluster, self.night.clock)
        self.begin()

    def begin(self) -> None:
        """As a bot that was just started."""
        night = self.night
        self.watch = NightWatch(night.store, night.managed, night.clock(), night.clock())

    def passes(self, seconds: float) -> Watched:
        clock = self.night.clock
        end = clock() + seconds
        while (upcoming := self.watch.next_at(clock())) <= end:
            clock.advance_to(max(upcoming, clock()))
            self.watch.step(clock(), self.outside)
        clock.advance_to(end)
        return self

    def lives(self) -> Watched:
        """The whole scenario, as long as a run goes on."""
        self.night.clock.at(START, self._tick)
        self.night.live()
        return self

    def _tick(self) -> None:
        clock, store = self.night.clock, self.night.store
        self.watch.step(clock(), self.outside)
        if clock() < START + 60 or store.runs(state="active", workflow="rolling_upgrade"):
            clock.at(max(self.watch.next_at(clock()), clock() + 0.1), self._tick)

    @property
    def alerts(self) -> list[AlertRow]:
        store = self.night.store
        return [row for run in reversed(store.runs(workflow=OUTAGE)) for row in store.alerts(run.id)]

    def firing(self) -> list[str]:
        return [row.fingerprint for row in self.night.store.firing()]

    def cut(self, node: str) -> None:
        model = self.night.model
        model.machines.cut(model.node(node), comes_back=False)


def test_a_quiet_cluster_raises_nothing() -> None:
    watched = Watched().passes(1800.0)
    assert watched.alerts == []
    assert {result for _, result in watched.watch.looks} == {"ok"}


def test_a_node_that_loses_power_is_one_outage_with_its_api_hidden() -> None:
    watched = Watched().passes(60.0)
    watched.cut("pve3")
    watched.passes(60.0)
    (row,) = watched.alerts
    assert (row.subject, row.source, row.severity) == ("pve3", "probe", "critical")
    assert row.summary == "127.0.0.1:22 does not answer"
    assert row.detail["hides"] == []  # its own API need not be told
    assert START + 60.0 <= row.began_at <= START + 70.0
    assert row.at - row.began_at == pytest.approx(20.0)


def test_both_routers_of_2017_are_one_outage() -> None:
    watched = Watched().passes(60.0)
    for guest in (101, 102):
        watched.night.model.guests.stops(watched.night.model.guests.get(guest), "somebody")
    watched.passes(60.0)
    assert sorted(watched.firing()) == ["probe:guest 101", "probe:guest 102"]
    assert len(watched.night.store.runs(workflow=OUTAGE)) == 1


def test_a_cluster_that_cannot_be_reached_at_all_tells_of_its_nodes_and_not_of_its_guests() -> None:
    watched = Watched().passes(60.0)
    watched.outside.way = False
    watched.passes(120.0)
    assert sorted(watched.firing()) == ["probe:pve1 ssh", "probe:pve2 ssh", "probe:pve3 ssh"]
    watched.outside.way = True
    assert watched.passes(120.0).firing() == []


def test_a_restart_with_an_open_outage_makes_no_second_one_and_clears_it_when_it_is_over() -> None:
    watched = Watched().passes(60.0)
    watched.outside.broken["pve2 api"] = Failed("refuses connections")
    watched.passes(60.0)
    watched.begin()
    watched.passes(120.0)
    assert len(watched.alerts) == 1
    assert watched.alerts[0].count == 1
    watched.outside.broken.clear()
    assert watched.passes(60.0).firing() == []
    assert len(watched.night.store.runs(workflow=OUTAGE)) == 1


def test_what_is_no_longer_looked_at_is_cleared_at_the_start_and_others_alerts_are_left_alone() -> None:
    watched, now = Watched(), START
    gone = Alert(fingerprint("old probe"), "probe", "old", "refuses", "critical", now - 60)
    foreign = Alert("webhook:zabbix:1", "webhook", "disk", "is full", "warning", now - 60)
    raise_alerts(watched.night.store, watched.night.managed, [gone, foreign], now)
    watched.begin()
    assert watched.firing() == ["webhook:zabbix:1"]


def test_an_outage_that_somebody_resolved_too_early_fires_again() -> None:
    watched = Watched().passes(60.0)
    watched.outside.broken["pve2 api"] = Failed("refuses connections")
    watched.passes(60.0)
    watched.night.store.clear("lab", watched.firing(), watched.night.clock())
    assert watched.passes(900.0).firing() == []
    assert watched.passes(1200.0).firing() == ["probe:pve2 api"]


def test_a_look_that_came_back_long_after_its_time_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    for turn in range(3):
        for probe in watched.watch.due(START + 10.0 * (turn + 1)):
            watched.watch.saw(probe, Failed("does not answer"), START, START + 600.0)
    assert not watched.watch.judge(START + 700.0)
    assert "does not count" in caplog.text


def test_the_clock_on_the_wall_may_jump_between_a_look_and_its_outage() -> None:
    """Probes are timed by the other clock; only what is written down is of this one."""
    night = Watched().night
    watch = NightWatch(night.store, night.managed, 100.0, START)
    for turn in range(3):
        now = 110.0 + 10.0 * turn
        for probe in watch.due(now):
            watch.saw(probe, Failed("no"), now, now)
    findings = watch.judge(130.0)
    watch.hand_over(findings, 130.0, START - 3600.0)
    rows = [row for run in night.store.runs(workflow=OUTAGE) for row in night.store.alerts(run.id)]
    assert {round(row.began_at - (START - 3600.0)) for row in rows} == {-20}


# ---- what is looked at seldom ------------------------------------------------------------------------------------


class Seldom:
    """One thing that is looked at once an hour. `looks`: when, in minutes since the start."""

    def __init__(self) -> None:
        probe = {"name": "rare", "kind": "tcp", "target": "192.0.2.1:80", "every": "1h"}
        settings = {"probing": {"defaults": False}, "probes": [probe]}
        self.store, self.now = MemoryStore(), START
        self.watch = NightWatch(
            self.store, managed_settings(replace(default_spec(), settings=settings)), self.now, self.now
        )
        self.well, self.looks = True, list[float]()

    def until(self, minute: float, *, well: bool) -> Seldom:
        self.well, end = well, START + minute * 60.0
        while (upcoming := self.watch.next_at(self.now)) < end:
            self.now = max(upcoming, self.now)
            self.watch.step(self.now, self._look)
        self.now = end
        return self

    def _look(self, probe: Probe) -> Result:
        self.looks.append((self.now - START) / 60.0)
        return Ok() if self.well else Failed("is dead")

    def firing(self) -> bool:
        return bool(self.store.firing())


def test_what_is_looked_at_seldom_is_looked_at_every_few_minutes_while_it_is_in_doubt() -> None:
    """A dead self-heal daemon took up to three hours to be told, and as long to be taken back."""
    rare = Seldom().until(60, well=True).until(65, well=False)
    assert not rare.firing()
    assert rare.until(75, well=False).until(180, well=False).firing()
    assert rare.until(185, well=True).firing()
    assert not rare.until(200, well=True).firing()
    assert rare.looks == [0, 60, 65, 70, 120, 180, 185, 190]


def test_one_odd_look_is_followed_up_for_as_long_as_it_counts() -> None:
    rare = Seldom().until(60, well=True).until(61, well=False).until(180, well=True)
    assert rare.looks == [0, 60, 65, 70, 75, 80, 85, 120]
    assert rare.store.runs(workflow=OUTAGE) == []


def test_a_look_that_does_not_count_leaves_the_doubt() -> None:
    rare = Seldom().until(1, well=False)
    (probe,) = rare.watch.due(rare.now + 300.0)
    rare.watch.saw(probe, Ok(), rare.now, rare.now + 600.0)
    assert rare.watch.next_at(rare.now) == rare.now + 900.0


# ---- what our own runs do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good-night", "guest-that-cannot-move", "guest-ignores-its-shutdown", "slow-heal"])
def test_our_own_run_is_no_outage(name: str) -> None:
    watched = Watched(name).lives()
    assert [row.summary for row in watched.alerts] == []
    assert watched.watch.looks["tcp", "failed"] > 0  # it did go down


@pytest.mark.slow
def test_a_node_that_does_not_come_back_from_our_reboot_is_an_outage_once_the_run_holds() -> None:
    watched = Watched("node-does-not-come-back").lives()
    row = watched.alerts[0]
    assert row.subject == "pve3"
    held = next(
        entry.at
        for run in watched.night.store.runs()
        for entry in watched.night.store.entries(run.id)
        if ".hold" in entry.key
    )
    assert 0.0 <= row.began_at - held <= 60.0


def test_another_node_that_dies_during_our_reboot_is_an_outage_at_once() -> None:
    watched = Watched("other-node-dies").lives()
    assert watched.alerts[0].fingerprint == "probe:pve2 ssh"


@pytest.mark.slow
def test_what_we_do_is_read_off_the_journal_alone() -> None:
    night = Night(load(SCENARIOS / "good-night"), transcript=False)
    seen: list[str] = []

    def look() -> None:
        doing = own_work(night.store, "lab", night.clock())
        if doing.nodes or doing.guests:
            told = f"{','.join(sorted(doing.nodes)) or '-'} {','.join(map(str, sorted(doing.guests))) or '-'}"
            seen.extend([told] if not seen or seen[-1] != told else [])
        night.clock.at(night.clock() + 5.0, look)

    night.clock.at(START, look)
    night.scenario = night.scenario  # the same night
    night.live()
    assert seen == [
        *("- 104", "- 103", "pve3 -", "pve3 104", "- 104", "- 103"),
        *("- 102", "pve2 -", "pve2 102", "pve2 -"),
        *("- 101", "pve1 -", "pve1 101", "pve1 -"),
    ]
