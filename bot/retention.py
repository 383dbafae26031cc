"""What is forgotten, so that the database does not grow for ever: every hour a little, for whoever writes meanwhile
waits for it.

The rows of runs stay, and of the newest of each kind everything: `/upgrade history`, `/upgrade status` and
`/outage report` read those. The last restore drill, backup and proof of a pager are facts of their own and stay too.
"""

from __future__ import annotations

from bot.settings import StoreSettings
from store.api import Store
from workflows.alerts import OUTAGE

EVENTS_S = 86400.0
"""Slack delivers again within minutes."""
SPARE = 20
"""Of each cluster and workflow; the lists that people ask for show ten."""
RUNS_AT_ONCE, LINES_AT_ONCE = 5, 500


def tidy(store: Store, settings: StoreSettings, now: float) -> None:
    """Once an hour; idempotent. `now`: seconds since the epoch. Raises StoreError."""
    store.tidy(now - EVENTS_S)
    store.retire(now - settings.keep_runs, SPARE, RUNS_AT_ONCE, but=OUTAGE)
    store.retire(now - settings.keep_records, SPARE, RUNS_AT_ONCE, only=OUTAGE)
    store.forget_audits(now - settings.keep_records, LINES_AT_ONCE)
