"""What was read of the storage before something was done to it proves nothing any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.api import Uncertain
from cluster.live import LiveCluster
from tests.unit.cluster.fakes import settings

ACTS = {"reboot": ("pve2", "boot-id", 100.0), "upgrade": ("pve2", "unit", "plan", 100.0)}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("broken", [False, True])
def test_what_was_read_before_an_act_or_while_it_went_on_is_forgotten(act: str, broken: bool) -> None:
    """Before it: a survey may be under way. After it: so may one that began meanwhile; and a broken line is no no."""
    cluster, seen = LiveCluster(settings(), lambda: 0.0, lambda _: None), list[str]()

    def told(*_: Any) -> None:
        seen.append(act)
        if broken:
            raise Uncertain("the line broke")

    cluster._peers = SimpleNamespace(forget=lambda: seen.append("forgets"))  # type: ignore[assignment]
    cluster._helpers = {"pve2": SimpleNamespace(**{act: told})}  # type: ignore[dict-item]
    try:
        getattr(cluster, act)(*ACTS[act])
    except Uncertain:
        assert broken
    finally:
        cluster.close()
    assert seen == ["forgets", act, "forgets"]
