"""What every store must do with what people say and do: orders, votes, commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.api import Store, StoreError
from tests.unit.store.rows import APPROVE, MIDNIGHT, PAUSE, RUN, TYPED


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
