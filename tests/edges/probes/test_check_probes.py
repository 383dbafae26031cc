"""What `roundsman check` says of the settings' own probes, and of who notices when the bot itself is gone."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from icmplib import SocketPermissionError
from pydantic import SecretStr

from bot.check_probes import check_probes, check_switch
from bot.http_settings import HeartbeatSettings
from bot.settings import Settings, SlackSettings
from cluster.probe_settings import ProbeSettings
from cluster.probes import ping
from sandbox.sockets import refused_port
from sandbox.spec import default_spec, managed_settings
from workflows.settings import ManagedCluster

LAB = managed_settings(default_spec())


def lab(*probes: dict[str, Any]) -> ManagedCluster:
    return LAB.model_copy(update={"probes": tuple(ProbeSettings.model_validate(probe) for probe in probes)})


def test_each_probe_of_the_settings_is_looked_at_once_and_default_ones_are_left_to_the_cluster() -> None:
    with refused_port() as refused, socket.create_server(("127.0.0.1", 0)) as server:
        good, bad = (
            f"127.0.0.1:{server.getsockname()[1]}",
            f"127.0.0.1:{refused}",
        )
        lines = list(
            check_probes(
                lab(
                    {"name": "fine", "kind": "tcp", "target": good},
                    {"name": "shop", "kind": "tcp", "target": bad},
                    {"name": "db", "kind": "guest", "target": "103"},
                )
            )
        )
    assert [(line.ok, line.subject, line.text) for line in lines] == [
        (True, "fine", "is well"),
        (False, "shop", f"{bad} refuses connections"),
    ]
    assert "it would be an outage" in lines[1].remedy


def test_a_ping_that_is_not_allowed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: object, **__: object) -> None:
        raise SocketPermissionError(privileged=True)

    monkeypatch.setattr(ping, "async_ping", forbidden)
    with refused_port() as port:
        monkeypatch.setattr(ping, "KNOCK", port)
        (line,) = check_probes(lab({"name": "uplink", "kind": "ping", "target": "127.0.0.1"}))
    assert line.ok
    assert line.text.startswith("is well, but was only knocked at")


def test_a_bot_without_a_dead_mans_switch_is_told_so() -> None:
    slack = SlackSettings(bot_token=SecretStr("xoxb-1"), app_token=SecretStr("xapp-1"))
    settings = Settings(slack=slack, clusters=(LAB,))
    (line,) = check_switch(settings)
    assert line.ok
    assert "ROUNDSMAN_HEARTBEAT_URL is not set" in line.text
    url = SecretStr("https://hc-ping.com/0123")
    (line,) = check_switch(settings.model_copy(update={"heartbeat": HeartbeatSettings(url=url)}))
    assert line.text.startswith("a dead man's switch is set")
