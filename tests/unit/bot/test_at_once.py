"""An answer in Slack waits for no machine."""

from __future__ import annotations

import threading
from unittest.mock import Mock

import pytest

from bot import at_once
from bot.at_once import AtOnce
from cluster.api import Unreachable


def test_a_cluster_that_answers_is_heard_and_one_that_does_not_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never, quick, dead, silent = threading.Event(), Mock(), Mock(), Mock()
    quick.guests.return_value = ()
    dead.guests.side_effect = Unreachable("no path")
    silent.guests.side_effect = lambda: never.wait(30)
    asked = AtOnce({"quick": quick, "dead": dead, "silent": silent})
    monkeypatch.setattr(at_once, "AT_ONCE_S", 30.0)
    assert asked.guests("quick") == ()
    assert asked.guests("dead") is None
    monkeypatch.setattr(at_once, "AT_ONCE_S", 0.01)
    assert [asked.guests("silent") for _ in range(at_once.WORKERS + 1)] == [None] * (at_once.WORKERS + 1)
    assert silent.guests.call_count <= at_once.WORKERS  # the last found nobody free, and was taken back
    never.set()
    asked.stop()
