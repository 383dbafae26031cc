"""The cast on call: Alice is on call, Bob backs her up, Carol may approve; and short ways to write a rota."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from oncall.duty import Duty
from oncall.rota import Event
from oncall.settings import OnCallSettings, Rota
from store.api import ShiftOverrideRow

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
CAST = {name: {"slack": f"U0{name.upper()}01"} for name in ("alice", "bob", "carol", "dave")}
BERLIN = "Europe/Berlin"


def rota(*layers: dict[str, Any], zone: str = BERLIN, **more: Any) -> Rota:
    return Rota.model_validate({"name": "primary", "zone": zone, "layers": layers, **more})


def layer(*people: str, start: str = "2026-03-02T09:00", **more: Any) -> dict[str, Any]:
    return {"people": people, "start": start, **more}


def settings(*rotas: Rota) -> OnCallSettings:
    policy = {"rungs": [{"who": ["rota:primary"]}]}
    return OnCallSettings.model_validate(
        {"people": CAST, "rotas": rotas, "policies": [policy], "last_resort": ["carol"]}
    )


def duty(
    *rotas: Rota, overrides: Sequence[ShiftOverrideRow] = (), calendar: Sequence[Event] = (), name: str = "primary"
) -> Duty:
    return Duty(settings(*rotas), overrides, {name: calendar})


def when(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """ "2026-03-29T02:30" on that zone's clock, as epoch seconds; `fold` 1: the second time it is that late."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def told(at: float, zone: str = BERLIN) -> str:
    return datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%a %d %H:%M %z")


def override(
    person: str,
    start: str,
    end: str,
    *,
    kind: str = "replace",
    instead: str = "",
    number: int = 0,
    rota: str = "primary",
) -> ShiftOverrideRow:
    by = "U0ALICE01"
    return ShiftOverrideRow(number, rota, kind, person, instead, when(start), when(end), by, 0.0, f"{number}")
