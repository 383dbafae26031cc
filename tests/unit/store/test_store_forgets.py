"""What every store forgets of what ended long ago, and what it never does."""

from __future__ import annotations

from dataclasses import replace

from store.api import AlertRow, AuditRow, PageRow, Store
from tests.unit.store.rows import APPROVE, MIDNIGHT, NOTE, PAUSE, RUN, entry

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
