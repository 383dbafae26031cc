"""The bot's HTTP server and its alerts from outside: real requests, a real database."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from pydantic import SecretStr

from bot import alert_book
from bot import http as http_module
from bot.http import Answer, CannotListen, Http, Request, Route, in_thread
from bot.http_settings import HttpSettings, SourceSettings
from bot.webhook import Webhook
from sandbox.spec import default_spec, managed_settings
from store.api import AlertRow, StoreError
from store.opening import open_store
from tests.waiting import PATIENCE_S, eventually
from workflows.alerts import OUTAGE

TOKEN, OTHER = "a-token-of-alertmanager", "a-token-of-zabbix-too"
SETTINGS = HttpSettings(
    port=0,
    patience=2.0,
    sources=(
        SourceSettings(name="alertmanager", token=SecretStr(TOKEN)),
        SourceSettings(name="zabbix", token=SecretStr(OTHER), clusters=("lab",)),
    ),
)
LAB = managed_settings(default_spec())
BARN = LAB.model_copy(update={"name": "barn", "channel": "C0BARN"})


class Desk:
    """Two clusters, "lab" and "barn", whose alerts anybody with a token may raise."""

    def __init__(self, path: Path) -> None:
        self.store = open_store(path / "http.db")
        self.faults: list[BaseException] = []
        self.landed = threading.Event()
        managed = {"lab": LAB, "barn": BARN}
        self.webhook = Webhook(self.store, managed, SETTINGS, time.time, self.landed.set, self.faults.append)
        self.http = Http(SETTINGS, self.webhook.routes, self.faults.append)
        self.webhook.start()
        self.http.start()

    def stop(self) -> None:
        self.http.stop()
        self.webhook.stop()
        self.store.close()

    def post(self, path: str, data: Any, token: str | None = TOKEN, **more: Any) -> requests.Response:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return requests.post(
            f"http://127.0.0.1:{self.http.port}{path}", data=body, headers=headers, timeout=PATIENCE_S, **more
        )

    def alerts(self) -> list[AlertRow]:
        return [row for run in self.store.runs(workflow=OUTAGE) for row in self.store.alerts(run.id)]

    def firing(self) -> list[str]:
        return [row.fingerprint for row in self.store.firing()]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.stop()
    assert desk.faults == []


def payload(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As Alertmanager 0.28 sends it."""
    return {
        "receiver": "roundsman",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "NodeDown"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}:{alertname="NodeDown"}',
        "truncatedAlerts": 0,
    } | changes


def node_down(instance: str, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "NodeDown", "instance": instance, "severity": "critical", **labels},
        "annotations": {"summary": f"{instance} is down"},
        "startsAt": "2026-11-26T02:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0",
        "fingerprint": f"f{instance}",
    }


# ---- Alertmanager ------------------------------------------------------------------------------------------------


def test_a_group_of_alerts_is_one_outage_stored_before_it_is_answered(desk: Desk) -> None:
    answer = desk.post("/alerts/alertmanager", payload(node_down("pve1"), node_down("pve2")))
    assert (answer.status_code, answer.json()) == (200, {"taken": 2})
    first, second = desk.alerts()
    assert (first.subject, first.summary, first.severity) == ("pve1", "NodeDown: pve1 is down", "critical")
    assert (first.source, first.fingerprint, first.cluster) == ("webhook", "webhook:alertmanager:fpve1", "lab")
    assert first.detail == {"from": "alertmanager", "link": "http://prometheus:9090/graph?g0"}
    assert first.outage == second.outage
    assert desk.landed.is_set()


def test_alerts_that_are_sent_again_are_the_same_alerts(desk: Desk) -> None:
    for _ in range(3):
        desk.post("/alerts/alertmanager", payload(node_down("pve1")))
    assert [row.count for row in desk.alerts()] == [3]


def test_resolved_alerts_end_and_unknown_ones_harm_nothing(desk: Desk) -> None:
    desk.post("/alerts/alertmanager", payload(node_down("pve1"), node_down("pve2")))
    gone = payload(node_down("pve1", "resolved"), node_down("pve7", "resolved"), status="resolved")
    assert desk.post("/alerts/alertmanager", gone).status_code == 200
    assert desk.firing() == ["webhook:alertmanager:fpve2"]


def test_in_a_group_of_both_each_alert_counts_by_itself(desk: Desk) -> None:
    desk.post("/alerts/alertmanager", payload(node_down("pve1")))
    desk.post("/alerts/alertmanager", payload(node_down("pve1", "resolved"), node_down("pve2")))
    assert desk.firing() == ["webhook:alertmanager:fpve2"]


def test_one_that_ends_and_fires_again_within_a_moment_fires(desk: Desk) -> None:
    rows = [node_down("a"), node_down("a", "resolved"), node_down("a"), node_down("b"), node_down("b", "resolved")]
    desk.post("/alerts/alertmanager", payload(*rows))
    assert desk.firing() == ["webhook:alertmanager:fa"]
    assert sorted(row.fingerprint for row in desk.alerts()) == ["webhook:alertmanager:fa", "webhook:alertmanager:fb"]


def test_a_label_names_the_cluster_and_one_that_is_none_of_ours_loses_nothing(desk: Desk) -> None:
    desk.post("/alerts/alertmanager", payload(node_down("a", cluster="barn"), node_down("b", cluster="prod-k8s")))
    assert {row.subject: row.cluster for row in desk.alerts()} == {"a": "barn", "b": "lab"}
    assert {row.subject: row.detail.get("cluster") for row in desk.alerts()} == {"a": None, "b": "prod-k8s"}
    desk.post("/alerts/alertmanager?cluster=barn", payload(node_down("c")))
    assert {row.cluster for row in desk.alerts() if row.subject == "c"} == {"barn"}


def test_of_a_group_what_can_be_read_is_taken_whatever_stands_beside_it(desk: Desk, caplog: Any) -> None:
    """Alertmanager sends nothing again that was answered 400: one bad alert would take the others with it."""
    bad: Any = {"status": "on fire", "labels": {}}
    answer = desk.post("/alerts/alertmanager", payload(bad, 7, node_down("pve1"), {"status": "firing"}))  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (200, {"taken": 2})
    assert [row.subject for row in desk.alerts()] == ["pve1", "an alert without a name"]
    assert "an alert of a group cannot be read, the others are taken: `status` is 'on fire'" in caplog.text


def test_a_label_of_a_cluster_that_is_not_this_sources_loses_nothing(desk: Desk) -> None:
    group = payload(node_down("a"), node_down("b", cluster="barn"))
    assert desk.post("/alerts/alertmanager", group, OTHER).status_code == 200
    assert {row.subject: (row.cluster, row.detail.get("cluster")) for row in desk.alerts()} == {
        "a": ("lab", None),
        "b": ("lab", "barn"),
    }
    assert desk.post("/alerts/alertmanager?cluster=barn", group, OTHER).status_code == 403


def test_an_alert_without_a_fingerprint_is_known_by_its_labels(desk: Desk) -> None:
    bare = node_down("pve1")
    del bare["fingerprint"]
    for _ in range(2):
        desk.post("/alerts/alertmanager", payload(bare))
    assert [row.count for row in desk.alerts()] == [2]


# ---- the plain form ----------------------------------------------------------------------------------------------


def test_one_plain_alert_or_a_list_of_them(desk: Desk) -> None:
    db = {"subject": "db", "summary": "disk is full", "status": "firing"}
    assert desk.post("/alerts", db).json() == {"taken": 1}
    rack = {"subject": "rack", "summary": "38 °C", "status": "firing", "severity": "warning", "cluster": "barn"}
    assert desk.post("/alerts", [db, rack]).json() == {"taken": 2}
    found = {row.subject: (row.cluster, row.severity, row.count) for row in desk.alerts()}
    assert found == {"db": ("lab", "critical", 2), "rack": ("barn", "warning", 1)}
    assert desk.post("/alerts", {"subject": "db", "status": "resolved"}).status_code == 200
    assert [row.subject for row in desk.store.firing()] == ["rack"]


def test_two_sources_with_the_same_fingerprint_do_not_end_each_others_alerts(desk: Desk) -> None:
    alert = {"subject": "db", "summary": "down", "status": "firing", "fingerprint": "1"}
    desk.post("/alerts", alert)
    desk.post("/alerts", alert, OTHER)
    desk.post("/alerts", alert | {"status": "resolved"}, OTHER)
    assert desk.firing() == ["webhook:alertmanager:1"]


# ---- who may -----------------------------------------------------------------------------------------------------


def test_without_a_token_with_a_wrong_one_and_with_one_for_another_cluster(desk: Desk, caplog: Any) -> None:
    alert = {"subject": "db", "summary": "down", "status": "firing"}
    none = desk.post("/alerts", alert, None)
    assert (none.status_code, none.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert none.text == "no token: send the header `Authorization: Bearer TOKEN`\n"
    wrong = desk.post("/alerts", alert, "a-token-of-nobody-at-all")
    assert (wrong.status_code, wrong.text) == (403, "this token is none of those of http.sources\n")
    foreign = desk.post("/alerts", alert | {"cluster": "barn"}, OTHER)
    assert foreign.status_code == 403
    assert foreign.text == "zabbix may raise no alerts for cluster barn (http.sources)\n"
    assert desk.post("/alerts", alert, "").status_code == 401
    assert desk.post("/alerts", alert, "schlüssel").status_code == 403
    assert desk.alerts() == []
    assert "nobody-at-all" not in caplog.text


def test_a_token_that_is_not_set_opens_nothing(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"sources": (SourceSettings(name="empty"),)})
    store = open_store(tmp_path / "empty.db")
    webhook = Webhook(store, {"lab": LAB}, settings, time.time, lambda: None, lambda _: None)
    http = Http(settings, webhook.routes, lambda _: None)
    http.start()
    for header in ("Bearer", "Bearer ", "bearer x"):
        answer = requests.post(
            f"http://127.0.0.1:{http.port}/alerts", b"{}", headers={"Authorization": header}, timeout=PATIENCE_S
        )
        assert answer.status_code in (401, 403)
    http.stop()
    store.close()


# ---- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/alerts", b"", "this is not JSON"),
        ("/alerts", b"\xff\xfe", "this is not JSON"),
        ("/alerts", b"[" * 100_000, "this is not JSON"),
        ("/alerts", b'{"subject": NaN}', "this is not JSON: NaN is no number"),
        ("/alerts", b"42", "an alert is an object"),
        ("/alerts", b"{}", "an alert needs a `subject`"),
        ("/alerts", b'{"subject": "a", "status": "on fire"}', "`status` is 'on fire'; it must be firing or resolved"),
        ("/alerts", b'{"subject": "a", "status": "firing"}', "needs a `summary`"),
        ("/alerts", b'{"subject": "a", "status": "firing", "sumary": "x"}', "unknown key 'sumary'"),
        ("/alerts", b'{"subject": "a", "status": "resolved", "cluster": "moon"}', "there is no cluster 'moon'"),
        ("/alerts?cluster=moon", b'{"subject": "a", "status": "resolved"}', "there is no cluster 'moon'"),
        ("/alerts/alertmanager", b"[]", "this is not what Alertmanager sends"),
        ("/alerts/alertmanager", b'{"alerts": [], "version": "3"}', "version '3' of Alertmanager's payload"),
        ("/alerts/alertmanager", b'{"alerts": [7], "version": "4"}', "an entry of `alerts` is not an object"),
        ("/alerts/alertmanager", b'{"alerts": [{"labels": 7}], "version": "4"}', "must be objects"),
        ("/alerts/alertmanager", b'{"alerts": [{}], "version": "4"}', "`status` is ''; it must be firing or resolved"),
    ],
)
def test_nonsense_is_400_with_a_sentence(desk: Desk, path: str, body: bytes, said: str) -> None:
    answer = desk.post(path, body)
    assert answer.status_code == 400
    assert said in answer.text
    assert desk.alerts() == []


def test_five_megabytes_are_413(desk: Desk) -> None:
    answer = desk.post("/alerts", b"x" * 5_000_000)
    assert answer.status_code == 413
    assert answer.text == "a request may have 1024 KiB; send fewer alerts at a time\n"


def test_odd_characters_and_long_texts_are_kept_as_far_as_a_database_takes_them(desk: Desk) -> None:
    odd = b'{"subject": "a\\u0000b\\ud800", "summary": "' + b"long " * 1000 + b'", "status": "firing", "began": 1e400}'
    assert desk.post("/alerts", odd).status_code == 200
    (row,) = desk.alerts()
    assert row.subject == "a b?"
    assert len(row.summary) <= 1000
    assert time.time() - row.began_at < 60


@pytest.mark.parametrize("began", ["yesterday", "0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "-1e308", None])
def test_a_time_that_makes_no_sense_is_now(desk: Desk, began: Any) -> None:
    desk.post("/alerts/alertmanager", payload(node_down("pve1") | {"startsAt": began}))
    assert abs(time.time() - desk.alerts()[0].began_at) < 60


def test_what_is_not_there_and_other_verbs(desk: Desk) -> None:
    base = f"http://127.0.0.1:{desk.http.port}"
    assert requests.get(f"{base}/alerts", timeout=PATIENCE_S).status_code == 405
    assert requests.get(f"{base}/nothing", timeout=PATIENCE_S).status_code == 404


# ---- floods, and a store in trouble ------------------------------------------------------------------------------


def test_ten_thousand_alerts_come_out_as_one_outage(desk: Desk) -> None:
    """In requests of a hundred, from twenty senders at a time, each of whom sends again what was answered 503."""
    groups = [[node_down(f"host{n * 100 + m}") for m in range(100)] for n in range(100)]
    worked = time.process_time()

    def send(rows: list[dict[str, Any]]) -> int:
        while (status := desk.post("/alerts/alertmanager", payload(*rows)).status_code) == 503:
            continue  # as Alertmanager does
        return status

    with ThreadPoolExecutor(20) as senders:
        assert set(senders.map(send, groups)) == {200}
    assert len(desk.store.runs(workflow=OUTAGE)) == 1
    assert len(desk.firing()) == 10_000
    assert time.process_time() - worked < 30.0


@pytest.mark.slow
def test_a_store_that_takes_too_long_is_503_and_nothing_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    inner = desk.store.alert

    def slow(*args: Any) -> Any:
        go_on.wait(PATIENCE_S)
        return inner(*args)

    monkeypatch.setattr(desk.store, "alert", slow)
    answer = desk.post("/alerts", {"subject": "db", "summary": "down", "status": "firing"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.text.startswith(
        "the database did not take the alerts in time; nothing is lost if you send them again"
    )
    go_on.set()
    assert desk.post("/alerts", {"subject": "db", "summary": "down", "status": "firing"}).status_code == 200
    assert len(desk.alerts()) == 1


def test_a_store_that_fails_is_503_and_ends_the_process(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise StoreError("the database is full")

    monkeypatch.setattr(desk.store, "alert", full)
    assert desk.post("/alerts", {"subject": "db", "summary": "down", "status": "firing"}).status_code == 503
    eventually(lambda: [str(fault) for fault in desk.faults] == ["the database is full"])
    desk.faults.clear()


def test_more_than_there_is_room_for_is_503(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_book, "MOST_WAITING", 1)
    answer = desk.post("/alerts/alertmanager", payload(node_down("a"), node_down("b")))
    assert answer.status_code == 503
    assert "too many alerts wait" in answer.text


# ---- the server itself -------------------------------------------------------------------------------------------


def served(*routes: Route) -> Http:
    http = Http(SETTINGS, routes, lambda _: None)
    http.start()
    return http


def test_a_route_gets_the_request_as_it_came() -> None:
    seen: list[Request] = []

    def take(request: Request) -> Answer:
        seen.append(request)
        return Answer(200, "<Response/>", "application/xml")

    http = served(Route("POST", "/voice/key", in_thread(take)))
    url = f"http://127.0.0.1:{http.port}/voice/key?run=a%2Fb&key=t1"
    answer = requests.post(url, data={"Digits": "1"}, headers={"X-Twilio-Signature": "abc="}, timeout=PATIENCE_S)
    http.stop()
    assert (answer.text, answer.headers["Content-Type"]) == ("<Response/>", "application/xml; charset=utf-8")
    (request,) = seen
    assert request.path == "/voice/key?run=a%2Fb&key=t1"
    assert (request.query["run"], request.headers["x-twilio-signature"]) == ("a/b", "abc=")
    assert request.body == b"Digits=1"


def test_a_route_that_breaks_tells_nobody_why(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Request) -> Answer:
        raise RuntimeError("the password is 12345")

    http = served(Route("GET", "/x", in_thread(broken)))
    answer = requests.get(f"http://127.0.0.1:{http.port}/x", timeout=PATIENCE_S)
    http.stop()
    assert (answer.status_code, answer.text) == (500, "this broke; the bot's log has the trace\n")
    assert "12345" in caplog.text


def test_whoever_sends_too_slowly_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "READ_S", 0.2)
    http = served(Route("POST", "/x", in_thread(lambda _: Answer(200, ""))))
    with socket.create_connection(("127.0.0.1", http.port), PATIENCE_S) as line:
        line.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        assert b"408" in line.recv(4096).split(b"\r\n")[0]
    http.stop()


def test_too_many_at_a_time_are_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MOST_AT_ONCE", 1)
    go_on, there = threading.Event(), threading.Event()

    def wait(_: Request) -> Answer:
        there.set()
        go_on.wait(PATIENCE_S)
        return Answer(200, "")

    http = served(Route("GET", "/x", in_thread(wait)))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(requests.get, f"http://127.0.0.1:{http.port}/x", timeout=PATIENCE_S)
        assert there.wait(PATIENCE_S)
        assert requests.get(f"http://127.0.0.1:{http.port}/x", timeout=PATIENCE_S).status_code == 503
        go_on.set()
        assert first.result().status_code == 200
    http.stop()


def hold(port: int, path: str, count: int) -> list[socket.socket]:
    """Requests of which only the beginning is sent, as long as these are open."""
    lines = [socket.create_connection(("127.0.0.1", port), PATIENCE_S) for _ in range(count)]
    for line in lines:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab".encode())
    time.sleep(0.2)
    return lines


def test_strangers_who_send_slowly_take_no_room_from_those_who_have_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(http_module, "MOST_AT_ONCE", 2)
    desk = Desk(tmp_path)
    lines = hold(desk.http.port, "/alerts", 5)
    answer = desk.post("/alerts", {"subject": "db", "summary": "down", "status": "firing"})
    assert b"401" in lines[0].recv(4096).split(b"\r\n")[0]  # told at once, and not after its ten seconds
    for line in lines:
        line.close()
    desk.stop()
    assert answer.status_code == 200


def test_each_route_has_room_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key press is believed by its signature, which is over its body: strangers must be listened to there."""
    monkeypatch.setattr(http_module, "MOST_AT_ONCE", 1)
    yes = in_thread(lambda _: Answer(200, "ok"))
    http = served(Route("POST", "/voice/key", yes), Route("GET", "/healthz", yes))
    lines = hold(http.port, "/voice/key", 3)
    assert requests.get(f"http://127.0.0.1:{http.port}/healthz", timeout=PATIENCE_S).status_code == 200
    for line in lines:
        line.close()
    http.stop()


def test_whoever_sends_slowly_what_nobody_reads_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MOST_AT_ONCE", 1)
    http = served(Route("GET", "/healthz", in_thread(lambda _: Answer(200, "ok"))))
    with socket.create_connection(("127.0.0.1", http.port), PATIENCE_S) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        time.sleep(0.2)
        assert requests.get(f"http://127.0.0.1:{http.port}/healthz", timeout=PATIENCE_S).status_code == 200
    http.stop()


def test_a_server_that_breaks_while_it_listens_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults, opened = list[BaseException](), list[socket.socket]()
    listen = asyncio.Server._start_serving  # type: ignore[attr-defined]

    def remember(server: Any) -> None:
        listen(server)
        opened.extend(server._sockets)

    monkeypatch.setattr(asyncio.Server, "_start_serving", remember)
    http = Http(SETTINGS, (), faults.append)
    http.start()
    assert http.alive

    def broken(_: Any = None) -> Any:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(http._loop._selector, "select", broken)  # type: ignore[attr-defined]
    eventually(lambda: bool(faults))
    eventually(lambda: not http.alive)
    assert "http: ends here" in caplog.text
    for line in opened:
        line.close()  # the process would have ended


@pytest.mark.slow
def test_a_server_whose_socket_was_closed_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "TURN_S", 0.01)
    monkeypatch.setattr(http_module, "STILL_S", 1.0)
    http = served()
    time.sleep(1.2)
    eventually(lambda: http.alive)
    monkeypatch.setattr(web.AppRunner, "addresses", [])
    eventually(lambda: not http.alive)
    http.stop()


def test_a_server_that_does_not_begin_in_time_cannot_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "START_S", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(web.AppRunner, "setup", slow_setup(go_on, web.AppRunner.setup))
    http = Http(SETTINGS, (), lambda _: None)
    with pytest.raises(CannotListen, match="it takes longer than"):
        http.start()
    go_on.set()
    eventually(http._listening.is_set)
    http.stop()


def slow_setup(go_on: threading.Event, real: Callable[..., Any]) -> Callable[..., Any]:
    async def setup(runner: Any) -> None:
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        await real(runner)

    return setup


def test_an_address_that_is_taken_is_said() -> None:
    http = served()
    second = Http(SETTINGS.model_copy(update={"port": http.port}), (), lambda _: None)
    with pytest.raises(CannotListen, match=rf"nobody can listen on 127\.0\.0\.1:{http.port} \(section http\)"):
        second.start()
    http.stop()
