"""Who watches the watcher: /healthz, /metrics and the sign of life, with real requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bot import health, metrics
from bot.health import Doctor
from bot.heartbeat import Heartbeat, address
from bot.http import Http
from bot.http_settings import HeartbeatSettings, HttpSettings
from bot.metrics import Figures
from bot.probing import Probing
from engine.runner import Runner
from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow, PageRow, RunRow, StoreError
from store.opening import open_store
from tests.waiting import PATIENCE_S, eventually
from workflows.night_watch import NightWatch
from workflows.path_watch import Known, Standing


class Bot:
    """An engine, a database and a doctor; time passes as `later` says, and by nothing else."""

    def __init__(self, path: Path) -> None:
        self.store = open_store(path / "bot.db")
        self.began, self.later = time.time(), 0.0
        self.engine = Runner(self.store, {}, self.clock, lambda _: None, exit_process=lambda _: None)
        self.engine.begin()
        watch = NightWatch(self.store, managed_settings(default_spec()), 0.0, time.time())
        self.probing = Probing([], {}, time.time, time.monotonic, lambda: None, lambda _: None)
        self.watched = Probing([watch], {}, time.time, time.monotonic, lambda: None, lambda _: None)
        self.doctor = Doctor(self.store, self.engine, self.probing, self.clock, lambda: self.later)
        figures = Figures(self.store, ("lab",), self.watched, self.doctor, self.clock)
        routes = [*health.routes(self.doctor), *metrics.routes(figures)]
        self.http = Http(HttpSettings(port=0), routes, lambda _: None)
        self.http.start()

    def clock(self) -> float:
        return self.began + self.later

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.http.port}{path}", timeout=10)

    def run(self, run_id: str, workflow: str = "outage", wake_in: float = 3600.0) -> None:
        now = time.time()
        row = RunRow(run_id, workflow, "lab", {}, "active", now - 60, "probe", now + wake_in)
        self.store.start_run(row)

    def stop(self) -> None:
        self.http.stop()
        self.engine.stop(PATIENCE_S)
        self.doctor.stop()
        self.watched.stop()
        self.probing.stop()
        self.store.close()


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Bot]:
    bot = Bot(tmp_path)
    yield bot
    bot.stop()


class Switch:
    """A dead man's switch on loopback: what was pinged, with which words. `status`: what it answers."""

    def __init__(self) -> None:
        self.pings: list[tuple[str, str]] = []
        self.status = 200
        switch = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                switch.pings.append((self.path, body.decode()))
                self.send_response(switch.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/0123-uuid"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def switch() -> Iterator[Switch]:
    switch = Switch()
    yield switch
    switch.stop()


def heartbeat(bot: Bot, url: str) -> Heartbeat:
    return Heartbeat(HeartbeatSettings(url=SecretStr(url), timeout=20.0), bot.doctor)


# ---- /healthz ----------------------------------------------------------------------------------------------------


def test_a_bot_that_works_is_well(bot: Bot) -> None:
    answer = bot.get("/healthz")
    assert answer.status_code == 200
    found = answer.json()
    parts = dict.fromkeys(("engine", "store", "probes", "slack", "http"), "ok")
    assert {**found, "at": 0} == {"ok": True, "at": 0, **parts}


def test_an_engine_that_has_ended_is_not(bot: Bot) -> None:
    bot.engine.stop(PATIENCE_S)
    answer = bot.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["engine"] == "the thread that advances runs does not look after them"


def test_a_run_that_nobody_advances_is_not(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.engine, "_hand_out", lambda: None)
    bot.run("stuck", workflow="rolling_upgrade", wake_in=-1000.0)
    assert bot.get("/healthz").json()["engine"] == "1 runs wait for their turn for more than 900 s"


def test_a_ladder_that_stands_is_seen_long_before_a_run_that_does(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.engine, "_hand_out", lambda: None)
    bot.run("upgrade-1", workflow="rolling_upgrade", wake_in=-200.0)
    assert bot.doctor.look().troubles == []
    bot.run("outage-1", wake_in=-200.0)
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    assert bot.doctor.look().troubles == ["engine: nobody is woken for outage-1: its ladder stands for 180 s"]


def test_a_run_that_was_just_poked_or_waits_for_its_time_is_well(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot.engine, "_hand_out", lambda: None)
    bot.run("waits")
    bot.store.poke("waits")
    assert bot.get("/healthz").status_code == 200


def test_a_database_that_takes_no_write_is_not(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise StoreError("the database is full: No space left on device")

    monkeypatch.setattr(bot.store, "keep", full)
    answer = bot.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["store"] == "the database is full: No space left on device"


def test_a_database_that_hangs_is_told_in_time_and_not_asked_again_meanwhile(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, asked = threading.Event(), list[int]()

    def hang(*_: Any) -> None:
        asked.append(1)
        go_on.wait(20)

    monkeypatch.setattr(health, "STORE_S", 0.2)
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    monkeypatch.setattr(bot.store, "keep", hang)
    for _ in range(3):
        assert bot.get("/healthz").json()["store"].startswith("the database did not take a write within")
    assert len(asked) == 1
    go_on.set()
    eventually(lambda: bot.get("/healthz").status_code == 200)


def test_a_slack_that_has_not_answered_for_minutes_is_not(bot: Bot) -> None:
    bot.later = 301.0
    answer = bot.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["slack"] == "Slack has not answered for 301 s"
    bot.doctor.slack_answered()
    bot.later = 310.0
    assert bot.get("/healthz").status_code == 200


def test_probes_that_nobody_looks_at_are_not(bot: Bot) -> None:
    doctor = Doctor(bot.store, bot.engine, bot.watched, bot.clock, time.monotonic)
    assert doctor.look().troubles == ["probes: nothing is looked at: their thread has ended, or hangs"]
    doctor.stop()


def test_a_server_that_does_not_listen_any_more_is_not_and_the_sign_of_life_says_so(bot: Bot, switch: Switch) -> None:
    doctor = Doctor(bot.store, bot.engine, bot.probing, bot.clock, time.monotonic, lambda: bot.http.alive)
    assert doctor.look().troubles == []
    doctor.stop()
    bot.http.stop()
    doctor = Doctor(bot.store, bot.engine, bot.probing, bot.clock, time.monotonic, lambda: bot.http.alive)
    Heartbeat(HeartbeatSettings(url=SecretStr(switch.url), timeout=20.0), doctor).step()
    doctor.stop()
    assert switch.pings[-1] == ("/0123-uuid/fail", "http: alerts and key presses do not come in: nobody listens")


def test_asking_all_the_time_does_not_write_all_the_time(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(bot.store, "keep", lambda *_: asked.append(1))
    for _ in range(5):
        bot.get("/healthz")
    assert len(asked) == 1


def test_an_outage_that_stands_still_by_a_fault_wakes_nobody_and_so_the_bot_is_not_well(bot: Bot) -> None:
    bot.run("outage-1", wake_in=300.0)
    bot.store.park("outage-1", {"key": "fault", "since": 1.0}, time.time() + 300.0)
    bot.run("upgrade-1", workflow="rolling_upgrade", wake_in=300.0)
    bot.store.park("upgrade-1", {"key": "fault", "since": 1.0}, time.time() + 300.0)  # that one is an outage by itself
    assert bot.doctor.look().troubles == [
        "engine: nobody is woken for outage-1: a fault of the bot itself, see its log"
    ]


# ---- the sign of life --------------------------------------------------------------------------------------------


def test_a_bot_that_works_says_that_it_starts_and_then_that_it_lives(bot: Bot, switch: Switch) -> None:
    beat = heartbeat(bot, switch.url)
    assert [beat.step(), beat.step()] == [60.0, 60.0]
    assert switch.pings == [("/0123-uuid/start", ""), ("/0123-uuid", ""), ("/0123-uuid", "")]


def test_a_bot_that_does_not_says_why(bot: Bot, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    beat = heartbeat(bot, switch.url)
    bot.engine.stop(PATIENCE_S)
    bot.later = 400.0
    beat.step()
    path, why = switch.pings[-1]
    assert path == "/0123-uuid/fail"
    assert why == (
        "engine: the thread that advances runs does not look after them\nslack: Slack has not answered for 400 s"
    )


def test_a_switch_that_cannot_be_reached_is_tried_again_sooner_and_its_address_is_not_told(
    bot: Bot, switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    beat = heartbeat(bot, "http://127.0.0.1:9/secret-uuid")
    assert [beat.step(), beat.step()] == [10.0, 10.0]
    assert caplog.text.count("does not arrive (ConnectionError)") == 1
    assert "secret-uuid" not in caplog.text


def test_a_switch_that_refuses_is_said_once_and_again_when_it_is_mended(
    bot: Bot, switch: Switch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    beat = heartbeat(bot, switch.url)
    switch.status = 404
    beat.step()
    beat.step()
    switch.status = 200
    beat.step()
    assert caplog.text.count("does not arrive (HTTP 404)") == 1
    assert caplog.text.count("arrives again") == 1
    assert [path for path, _ in switch.pings].count("/0123-uuid/start") == 3  # until it was heard once


@pytest.mark.parametrize(
    ("url", "what", "wanted"),
    [
        ("https://hc-ping.com/uuid", "", "https://hc-ping.com/uuid"),
        ("https://hc-ping.com/uuid", "fail", "https://hc-ping.com/uuid/fail"),
        ("https://hc-ping.com/uuid/", "start", "https://hc-ping.com/uuid/start"),
        ("https://hc-ping.com/key/slug?create=1", "fail", "https://hc-ping.com/key/slug/fail?create=1"),
    ],
)
def test_the_address_of_each_ping(url: str, what: str, wanted: str) -> None:
    assert address(url, what) == wanted


# ---- /metrics ----------------------------------------------------------------------------------------------------


def scraped(bot: Bot) -> dict[str, float]:
    answer = bot.get("/metrics")
    assert answer.status_code == 200
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_prometheus_is_told(bot: Bot) -> None:
    now = time.time()
    bot.run("outage-1")
    bot.run("lab-1", "rolling_upgrade")
    parked = {
        "key": "hold",
        "why": "",
        "who": "",
        "seen": "",
        "since": now - 120,
        "deadline": now + 9,
        "looked_at": now,
    }
    bot.store.park("lab-1", parked, now + 3600)
    bot.store.alert([AlertRow("outage-1", "lab", "probe:a", "probe", "a", "the secret door", "critical", now, now)])
    bot.store.page(PageRow("outage-1", "t0.bob.voice", "bob", "voice", "sent", now, now))
    bot.store.put_out("outage-1", "board", {"kind": "board", "text": "the secret door"}, now - 5)
    known = Known(now, (), {"vpn": Standing(dead=True), "main": Standing()})
    bot.store.keep("paths/lab", known.plain(), now)
    found = scraped(bot)
    assert (
        found["roundsman_path_alive{cluster=lab,path=vpn}"],
        found["roundsman_path_alive{cluster=lab,path=main}"],
    ) == (
        0,
        1,
    )
    assert found["roundsman_runs_active{cluster=lab,workflow=rolling_upgrade}"] == 1
    assert found["roundsman_run_waiting_seconds{cluster=lab,run=lab-1}"] == pytest.approx(120, abs=5)
    assert found["roundsman_alerts_firing{cluster=lab,source=probe}"] == 1
    assert found["roundsman_pages{how=voice,state=sent}"] == 1
    assert found["roundsman_messages_waiting{}"] == 1
    assert found["roundsman_delivery_lag_seconds{}"] == pytest.approx(5, abs=5)
    assert found["roundsman_probes{cluster=lab,state=unseen}"] == 10
    assert found["roundsman_healthy{part=store}"] == 1
    assert "secret" not in bot.get("/metrics").text


def test_metrics_of_a_bot_at_rest(bot: Bot) -> None:
    found = scraped(bot)
    assert found["roundsman_messages_waiting{}"] == 0
    assert not [name for name in found if name.startswith(("python_", "process_"))]


def test_messages_that_slack_does_not_take_are_a_trouble(bot: Bot) -> None:
    said = "2 messages wait to be told, refused for 11 minutes: is_archived"
    doctor = Doctor(bot.store, bot.engine, bot.probing, bot.clock, time.monotonic, unheard=lambda: said)
    assert doctor.look().troubles == [f"slack: {said}"]
    doctor.stop()
