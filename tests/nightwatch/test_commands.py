"""What people type about an outage, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.nightwatch import MIDNIGHT, NightWatch
from sandbox.simpagers import ONCALL
from workflows import report

ROUTER = "router-a (101)"


def rung(watch: NightWatch) -> str:
    outage = watch.dies(ROUTER)
    watch.assert_paged("alice", "mention", "pushover", "voice")
    return outage


def oncall(**changes: Any) -> Mapping[str, object]:
    return {**ONCALL, **changes}


def test_outage_shows_what_is_down_who_was_paged_and_what_comes_next(watch: NightWatch) -> None:
    outage = rung(watch)
    said = watch.types("bob", "/outage")
    assert said == (
        f"🔥 *lab*: outage, ringing (`{outage}`), since 00:00 UTC.\n"
        "• *router-a (101)*: is silent (since 00:00 UTC)\n"
        "📟 3 pages; the last to alice by voice at 00:00 UTC.\n"
        "⏳ Waits for alice to acknowledge until 00:05 UTC.\n"
        "*Hint:* `/outage ack` takes it and stops the ringing."
    )
    watch.types("alice", "/outage ack")
    watch.types("bob", "/outage ack")
    watch.assert_said("🙋 @alice @bob have it; nothing rings any more.")
    assert "*Hint:*" not in watch.types("bob", "/outage")


def test_without_anybody_on_call_operators_are_named_as_slack_knows_them() -> None:
    watch = NightWatch(None)
    watch.types("mallory", "/outage declare the phones are dead")
    watch.woken.clear()
    said = watch.types("bob", "/outage")
    assert "• *the phones are dead*: declared in Slack (since 00:00 UTC)" in said
    assert "📟 2 pages; the last to @bob by mention at 00:00 UTC." in said
    assert "⏳ Waits for @alice, @bob to acknowledge until " in said
    assert "@alice paged by mention" in watch.types("bob", "/outage timeline")
    written = watch.types("bob", "/outage report")
    assert "U0ALICE by mention: posted in Slack\n" in written, "a block of code has no mentions"
    assert "\n```\nIn it, U0ALICE is @alice, U0BOB is @bob. The same as a file" in written


def test_without_an_outage_it_says_so(watch: NightWatch) -> None:
    assert watch.types("bob", "/outage") == "💚 *lab* has no open outage."
    assert watch.types("bob", "/outage ack") == (
        "⚠️ *lab* has no open outage. `/outage declare TEXT` opens one by hand."
    )


def test_anybody_may_declare_an_outage_and_resolve_it(watch: NightWatch) -> None:
    said = watch.types("mallory", "/outage declare the phones are dead")
    assert said.startswith("🔥 @mallory declares an outage of *lab*: the phones are dead (`outage-lab-20260303-000000-")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    assert "*the phones are dead*: declared in Slack" in watch.types("bob", "/outage")
    watch.fast_forward(minutes=3)
    assert watch.types("carol", "/outage resolve").startswith("🏁 @carol resolves the outage of *lab*")
    watch.assert_said("🏁 The outage of *lab* is over after 3 minutes: resolved by @carol.")
    assert watch.pagers["voice"].cancelled == ["voice-1"]
    watch.fast_forward(hours=1)
    assert watch.store.firing() == []


def test_what_a_probe_still_sees_is_not_resolved_by_a_word(watch: NightWatch) -> None:
    rung(watch)
    said = watch.types("alice", "/outage resolve")
    assert said.startswith("⚠️ I still see it:\n• *router-a (101)*: is silent")
    assert "`/outage snooze 2h` gives you the time." in said


def test_ack_by_command_stops_the_ringing(watch: NightWatch) -> None:
    outage = rung(watch)
    assert watch.types("bob", "/outage ack") == f"🙋 @bob has the outage of *lab* (`{outage}`)."
    watch.fast_forward(minutes=30)
    told = watch.types("bob", "/outage")
    assert "🙋 @bob has it by command, until 01:00 UTC." in told
    assert "⏳" not in told, "the wait for the reminder has another end, and would be taken for Bob's"


def two_at_a_time(watch: NightWatch) -> tuple[str, str]:
    """The older one rings, Bob has the newer one."""
    old = watch.dies(ROUTER)
    watch.types("bob", "/outage snooze 1h")
    watch.fast_forward(minutes=1)
    new = watch.dies("pve3")
    watch.types("bob", "/outage ack")
    watch.types("bob", f"/outage release {old}")
    watch.woken.clear()
    return old, new


def test_of_two_outages_the_one_that_rings_is_meant(watch: NightWatch) -> None:
    old, _ = two_at_a_time(watch)
    assert watch.types("alice", "/outage ack") == f"🙋 @alice has the outage of *lab* (`{old}`)."
    watch.fast_forward(minutes=10)
    watch.assert_quiet()


def test_whoever_gives_one_of_two_outages_back_means_the_one_that_they_have(watch: NightWatch) -> None:
    old, _ = two_at_a_time(watch)
    watch.types("alice", "/outage ack")
    assert f"`{old}`" in watch.types("alice", "/outage release")
    watch.assert_paged("alice", "mention", "pushover", "voice")


def test_whoever_takes_one_of_two_that_ring_hears_of_the_other(watch: NightWatch) -> None:
    old, new = two_at_a_time(watch)
    watch.types("bob", f"/outage release {new}")
    watch.woken.clear()
    assert watch.types("alice", "/outage ack") == (
        f"🙋 @alice has the outage of *lab* (`{new}`).\n*Hint:* another one rings: `/outage ack {old}` takes that."
    )
    assert watch.types("alice", "/outage snooze 2h").startswith("😴 @alice has the outage of *lab*; ")
    watch.fast_forward(minutes=10)
    watch.assert_quiet()


def test_a_snooze_is_an_acknowledgement_with_an_end(watch: NightWatch) -> None:
    rung(watch)
    watch.types("alice", "/outage snooze 30m")
    watch.assert_said("😴 @alice has it until 00:30 UTC; then it rings again.")
    watch.fast_forward(minutes=29, seconds=59)
    watch.assert_quiet()
    watch.fast_forward(seconds=1)
    watch.assert_said("@alice: the snooze is over")
    watch.assert_paged("alice", "mention", "pushover", "voice")


def test_release_begins_the_ladder_again(watch: NightWatch) -> None:
    rung(watch)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=1)
    watch.types("alice", "/outage release")
    watch.assert_paged("alice", "mention", "pushover", "voice")


def test_whoever_never_had_it_gives_nothing_back(watch: NightWatch) -> None:
    outage = rung(watch)
    assert watch.types("bob", "/outage release") == "⚠️ you do not have the outage of *lab*; `/outage` shows who has it."
    assert "bob released it" not in watch.types("bob", f"/outage timeline {outage}")


def test_wrong_words_are_told_what_to_type(watch: NightWatch) -> None:
    rung(watch)
    assert 'unknown word "akc" after /outage (did you mean "ack"?)' in watch.types("bob", "/outage akc")
    assert "'30' is not a duration" in watch.types("bob", "/outage snooze 30")
    assert "a snooze lasts up to a day" in watch.types("bob", "/outage snooze 3d")
    assert "say for how long" in watch.types("bob", "/outage snooze")
    assert "say what is wrong" in watch.types("bob", "/outage declare")
    assert "in 300 characters at most" in watch.types("bob", f"/outage declare {'x' * 301}")
    assert 'there is no outage "outage-lab-1"' in watch.types("bob", "/outage timeline outage-lab-1")
    watch.assert_quiet()


def test_a_policy_may_say_who_can_acknowledge() -> None:
    policy = {**ONCALL["policies"][0], "acknowledged_by": "policy", "rungs": [{"who": ["alice"], "how": ["voice"]}]}  # type: ignore[index]
    watch = NightWatch(oncall(policies=[policy], last_resort=["carol"]))
    watch.dies(ROUTER)
    watch.assert_paged("alice", "voice")
    said = watch.types("bob", "/outage ack")
    assert said == "⚠️ only people of the policy *default* may take this outage: alice, carol."
    watch.types("carol", "/outage ack")
    watch.fast_forward(minutes=10)
    watch.assert_quiet()


def test_the_report_tells_when_it_was_found_paged_acknowledged_and_restored(watch: NightWatch) -> None:
    outage = rung(watch)
    watch.fast_forward(minutes=2)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=30)
    watch.recovers(ROUTER)
    watch.fast_forward(minutes=6)
    row = watch.store.run(outage)
    assert row is not None
    written = report.markdown(report.read(watch.store, row), lambda user: {"U0ALICE": "alice"}.get(user, user))
    assert (
        "- to detect: 0 seconds\n- to page: 0 seconds\n- to acknowledge: 2 minutes\n- to restore: 32 minutes\n"
        in written
    )
    assert "- 2026-03-03 00:02:00  alice acknowledged (command)\n" in written
    assert "- 2026-03-03 00:32:00  router-a (101): recovered\n" in written
    assert "- 2026-03-03 00:37:00  outage over: recovered\n" in written


def test_whoever_is_named_by_the_settings_is_not_explained_below_the_report(watch: NightWatch) -> None:
    rung(watch)
    assert "\n```\nThe same as a file" in watch.types("bob", "/outage report")


def test_the_same_typing_twice_is_once(watch: NightWatch) -> None:
    outage = rung(watch)
    watch.types("alice", "/outage ack")
    watch.types("alice", "/outage ack")
    verbs = [order.verb for order in watch.store.orders(outage)]
    assert verbs == ["ack", "ack"]  # two typings; each of them once, by its own source
    assert len({order.source for order in watch.store.orders(outage)}) == 2
    assert watch.clock.now == MIDNIGHT
