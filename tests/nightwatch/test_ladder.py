"""Something dies overnight. Alice is on call, Bob backs her up, then everybody."""

from __future__ import annotations

from sandbox.nightwatch import MIDNIGHT, NightWatch
from sandbox.simpagers import ONCALL
from store.api import ShiftOverrideRow

ROUTER = "router-a (101)"
LAST_YEAR = {"people": ["alice"], "start": "2025-01-06T09:00", "end": "2025-12-31T09:00"}


def first_rung(watch: NightWatch) -> None:
    watch.assert_paged("alice", "mention", "pushover", "voice")


def second_rung(watch: NightWatch) -> None:
    watch.assert_paged("bob", "mention", "voice")


def third_rung(watch: NightWatch) -> None:
    for who in ("alice", "bob", "carol"):
        watch.assert_paged(who, "mention", "voice")


def test_at_night_the_first_rung_is_the_mention_together_with_what_rings(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.assert_said("🔥 *lab*: outage.")


def test_by_day_the_first_rung_only_mentions() -> None:
    noon = NightWatch(start=1772539200.0)  # 12:00 UTC, 13:00 in Berlin
    noon.dies(ROUTER)
    noon.assert_paged("alice", "mention")
    noon.assert_quiet()


def test_the_sleeper_does_not_answer_and_the_second_does(watch: NightWatch) -> None:
    watch.presses_one("bob", after=25)
    watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=4, seconds=59)
    watch.assert_quiet()
    watch.fast_forward(seconds=2)
    second_rung(watch)
    watch.fast_forward(hours=1)
    watch.assert_said("@bob has it; nothing rings any more")
    first = [row.state for row in watch.store.pages(watch.outages()[0].id) if row.person == "alice"]
    assert first == ["posted", "cancelled", "cancelled"]


def test_nobody_answers_and_the_ladder_begins_again_without_an_end(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    for _ in range(4):
        first_rung(watch)
        watch.fast_forward(minutes=5)
        second_rung(watch)
        watch.fast_forward(minutes=5)
        third_rung(watch)
        watch.fast_forward(minutes=10)
    first_rung(watch)


def test_a_ladder_that_nobody_answers_for_three_days_stays_small(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    watch.fast_forward(hours=1)
    early = len(watch.store.entries(outage))
    watch.fast_forward(hours=71)
    assert len(watch.store.entries(outage)) <= early + 25
    assert (
        len(watch.store.pages(outage, state="sent")) <= 4
    )  # alice's push, and a phone each: older ones were called off
    watch.woken.clear()


def test_a_tap_on_the_push_is_found_by_polling_and_stops_everything(watch: NightWatch) -> None:
    watch.presses_one("alice", "pushover", after=40)
    watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=30)
    watch.assert_said("@alice has it")
    assert watch.pagers["voice"].cancelled == ["voice-1"]


def test_voicemail_picks_up_and_is_no_acknowledgement(watch: NightWatch) -> None:
    watch.voicemail("alice")
    watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=5)
    second_rung(watch)


def test_a_way_that_stands_twice_in_a_rung_rings_once() -> None:
    watch = NightWatch(policy(["alice", "rota:primary"], ["mention", "voice", "voice", "mention"]))
    watch.dies(ROUTER)
    watch.assert_paged("alice", "mention", "voice")
    watch.assert_quiet()


def test_a_number_that_is_refused_brings_the_next_rung_at_once() -> None:
    watch = NightWatch(policy(["alice"], ["voice"], ["bob"], ["voice"]))
    watch.pagers["voice"].refuses["alice"] = "the number is not valid"
    watch.dies(ROUTER)
    watch.fast_forward(seconds=1)
    watch.assert_paged("bob", "voice")
    watch.assert_quiet()


def test_a_mention_beside_a_phone_that_is_out_of_order_is_not_waited_for() -> None:
    watch = NightWatch(policy(["alice"], ["mention", "voice"], ["bob"], ["mention", "voice"]))
    watch.pagers["voice"].refuses["alice"] = "the number is not valid"
    watch.dies(ROUTER)
    watch.fast_forward(seconds=1)
    watch.assert_paged("alice", "mention")
    watch.assert_paged("bob", "mention", "voice")
    watch.assert_quiet()


def test_a_ladder_that_reaches_nobody_goes_round_once_a_minute() -> None:
    """A revoked token must not make the bot mention everybody as fast as it can."""
    watch = NightWatch(policy(["alice"], ["mention", "voice"], ["bob"], ["voice"]))
    watch.pagers["voice"].refuses |= {"alice": "Authenticate", "bob": "Authenticate"}
    watch.dies(ROUTER)
    watch.fast_forward(minutes=5)
    assert [page.how for page in watch.woken] == ["mention"] * 6


def test_a_service_that_does_not_answer_is_tried_again_and_then_the_ladder_climbs() -> None:
    watch = NightWatch(policy(["alice"], ["pushover"], ["bob"], ["voice"]))
    watch.pagers["pushover"].down = True
    outage = watch.dies(ROUTER)
    watch.fast_forward(seconds=25)
    watch.assert_paged("bob", "voice")
    states = [(row.state, row.error) for row in watch.store.pages(outage) if row.person == "alice"]
    assert states == [("failed", "pushover: no answer")] * 3
    watch.assert_quiet()


def test_slack_down_stops_no_rung(watch: NightWatch) -> None:
    watch.slack_down = True
    watch.dies(ROUTER)
    watch.assert_paged("alice", "pushover", "voice")
    watch.fast_forward(minutes=5)
    watch.assert_paged("bob", "voice")
    watch.fast_forward(minutes=5)
    for who in ("alice", "bob", "carol"):
        watch.assert_paged(who, "voice")


def test_a_rung_of_mentions_alone_is_not_waited_for_while_slack_is_down() -> None:
    watch = NightWatch(policy(["alice"], ["mention", "direct"], ["bob"], ["voice"]))
    watch.slack_down = True
    watch.dies(ROUTER)
    watch.fast_forward(seconds=25)
    watch.assert_quiet()
    watch.fast_forward(seconds=10)
    watch.assert_paged("bob", "voice")
    watch.slack_down = False
    watch.settle()
    watch.assert_paged("alice", "mention", "direct")
    assert {(row.how, row.state) for row in watch.store.pages(watch.outages()[0].id) if row.person == "alice"} == {
        ("mention", "posted"),
        ("direct", "posted"),
    }


def test_a_rung_of_mentions_that_slack_got_late_is_waited_for() -> None:
    watch = NightWatch(policy(["alice"], ["mention"], ["bob"], ["voice"]))
    watch.slack_down = True
    watch.dies(ROUTER)
    watch.fast_forward(seconds=20)
    watch.slack_down = False
    watch.fast_forward(minutes=4)
    watch.assert_paged("alice", "mention")
    watch.assert_quiet()
    watch.fast_forward(minutes=1)
    watch.assert_paged("bob", "voice")


def test_a_ladder_of_mentions_alone_goes_round_slowly_while_slack_is_down() -> None:
    """Not to find hundreds of pages when Slack is back."""
    watch = NightWatch(policy(["alice"], ["mention"], ["bob"], ["mention"]))
    watch.slack_down = True
    outage = watch.dies(ROUTER)
    watch.fast_forward(minutes=20)
    assert len(watch.store.pages(outage)) == 21  # two a round, and a minute of rest


def test_an_acknowledgement_goes_stale_after_a_reminder_and_the_ladder_begins_at_its_top(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.reacts("alice", "white_check_mark")
    watch.fast_forward(minutes=46)
    watch.assert_said("@alice: still on it?")
    watch.assert_quiet()
    watch.fast_forward(minutes=15)
    watch.assert_said("@alice: there was no sign of life")
    first_rung(watch)
    watch.reacts("alice", "raising_hand")
    assert len([said for _, said in watch.said if "@alice has it" in said]) == 2


def test_a_sign_of_life_keeps_an_acknowledgement_alive(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    for _ in range(5):
        watch.fast_forward(minutes=40)
        watch.reacts("alice", "white_check_mark")
    watch.assert_quiet()
    assert not any("does not have it any more" in said for _, said in watch.said)


def test_a_reaction_that_is_taken_back_releases_it(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.fast_forward(minutes=3)
    watch.reacts("alice", given=False)
    watch.assert_said("@alice does not have it any more")
    first_rung(watch)


def test_as_long_as_anybody_has_it_nobody_is_rung(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.reacts("bob")
    watch.reacts("bob", given=False)
    watch.fast_forward(minutes=40)
    watch.assert_quiet()


def test_recovery_stops_the_ringing_and_it_is_over_when_it_lasts(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=2)
    watch.recovers(ROUTER)
    watch.assert_said("💚 The alert has recovered")
    assert watch.pagers["voice"].cancelled == ["voice-1"]
    watch.fast_forward(minutes=6)
    row = watch.store.run(outage)
    assert row is not None
    assert row.result == {"state": "recovered", "by": "", "took": 420.0}


def test_a_persons_word_that_it_is_over_ends_it_before_it_has_settled(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.recovers(ROUTER)
    watch.types("alice", "/outage resolve")
    watch.assert_said("is over after 0 seconds: resolved by @alice")
    assert not any("relapse" in said for _, said in watch.said)


def test_a_relapse_rings_again(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)
    watch.recovers(ROUTER)
    watch.fast_forward(minutes=2)
    assert watch.dies(ROUTER) == outage
    watch.assert_said("🔥 A relapse after 2 minutes.")
    first_rung(watch)


def test_many_alerts_are_one_outage_with_one_ladder(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    for number in range(40):
        assert watch.dies(f"guest {number}") == outage
    first_rung(watch)


def test_what_dies_hours_later_while_somebody_holds_the_first_wakes_people_again(watch: NightWatch) -> None:
    first = watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage snooze 5h")
    watch.fast_forward(hours=2)
    second = watch.dies("pve3")
    assert second != first
    first_rung(watch)


def test_what_dies_soon_after_the_acknowledgement_is_told_to_whoever_has_it(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.fast_forward(minutes=10)
    watch.dies("pve3")
    watch.assert_said("🔥 @alice: one more alert meanwhile.\n• *pve3*: is silent")
    watch.fast_forward(minutes=10)
    watch.assert_quiet()


def test_what_dies_right_after_the_acknowledgement_is_told_with_what_else_comes_within_five_minutes(
    watch: NightWatch,
) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.fast_forward(minutes=1)
    watch.dies("pve3")
    watch.fast_forward(minutes=10)
    assert told_of("pve3", watch) == [5]


def test_what_dies_a_second_time_is_told_once_more_to_whoever_has_it(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    watch.dies("pve3")
    first_rung(watch)
    watch.reacts("alice")
    watch.recovers("pve3")
    watch.fast_forward(minutes=10)
    watch.dies("pve3")
    watch.fast_forward(minutes=10)
    assert told_of("pve3", watch) == [0, 10]


def test_what_comes_and_goes_is_told_every_five_minutes_and_only_as_long_as_it_fires(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    watch.dies("pve3")
    first_rung(watch)
    watch.reacts("alice")
    for _ in range(9):
        watch.recovers("pve3")
        watch.fast_forward(seconds=30)
        watch.dies("pve3")
        watch.fast_forward(seconds=30)
    watch.recovers("pve3")
    watch.fast_forward(minutes=10)
    assert told_of("pve3", watch) == [0, 5]


def told_of(subject: str, watch: NightWatch) -> list[int]:
    """After how many minutes whoever has it was told of it."""
    news = f"one more alert meanwhile.\n• *{subject}*: is silent"
    return [int((at - MIDNIGHT) / 60) for at, said in watch.said if news in said]


def test_what_dies_soon_after_a_snooze_wakes_people_again(watch: NightWatch) -> None:
    first = watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage snooze 5h")
    watch.fast_forward(minutes=10)
    assert watch.dies("pve3") != first
    first_rung(watch)


def test_nobody_on_call_wakes_the_last_resort() -> None:
    watch = NightWatch({**ONCALL, "rotas": [{"name": "primary", "layers": [LAST_YEAR]}]})
    watch.dies(ROUTER)
    watch.assert_paged("carol", "mention")
    watch.assert_said("nobody is on call in primary: the last-resort people are woken")
    watch.assert_quiet()


def test_an_override_that_ends_in_the_middle_of_a_ladder_changes_who_is_paged_next() -> None:
    watch = NightWatch(policy(["rota:primary"], ["voice"], ["rota:primary"], ["voice"], ["rota:primary"], ["voice"]))
    for_now = ShiftOverrideRow(0, "primary", "replace", "bob", "", MIDNIGHT - 3600, MIDNIGHT + 720, "U0BOB", 0.0, "t1")
    watch.store.override_shift([for_now])
    watch.dies(ROUTER)
    watch.fast_forward(minutes=16)
    for who in ("bob", "bob", "bob", "alice"):
        watch.assert_paged(who, "voice")
    watch.assert_quiet()


def test_without_a_section_oncall_the_operators_are_mentioned_again_and_again() -> None:
    watch = NightWatch(None)
    watch.dies(ROUTER)
    watch.fast_forward(minutes=15)
    for _ in range(2):
        for who in ("alice", "bob"):
            watch.assert_paged(who, "mention")
    watch.assert_quiet()


def test_what_is_known_is_told_in_the_thread(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.assert_said(
        "🔎 What is known:\n• all 4 guests run\n"
        "• the way in works over direct (all 3 nodes), lte (all 3 nodes)\n• no run has touched this cluster yet"
    )


def policy(*rungs: list[str]) -> dict[str, object]:
    """who, how, who, how ... five minutes each."""
    pairs = zip(rungs[::2], rungs[1::2], strict=True)
    return {**ONCALL, "policies": [{"rungs": [{"who": who, "how": how, "wait": "5m"} for who, how in pairs]}]}
