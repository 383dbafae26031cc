"""Nights in which something else goes wrong as well: the bot's clock, its settings, a paging service, the second in
which an outage ends. People are woken all the same."""

from __future__ import annotations

import sys
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from bot.side_by_side import side_by_side
from engine.journal import Rules
from oncall.pagers import Delivery, Page, PagerError, State
from oncall.settings import OnCallSettings
from sandbox.cast import NAMES
from sandbox.clock import VirtualClock
from sandbox.luck import Crash
from sandbox.nightwatch import MIDNIGHT, NightWatch
from sandbox.simpagers import ONCALL
from store.api import AlertRow
from tests.nightwatch.test_ladder import ROUTER, first_rung, second_rung, third_rung
from workflows import catalogue
from workflows.acknowledging import Holder
from workflows.alerts import Alert, raise_alerts
from workflows.pager_test import PAGER_TEST
from workflows.ringing import Outage, Rung

SECOND = "router-b (102)"


class Turned(VirtualClock):
    """One that somebody puts back."""

    def put_back(self, seconds: float) -> None:
        self._now -= seconds


def without(name: str) -> OnCallSettings:
    """The settings after this person left them."""
    people: dict[str, Any] = {**ONCALL["people"]}  # type: ignore[dict-item]
    del people[name]
    policies = [{"name": "default", "rungs": [{"who": ["bob"], "how": ["voice"], "wait": "5m"}]}]
    rotas = [{"name": "primary", "layers": [{"people": ["bob"], "start": "2026-01-05T09:00"}]}]
    return OnCallSettings.model_validate({**ONCALL, "people": people, "policies": policies, "rotas": rotas})


# ---- the second in which it ends -------------------------------------------------------------------------------------


def test_what_dies_between_a_persons_word_and_the_end_is_an_outage_of_its_own(watch: NightWatch) -> None:
    """A pass under way (a paging service that is slow) may keep the word waiting for many seconds."""
    outage = watch.dies(ROUTER, policy="")
    first_rung(watch)
    watch.recovers(ROUTER)
    watch.store.alert([_alert(outage, "person/1", "the phones are dead", watch.clock.now)])
    watch.fast_forward(seconds=1)
    watch.bot_down = True
    watch.types("alice", "/outage resolve")
    watch.fast_forward(seconds=5)
    watch.dies(SECOND)
    watch.bot_down = False
    watch.settle()
    assert watch.store.run(outage).state == "done"  # type: ignore[union-attr]
    assert [row.subject for row in watch.store.firing()] == [SECOND]
    assert len(watch.outages()) == 1
    watch.woken.clear()


def test_what_relapses_right_after_the_last_look_is_not_taken_for_recovered(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)
    watch.recovers(ROUTER)
    real = watch.store.write

    def dies_meanwhile(run_id: str, entry: Any, say: Any = None) -> None:
        real(run_id, entry, say)
        if entry.key.endswith(".settle") and entry.kind == "result":
            watch.store.alert([_alert(outage, f"probe/{ROUTER}", ROUTER, watch.clock.now)])

    watch.store.write = dies_meanwhile  # type: ignore[method-assign]
    watch.fast_forward(seconds=watch.managed.outages.settle + 60)
    assert [row.subject for row in watch.store.firing()] == [ROUTER]
    first_rung(watch)


def test_what_dies_later_is_news_although_it_is_told_together_with_what_somebody_has(watch: NightWatch) -> None:
    """So does Alertmanager, which sends its whole group, and the watch after a run, which names all that is shut."""
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage snooze 12h")
    watch.fast_forward(hours=2)
    both = [Alert(f"probe/{router}", "probe", router, "is silent", "critical", MIDNIGHT) for router in (ROUTER, SECOND)]
    raise_alerts(watch.store, watch.managed, both, watch.clock.now)
    watch.settle()
    first_rung(watch)
    newest, oldest = watch.outages()
    assert [row.subject for row in watch.store.alerts(newest.id)] == [SECOND]
    assert [(row.subject, row.count) for row in watch.store.alerts(oldest.id)] == [(ROUTER, 2)]


def test_what_dies_while_an_outage_settles_wakes_people_although_its_holder_snoozes(watch: NightWatch) -> None:
    """The old one has recovered, so its snooze says nothing about this."""
    old = watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage snooze 12h")
    watch.fast_forward(hours=2)
    watch.recovers(ROUTER)
    watch.fast_forward(minutes=2)
    assert watch.dies("pve3") != old
    first_rung(watch)


def test_what_dies_while_an_outage_settles_that_somebody_had_for_hours_wakes_people(watch: NightWatch) -> None:
    old = watch.dies(ROUTER)
    first_rung(watch)
    for _ in range(4):
        watch.types("alice", "/outage ack")
        watch.fast_forward(minutes=30)
    watch.recovers(ROUTER)
    assert watch.dies("pve3") != old
    first_rung(watch)


def test_what_dies_before_the_ladder_has_heard_of_a_snooze_wakes_people(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.bot_down = True  # a pass under way that waits for a paging service
    watch.types("alice", "/outage snooze 5h")
    watch.dies("pve3")
    watch.bot_down = False
    watch.settle()
    first_rung(watch)
    assert len(watch.outages()) == 2


def test_what_dies_between_a_page_and_its_answer_is_told_to_whoever_answered(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(seconds=10)
    watch.dies("pve3")
    watch.fast_forward(seconds=10)
    watch.reacts("alice")
    watch.assert_said("🔥 @alice: one more alert meanwhile.\n• *pve3*: is silent")
    said = len(watch.said)
    watch.fast_forward(minutes=20)
    assert len(watch.said) == said  # once


def test_what_dies_in_another_cluster_is_no_part_of_this_ones_outage(watch: NightWatch) -> None:
    here = watch.dies(ROUTER)
    first_rung(watch)
    other = watch.managed.model_copy(update={"name": "elsewhere"})
    alert = Alert("probe/pve9", "probe", "pve9", "is silent", "critical", MIDNIGHT)
    assert raise_alerts(watch.store, other, [alert], MIDNIGHT) != here
    assert [row.subject for row in watch.store.alerts(here)] == [ROUTER]


def test_a_relapse_names_what_fires(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    watch.recovers(ROUTER)
    watch.fast_forward(minutes=2)
    watch.dies("pve3")
    watch.assert_said("🔥 A relapse after 2 minutes.\n• *pve3*: is silent")
    watch.fast_forward(minutes=10)
    assert not any("more alert" in said for _, said in watch.said)


def test_a_word_that_went_stale_while_the_bot_was_down_is_not_waited_for_once_more(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=40)
    watch.bot_down = True
    watch.fast_forward(minutes=25)
    watch.bot_down = False
    watch.settle()
    first_rung(watch)
    watch.assert_said("@alice: there was no sign of life")
    assert not any("still on it" in said for _, said in watch.said)


def test_a_word_that_comes_between_two_looks_at_who_has_it_stops_no_ladder(
    watch: NightWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had it gave it back, and somebody else took it in that very moment."""
    real, once = Outage.holders, list[str]()

    def holders(o: Outage, now: float) -> tuple[Holder, ...]:
        if sys._getframe(1).f_code.co_name == "_stop_ringing" and not once:
            once.append("nobody yet")
            return ()
        return real(o, now)

    monkeypatch.setattr(Outage, "holders", holders)
    watch.dies(ROUTER)
    first_rung(watch)
    watch.reacts("alice")
    assert once
    watch.assert_said("@alice has it")


def _alert(outage: str, mark: str, subject: str, at: float) -> AlertRow:
    return AlertRow(outage, "lab", mark, "person", subject, "is silent", "critical", at, at)


# ---- the clock -------------------------------------------------------------------------------------------------------


@pytest.fixture
def turned() -> NightWatch:
    return NightWatch(clock=Turned(MIDNIGHT))


def put_back(watch: NightWatch, seconds: float) -> None:
    assert isinstance(watch.clock, Turned)
    watch.clock.put_back(seconds)


def test_a_clock_that_is_put_back_by_an_hour_does_not_stop_the_ladder(turned: NightWatch) -> None:
    turned.dies(ROUTER)
    first_rung(turned)
    turned.fast_forward(minutes=2)
    put_back(turned, 3600.0)
    outage = turned.outages()[0].id
    turned.store.poke(outage)  # as the runner does: a wake that is too far ahead is due
    turned.fast_forward(minutes=5)
    second_rung(turned)


def test_a_tap_is_seen_although_the_clock_was_put_back(turned: NightWatch) -> None:
    outage = turned.dies(ROUTER)
    first_rung(turned)
    put_back(turned, 3600.0)
    turned.pagers["pushover"].states["pushover-1"] = Delivery(State.ACKNOWLEDGED)
    turned.store.poke(outage)
    turned.settle()
    turned.assert_said("@alice has it")
    turned.assert_quiet()


def test_who_answers_after_the_clock_was_put_back_has_it_although_an_older_word_went_stale(turned: NightWatch) -> None:
    turned.dies(ROUTER)
    first_rung(turned)
    turned.types("alice", "/outage ack")
    turned.fast_forward(hours=1, minutes=1)
    first_rung(turned)
    put_back(turned, 1200.0)
    turned.types("alice", "/outage ack")
    turned.fast_forward(minutes=10)
    turned.assert_quiet()


def test_a_word_that_was_given_before_the_clock_was_put_back_does_not_count_for_hours(turned: NightWatch) -> None:
    """A host that starts with its clock two hours ahead, until it hears of the right time. Rather rung once more."""
    turned.dies(ROUTER)
    first_rung(turned)
    turned.types("alice", "/outage ack")
    put_back(turned, 7200.0)
    turned.store.poke(turned.outages()[0].id)
    turned.settle()
    first_rung(turned)
    turned.types("bob", "/outage ack")
    turned.fast_forward(minutes=59)
    turned.assert_quiet()
    turned.fast_forward(minutes=2)
    first_rung(turned)
    turned.fast_forward(minutes=62)  # alice's word is no word for the hour after the time that it bears
    turned.woken.clear()
    turned.fast_forward(minutes=20)
    assert turned.woken
    turned.woken.clear()


def test_whoever_answers_is_heard_although_a_word_went_stale_at_a_time_that_is_still_to_come(
    turned: NightWatch,
) -> None:
    turned.dies(ROUTER)
    first_rung(turned)
    turned.types("alice", "/outage ack")
    turned.fast_forward(hours=1, minutes=1)
    first_rung(turned)
    put_back(turned, 3 * 3600.0)
    turned.store.poke(turned.outages()[0].id)
    turned.settle()
    turned.woken.clear()
    turned.types("alice", "/outage ack")
    turned.fast_forward(minutes=30)
    turned.assert_quiet()


def test_what_dies_after_the_clock_was_put_back_is_no_part_of_what_somebody_has(turned: NightWatch) -> None:
    old = turned.dies(ROUTER)
    first_rung(turned)
    turned.fast_forward(minutes=40)
    turned.woken.clear()
    put_back(turned, 7200.0)
    turned.types("alice", "/outage ack")
    turned.settle()
    assert turned.dies("pve3") != old
    first_rung(turned)


# ---- settings --------------------------------------------------------------------------------------------------------


def test_who_left_the_settings_while_their_phone_rang_is_heard_all_the_same(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)
    assert watch.watchers
    watch.site = replace(watch.site, watchers=replace(watch.watchers, settings=without("alice")))
    watch.workflows = catalogue({watch.managed.name: watch.site})
    watch.waits.clear()
    watch.pagers["pushover"].states["pushover-1"] = Delivery(State.ACKNOWLEDGED)
    watch.fast_forward(minutes=1)
    assert [order.by for order in watch.store.orders(outage)] == ["alice"]
    watch.fast_forward(minutes=10)
    watch.assert_quiet()


def test_a_drill_of_somebody_who_left_the_settings_ends_and_wakes_nobody(watch: NightWatch) -> None:
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    assert watch.watchers
    watch.site = replace(watch.site, watchers=replace(watch.watchers, settings=without("alice")))
    watch.workflows = catalogue({watch.managed.name: watch.site})
    watch.waits.clear()
    watch.fast_forward(minutes=11)
    watch.assert_said("An outage would not have woken alice")
    assert watch.store.runs(state="active", workflow=PAGER_TEST) == []


def test_an_outage_whose_policy_left_the_settings_goes_on_by_the_first_one() -> None:
    network = {"name": "network", "rungs": [{"who": ["carol"], "how": ["voice"], "wait": "5m"}] * 3}
    both = {**ONCALL, "policies": [*ONCALL["policies"], network]}
    watch = NightWatch(both)
    watch.dies(ROUTER, policy="network")
    watch.fast_forward(minutes=6)
    watch.assert_paged("carol", "voice", "voice")
    assert watch.watchers
    left = replace(watch.watchers, settings=OnCallSettings.model_validate(ONCALL))
    watch.site = replace(watch.site, watchers=left)
    watch.workflows = catalogue({watch.managed.name: watch.site})
    watch.waits.clear()
    watch.fast_forward(minutes=5)
    third_rung(watch)  # where it stood in the ladder
    watch.fast_forward(minutes=10)
    first_rung(watch)
    watch.assert_quiet()


def test_without_a_section_oncall_the_operators_are_mentioned_for_an_outage_that_is_open(watch: NightWatch) -> None:
    watch.dies(ROUTER)
    first_rung(watch)
    watch.site = replace(watch.site, watchers=None)
    watch.workflows = catalogue({watch.managed.name: watch.site})
    watch.waits.clear()
    watch.fast_forward(minutes=5)
    for who in watch.managed.people.operators:
        watch.assert_paged(NAMES[who], "mention")
    watch.assert_quiet()


def without_its_cluster(watch: NightWatch) -> None:
    """Started again with settings that name "barn" alone."""
    watch.managed = watch.managed.model_copy(update={"name": "barn"})
    watch.site = replace(watch.site, managed=watch.managed)
    watch.workflows, watch.rules = catalogue({"barn": watch.site}), Rules()  # the journal of another ladder is begun
    watch.waits.clear()


def test_an_outage_whose_cluster_left_the_settings_goes_on_waking_people(watch: NightWatch) -> None:
    old = watch.dies(ROUTER)
    first_rung(watch)
    without_its_cluster(watch)
    watch.fast_forward(seconds=61)
    watch.assert_said("*lab* is no longer in the settings, so nobody looks at it any more, and this outage ends here.")
    assert watch.store.run(old).result["state"] == "left"  # type: ignore[union-attr]
    first_rung(watch)
    assert watch.pagers["voice"].cancelled == ["voice-1"]
    (outage,) = watch.outages()
    assert outage.cluster == "barn"
    watch.assert_said(f"• *{ROUTER} of lab*: is silent, when lab left the settings; nobody looks at it any more")
    watch.fast_forward(minutes=5)
    second_rung(watch)
    watch.types("bob", "/outage resolve")
    watch.fast_forward(hours=1)
    assert watch.store.firing() == []


def test_a_drill_whose_cluster_left_the_settings_still_proves_the_pager(watch: NightWatch) -> None:
    watch.presses_one("alice", after=120)
    watch.types("alice", "/oncall test")
    watch.assert_paged("alice", "mention", "pushover", "voice")
    without_its_cluster(watch)
    watch.fast_forward(minutes=11)
    watch.assert_said("alice (@alice) answered by voice")


# ---- paging services -------------------------------------------------------------------------------------------------


def test_a_fault_in_one_pager_holds_up_neither_the_others_nor_the_ladder(watch: NightWatch) -> None:
    def broken(page: Page) -> str:
        raise AttributeError("'str' object has no attribute 'get'")

    watch.pagers["pushover"].send = broken  # type: ignore[method-assign]
    watch.dies(ROUTER)
    watch.assert_paged("alice", "mention", "voice")
    watch.fast_forward(minutes=6)
    second_rung(watch)


def test_a_fault_in_calling_off_leaves_the_outage_with_who_has_it(watch: NightWatch) -> None:
    def broken(receipt: str) -> None:
        raise KeyError(receipt)

    watch.pagers["voice"].cancel = broken  # type: ignore[method-assign]
    watch.dies(ROUTER)
    first_rung(watch)
    watch.types("alice", "/outage ack")
    watch.fast_forward(minutes=10)
    watch.assert_said("@alice has it")


EVERYBODY: dict[str, Any] = {
    **ONCALL,
    "policies": [{"name": "default", "rungs": [{"who": ["everybody"], "how": ["voice", "apprise"], "wait": "5m"}]}],
}


def test_all_of_a_rung_are_rung_side_by_side_and_asked_and_called_off_so() -> None:
    """A service that is dead takes eight seconds to say nothing: one after the other, six rings take a minute."""
    watch = NightWatch(EVERYBODY)
    assert watch.watchers
    watch.site = replace(watch.site, watchers=replace(watch.watchers, together=side_by_side))
    watch.workflows = catalogue({watch.managed.name: watch.site})
    six, three, receipts = Barrier(6), Barrier(3), iter(range(6))

    def send(page: Page) -> str:
        six.wait(5)
        return f"call-{next(receipts)}"

    def silent(receipt: str) -> Delivery:
        three.wait(5)
        raise PagerError("no answer", permanent=False)

    def cancel(receipt: str) -> None:
        silent(receipt)

    for how in ("voice", "apprise"):
        watch.pagers[how].send = send  # type: ignore[method-assign]
    outage = watch.dies(ROUTER)
    assert [row.state for row in watch.store.pages(outage)] == ["sent"] * 6
    assert not six.broken
    for row in watch.store.pages(outage):
        if row.how == "apprise":
            watch.store.page(replace(row, state="expired"))
    watch.pagers["voice"].state = silent  # type: ignore[method-assign]
    watch.pagers["voice"].cancel = cancel  # type: ignore[method-assign]
    watch.fast_forward(seconds=10)
    watch.types("alice", "/outage ack")
    watch.fast_forward(seconds=1)
    assert {row.error for row in watch.store.pages(outage)} == {"", "not cancelled: no answer"}
    assert not three.broken


def test_a_bot_that_dies_in_the_middle_of_a_rung_rings_nobody_twice_of_whom_it_knows_that_they_were_rung() -> None:
    """Apprise cannot be asked; but that it took the message was written down before the bot died."""
    watch = NightWatch(EVERYBODY)
    rang, real = list[str](), watch.pagers["apprise"].send

    def dies_at_bob(page: Page) -> str:
        rang.append(page.name)
        if rang == ["alice", "bob"]:
            raise Crash
        return real(page)

    watch.pagers["apprise"].send = dies_at_bob  # type: ignore[method-assign]
    with pytest.raises(Crash):
        watch.dies(ROUTER)
    watch.waits.clear()
    watch.store.poke(watch.outages()[0].id)
    watch.settle()
    assert rang == ["alice", "bob", "bob", "carol"]  # whether bob was rung nobody knows: rather twice than never
    assert [page.name for page in watch.pagers["voice"].sent.values()] == ["alice", "bob", "carol"]
    watch.woken.clear()


def test_a_key_that_is_pressed_while_the_service_is_asked_is_what_came_of_the_call(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)

    def answered_meanwhile(receipt: str) -> Delivery:
        watch._acknowledged("voice", receipt)
        return Delivery(State.EXPIRED, "it was answered, and no key was pressed")

    watch.pagers["voice"].state = answered_meanwhile  # type: ignore[method-assign]
    watch.fast_forward(seconds=10)
    assert [row.state for row in watch.store.pages(outage) if row.how == "voice"] == ["acknowledged"]
    watch.assert_said("@alice has it")


def test_who_takes_it_while_one_service_is_asked_is_not_rung_by_the_next(watch: NightWatch) -> None:
    real = watch.pagers["pushover"].send

    def slow(page: Page) -> str:
        watch.types("alice", "/outage ack")
        return real(page)

    watch.pagers["pushover"].send = slow  # type: ignore[method-assign]
    watch.dies(ROUTER)
    watch.assert_paged("alice", "mention", "pushover")
    watch.assert_quiet()
    watch.assert_said("@alice has it")


def test_a_service_that_takes_pages_but_cannot_be_asked_is_given_the_page_again(watch: NightWatch) -> None:
    """Whether it has it already nobody knows: rather twice than never."""
    voice, tries, looked = watch.pagers["voice"], list[str](), list[float]()
    real = voice.send

    def breaks_once(page: Page) -> str:
        tries.append(page.name)
        if len(tries) == 1:
            raise PagerError("the line broke", permanent=False)
        return real(page)

    def silent(page: Page) -> str:
        looked.append(page.at)
        raise PagerError("no list of calls today", permanent=False)

    voice.send, voice.find = breaks_once, silent  # type: ignore[method-assign]
    watch.dies(ROUTER)
    watch.fast_forward(seconds=10)
    first_rung(watch)
    assert looked == [MIDNIGHT]  # since the first try


def test_who_has_no_number_is_passed_over_at_once() -> None:
    rungs = [{"who": ["alice"], "how": ["voice"], "wait": "5m"}, {"who": ["bob"], "how": ["pushover"], "wait": "5m"}]
    watch = NightWatch({**ONCALL, "policies": [{"name": "default", "rungs": rungs}]})
    watch.pagers["voice"].reaches = lambda person: "no phone number in the settings"  # type: ignore[method-assign]
    watch.dies(ROUTER)
    watch.fast_forward(seconds=1)
    watch.assert_paged("bob", "pushover")
    watch.assert_quiet()


def test_a_way_that_left_the_settings_is_not_tried_and_holds_up_nobody_while_it_rings() -> None:
    rungs = [{"who": [who], "how": [how], "wait": "5m"} for who, how in (("alice", "voice"), ("bob", "pushover"))]
    watch = NightWatch({**ONCALL, "policies": [{"name": "default", "rungs": rungs}]})
    outage = watch.dies(ROUTER)
    watch.assert_paged("alice", "voice")
    watch.site.watchers.pagers.pop("voice")  # type: ignore[union-attr]
    watch.waits.clear()
    watch.fast_forward(minutes=5)
    watch.assert_paged("bob", "pushover")
    watch.fast_forward(minutes=5)
    watch.assert_paged("bob", "pushover")  # at once: the phone is no way to Alice any more
    failed = [row.error for row in watch.store.pages(outage) if row.state == "failed"]
    assert failed == ["voice is not set up"]
    watch.types("bob", "/outage ack")
    watch.assert_said("@bob has it")


def test_a_tap_is_seen_while_another_service_is_tried_again(watch: NightWatch) -> None:
    watch.pagers["voice"].down = True
    watch.dies(ROUTER)
    watch.assert_paged("alice", "mention", "pushover")
    watch.pagers["pushover"].states["pushover-1"] = Delivery(State.ACKNOWLEDGED)
    watch.fast_forward(seconds=6)
    watch.assert_said("@alice has it")


def test_a_push_that_rings_is_not_called_off_for_one_that_the_service_does_not_take(watch: NightWatch) -> None:
    outage = watch.dies(ROUTER)
    first_rung(watch)
    watch.fast_forward(minutes=10)
    watch.woken.clear()

    def takes_nothing(page: Page) -> str:
        raise PagerError("no answer", permanent=False)

    watch.pagers["pushover"].send = takes_nothing  # type: ignore[method-assign]
    watch.fast_forward(minutes=12)
    assert "pushover-1" not in watch.pagers["pushover"].cancelled
    assert [row.key for row in watch.store.pages(outage, state="sent") if row.how == "pushover"] == [
        "t0.rung0.alice.pushover"
    ]
    watch.woken.clear()


def test_a_tap_is_seen_while_the_ladder_rests_between_two_rounds() -> None:
    policy = {"name": "default", "pause": "30m", "rungs": [{"who": ["alice"], "how": ["pushover"], "wait": "5m"}]}
    watch = NightWatch({**ONCALL, "policies": [policy]})
    watch.dies(ROUTER)
    watch.assert_paged("alice", "pushover")
    watch.fast_forward(minutes=10)
    watch.pagers["pushover"].states["pushover-1"] = Delivery(State.ACKNOWLEDGED)
    watch.fast_forward(minutes=1)
    watch.assert_said("@alice has it")
    watch.fast_forward(minutes=30)
    watch.assert_quiet()


def test_a_new_version_goes_on_with_the_ladder_that_the_former_one_began(
    watch: NightWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose journal does not say how many alerts had been told."""
    plan = Rung.plan
    monkeypatch.setattr(Rung, "plan", lambda rung: {key: v for key, v in plan(rung).items() if key != "seen"})
    watch.dies(ROUTER)
    first_rung(watch)
    monkeypatch.undo()
    watch.waits.clear()
    watch.fast_forward(minutes=5)
    second_rung(watch)
    watch.types("bob", "/outage ack")
    watch.fast_forward(minutes=5)
    assert not any("more alert" in said for _, said in watch.said)
