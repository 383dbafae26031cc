"""What every store must do, told as what happens to a run, its journal, its messages and the audit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store.api import AuditRow, Kept, KeyTaken, Store, StoreError
from tests.unit.store.rows import APPROVE, MIDNIGHT, NOTE, PAUSE, RUN, TYPED, entry


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


# last known facts ----------------------------------------------------------------------------------------------
def test_a_fact_is_kept_until_the_next_one_of_its_name(store: Store) -> None:
    store.keep("path/lab/lte", {"latency": 0.2}, 10.0)
    store.keep("path/lab/direct", None, 11.0)
    store.keep("path/lab/lte", {"latency": 0.3}, 12.0)
    assert store.kept("path/lab/lte") == Kept("path/lab/lte", {"latency": 0.3}, 12.0)
    assert store.kept("path/lab/vpn") is None
    assert [fact.name for fact in store.kept_all("path/lab/")] == ["path/lab/direct", "path/lab/lte"]
    assert store.kept_all("path_lab") == []
