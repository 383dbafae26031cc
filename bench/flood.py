"""A flood of alerts from other monitoring: ten thousand within a minute, through the real HTTP server into the real
database, one outage coming out. Half come in groups as Alertmanager sends them, half one by one as a script does."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from pydantic import SecretStr

from bench._figures import at, show
from bot.http import Http
from bot.http_settings import HttpSettings, SourceSettings
from bot.webhook import Webhook
from sandbox.spec import default_spec, managed_settings
from store.opening import open_store
from workflows.alerts import OUTAGE

ALERTS, GROUP, SENDERS = 10_000, 100, 20
MINUTE_S = 60.0
TOKEN = "a-token-of-the-flood"


def main() -> None:
    logging.disable(logging.WARNING)
    settings = HttpSettings(port=0, sources=(SourceSettings(name="flood", token=SecretStr(TOKEN)),))
    managed = managed_settings(default_spec())
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "flood.sqlite3")
        webhook = Webhook(store, {managed.name: managed}, settings, time.time, lambda: None, fatal)
        http = Http(settings, webhook.routes, fatal)
        webhook.start()
        http.start()
        began, worked = time.monotonic(), time.process_time()
        took = send(f"http://127.0.0.1:{http.port}/alerts")
        lasted, cpu = time.monotonic() - began, time.process_time() - worked
        http.stop()
        webhook.stop()
        outages, firing = len(store.runs(workflow=OUTAGE)), len(store.firing())
        store.close()
    good = (outages, firing) == (1, ALERTS)
    show(f"{ALERTS} alerts in {len(took)} requests", f"{lasted:.1f} s", f"{MINUTE_S:.0f} s", lasted <= MINUTE_S)
    show("outages that come out of them, alerts that fire", f"{outages}, {firing}", f"1, {ALERTS}", good)
    print(
        f"         a request took {at(0.5, took):.2f} s, {at(0.99, took):.2f} s at p99; {cpu:.1f} s of the processor,"
    )
    print("         the senders' included", flush=True)


def send(url: str) -> list[float]:
    """Seconds that each request took, with its repetitions: whoever is answered 503 sends again, as Alertmanager."""
    half = ALERTS // 2
    groups: list[Any] = [[alert(n + m) for m in range(GROUP)] for n in range(0, half, GROUP)]
    with ThreadPoolExecutor(SENDERS) as senders:
        return list(senders.map(lambda body: post(url, body), groups + [alert(n) for n in range(half, ALERTS)]))


def alert(number: int) -> dict[str, str]:
    return {"subject": f"host{number}", "summary": "is down", "status": "firing"}


def post(url: str, body: Any) -> float:
    began = time.monotonic()
    while True:
        answer = requests.post(url, json.dumps(body), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=MINUTE_S)
        if answer.status_code == requests.codes.ok:
            return time.monotonic() - began
        if answer.status_code != requests.codes.service_unavailable:
            raise SystemExit(f"{answer.status_code}: {answer.text}")
        time.sleep(1.0)


def fatal(error: BaseException) -> None:
    raise SystemExit(f"the bot's own part failed: {error}")


if __name__ == "__main__":
    main()
