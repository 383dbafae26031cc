"""What every store must do in an outage: alerts, pages, overrides of shifts."""

from __future__ import annotations

from dataclasses import replace

from store.api import AlertRow, PageRow, ShiftOverrideRow, Store
from tests.unit.store.rows import RUN

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
    again = replace(
        DEAD, began_at=90.0, at=91.0, subject="router-b", summary="it is silent, still", detail={"tries": 3}
    )
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
