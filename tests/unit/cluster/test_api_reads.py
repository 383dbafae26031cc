"""A read of the API over several paths at the same time."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from cluster.proxmox import Proxmox
from tests.unit.cluster.fakes import settings
from tests.waiting import PATIENCE_S

TWO_WAYS = {"paths": [{"name": "direct"}, {"name": "lte", "kind": "socks", "proxy": "192.0.2.1:1080"}]}


def test_what_nobody_foresaw_ends_a_read_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that asks would be gone, and whoever waits for its answer would wait for ever."""
    api = Proxmox(settings(**TWO_WAYS))
    told: SimpleQueue[str] = SimpleQueue()

    def broken(*_: Any) -> Any:
        raise ValueError("no library raises this, as far as we know")

    def read() -> None:
        with pytest.raises(ValueError, match="as far as we know") as raised:
            api.get("version")
        told.put(str(raised.value))

    monkeypatch.setattr(api, "once", broken)
    Thread(target=read, daemon=True).start()
    assert told.get(timeout=PATIENCE_S)
