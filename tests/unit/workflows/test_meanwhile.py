"""What else happens while a heal is waited for does not make the wait any longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.invariants import violations
from sandbox.model import What
from sandbox.night import Night
from sandbox.scenario import Cue, Scenario, load
from sandbox.spec import default_spec
from workflows.phases import UPGRADE

MINUTE = 60.0
ALICE_STARTS = Cue("alice", at=0.0, types="/upgrade cluster")
CAROL_APPROVES = Cue("carol", when="asked", after=120.0, each=True, reacts="white_check_mark")
HEAL_STUCK = {"kind": "heal-stuck", "after": "reboot pve3"}


def routers_go_up_and_down(times: int, every: float) -> Iterator[dict[str, Any]]:
    """Both routers die together, and come back half way to their next death."""
    for n in range(times):
        for guest in (101, 102):
            for kind, at in (("guest-stops", n * every), ("guest-starts", (n + 0.5) * every)):
                yield {"kind": kind, "guest": guest, "after": "bricks-up pve3", "delay": 5 * MINUTE + at}


def test_routers_that_die_again_and_again_do_not_put_off_the_end_of_a_heal_that_never_comes() -> None:
    spec = replace(default_spec(), settings={**default_spec().settings, "limits": {"heal": "1h"}})
    faults = (HEAL_STUCK, *routers_go_up_and_down(8, 40 * MINUTE))
    night = Night(Scenario("up-and-down", "", spec, faults, (ALICE_STARTS, CAROL_APPROVES), lasts=5 * 3600.0)).live()
    begins = next(line for line in night.lines if "now the storage heals" in line)
    holds = next((line for line in night.lines if "I hold: waited 1 hour in vain for the storage" in line), "")
    assert (begins[4:6], holds[4:6]) == ("22", "23")
    assert violations(night) == []


# ---- the alarm about them ------------------------------------------------------------------------------------------

READY = (
    Cue("alice", at=0.0, types="/oncall test"),
    Cue("alice", when="rung alice voice", after=20.0, presses="1"),
    Cue("alice", at=2 * MINUTE, types="/upgrade cluster nodes=pve3"),
    Cue("bob", when="rung bob voice", after=25.0, presses="1"),
)


def both_routers(kind: str, **when: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"kind": kind, "guest": guest, **when} for guest in (101, 102))


def lived(*cues: Cue, faults: tuple[dict[str, Any], ...]) -> Night:
    cues = (*READY, CAROL_APPROVES, *cues)
    return Night(Scenario("alarms", "", default_spec(), faults, cues, lasts=5 * 3600.0, oncall={})).live()


def still_ringing(night: Night) -> list[str]:
    return [row.fingerprint for row in night.store.firing()]


def test_routers_that_come_back_when_nothing_is_waited_for_any_more_end_their_alarm() -> None:
    """They die while the node boots; it has healed and rejoined before they are back."""
    night = lived(
        faults=(
            *both_routers("guest-stops", after="dark pve3", delay=30),
            *both_routers("guest-starts", after="bricks-up pve3", delay=900),
        )
    )
    assert "meanwhile too few of a guest group serve" in night.text
    assert "pve3 is done" in night.text
    assert (still_ringing(night), violations(night)) == ([], [])


def test_routers_that_come_back_while_the_run_is_put_back_end_their_alarm() -> None:
    abort = Cue("bob", when="said meanwhile too few", after=MINUTE, types="/upgrade abort")
    night = lived(
        abort,
        faults=(
            {"kind": "stays-down", "node": "pve3", "lasts": 1200},
            *both_routers("guest-stops", after="dark pve3", delay=30),
            *both_routers("guest-starts", after="dark pve3", delay=600),
        ),
    )
    assert "aborts" in night.text
    assert still_ringing(night) == []


def left_alarmed(*cues: Cue) -> Night:
    """The run is aborted while both routers are dead, and ends with its node in maintenance mode."""
    return lived(
        Cue("bob", when="said meanwhile too few", after=5 * MINUTE, types="/upgrade abort"),
        *cues,
        faults=(
            {"kind": "stays-down", "node": "pve3", "lasts": 20 * MINUTE},
            *both_routers("guest-stops", after="dark pve3", delay=30),
            *both_routers("guest-starts", after="dark pve3", delay=105 * MINUTE),
        ),
    )


def test_whoever_put_off_what_died_in_a_wait_is_not_rung_again_by_the_gates_that_it_shuts() -> None:
    """The routers die while the node boots; twenty minutes later they shut the gates, and nothing else has happened."""
    night = left_alarmed(Cue("bob", when="said meanwhile too few", after=4 * MINUTE, types="/outage snooze 90m"))
    put_off = next(line for line in night.lines if "has it until" in line)
    shut = next(line for line in night.lines if "for not every gate is open" in line)
    rings = [line for line in night.lines if "RING" in line and put_off[:12] < line[:12] < "Mon 23:40:00"]
    assert put_off[:12] < shut[:12]
    assert rings == []


def test_nor_by_gates_that_count_nobody_on_the_node_that_is_about_to_go() -> None:
    """The routers die while a guest leaves the node, and shut the gates of the upgrade right after it."""
    night = lived(
        Cue("bob", when="said meanwhile too few", after=MINUTE, types="/outage snooze 90m"),
        faults=both_routers("guest-stops", after="maintenance-reached pve3", delay=3),
    )
    assert "guest-groups: routers: 0 of 2 run outside of pve3" in night.text
    assert not any("urgent" in mark for mark in of_runs(night))


def of_runs(night: Night) -> list[str]:
    return [mark for mark in still_ringing(night) if mark.startswith("run/")]


def test_what_an_aborted_run_leaves_alarmed_is_said_and_wakes_people_on() -> None:
    night = left_alarmed()
    assert len(of_runs(night)) == 1, "the gates that are shut for it afterwards are no news"
    said = next(line for line in night.text.split("roundsman: ") if "*lab* was aborted" in line)
    assert "still woken for:\n             • routers: 0 of 2 run" in said
    assert "`/outage resolve` ends it" in said


def test_the_next_run_that_finds_all_gates_open_ends_what_an_aborted_one_left_alarmed() -> None:
    night = left_alarmed(
        Cue("bob", at=3 * 3600.0, types="/upgrade cluster nodes=pve2"),
        Cue("carol", at=3.1 * 3600.0, types="/upgrade override maintenance pve2 pve3 stays out"),
    )
    assert night.text.count("Preflight passed") == 2
    assert of_runs(night) == []


# ---- while other gates are waited for ------------------------------------------------------------------------------


def died(night: Night) -> float:
    """When the last router did."""
    return max(event.at for event in night.model.events if (event.what, event.text) == (What.FAULT, "guest-stops"))


def test_routers_that_die_while_other_gates_are_waited_for_wake_people_at_once() -> None:
    """A service keeps the node in maintenance mode; without this nobody would hear of the routers for an hour."""
    faults = (
        {"kind": "service-down", "node": "pve1", "text": "pvestatd", "after": "bricks-up pve3", "lasts": 3 * 3600.0},
        *both_routers("guest-stops", after="bricks-up pve3", delay=20 * MINUTE),
    )
    night = Night(
        Scenario("gates", "", default_spec(), faults, (ALICE_STARTS, CAROL_APPROVES), lasts=3 * 3600.0)
    ).live()
    assert "services: pvestatd is failed on pve1" in night.text
    paged = [at for at, text in night.pages if "guest-groups: routers: 0 of 2 run" in text]
    assert paged
    assert paged[0] - died(night) < 3 * MINUTE
    assert violations(night) == []


def test_routers_that_die_while_a_large_guest_leaves_its_node_wake_people_at_once() -> None:
    """Its migration may take hours, and the gates are asked after the drain."""
    slow = replace(default_spec(), timings=replace(default_spec().timings, migrate=3600.0))
    faults = both_routers("guest-stops", after="maintenance-reached pve3", delay=20 * MINUTE)
    cues = (ALICE_STARTS, CAROL_APPROVES)
    night = Night(Scenario("large", "", slow, faults, cues, lasts=3600.0)).live()
    paged = paged_for_the_routers(night)
    assert len(paged) == 1
    assert paged[0] - died(night) < 3 * MINUTE


def test_routers_that_die_while_gates_are_shut_by_a_heal_wake_people_at_once() -> None:
    """The heal is asked about cheaply, and all other gates only once it is over."""
    spec = replace(default_spec(), settings={**default_spec().settings, "limits": {"heal": "10m"}})
    cues = (ALICE_STARTS, CAROL_APPROVES, Cue("bob", when="said in vain for the storage", types="/upgrade retry"))
    faults = (
        {"kind": "service-down", "node": "pve1", "text": "pvestatd", "after": "bricks-up pve3", "lasts": 3 * 3600.0},
        {"kind": "brick-wiped", "node": "pve2", "amount": 50, "after": "bricks-up pve3", "delay": 20 * MINUTE},
        {"kind": "heal-stuck", "after": "bricks-up pve3", "delay": 20 * MINUTE},
        *both_routers("guest-stops", after="bricks-up pve3", delay=30 * MINUTE),
    )
    night = Night(Scenario("gates", "", spec, faults, cues, lasts=3600.0)).live()
    paged = [at for at, text in night.pages if "guest-groups: routers: 0 of 2 run" in text]
    assert paged
    assert paged[0] - died(night) < 3 * MINUTE


def test_an_alarm_ends_with_what_could_not_wait_though_other_gates_stay_shut() -> None:
    """It rang again every hour for routers that ran, because of a package that was not configured."""
    night = lived(
        faults=(
            {"kind": "dpkg-broken", "node": "pve3", "after": "maintenance-reached pve3"},
            *both_routers("guest-stops", after="maintenance-reached pve3", delay=3),
            *both_routers("guest-starts", after="maintenance-reached pve3", delay=20 * MINUTE),
        ),
    )
    shut = [line for line in night.lines if "for not every gate is open" in line]
    assert len(shut) == 2, "and what is still shut is said"
    assert of_runs(night) == [f"run/{run_id(night)}/pve3.upgrade.gates.hold"]


def run_id(night: Night) -> str:
    (run,) = night.store.runs(workflow=UPGRADE)
    return run.id


def test_a_machine_that_is_silent_once_wakes_nobody() -> None:
    """Beside a gate that is shut anyway: what nobody answers shuts it too, and that must be no outage yet."""
    night = lived(
        faults=(
            {"kind": "dpkg-broken", "node": "pve3", "after": "maintenance-reached pve3", "lasts": 40 * MINUTE},
            {"kind": "not-xml", "node": "pve2", "after": "maintenance-reached pve3", "lasts": 10 * MINUTE},
        ),
    )
    assert "split-brain: pool list of pve2 not read" in night.text
    assert "pve3 is done" in night.text
    assert [text for _, text in night.pages if "drill" not in text] == []


def test_routers_that_die_while_ceph_recovers_wake_people_at_once() -> None:
    ceph = load(Path("tests/scenarios/ceph-recovers-slowly"))
    faults = (*ceph.faults, *both_routers("guest-stops", after="booted pve3", delay=20 * MINUTE))
    night = Night(replace(ceph, faults=faults)).live()
    paged = [at for at, text in night.pages if "routers: 0 of 2 run" in text]
    assert paged
    assert paged[0] - died(night) < 3 * MINUTE


# ---- while somebody is waited for ----------------------------------------------------------------------------------

MOLLY_GUARD = {"kind": "never-reboots", "node": "pve3", "lasts": 5 * 3600.0}


def held_at(*cues: Cue, faults: tuple[dict[str, Any], ...], **limits: str) -> Night:
    spec = replace(default_spec(), settings={**default_spec().settings, "limits": limits})
    cues = (ALICE_STARTS, CAROL_APPROVES, *cues)
    night = Night(Scenario("held", "", spec, (MOLLY_GUARD, *faults), cues, lasts=4 * 3600.0)).live()
    assert violations(night) == []
    return night


def paged_for_the_routers(night: Night) -> list[float]:
    return [at for at, text in night.pages if "routers: 0 of 2 run" in text]


def test_routers_that_die_while_a_run_is_paused_wake_people_at_once() -> None:
    pause = Cue("alice", when="said reboot sent", after=MINUTE, types="/upgrade pause")
    night = held_at(pause, faults=both_routers("guest-stops", after="reboot pve3", delay=20 * MINUTE))
    assert "Paused at pve3" in night.text
    paged = paged_for_the_routers(night)
    assert len(paged) == 1
    assert paged[0] - died(night) < 3 * MINUTE


def test_routers_that_die_again_and_again_do_not_put_off_the_end_of_a_hold() -> None:
    """Nobody answers within the hour: it is said again, to all, an hour after it began."""
    ups_and_downs = ({**fault, "after": "reboot pve3"} for fault in routers_go_up_and_down(3, 20 * MINUTE))
    night = held_at(faults=tuple(ups_and_downs), hold="1h")
    first, second = [at for at, text in night.pages if "I hold" in text][:2]
    assert second - first == 3600.0
    assert len(paged_for_the_routers(night)) == 3


def test_what_shuts_the_gates_is_not_told_a_second_time_by_the_hold_that_follows() -> None:
    night = Night(
        Scenario(
            "gates",
            "",
            replace(default_spec(), settings={**default_spec().settings, "limits": {"gates": "30m"}}),
            both_routers("guest-stops", after="bricks-up pve3", delay=90.0),
            (ALICE_STARTS, CAROL_APPROVES),
            lasts=3 * 3600.0,
        )
    ).live()
    assert "I hold: waited 30 minutes in vain for gates to open" in night.text
    assert not [line for line in night.lines if "to say how it goes on" in line]


def test_a_hold_of_which_nothing_is_reduced_looks_after_nothing() -> None:
    """Every node runs and none is in maintenance mode: what dies then is not because of the run."""
    cues = (ALICE_STARTS, Cue("carol", when="asked", after=120.0, reacts="x"))
    faults = both_routers("guest-stops", at=30 * MINUTE)
    night = Night(Scenario("rejected", "", default_spec(), faults, cues, lasts=3 * 3600.0)).live()
    assert "I hold" in night.text
    assert paged_for_the_routers(night) == []
