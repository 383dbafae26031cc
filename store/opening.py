"""Opening the database file: taken by one process, brought to the present version, set up to survive a power cut.

1. The lock: flock on `<file>.lock`, which ends with its process, however that ends. The pid inside is for people.
2. The file itself, readable for its owner alone.
3. The connections: WAL and synchronous=FULL, so that what was committed is there after a power cut.
4. The migrations, in one transaction: a crash in between leaves the former version whole.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from store.api import SecondProcess, StoreError
from store.plain import dumps
from store.sql import SqlStore, in_a_sentence

BUSY_MS = 10_000  # only another program (a backup, a shell) can make us wait for the file
MIGRATIONS = Path(__file__).parent / "migrations"


def open_store(path: Path) -> SqlStore:
    """The store, for the one process that works with it. Raises SecondProcess or StoreError, each a sentence."""
    path = path.resolve()
    store = SqlStore(_engine(path), str(path), _take(path))
    with _closed_unless_opened(store), in_a_sentence("open", str(path)), _newer_is_refused(path):
        migrate(store.engine)
    return store


def read_store(path: Path) -> SqlStore:
    """The store for reading alone, beside a process that works with it. Raises StoreError."""
    path = path.resolve()
    if not path.exists():
        raise StoreError(f"there is no database {path}; roundsman run makes it")
    store = SqlStore(_engine(path, "ro"), str(path), lambda: None)
    with _closed_unless_opened(store):
        with in_a_sentence("read", str(path)), store.engine.connect() as connection:
            version = connection.scalar(text("select version_num from alembic_version"))
        if version != newest():
            told = f"{path} is of version {version}, this program reads {newest()}; use the one that wrote it"
            raise StoreError(told)
    return store


def migrate(engine: Engine, version: str = "head") -> None:
    """To this version of the tables, in one transaction; nothing to do when it is there already."""
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def newest() -> str:
    """The version of the tables that this program works with."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _closed_unless_opened(store: SqlStore) -> Iterator[None]:
    try:
        yield
    except BaseException:
        store.close()
        raise


@contextmanager
def _newer_is_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise StoreError(f"{path} was written by a newer roundsman ({error}); install that version again") from error


def _take(path: Path) -> Callable[[], None]:
    """Lock the database for this process; what it returns lets go."""
    lock = path.with_name(path.name + ".lock")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        who = f"install -d -m 0700 {path.parent}, owned by the user that runs roundsman"
        raise StoreError(f"cannot open {error.filename}: {error.strerror}; make its folder with {who}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(handle, 20).decode().strip() or "not known"
        os.close(handle)
        raise SecondProcess(f"another roundsman (pid {pid}) already works on {path}; stop it first") from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return partial(os.close, handle)


def _engine(path: Path, mode: str = "rwc") -> Engine:
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    engine = create_engine(url, json_serializer=dumps, hide_parameters=True, pool_size=8, max_overflow=-1)
    event.listen(engine, "connect", _set_up if mode != "ro" else _set_up_reader)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(raw: Any, _: object) -> None:
    _set_up_reader(raw, _)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        raw.execute(f"PRAGMA {pragma}")


def _set_up_reader(raw: Any, _: object) -> None:
    raw.isolation_level = None  # we begin ourselves: the driver would begin too late, and not for DDL
    raw.execute(f"PRAGMA busy_timeout={BUSY_MS}")


def _begin(connection: Connection) -> None:
    """A writer takes the write lock at its start: a reader that becomes a writer later could fail instead of wait."""
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
