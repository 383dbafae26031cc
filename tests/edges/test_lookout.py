"""The whole bot with its eyes open: what probes and other monitoring see becomes an outage in Slack, and the bot's own
health is what others can read."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from bot.app import Roundsman, secrets
from bot.http import CannotListen
from bot.http_settings import HeartbeatSettings, HttpSettings, SourceSettings
from cluster.probe_settings import ProbeSettings
from sandbox.clock import ModelClock
from sandbox.slack import LocalSlack, run_in_thread
from sandbox.sockets import refused_port
from tests.edges.test_app import House
from tests.waiting import eventually

TOKEN = "a-token-of-alertmanager"
HTTP = HttpSettings(port=0, sources=(SourceSettings(name="alertmanager", token=SecretStr(TOKEN)),))


class Watched(House):
    """The house of the whole bot, at the speed of life."""

    def look_at(self, *probes: dict[str, Any]) -> None:
        pace = {"every": "1s", "timeout": "0.5s", "fails": 2, "of": 3, "recover": 2}
        found = tuple(ProbeSettings.model_validate(pace | probe) for probe in probes)
        managed = self.managed.model_copy(update={"probes": found})
        self.settings = self.settings.model_copy(update={"clusters": (managed,)})

    def set(self, **sections: Any) -> None:
        self.settings = self.settings.model_copy(update=sections)

    def url(self, bot: Roundsman, path: str) -> str:
        http = bot._lookout.http
        assert http is not None
        return f"http://127.0.0.1:{http.port}{path}"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Watched]:
    clock = ModelClock(1.0)
    with run_in_thread(LocalSlack(clock=clock)) as slack:
        house = Watched(slack, tmp_path, clock)
        yield house
        for bot in house.bots:
            bot.stop()


@pytest.mark.slow
def test_a_port_that_dies_is_told_in_slack_and_its_recovery_too(house: Watched) -> None:
    with refused_port() as port:
        house.look_at({"name": "shop", "kind": "tcp", "target": f"127.0.0.1:{port}"})
        house.running()
        page = house.says("*shop*: ")
        assert "refuses connections" in page.text
    with socket.create_server(("127.0.0.1", port)):
        house.says("The alert has recovered")
    assert house.exits == []


def test_an_alert_of_other_monitoring_is_told_in_slack(house: Watched) -> None:
    house.set(http=HTTP)
    bot = house.running()
    alert = {"subject": "db", "summary": "disk is <full>", "status": "firing"}
    answer = requests.post(
        house.url(bot, "/alerts"), json=alert, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    )
    assert answer.status_code == 200
    assert "*db*: disk is &lt;full&gt;" in house.says("*db*: ").text


def test_the_whole_bot_says_that_it_is_well_and_counts(house: Watched) -> None:
    house.set(http=HTTP)
    bot = house.running()
    assert requests.get(house.url(bot, "/healthz"), timeout=10).json()["ok"] is True
    assert "roundsman_healthy" in requests.get(house.url(bot, "/metrics"), timeout=10).text
    assert requests.post(house.url(bot, "/alerts"), json={}, timeout=10).status_code == 401


def test_an_address_that_somebody_else_has_ends_the_start_with_a_sentence(house: Watched) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        house.set(http=HTTP.model_copy(update={"port": taken.getsockname()[1]}))
        with pytest.raises(CannotListen, match="Address already in use"):
            house.bot().start()


@pytest.mark.slow
def test_the_sign_of_life_is_sent_and_stops_with_the_bot(house: Watched) -> None:
    pings: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pings.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as switch:
        thread = threading.Thread(target=switch.serve_forever)
        thread.start()
        url = SecretStr(f"http://127.0.0.1:{switch.server_port}/uuid")
        house.set(heartbeat=HeartbeatSettings(url=url, every=1.0))
        bot = house.running()
        eventually(lambda: pings.count("/uuid") >= 2)
        bot.stop()
        before = len(pings)
        time.sleep(1.5)
        switch.shutdown()
        thread.join()
    assert pings[0] == "/uuid/start"
    assert "/uuid/fail" not in pings
    assert len(pings) == before


def test_its_secrets_are_known_to_the_log(house: Watched) -> None:
    house.set(http=HTTP, heartbeat=HeartbeatSettings(url=SecretStr("https://hc-ping.com/0123-uuid?x=1")))
    assert {TOKEN, "https://hc-ping.com/0123-uuid?x=1", "0123-uuid"} <= set(secrets(house.settings))
