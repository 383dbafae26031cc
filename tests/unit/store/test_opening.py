"""Opening the database: one process, every version, and a sentence for whatever stands in the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from store.api import Entry, OutboxRow, RunRow, SecondProcess, StoreError, VoteRow
from store.opening import migrate, newest, open_store, read_store
from store.tables import metadata

RUN = RunRow("up-lab-1", "rolling_upgrade", "lab", {"nodes": ["pve1"]}, "active", 10.0, "alice", 10.0)

HOLD = """
import sys
from pathlib import Path
from store.opening import open_store
store = open_store(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "night.db"


# one process ---------------------------------------------------------------------------------------------------
def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that works on this database; it is there when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_second_process_is_refused_with_the_file_and_the_pid_and_may_come_when_the_first_is_killed(
    path: Path,
) -> None:
    with hold(path) as first:
        with pytest.raises(SecondProcess) as refused:
            open_store(path)
        first.send_signal(signal.SIGKILL)
    assert str(refused.value) == f"another roundsman (pid {first.pid}) already works on {path}; stop it first"
    open_store(path).close()


def test_a_second_opening_in_the_same_process_is_refused_too(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(SecondProcess, match=f"pid {os.getpid()}"):
        open_store(path)
    store.close()
    open_store(path).close()


def test_another_way_to_the_same_file_is_the_same_file(path: Path, tmp_path: Path) -> None:
    store = open_store(path)
    other_way = tmp_path / "link.db"
    other_way.symlink_to(path)
    with pytest.raises(SecondProcess):
        open_store(other_way)
    store.close()


def test_an_opening_that_fails_lets_go_of_the_lock(path: Path) -> None:
    path.write_text("this is no database, whatever its name says")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot open .*night\.db: file is not a database; put back"):
            open_store(path)


def test_reading_beside_the_process_that_works_is_allowed_and_writes_nothing(path: Path) -> None:
    store = open_store(path)
    store.start_run(RUN)
    reader = read_store(path)
    assert reader.run(RUN.id) == RUN
    with pytest.raises(StoreError, match="readonly database; make file and folder writable"):
        reader.poke(RUN.id)
    reader.close()
    store.close()


def test_reading_what_is_not_there_makes_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        read_store(path)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_named_with_the_command_that_makes_it(path: Path) -> None:
    nowhere = path / "deeper" / "night.db"
    with pytest.raises(StoreError, match=f"No such file or directory; .*install -d -m 0700 {nowhere.parent}"):
        open_store(nowhere)


def test_the_files_are_readable_for_their_owner_alone(path: Path) -> None:
    store = open_store(path)
    store.start_run(RUN)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}
    store.close()


def test_a_name_with_odd_characters_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "night of 50% ?#.db"
    store = open_store(path)
    store.start_run(RUN)
    store.close()
    assert [file.name for file in tmp_path.glob("*.db")] == [path.name]


# what is kept outlives the process -----------------------------------------------------------------------------
def test_what_was_written_is_there_after_the_next_start(path: Path) -> None:
    store = open_store(path)
    store.start_run(RUN)
    store.write(RUN.id, Entry("pve1.drain", "result", {"moved": [101]}, 11.0), {"kind": "note", "text": "drained"})
    store.close()
    store = open_store(path)
    assert store.run(RUN.id) == RUN
    assert store.entries(RUN.id) == [Entry("pve1.drain", "result", {"moved": [101]}, 11.0)]
    assert len(store.undelivered(12.0)) == 1
    store.close()


def test_a_commit_survives_a_power_cut(path: Path) -> None:
    store = open_store(path)
    with store.engine.connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]  # 2 is FULL
    store.close()


def test_no_value_is_shown_in_an_error(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(StoreError) as told:
        store.write("nobody", Entry("pve1.token", "result", "hunter2", 11.0))
    assert "FOREIGN KEY" in str(told.value)
    assert "hunter2" not in str(told.value)
    store.close()


# versions ------------------------------------------------------------------------------------------------------
def test_an_empty_file_is_brought_to_the_tables_as_they_are_now(path: Path) -> None:
    store = open_store(path)
    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []
    store.close()


def test_a_run_of_the_first_version_is_taken_over_with_all_that_belongs_to_it(path: Path) -> None:
    """first_version.sql is a file of version 0001 as it was written then; it never changes."""
    with sqlite3.connect(path) as raw:
        raw.executescript(Path(__file__).with_name("first_version.sql").read_text())
    raw.close()
    store = open_store(path)
    assert store.due(99.0) == ["up-lab-1"]
    assert store.entries("up-lab-1") == [
        Entry("pve1.drain", "intent", None, 11.0),
        Entry("pve1.drain", "result", {"moved": [101]}, 12.0),
    ]
    assert store.outbox("up-lab-1") == [
        OutboxRow(
            1, "up-lab-1", "pve1.said", {"kind": "note", "text": "drained"}, 12.0, 0.0, 13.0, 1, 14.0, "C1", "17.01"
        )
    ]
    assert [order.verb for order in store.orders("up-lab-1")] == ["pause"]
    assert store.votes("up-lab-1", "pve1.ask") == [VoteRow("up-lab-1", "pve1.ask", "carol", "approve", True, 15.0)]
    assert [row.text for row in store.commands("saved")] == ["cluster lab"]
    assert not store.first_sight("Ev1", 99.0)
    assert [row.what for row in store.audits()] == ["started"]
    store.close()


def test_opening_again_changes_nothing(path: Path) -> None:
    store = open_store(path)
    migrate(store.engine)
    with store.engine.connect() as connection:
        version = connection.exec_driver_sql("select version_num from alembic_version").scalar()
    assert version == newest()
    store.close()


def test_a_migration_that_fails_in_the_middle_leaves_the_file_as_it_was(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("create table votes (somebody_elses text)")
    with pytest.raises(StoreError, match="table votes already exists"):
        open_store(path)
    assert raw.execute("select name from sqlite_master").fetchall() == [("votes",)]
    raw.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    open_store(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("update alembic_version set version_num = '9999'")
    raw.close()
    with pytest.raises(StoreError, match=r"written by a newer roundsman .*9999.*; install that version again"):
        open_store(path)
    with pytest.raises(StoreError, match="is of version 9999"):
        read_store(path)


def test_a_database_that_another_program_holds_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.opening.BUSY_MS", 1)
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked; find the other program that holds it"):
        store.start_run(RUN)
    other.close()
    assert store.start_run(RUN)
    store.close()
