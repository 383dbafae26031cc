"""What an outage is doing, read off its rows, never kept a second time. The board and `/outage` only show this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store.api import AlertRow, OrderRow, PageRow, RunRow
from workflows.acknowledging import Holder, holders
from workflows.picture import Wait, wait_of

STATES = {"ring": "ringing", "held": "held", "quiet": "recovering"}


@dataclass(frozen=True, slots=True)
class OutagePicture:
    """`state`: ringing, held, recovering, recovered or resolved. Times in epoch seconds."""

    outage: str
    cluster: str
    state: str
    began_at: float
    finished_at: float | None
    alerts: tuple[AlertRow, ...]
    holders: tuple[Holder, ...]
    pages: tuple[PageRow, ...]
    wait: Wait | None

    @property
    def firing(self) -> tuple[AlertRow, ...]:
        return tuple(alert for alert in self.alerts if alert.firing)


def picture(
    run: RunRow,
    alerts: Sequence[AlertRow],
    orders: Sequence[OrderRow],
    pages: Sequence[PageRow],
    now: float,
) -> OutagePicture:
    over = run.state != "active"
    return OutagePicture(
        outage=run.id,
        cluster=run.cluster,
        state=(run.result or {}).get("state", "over") if over else STATES[run.args["mode"]],
        began_at=min((alert.began_at for alert in alerts), default=run.created_at),
        finished_at=run.finished_at,
        alerts=tuple(alerts),
        holders=() if over else holders(orders, run.args["void_before"], now),
        pages=tuple(pages),
        wait=wait_of(run),
    )
