"""Before the night: whose turn it is, whether their phone really wakes them, and whether there is a second person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cluster.facts import Read
from cluster.gates import all_gates, ask
from cluster.world import Blocked, GatePhase, OwnChanges, Passed, Verdict, World
from oncall.pagers import Delivery, State
from sandbox.nightwatch import DAY, MIDNIGHT, NightWatch
from sandbox.simpagers import ONCALL
from store.api import RunRow
from workflows.readiness import expected_s, on_call_now

GATE = next(gate for gate in all_gates() if gate.name == "on-call")


def asked(watch: NightWatch) -> Verdict:
    now = watch.clock.now
    machines = watch.site.cluster.survey(frozenset(), None)
    world = World(watch.managed, machines, OwnChanges(), on_call=on_call_now(watch.site))
    return ask(GATE, world, "pve1", GatePhase.PREFLIGHT, now)


def oncall(**changes: Any) -> Mapping[str, object]:
    return {**ONCALL, **changes}


def away(watch: NightWatch, minutes: float, meanwhile: Callable[[], None]) -> None:
    """The bot is stopped for so long."""
    watch.bot_down = True
    watch.fast_forward(minutes=minutes)
    meanwhile()
    watch.bot_down = False
    watch.fast_forward(minutes=1)


def taps(watch: NightWatch) -> None:
    watch.pagers["pushover"].states["pushover-1"] = Delivery(State.ACKNOWLEDGED)


def services_are_back(watch: NightWatch) -> None:
    watch.pagers["pushover"].down = watch.pagers["voice"].down = False


def blocked(watch: NightWatch) -> str:
    verdict = asked(watch)
    assert isinstance(verdict, Blocked), verdict
    return verdict.reason


# the drill ----------------------------------------------------------------------------------------------------------
def test_a_drill_rings_in_every_way_that_a_night_would_and_an_answer_proves_the_pager(watch: NightWatch) -> None:
    watch.presses_one("alice", after=30)
    said = watch.types("alice", "/oncall test")
    assert said.startswith("🔔 A drill: alice is rung now, in every way that a night would (`test-alice-")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    watch.fast_forward(minutes=1)
    watch.assert_said("✅ alice (@alice) answered by voice after 30 seconds: this pager is proven.")
    proof = watch.store.kept("proof/alice")
    assert proof is not None
    assert (proof.value["how"], proof.at) == ("voice", MIDNIGHT + 30)
    assert watch.pagers["pushover"].cancelled == ["pushover-1"]


def test_a_drill_that_nobody_answers_says_so_and_proves_nothing(watch: NightWatch) -> None:
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    watch.fast_forward(minutes=10)
    watch.assert_said("❌ @alice: nobody answered within 10 minutes. An outage would not have woken alice.")
    assert watch.store.kept("proof/alice") is None


def test_a_click_in_slack_proves_no_telephone(watch: NightWatch) -> None:
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    watch.assert_said("press 1 on the phone; a click in Slack does not prove that it rings")
    watch.reacts("alice", on=watch.store.runs(workflow="pager_test")[0])
    watch.fast_forward(minutes=10)
    watch.assert_said("❌ @alice: within 10 minutes the answer came in Slack only, on nothing that rings.")
    assert watch.store.kept("proof/alice") is None


def test_a_tap_that_comes_too_late_is_not_taken_for_a_click_in_slack(watch: NightWatch) -> None:
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    away(watch, minutes=11, meanwhile=lambda: taps(watch))
    watch.assert_said("❌ @alice: nobody answered within 10 minutes.")


def test_somebody_else_answering_the_drill_proves_nothing(watch: NightWatch) -> None:
    watch.types("bob", "/oncall test alice")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    drill = watch.store.runs(workflow="pager_test")[0]
    watch.reacts("bob", on=drill)
    watch.fast_forward(minutes=11)
    watch.assert_said("❌ @alice: nobody answered")


CUT_OFF = "⚠️ alice (@alice): I was not running for a while in the middle of this drill, so it ends here"


def test_a_drill_that_was_cut_off_rings_nobody_an_hour_later(watch: NightWatch) -> None:
    """Both services were down, and so was the bot before it could try again."""
    watch.pagers["pushover"].down = watch.pagers["voice"].down = True
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention")
    away(watch, minutes=60, meanwhile=lambda: services_are_back(watch))
    watch.assert_said(CUT_OFF)
    assert watch.store.runs(workflow="pager_test")[0].result == {"state": "cut off", "person": "alice"}
    watch.fast_forward(hours=1)
    assert "nobody answered" not in watch.said[-1][1]


def test_a_drill_that_a_short_restart_cut_off_rings_all_the_same(watch: NightWatch) -> None:
    watch.pagers["pushover"].down = watch.pagers["voice"].down = True
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention")
    away(watch, minutes=2, meanwhile=lambda: services_are_back(watch))
    watch.assert_paged("alice", "pushover", "voice")
    watch.fast_forward(minutes=11)
    watch.assert_said("❌ @alice: nobody answered within 10 minutes.")


def test_a_drill_whose_time_ran_out_while_the_bot_was_away_is_not_said_to_have_woken_nobody(watch: NightWatch) -> None:
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    away(watch, minutes=60, meanwhile=lambda: taps(watch))
    watch.assert_said(CUT_OFF)
    assert watch.store.kept("proof/alice") is None


def test_only_operators_ring_somebody_else_and_wrong_names_are_told(watch: NightWatch) -> None:
    assert "only operators of *lab* may ring somebody else" in watch.types("carol", "/oncall test alice")
    assert 'nobody is called "alise" (did you mean "alice"?)' in watch.types("bob", "/oncall test alise")
    assert "you are not among the people of the settings" in watch.types("mallory", "/oncall test")


# the gate -----------------------------------------------------------------------------------------------------------
def test_without_a_section_oncall_the_gate_is_not_asked() -> None:
    watch = NightWatch(None)
    assert on_call_now(watch.site) is None


def test_a_pager_that_was_never_proven_blocks(watch: NightWatch) -> None:
    assert blocked(watch) == "no pager of alice was proven within 30 d"


def test_a_proven_pager_opens_it_and_the_night_is_told(watch: NightWatch) -> None:
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT - 29 * DAY)
    verdict = asked(watch)
    assert isinstance(verdict, Passed)
    assert verdict.note == "it is night for alice, a page rings by pushover, voice"


def test_a_proof_gets_old(watch: NightWatch) -> None:
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT - 31 * DAY)
    assert blocked(watch) == "no pager of alice was proven within 30 d"


def test_a_proof_is_one_of_the_number_that_was_rung(watch: NightWatch) -> None:
    watch.presses_one("alice", after=30)
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    watch.fast_forward(minutes=1)
    assert isinstance(asked(watch), Passed)
    proof = watch.store.kept("proof/alice")
    assert proof is not None
    assert "+4915111" not in str(proof.value)
    people: Any = ONCALL["people"]
    moved = oncall(people={**people, "alice": {**people["alice"], "phone": "+4915999"}})
    watch.site = NightWatch(moved, store=watch.store, clock=watch.clock).site
    assert blocked(watch) == "no pager of alice was proven within 30 d"


def test_a_proof_of_a_time_that_is_still_to_come_is_none(watch: NightWatch) -> None:
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT + 400 * DAY)
    assert blocked(watch) == "no pager of alice was proven within 30 d"


def test_do_not_disturb_is_told(watch: NightWatch) -> None:
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT)
    watch.chat.disturbed.add("U0ALICE")
    verdict = asked(watch)
    assert isinstance(verdict, Passed)
    assert verdict.note.startswith("alice: Do Not Disturb is on in Slack: a mention makes no sound")


def test_a_slack_that_does_not_tell_is_said_and_blocks_nothing(watch: NightWatch) -> None:
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT)
    watch.chat.down = True
    verdict = asked(watch)
    assert isinstance(verdict, Passed)
    assert "Slack did not say whether Do Not Disturb is on" in verdict.note


def test_a_night_in_which_the_first_page_makes_no_noise_blocks() -> None:
    silent = {"rungs": [{"who": ["rota:primary"], "how": ["mention"]}, {"who": ["bob"], "how": ["voice"]}]}
    watch = NightWatch(oncall(policies=[silent]))
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT)
    assert blocked(watch) == "it is night for alice, and the first page would make no noise"


def test_that_one_s_phone_rings_says_nothing_of_who_is_called_with_them() -> None:
    """For Carol, in New York, it is evening: she is only mentioned."""
    both = {"rungs": [{"who": ["alice", "carol"], "how": ["mention"], "night": ["voice"]}]}
    seen = on_call_now(NightWatch(oncall(policies=[both])).site)
    assert isinstance(seen, Read)
    assert [(person.name, person.rings) for person in seen.value.first] == [("alice", ("voice",)), ("carol", ())]


def test_a_gap_before_the_watch_is_over_blocks() -> None:
    layer = {"people": ["alice"], "start": "2026-01-05T09:00", "end": "2026-03-03T05:00"}
    watch = NightWatch(oncall(rotas=[{"name": "primary", "layers": [layer]}]))
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT)
    assert blocked(watch) == "nobody is on call in primary from Tue 05:00 UTC, for 2 h"


def test_nobody_on_call_now_blocks() -> None:
    layer = {"people": ["alice"], "start": "2027-01-05T09:00"}
    watch = NightWatch(oncall(rotas=[{"name": "primary", "layers": [layer]}]))
    assert blocked(watch).startswith("nobody is on call; nobody is on call in primary now, for ")


def test_a_person_without_anybody_behind_them_blocks() -> None:
    alone = {"rungs": [{"who": ["alice"], "how": ["voice"]}]}
    watch = NightWatch(oncall(policies=[alone], last_resort=["alice"]))
    watch.store.keep("proof/alice", {"how": "voice"}, MIDNIGHT)
    assert blocked(watch) == "nobody else can be woken if they do not answer"


def test_the_expected_length_is_that_of_the_last_whole_run(watch: NightWatch) -> None:
    assert expected_s(watch.site) == 3 * 3600
    nodes = dict.fromkeys(("pve1", "pve2", "pve3"), "2 packages upgraded, runs 6.8")
    watch.store.start_run(RunRow("up-1", "rolling_upgrade", "lab", {}, "active", 0.0, "alice", 0.0))
    watch.store.finish("up-1", {"state": "done", "nodes": nodes}, 2.5 * 3600 + watch.managed.limits.watch)
    assert expected_s(watch.site) == pytest.approx(2.5 * 3600)
    others = ("lab", {**nodes, "pve2": "nothing to do"}), ("elsewhere", nodes)
    for number, (cluster, taken) in enumerate(others):  # none of them says how long a whole run takes here
        watch.store.start_run(RunRow(f"other-{number}", "rolling_upgrade", cluster, {}, "active", 1.0, "alice", 1.0))
        watch.store.finish(f"other-{number}", {"state": "done", "nodes": taken}, 2 * 3600 + watch.managed.limits.watch)
    assert expected_s(watch.site) == pytest.approx(2.5 * 3600)
