"""Nights that went wrong in some other way, each told from its first alert to the person who has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cluster.probes._common import Failed, Ok, Probe, Result
from oncall.pagers import Delivery, State
from sandbox.luck import Crash
from sandbox.nightwatch import MIDNIGHT, NightWatch
from sandbox.simpagers import ONCALL
from sandbox.spec import default_spec
from store.api import RunRow
from workflows import night_watch
from workflows.alerts import Alert, adopt, clear_alerts, raise_alerts

ROUTER = "router-a (101)"


def policy(*rungs: tuple[list[str], list[str]], **more: Any) -> dict[str, object]:
    """Five minutes each."""
    return {**ONCALL, "policies": [{"rungs": [{"who": w, "how": h, "wait": "5m"} for w, h in rungs], **more}]}


def first_rung(watch: NightWatch) -> None:
    watch.assert_paged("alice", "mention", "pushover", "voice")


# ---- part of a rung fails ------------------------------------------------------------------------------------------


def test_a_rung_of_which_one_phone_rings_gets_its_time() -> None:
    """Alice's number is wrong, but Bob may answer: the next rung waits for him."""
    watch = NightWatch(policy((["alice", "bob"], ["voice"]), (["carol"], ["voice"])))
    watch.pagers["voice"].refuses["alice"] = "the number is not valid"
    watch.dies(ROUTER)
    watch.assert_paged("bob", "voice")
    watch.fast_forward(minutes=4, seconds=59)
    watch.assert_quiet()
    watch.fast_forward(seconds=1)
    watch.assert_paged("carol", "voice")


def test_one_of_two_ways_that_fails_hurries_nobody() -> None:
    watch = NightWatch(policy((["alice"], ["pushover", "voice"]), (["bob"], ["voice"])))
    watch.pagers["voice"].refuses["alice"] = "the number is not valid"
    watch.dies(ROUTER)
    watch.assert_paged("alice", "pushover")
    watch.fast_forward(minutes=4, seconds=59)
    watch.assert_quiet()
    watch.fast_forward(seconds=1)
    watch.assert_paged("bob", "voice")


def test_a_call_that_the_network_gives_up_brings_the_next_rung_at_once() -> None:
    """The service took it; that it cannot be delivered is known ten seconds later."""
    watch = NightWatch(policy((["alice"], ["voice"]), (["bob"], ["voice"])))
    watch.dies(ROUTER)
    watch.assert_paged("alice", "voice")
    lost = Delivery(State.FAILED, "no such subscriber")
    watch.clock.at(MIDNIGHT + 10, lambda: watch.pagers["voice"].states.update({"voice-1": lost}))
    watch.fast_forward(seconds=30)
    watch.assert_paged("bob", "voice")
    watch.assert_quiet()


def test_of_two_calls_the_second_may_still_be_answered_when_the_first_is_given_up() -> None:
    watch = NightWatch(policy((["alice", "bob"], ["voice"]), (["carol"], ["voice"])))
    watch.dies(ROUTER)
    watch.assert_paged("alice", "voice")
    watch.assert_paged("bob", "voice")
    watch.pagers["voice"].states["voice-1"] = Delivery(State.FAILED, "no such subscriber")
    watch.fast_forward(minutes=4, seconds=59)
    watch.assert_quiet()


# ---- who has it ----------------------------------------------------------------------------------------------------


def test_somebody_who_is_in_no_policy_may_take_it_and_everybody_sees_who(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("mallory")
    watch.assert_said("🙋 @mallory has it; nothing rings any more.")
    watch.fast_forward(minutes=30)
    watch.assert_quiet()


def test_whoever_types_anything_is_awake(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=50)
    watch.types("alice", "/oncall")
    watch.fast_forward(minutes=55)
    watch.assert_quiet()
    watch.fast_forward(minutes=5)
    watch.assert_said("@alice: there was no sign of life")
    first_rung(watch)


def test_what_somebody_else_types_is_no_sign_of_life(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=50)
    watch.types("bob", "/oncall")
    watch.fast_forward(minutes=10)
    first_rung(watch)


def test_a_snooze_ends_when_it_was_meant_to_whatever_is_typed_meanwhile(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage snooze 30m")
    watch.fast_forward(minutes=20)
    watch.types("alice", "/oncall")
    watch.fast_forward(minutes=10)
    first_rung(watch)


# ---- the bot dies --------------------------------------------------------------------------------------------------


class Dying(NightWatch):
    """Its process ends in the very moment in which a phone of this kind rings, before anybody has written that down."""

    def __init__(self, how: str) -> None:
        super().__init__(policy((["alice"], ["voice", "apprise"]), (["bob"], ["voice"])))
        pager = self.pagers[how]
        pager.rings = self._rings_and_dies
        self._pager = pager

    def _rings_and_dies(self, page: Any, receipt: str) -> None:
        self._pager.rings = self._rang
        self._rang(page, receipt)
        raise Crash

    def starts_again(self) -> None:
        """What its process kept in memory is gone."""
        self.waits.clear()
        self.fast_forward(seconds=1)


@pytest.mark.parametrize(
    ("how", "rings"), [("voice", ["voice", "apprise"]), ("apprise", ["voice", "apprise", "apprise"])]
)
def test_killed_in_the_middle_of_a_ring_it_asks_the_service_or_rings_again(how: str, rings: list[str]) -> None:
    """Twilio can be asked and has the call; Apprise cannot: rather twice than never."""
    watch = Dying(how)
    with pytest.raises(Crash):
        watch.dies(ROUTER)
    watch.starts_again()
    assert [page.how for page in watch.woken] == rings
    receipts = [row.receipt for row in watch.store.pages(watch.outages()[0].id) if row.how == "voice"]
    assert receipts == ["voice-1"]
    watch.woken.clear()
    watch.fast_forward(minutes=5)
    watch.assert_paged("bob", "voice")
    watch.assert_quiet()


def test_killed_between_two_rungs_the_second_comes_in_its_time(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=2)
    watch.bot_down = True
    watch.waits.clear()
    watch.fast_forward(minutes=2)
    watch.bot_down = False
    watch.fast_forward(seconds=59)
    watch.assert_quiet()
    watch.fast_forward(seconds=1)
    watch.assert_paged("bob", "mention", "voice")


def test_killed_before_the_first_rung_nothing_is_lost(watch: NightWatch) -> None:
    watch.bot_down = True
    watch.dies(ROUTER)  # the webhook's answer was given: it is in the store
    watch.fast_forward(minutes=3)
    watch.assert_quiet()
    watch.bot_down = False
    watch.fast_forward(seconds=1)
    first_rung(watch)


def test_who_pressed_1_while_the_bot_was_down_is_not_rung_again(watch: NightWatch) -> None:
    watch.presses_one("alice", "pushover", after=30)
    watch.dies(ROUTER)
    first_rung(watch)
    watch.bot_down = True
    watch.waits.clear()
    watch.fast_forward(minutes=20)
    watch.bot_down = False
    watch.fast_forward(seconds=1)
    watch.assert_said("@alice has it")
    watch.assert_quiet()


# ---- hand-offs in nights that change the clocks --------------------------------------------------------------------


def handing_off(start: str) -> dict[str, object]:
    layer = {"people": ["alice", "bob"], "turn": "daily", "start": start}
    rota = {"name": "primary", "zone": "Europe/Berlin", "layers": [layer]}
    return {**policy((["rota:primary"], ["voice"])), "rotas": [rota]}


def rung_quarters(watch: NightWatch, *who: str) -> None:
    """By the ladder's rounds of five minutes, three of them in each quarter of an hour."""
    for name in who:
        for _ in range(3):
            watch.assert_paged(name, "voice")
    watch.assert_quiet()


def test_an_hour_that_is_twice_hands_off_once() -> None:
    """25 October 2026: 02:30 comes at 00:30 UTC, and again at 01:30."""
    watch = NightWatch(handing_off("2026-10-24T02:30"), start=1792887300.0)  # 00:15 UTC
    watch.dies(ROUTER)
    watch.fast_forward(minutes=89, seconds=59)
    rung_quarters(watch, "alice", "bob", "bob", "bob", "bob", "bob")


def test_an_hour_that_is_not_there_hands_off_when_it_is_over() -> None:
    """29 March 2026: from 02:00 the clocks go to 03:00, at 01:00 UTC. 02:30 is skipped: the turn changes there."""
    watch = NightWatch(handing_off("2026-03-28T02:30"), start=1774745100.0)  # 00:45 UTC
    watch.dies(ROUTER)
    watch.fast_forward(minutes=59, seconds=59)
    rung_quarters(watch, "alice", "bob", "bob", "bob")


# ---- probes --------------------------------------------------------------------------------------------------------


class Looked(NightWatch):
    """An uplink with forty probes behind it, looked at from outside."""

    def __init__(self) -> None:
        behind = [{"name": f"host{n}", "kind": "tcp", "target": f"h{n}:22", "parents": ["uplink"]} for n in range(40)]
        probes = [{"name": "uplink", "kind": "tcp", "target": "u:22"}, *behind]
        settings = {"probing": {"defaults": False}, "probes": probes}
        super().__init__(spec=replace(default_spec(), settings=settings))
        self.looks = night_watch.NightWatch(self.store, self.managed, self.clock.now, self.clock.now)
        self.dead: Callable[[Probe, float], bool] = lambda probe, now: False

    def watched(self, minutes: float) -> None:
        end = self.clock.now + 60 * minutes
        while self.clock.now < end:
            self.looks.step(self.clock.now, self._look)
            self.fast_forward(seconds=1)

    def _look(self, probe: Probe) -> Result:
        return Failed("no answer") if self.dead(probe, self.clock.now) else Ok()


@pytest.fixture
def looked() -> Iterator[Looked]:
    watch = Looked()
    yield watch
    watch.assert_quiet()


def test_the_uplink_dies_with_forty_probes_behind_it_and_that_is_one_page(looked: Looked) -> None:
    looked.watched(1)
    looked.dead = lambda probe, now: True
    looked.watched(4)
    first_rung(looked)
    (outage,) = looked.outages()
    (alert,) = looked.store.alerts(outage.id)
    assert alert.subject == "uplink"
    assert len(alert.detail["hides"]) == 40
    looked.dead = lambda probe, now: False
    looked.watched(8)
    assert looked.outages() == []


def test_a_probe_that_flaps_all_evening_is_one_outage_with_one_ladder(looked: Looked) -> None:
    looked.dead = lambda probe, now: probe.name == "host7" and now % 240 < 120
    looked.watched(3)
    first_rung(looked)
    looked.reacts("alice")
    for _ in range(4):
        looked.watched(20)
        looked.types("alice", "/outage ack")
    assert len(looked.store.runs(workflow="outage")) == 1
    looked.dead = lambda probe, now: False
    looked.watched(70)
    assert looked.outages() == []


# ---- what a run raised ---------------------------------------------------------------------------------------------


def test_what_a_run_that_is_over_left_alarmed_can_be_resolved_by_a_person(watch: NightWatch) -> None:
    now = watch.clock.now
    watch.store.start_run(RunRow("up-1", "rolling_upgrade", "lab", {}, "active", now, "U0ALICE", now + 1e9))
    left = Alert("run/up-1/pve3.off.hold", "run", "run up-1 at pve3", "holds", "critical", now)
    raise_alerts(watch.store, watch.managed, [left], now)
    watch.fast_forward(seconds=1)
    first_rung(watch)
    assert watch.types("alice", "/outage resolve").startswith("⚠️ I still see it:")
    watch.store.finish("up-1", {"state": "aborted"}, now)
    assert watch.types("alice", "/outage resolve").startswith("🏁 @alice resolves")
    watch.fast_forward(minutes=1)
    assert watch.outages() == []


@pytest.mark.slow
def test_three_days_of_ringing_fit_into_one_answer(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    watch.fast_forward(hours=72)
    watch.woken.clear()
    for what, last in (("timeline", "alice"), ("report", "until when:")):
        said = watch.types("bob", f"/outage {what}")
        assert len(said) < 31_000
        assert " lines are left out here" in said
        assert last in said[-400:]


def test_a_flood_is_looked_after_with_as_few_questions_as_one_alert(
    watch: NightWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ten seconds it is asked whether what fires still has its outage."""
    alerts = [Alert(f"w/{n}", "webhook", f"host{n}", "is down", "critical", MIDNIGHT) for n in range(500)]
    raise_alerts(watch.store, watch.managed, alerts, MIDNIGHT)
    watch.fast_forward(seconds=1)
    first_rung(watch)
    asked: list[str] = []
    run = watch.store.run

    def noted(run_id: str) -> RunRow | None:
        asked.append(run_id)
        return run(run_id)

    monkeypatch.setattr(watch.store, "run", noted)
    assert adopt(watch.store, {watch.managed.name: watch.managed}, watch.clock.now) == []
    assert len(asked) == 1


def test_forty_alerts_that_end_one_after_the_other_end_one_outage(watch: NightWatch) -> None:
    for number in range(40):
        watch.dies(f"guest {number}")
    first_rung(watch)
    for number in range(40):
        clear_alerts(watch.store, watch.managed.name, [f"probe/guest {number}"], watch.clock.now)
    watch.fast_forward(minutes=6)
    assert watch.outages() == []
    watch.assert_said("💚 All 40 alerts have recovered")
