"""What every store must do, told as what happens to a run, its messages and the people around it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store.api import (
    AlertRow,
    AuditRow,
    CommandRow,
    Entry,
    Kept,
    KeyTaken,
    OrderRow,
    PageRow,
    RunRow,
    ShiftOverrideRow,
    Store,
    StoreError,
    VoteRow,
)

MIDNIGHT = 1_000_000.0
RUN = RunRow("up-lab-1", "rolling_upgrade", "lab", {"nodes": ["pve1"]}, "active", MIDNIGHT, "alice", MIDNIGHT)
NOTE = {"kind": "note", "text": "draining pve1", "mention": ["alice"], "detail": {"guests": 3, "share": 0.5}}
PAUSE = OrderRow(0, RUN.id, "pause", "", "a storm", "bob", MIDNIGHT, "trigger-1")
APPROVE = VoteRow(RUN.id, "pve1.ask", "carol", "approve", True, MIDNIGHT)
TYPED = CommandRow("trigger-1", "cluster lab", "/upgrade", "alice", "C1", "http://127.0.0.1/answer", MIDNIGHT)


def entry(key: str, kind: str = "result", value: object = None) -> Entry:
    return Entry(key, kind, value, MIDNIGHT)


@pytest.fixture
def begun(store: Store) -> Store:
    store.start_run(RUN)
    return store


# runs ----------------------------------------------------------------------------------------------------------
def test_a_started_run_is_read_back_as_it_was_given(begun: Store) -> None:
    assert begun.run(RUN.id) == RUN


def test_an_unknown_run_is_none(store: Store) -> None:
    assert store.run("nobody") is None


def test_starting_twice_is_harmless(begun: Store) -> None:
    assert not begun.start_run(replace(RUN, args={"nodes": []}))
    assert begun.run(RUN.id) == RUN


def test_runs_come_newest_first_and_of_one_moment_the_last_started_first(store: Store) -> None:
    for run_id, created_at in (("second", 2.0), ("third", 2.0), ("first", 1.0)):
        store.start_run(replace(RUN, id=run_id, created_at=created_at))
    assert [row.id for row in store.runs()] == ["third", "second", "first"]
    assert [row.id for row in store.runs(limit=1)] == ["third"]


def test_runs_are_chosen_by_cluster_and_state(begun: Store) -> None:
    begun.start_run(replace(RUN, id="up-barn-1", cluster="barn"))
    begun.finish("up-barn-1", "done", MIDNIGHT)
    assert [row.id for row in begun.runs(cluster="lab")] == [RUN.id]
    assert [row.id for row in begun.runs(state="done")] == ["up-barn-1"]
    assert begun.runs(cluster="lab", state="done") == []


def test_due_are_those_whose_time_has_come_oldest_first(store: Store) -> None:
    for run_id, wake_at in (("late", 30.0), ("later", 40.0), ("soon", 20.0)):
        store.start_run(replace(RUN, id=run_id, wake_at=wake_at))
    assert store.due(19.9) == []
    assert store.due(30.0) == ["soon", "late"]
    assert store.next_wake() == 20.0


def test_a_run_that_would_rest_longer_than_any_run_rests_is_due_for_the_clock_was_put_back(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT + 60)
    assert begun.due(MIDNIGHT, 60) == []
    assert begun.due(MIDNIGHT - 36_000, 60) == [RUN.id]


def test_a_poked_run_is_due_at_once(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT + 60)
    begun.poke(RUN.id)
    assert begun.due(MIDNIGHT) == [RUN.id]
    assert begun.next_wake() == 0.0


def test_a_poke_during_a_pass_outlives_the_parking(begun: Store) -> None:
    begun.poke(RUN.id)
    begun.unpoke(RUN.id)
    begun.poke(RUN.id)
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT + 60)
    assert begun.due(MIDNIGHT) == [RUN.id]


def test_a_poke_taken_at_the_start_of_a_pass_is_spent(begun: Store) -> None:
    begun.poke(RUN.id)
    begun.unpoke(RUN.id)
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT + 60)
    assert begun.due(MIDNIGHT) == []


def test_a_parked_run_says_what_it_waits_for(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.heal", "seen": "14 entries pending"}, MIDNIGHT + 60)
    row = begun.run(RUN.id)
    assert row == replace(RUN, parked={"key": "pve1.heal", "seen": "14 entries pending"}, wake_at=MIDNIGHT + 60)


def test_a_finished_run_waits_for_nothing_and_is_never_due(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT)
    begun.poke(RUN.id)
    begun.finish(RUN.id, {"outcome": "done"}, MIDNIGHT + 9)
    begun.poke(RUN.id)
    assert begun.due(MIDNIGHT + 99) == []
    assert begun.next_wake() is None
    assert begun.run(RUN.id) == replace(RUN, state="done", result={"outcome": "done"}, finished_at=MIDNIGHT + 9)


def test_a_finished_run_is_neither_parked_nor_finished_again(begun: Store) -> None:
    begun.finish(RUN.id, "done", MIDNIGHT)
    for ending in (begun.park, begun.finish, begun.again):
        with pytest.raises(StoreError, match=r"no active run 'up-lab-1'"):
            ending(RUN.id, {}, MIDNIGHT)


def test_again_empties_the_journal_and_keeps_what_people_saw_and_did(begun: Store) -> None:
    begun.write(RUN.id, entry("page#1"), NOTE)
    begun.order(PAUSE)
    begun.vote(APPROVE)
    begun.audit(AuditRow(MIDNIGHT, RUN.id, "lab", "alice", "started"))
    begun.again(RUN.id, {"round": 2}, MIDNIGHT + 5)
    row = begun.run(RUN.id)
    assert row is not None
    assert (row.args, row.parked, row.wake_at) == ({"round": 2}, None, MIDNIGHT + 5)
    assert begun.entries(RUN.id) == []
    assert [len(kept) for kept in (begun.outbox(RUN.id), begun.orders(RUN.id), begun.audits())] == [1, 1, 1]
    assert begun.votes(RUN.id, "pve1.ask") == [APPROVE]


def test_a_key_can_be_written_again_in_the_next_round(begun: Store) -> None:
    begun.write(RUN.id, entry("wait", "wait", {"since": 1.0}))
    begun.again(RUN.id, {"round": 2}, MIDNIGHT)
    begun.write(RUN.id, entry("wait", "wait", {"since": 2.0}))
    assert begun.entries(RUN.id) == [entry("wait", "wait", {"since": 2.0})]


# journal -------------------------------------------------------------------------------------------------------
def test_entries_come_in_the_order_in_which_they_were_written(begun: Store) -> None:
    written = [entry("pve1.drain", "intent"), entry("pve1.drain", "result", {"moved": [101, 102]}), entry("a")]
    for one in written:
        begun.write(RUN.id, one)
    assert begun.entries(RUN.id) == written


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "Ä ✓", [1, ["x"]], {"a": {"b": None}}])
def test_any_plain_value_comes_back(begun: Store, value: object) -> None:
    begun.write(RUN.id, entry("pve1.status", value=value))
    assert begun.entries(RUN.id)[0].value == value


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_what_is_not_plain_is_refused_as_a_fault_of_the_program(begun: Store, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        begun.write(RUN.id, entry("pve1.status", value=value))
    assert begun.entries(RUN.id) == []


def test_the_journal_is_never_rewritten(begun: Store) -> None:
    begun.write(RUN.id, entry("pve1.reboot", value="sent"))
    with pytest.raises(KeyTaken, match=r"pve1\.reboot"):
        begun.write(RUN.id, entry("pve1.reboot", value="other"))
    assert begun.entries(RUN.id) == [entry("pve1.reboot", value="sent")]


def test_an_entry_and_its_message_are_written_together(begun: Store) -> None:
    begun.write(RUN.id, entry("pve1.said"), NOTE)
    (row,) = begun.outbox(RUN.id)
    assert (row.run_id, row.key, row.message, row.created_at) == (RUN.id, "pve1.said", NOTE, MIDNIGHT)


def test_an_entry_whose_message_is_refused_is_not_written_either(begun: Store) -> None:
    begun.put_out(RUN.id, "pve1.said", NOTE, MIDNIGHT)
    with pytest.raises(KeyTaken):
        begun.write(RUN.id, entry("pve1.said"), NOTE)
    assert begun.entries(RUN.id) == []


def test_a_message_whose_entry_is_refused_is_not_written_either(begun: Store) -> None:
    begun.write(RUN.id, entry("pve1.said"))
    with pytest.raises(KeyTaken):
        begun.write(RUN.id, entry("pve1.said"), NOTE)
    assert begun.outbox(RUN.id) == []


def test_nothing_is_written_for_a_run_that_does_not_exist(store: Store) -> None:
    with pytest.raises(StoreError):
        store.write("nobody", entry("pve1.reboot"))
    assert store.entries("nobody") == []


# outbox --------------------------------------------------------------------------------------------------------
def test_a_message_is_put_out_once(store: Store) -> None:
    assert store.put_out("", "answer-1", NOTE, MIDNIGHT)
    assert not store.put_out("", "answer-1", NOTE, MIDNIGHT)
    assert len(store.undelivered(MIDNIGHT)) == 1


def test_the_same_key_of_two_runs_is_two_messages(store: Store) -> None:
    assert store.put_out("one", "board", NOTE, MIDNIGHT)
    assert store.put_out("two", "board", NOTE, MIDNIGHT)


def test_undelivered_messages_come_oldest_first(begun: Store) -> None:
    for key in ("first", "second", "third"):
        begun.put_out(RUN.id, key, NOTE, MIDNIGHT)
    assert [row.key for row in begun.undelivered(MIDNIGHT)] == ["first", "second", "third"]


def test_a_try_is_stamped_before_it_is_made(begun: Store) -> None:
    row = put_out(begun, "page")
    begun.trying(row, MIDNIGHT + 1)
    begun.trying(row, MIDNIGHT + 2)
    tried = begun.outbox_row(RUN.id, "page")
    assert tried is not None
    assert (tried.tries, tried.tried_at, tried.delivered_at) == (2, MIDNIGHT + 2, None)


def test_a_message_that_could_not_be_delivered_waits_for_its_next_time(begun: Store) -> None:
    row = put_out(begun, "page")
    begun.not_delivered(row, "Slack said 429", MIDNIGHT + 30)
    assert begun.undelivered(MIDNIGHT + 29) == []
    (waiting,) = begun.undelivered(MIDNIGHT + 30)
    assert waiting.error == "Slack said 429"


def test_a_message_whose_next_time_is_too_far_ahead_waits_no_more_for_the_clock_was_put_back(begun: Store) -> None:
    row = put_out(begun, "page")
    begun.not_delivered(row, "Slack said 429", MIDNIGHT + 30)
    assert begun.undelivered(MIDNIGHT, 30) == []
    assert [waiting.id for waiting in begun.undelivered(MIDNIGHT - 36_000, 30)] == [row]


def test_a_delivered_message_is_found_by_its_place_in_slack(begun: Store) -> None:
    row = put_out(begun, "pve1.ask")
    begun.not_delivered(row, "Slack said 429", MIDNIGHT)
    begun.delivered(row, MIDNIGHT + 1, "C1", "17.01")
    found = begun.posted("C1", "17.01")
    assert found == begun.outbox_row(RUN.id, "pve1.ask")
    assert found is not None
    assert (found.delivered_at, found.channel, found.ts, found.error) == (MIDNIGHT + 1, "C1", "17.01", "")
    assert begun.undelivered(MIDNIGHT + 99) == []


def test_a_message_of_somebody_else_is_not_ours(begun: Store) -> None:
    begun.delivered(put_out(begun, "board"), MIDNIGHT, "C1", "17.01")
    assert begun.posted("C2", "17.01") is None
    assert begun.posted("", "") is None
    assert begun.outbox_row(RUN.id, "other") is None


def test_what_is_shown_is_remembered(begun: Store) -> None:
    begun.rendered(put_out(begun, "board"), "digest-1")
    assert [row.rendered for row in begun.outbox(RUN.id)] == ["digest-1"]


def test_a_message_that_does_not_exist_cannot_be_delivered(store: Store) -> None:
    with pytest.raises(StoreError, match="no message 7"):
        store.delivered(7, MIDNIGHT, "C1", "17.01")


def put_out(store: Store, key: str) -> int:
    """Its row's id."""
    store.put_out(RUN.id, key, NOTE, MIDNIGHT)
    return store.outbox(RUN.id)[-1].id


# people --------------------------------------------------------------------------------------------------------
def test_an_order_wakes_its_run(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.heal"}, MIDNIGHT + 60)
    assert begun.order(PAUSE)
    assert begun.due(MIDNIGHT) == [RUN.id]


def test_an_order_delivered_twice_is_one(begun: Store) -> None:
    begun.order(PAUSE)
    begun.unpoke(RUN.id)
    begun.park(RUN.id, {}, MIDNIGHT + 60)
    assert not begun.order(replace(PAUSE, verb="abort"))
    assert [row.verb for row in begun.orders(RUN.id)] == ["pause"]
    assert begun.due(MIDNIGHT) == []


def test_orders_come_as_they_were_given_and_numbered(begun: Store) -> None:
    begun.order(PAUSE)
    begun.order(replace(PAUSE, verb="resume", source="trigger-2"))
    assert [replace(row, id=0) for row in begun.orders(RUN.id)] == [
        PAUSE,
        replace(PAUSE, verb="resume", source="trigger-2"),
    ]
    first, second = begun.orders(RUN.id)
    assert first.id < second.id


def test_orders_of_another_run_are_not_obeyed(begun: Store) -> None:
    begun.order(replace(PAUSE, run_id="up-barn-1"))
    assert begun.orders(RUN.id) == []


def test_a_vote_wakes_its_run(begun: Store) -> None:
    begun.park(RUN.id, {"key": "pve1.ask"}, MIDNIGHT + 60)
    assert begun.vote(APPROVE)
    assert begun.due(MIDNIGHT) == [RUN.id]


def test_the_same_vote_again_changes_nothing(begun: Store) -> None:
    begun.vote(APPROVE)
    begun.unpoke(RUN.id)
    begun.park(RUN.id, {}, MIDNIGHT + 60)
    assert not begun.vote(replace(APPROVE, at=MIDNIGHT + 9))
    assert begun.votes(RUN.id, "pve1.ask") == [APPROVE]
    assert begun.due(MIDNIGHT) == []


def test_a_vote_taken_back_and_given_again_is_three_rows(begun: Store) -> None:
    given = [APPROVE, replace(APPROVE, given=False, at=MIDNIGHT + 1), replace(APPROVE, at=MIDNIGHT + 2)]
    assert [begun.vote(row) for row in given] == [True, True, True]
    assert begun.votes(RUN.id, "pve1.ask") == given


def test_votes_of_other_people_marks_and_requests_stand_for_themselves(begun: Store) -> None:
    begun.vote(APPROVE)
    assert begun.vote(replace(APPROVE, user="bob"))
    assert begun.vote(replace(APPROVE, mark="reject"))
    assert begun.vote(replace(APPROVE, key="pve2.ask"))
    assert len(begun.votes(RUN.id, "pve1.ask")) == 3


def test_a_command_that_slack_delivers_twice_is_saved_once(store: Store) -> None:
    assert store.save_command(TYPED)
    assert not store.save_command(replace(TYPED))
    assert store.commands("saved") == [TYPED]


def test_a_settled_command_is_no_longer_waiting(store: Store) -> None:
    store.save_command(TYPED)
    store.settle_command(TYPED.id, "done")
    assert store.commands("saved") == []
    assert store.commands("done") == [replace(TYPED, state="done")]


def test_a_command_that_was_never_saved_cannot_be_settled(store: Store) -> None:
    with pytest.raises(StoreError, match="no command 'trigger-9'"):
        store.settle_command("trigger-9", "done")


def test_a_command_that_landed_waits_once_it_is_accepted(store: Store) -> None:
    store.save_command(replace(TYPED, state="landed"))
    assert (store.commands("landed"), store.commands("saved")) == ([replace(TYPED, state="landed")], [])
    assert store.accept_command(TYPED.id)
    assert (store.commands("landed"), store.commands("saved")) == ([], [TYPED])


def test_accepting_a_command_again_does_not_work_it_again(store: Store) -> None:
    store.save_command(TYPED)
    assert store.accept_command(TYPED.id)
    store.settle_command(TYPED.id, "done")
    assert store.accept_command(TYPED.id)
    assert (store.commands("saved"), len(store.commands("done"))) == ([], 1)


def test_a_command_that_is_void_or_unknown_is_not_accepted(store: Store) -> None:
    store.save_command(TYPED)
    store.settle_command(TYPED.id, "void")
    assert not store.accept_command(TYPED.id)
    assert not store.accept_command("trigger-9")
    assert store.commands("saved") == []


def test_an_event_is_new_once(store: Store) -> None:
    assert store.first_sight("Ev1", MIDNIGHT)
    assert not store.first_sight("Ev1", MIDNIGHT + 1)
    assert store.first_sight("Ev2", MIDNIGHT + 1)


# audit, housekeeping -------------------------------------------------------------------------------------------
def test_the_audit_comes_newest_first_and_can_be_chosen(store: Store) -> None:
    started = AuditRow(MIDNIGHT, RUN.id, "lab", "alice", "started", {"nodes": ["pve1"]})
    other = AuditRow(MIDNIGHT, "up-barn-1", "barn", "bob", "started")
    approved = AuditRow(MIDNIGHT, RUN.id, "lab", "carol", "approved pve1")
    for row in (started, other, approved):
        store.audit(row)
    assert store.audits() == [approved, other, started]
    assert store.audits(run_id=RUN.id) == store.audits(cluster="lab") == [approved, started]
    assert store.audits(limit=1) == [approved]


def test_the_audit_of_some_hours_is_found_however_much_came_later(store: Store) -> None:
    rows = [AuditRow(MIDNIGHT + n, RUN.id, "lab", "roundsman", f"gates {n}") for n in range(5)]
    for row in rows:
        store.audit(row)
    assert store.audits(since=MIDNIGHT + 1, until=MIDNIGHT + 3) == rows[3:0:-1]
    assert store.audits(until=MIDNIGHT + 3, limit=1) == [rows[3]]
    assert store.audits(since=MIDNIGHT + 4) == [rows[4]]


def test_what_is_ordered_and_started_is_audited_with_it_and_once(store: Store) -> None:
    started = AuditRow(MIDNIGHT, RUN.id, "lab", "alice", "start", {"nodes": ["pve1"]})
    paused = AuditRow(MIDNIGHT, RUN.id, "lab", "bob", "pause")
    assert store.start_run(RUN, started)
    assert store.order(PAUSE, paused)
    assert not store.start_run(RUN, started)
    assert not store.order(PAUSE, paused)
    assert store.audits() == [paused, started]


def test_what_cannot_be_audited_is_neither_started_nor_ordered(begun: Store) -> None:
    odd = AuditRow(MIDNIGHT, RUN.id, "lab", "bob", "pause", {"reason": object()})
    with pytest.raises(TypeError):
        begun.order(PAUSE, odd)
    with pytest.raises(TypeError):
        begun.start_run(replace(RUN, id="up-lab-2"), odd)
    assert (begun.orders(RUN.id), begun.run("up-lab-2"), begun.audits()) == ([], None, [])
    assert begun.order(PAUSE)


def test_tidying_drops_old_events_and_settled_commands_alone(store: Store) -> None:
    store.first_sight("old", MIDNIGHT)
    store.first_sight("new", MIDNIGHT + 60)
    for command_id in ("saved", "settled", "young"):
        store.save_command(replace(TYPED, id=command_id, at=MIDNIGHT + (60 if command_id == "young" else 0)))
    store.settle_command("settled", "done")
    store.settle_command("young", "done")
    assert store.tidy(MIDNIGHT + 60) == 2
    assert store.first_sight("old", MIDNIGHT + 61)
    assert not store.first_sight("new", MIDNIGHT + 61)
    assert [row.id for row in store.commands("saved")] == ["saved"]
    assert [row.id for row in store.commands("done")] == ["young"]


def test_many_threads_write_and_nothing_is_lost_or_doubled(begun: Store) -> None:
    def night(hand: int) -> list[bool]:
        for number in range(10):
            begun.write(RUN.id, entry(f"{hand}.{number}"), NOTE)
        return [begun.first_sight(f"Ev{number}", MIDNIGHT) for number in range(10)]

    with ThreadPoolExecutor(4) as hands:
        seen = [first for sights in hands.map(night, range(4)) for first in sights]
    assert len(begun.entries(RUN.id)) == len(begun.outbox(RUN.id)) == 40
    assert seen.count(True) == 10


# outages -------------------------------------------------------------------------------------------------------
OUTAGE = replace(RUN, id="outage-lab-1", workflow="outage")
DEAD = AlertRow(OUTAGE.id, "lab", "guest/101", "probe", "router-a", "router-a is silent", "critical", 10.0, 12.0)


def test_runs_are_chosen_by_workflow(begun: Store) -> None:
    begun.start_run(OUTAGE)
    assert [row.id for row in begun.runs(workflow="outage")] == [OUTAGE.id]
    assert [row.id for row in begun.runs(cluster="lab", workflow="rolling_upgrade")] == [RUN.id]


def test_an_alert_starts_its_outage_in_the_same_transaction_and_pokes_it(store: Store) -> None:
    assert store.alert([DEAD], OUTAGE) == [True]
    assert store.alerts(OUTAGE.id) == [DEAD]
    row = store.run(OUTAGE.id)
    assert row is not None
    assert row.poked


def test_the_same_alert_again_is_counted_and_wakes_nobody(store: Store) -> None:
    store.alert([DEAD], OUTAGE)
    store.unpoke(OUTAGE.id)
    again = replace(DEAD, began_at=90.0, at=91.0, summary="router-a is silent, still", detail={"tries": 3})
    assert store.alert([again], OUTAGE) == [False]
    assert store.alerts(OUTAGE.id) == [replace(again, began_at=10.0, count=2)]
    row = store.run(OUTAGE.id)
    assert row is not None
    assert not row.poked


def test_a_cleared_alert_does_not_fire_and_pokes_its_outage_and_may_fire_again(store: Store) -> None:
    store.alert([DEAD, replace(DEAD, fingerprint="guest/102")], OUTAGE)
    store.unpoke(OUTAGE.id)
    assert store.clear("barn", ["guest/101"], 20.0) == []
    assert store.clear("lab", ["guest/101", "guest/999"], 20.0) == [OUTAGE.id]
    assert store.clear("lab", ["guest/101"], 21.0) == []
    assert [row.fingerprint for row in store.firing("lab")] == ["guest/102"]
    assert store.firing("barn") == []
    assert [row.fingerprint for row in store.firing("lab", ["guest/102", "guest/999"])] == ["guest/102"]
    assert store.firing("lab", ["guest/101"]) == []  # cleared
    row = store.run(OUTAGE.id)
    assert row is not None
    assert row.poked
    assert store.alert([replace(DEAD, began_at=30.0, at=31.0)]) == [True]
    assert store.alerts(OUTAGE.id)[0] == replace(DEAD, began_at=30.0, at=31.0, count=2)


def test_alerts_take_the_place_of_those_of_an_outage_that_has_ended(store: Store) -> None:
    store.alert([DEAD, replace(DEAD, fingerprint="guest/102"), replace(DEAD, fingerprint="guest/103")], OUTAGE)
    store.clear("lab", ["guest/102"], 20.0)
    before = store.alerts(OUTAGE.id)
    start = replace(OUTAGE, id="outage-lab-2")
    moved = replace(DEAD, outage=start.id, at=30.0)
    assert store.alert([moved], start, before[:2]) == [True]
    assert [row.cleared_at for row in store.alerts(OUTAGE.id)] == [30.0, 20.0, None]
    assert store.alerts(start.id) == [moved]


def test_a_page_is_written_before_it_is_sent_and_changed_by_what_came_of_it(store: Store) -> None:
    store.alert([DEAD], OUTAGE)
    sending = PageRow(OUTAGE.id, "rung.1.alice.voice", "alice", "voice", "sending", 13.0, 13.0)
    store.page(sending)
    store.page(replace(sending, state="sent", changed_at=14.0, receipt="CA1"))
    store.unpoke(OUTAGE.id)
    answered = replace(sending, state="acknowledged", changed_at=20.0, receipt="CA1")
    store.page(answered)
    assert store.pages(OUTAGE.id) == [answered]
    assert store.page_of("CA1") == answered
    assert store.pages(OUTAGE.id, state="sent") == []
    assert store.page_row(OUTAGE.id, sending.key) == answered
    assert store.page_row(OUTAGE.id, "nothing") is None
    assert store.page_of("CA2") is None
    assert store.page_of("") is None
    row = store.run(OUTAGE.id)
    assert row is not None
    assert row.poked


def test_overrides_of_a_shift_are_written_together_or_not_at_all(store: Store) -> None:
    first = ShiftOverrideRow(0, "primary", "replace", "bob", "", 100.0, 200.0, "U0ALICE", 50.0, "t1")
    assert store.override_shift([first, replace(first, start=200.0, end=300.0, source="t2")])
    assert not store.override_shift([replace(first, source="t3"), replace(first, source="t2")])
    assert [(row.id, row.source) for row in store.shift_overrides(0.0)] == [(1, "t1"), (2, "t2")]
    assert [row.source for row in store.shift_overrides(200.0)] == ["t2"]


# last known facts ----------------------------------------------------------------------------------------------
def test_a_fact_is_kept_until_the_next_one_of_its_name(store: Store) -> None:
    store.keep("path/lab/lte", {"latency": 0.2}, 10.0)
    store.keep("path/lab/direct", None, 11.0)
    store.keep("path/lab/lte", {"latency": 0.3}, 12.0)
    assert store.kept("path/lab/lte") == Kept("path/lab/lte", {"latency": 0.3}, 12.0)
    assert store.kept("path/lab/vpn") is None
    assert [fact.name for fact in store.kept_all("path/lab/")] == ["path/lab/direct", "path/lab/lte"]
    assert store.kept_all("path_lab") == []


# what ended long ago -------------------------------------------------------------------------------------------
DAY = 86_400.0


def full_run(store: Store, run_id: str, workflow: str = "rolling_upgrade", ended_after: float | None = 1.0) -> str:
    """A run of which every table has something, ended so many days after midnight."""
    created = MIDNIGHT + 0.5 * (ended_after or 0.0)
    store.start_run(replace(RUN, id=run_id, workflow=workflow, created_at=created))
    store.write(run_id, entry("pve1.drain"), NOTE)
    store.order(replace(PAUSE, run_id=run_id, source=f"{run_id}/1"))
    store.vote(replace(APPROVE, run_id=run_id))
    store.page(PageRow(run_id, "t0.rung1.bob.voice", "bob", "voice", "sent", MIDNIGHT, MIDNIGHT))
    store.alert([AlertRow(run_id, "lab", run_id, "probe", "pve2", "is down", "critical", MIDNIGHT, MIDNIGHT)])
    store.clear("lab", [run_id], MIDNIGHT)
    row = store.outbox_row(run_id, "pve1.drain")
    assert row is not None
    store.delivered(row.id, MIDNIGHT, "C1", f"{run_id}.ts")
    if ended_after is not None:
        store.finish(run_id, {"state": "done"}, MIDNIGHT + ended_after * DAY)
    return run_id


def holds(store: Store, run_id: str) -> list[bool]:
    tables = (
        store.entries(run_id),
        store.orders(run_id),
        store.votes(run_id, APPROVE.key),
        store.pages(run_id),
        store.alerts(run_id),
        store.outbox(run_id),
    )
    return [bool(rows) for rows in tables]


ALL, NOTHING = [True] * 6, [False] * 6


def test_what_ended_long_ago_is_emptied_but_stays_in_the_history(store: Store) -> None:
    old, young = full_run(store, "old"), full_run(store, "young", ended_after=3.0)
    assert store.retire(MIDNIGHT + 2 * DAY, 0, 10) == 1
    assert (holds(store, old), holds(store, young)) == (NOTHING, ALL)
    kept = store.run(old)
    assert kept is not None
    assert (kept.state, kept.result) == ("done", {"state": "done"})
    assert store.posted("C1", "old.ts") is None
    assert store.retire(MIDNIGHT + 2 * DAY, 0, 10) == 0


def test_what_goes_on_is_never_emptied_however_old_it_is(store: Store) -> None:
    full_run(store, "active", ended_after=None)
    assert store.retire(MIDNIGHT + 1000 * DAY, 0, 10) == 0
    assert holds(store, "active") == ALL


def test_the_newest_runs_of_each_cluster_and_workflow_are_kept_whole(store: Store) -> None:
    for n in range(1, 4):
        full_run(store, f"up-{n}", ended_after=float(n))
        full_run(store, f"out-{n}", "outage", ended_after=float(n))
    assert store.retire(MIDNIGHT + 1000 * DAY, 2, 10) == 2
    assert [holds(store, f"{kind}-{n}") == ALL for kind in ("up", "out") for n in (1, 2, 3)] == [False, True, True] * 2


def test_one_workflow_can_be_kept_for_longer_than_the_others(store: Store) -> None:
    full_run(store, "up"), full_run(store, "out", "outage")
    assert store.retire(MIDNIGHT + 1000 * DAY, 0, 10, but="outage") == 1
    assert (holds(store, "up"), holds(store, "out")) == (NOTHING, ALL)
    full_run(store, "up-2")
    assert store.retire(MIDNIGHT + 1000 * DAY, 0, 10, only="outage") == 1
    assert (holds(store, "up-2"), holds(store, "out")) == (ALL, NOTHING)


def test_a_few_are_emptied_at_once_the_longest_ended_first(store: Store) -> None:
    for n in (3, 1, 2):
        full_run(store, f"up-{n}", ended_after=float(n))
    assert store.retire(MIDNIGHT + 1000 * DAY, 0, 2) == 2
    assert [holds(store, f"up-{n}") for n in (1, 2, 3)] == [NOTHING, NOTHING, ALL]


def test_what_was_not_told_and_what_still_fires_stays(store: Store) -> None:
    store.start_run(RUN)
    store.write(RUN.id, entry("pve1.drain"), NOTE)
    fires = AlertRow(RUN.id, "lab", "pve2", "probe", "pve2", "is down", "critical", MIDNIGHT, MIDNIGHT)
    store.alert([fires])
    store.finish(RUN.id, {}, MIDNIGHT)
    assert store.retire(MIDNIGHT + DAY, 0, 10) == 1  # its journal
    assert (len(store.outbox(RUN.id)), store.firing()) == (1, [fires])
    assert len(store.undelivered(MIDNIGHT + DAY)) == 1


def test_old_lines_of_the_audit_are_forgotten_a_few_at_a_time(store: Store) -> None:
    rows = [AuditRow(MIDNIGHT + n, RUN.id, "lab", "roundsman", f"gates {n}") for n in range(5)]
    for row in rows:
        store.audit(row)
    assert store.forget_audits(MIDNIGHT + 3, 2) == 2
    assert store.forget_audits(MIDNIGHT + 3, 2) == 1
    assert store.forget_audits(MIDNIGHT + 3, 2) == 0
    assert store.audits() == rows[:2:-1]
