"""Threads that end the process rather than vanish, systemd, the wall clock, and a log without secrets."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import pytest
import time_machine

from bot import logs, systemd
from bot.clock import WallClock
from bot.worker import Worker
from tests.waiting import PATIENCE_S

BOT_TOKEN, PVE_TOKEN = "xoxb-123456-abcdef", "0b8f3c1e-1111-2222-3333-444455556666"


def nobody_dies(error: BaseException) -> None:
    raise AssertionError(f"ended by {error!r}")


# ---- workers ---------------------------------------------------------------------------------------------------------


def test_a_worker_that_rests_is_woken_at_once() -> None:
    stepped = threading.Semaphore(0)

    def step() -> float:
        stepped.release()
        return 3600.0

    worker = Worker("w", step, nobody_dies)
    worker.start()
    assert stepped.acquire(timeout=PATIENCE_S)
    worker.wake()
    assert stepped.acquire(timeout=PATIENCE_S)
    worker.stop()


def test_whatever_ends_a_worker_is_fatal() -> None:
    ended: Queue[BaseException] = Queue()

    def step() -> float:
        raise OSError("disk")

    worker = Worker("w", step, ended.put)
    worker.start()
    assert str(ended.get(timeout=PATIENCE_S)) == "disk"
    worker.stop()


# ---- the wall clock --------------------------------------------------------------------------------------------------


def test_a_job_comes_at_once_and_again() -> None:
    came = threading.Semaphore(0)
    wall = WallClock(nobody_dies)
    wall.every("job", 0.05, came.release, at_once=True)
    wall.start()
    assert came.acquire(timeout=PATIENCE_S)
    assert came.acquire(timeout=PATIENCE_S)
    wall.stop()


def test_a_job_goes_on_although_the_hosts_clock_is_put_back_by_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.clock.LOOK_S", 0.01)
    came = threading.Semaphore(0)
    wall = WallClock(nobody_dies)
    wall.every("job", 0.05, came.release, at_once=True)
    with time_machine.travel(datetime.now(UTC), tick=True) as host:
        wall.start()
        assert came.acquire(timeout=PATIENCE_S)
        host.shift(-3600)
        for _ in range(3):  # one may have been under way
            assert came.acquire(timeout=PATIENCE_S)
        wall.stop()


def test_a_job_that_fails_is_fatal() -> None:
    ended = threading.Event()
    wall = WallClock(lambda error: ended.set())
    wall.every("job", 3600, lambda: 1 // 0, at_once=True)
    wall.start()
    assert ended.wait(PATIENCE_S)
    wall.stop()


# ---- systemd ---------------------------------------------------------------------------------------------------------


def test_systemd_is_told_that_the_bot_is_ready(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        assert systemd.notify({"NOTIFY_SOCKET": str(tmp_path / "notify")}, "READY=1")
        assert listening.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told(tmp_path: Path) -> None:
    assert not systemd.notify({}, "READY=1")
    assert not systemd.notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}, "READY=1")


@pytest.mark.parametrize(("limit", "beat"), [("30000000", 15.0), ("", None), ("0", None), ("soon", None)])
def test_the_watchdog_is_fed_at_half_its_limit(limit: str, beat: float | None) -> None:
    assert systemd.watchdog_s({"WATCHDOG_USEC": limit}) == beat


# ---- the log ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield root
    root.handlers, root.level = before, level
    for name, quiet in levels.items():
        logging.getLogger(name).setLevel(quiet)


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_gets_into_the_log_not_even_in_a_traceback(root: logging.Logger, style: str) -> None:
    seen = io.StringIO()
    logs.set_up(style, [PVE_TOKEN], seen)
    try:
        raise ValueError(f"PVEAPIToken=roundsman@pve!bot={PVE_TOKEN} and xapp-1-A0B1C2-345")
    except ValueError:
        logging.getLogger("bot").exception("asked with %s", BOT_TOKEN)
    assert "(secret)" in seen.getvalue()
    for secret in (PVE_TOKEN, BOT_TOKEN, "xapp-1-A0B1C2-345"):
        assert secret not in seen.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_variables(root: logging.Logger, style: str) -> None:
    """A box drawn around them would break a long secret into pieces that nobody recognises."""
    seen = io.StringIO()
    secret = "slack://" + "/".join(f"part{number}of{number}" for number in range(30))
    logs.set_up(style, [secret], seen)
    form = {"url": secret, "body": [secret, secret]}
    try:
        raise ValueError(f"{len(form)} fields")
    except ValueError:
        logging.getLogger("bot").exception("it broke")
    told = "".join(seen.getvalue().split())
    assert "ValueError:2fields" in told
    assert "part1of1" not in told


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_a_machine_said_steers_no_terminal_that_shows_the_log(root: logging.Logger, style: str) -> None:
    seen = io.StringIO()
    logs.set_up(style, [], seen)
    try:
        raise ValueError("pve1 said \x1b]0;all is well\x07")
    except ValueError:
        logging.getLogger("bot").exception("pve2 said %s", "\x1b[2J")
    assert "all is well" in seen.getvalue()
    assert not {"\x1b", "\x07"} & set(seen.getvalue())


def test_the_json_log_has_one_object_a_line(root: logging.Logger) -> None:
    seen = io.StringIO()
    logs.set_up("json", [], seen)
    logging.getLogger("bot.app").info("bot: process '%d': starting -> running", 7)
    line = json.loads(seen.getvalue())
    assert (line["event"], line["level"], line["logger"]) == (
        "bot: process '7': starting -> running",
        "info",
        "bot.app",
    )


def test_an_empty_secret_takes_nothing_out_of_the_log(root: logging.Logger) -> None:
    seen = io.StringIO()
    logs.set_up("console", ["", "pve"], seen)
    logging.getLogger("bot").info("pve1 is healed")
    assert "pve1 is healed" in seen.getvalue()
