"""`roundsman check`, the pagers' part: would each service take a page? It rings nobody; /oncall test does that."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bot.settings import Settings
from cluster.checks import CheckLine
from oncall.pagers import all_pagers


def check_pagers(settings: Settings) -> Iterator[CheckLine]:
    """One line for each service, and for each person where the service can be asked about them. Never raises."""
    oncall = settings.oncall
    if oncall is None:
        yield CheckLine(
            True, "on call", "no section oncall: operators are mentioned in Slack, and nothing rings", "", True
        )
        return
    public_url = settings.http.public_url if settings.http else ""
    for pager in all_pagers(oncall.pagers, public_url, time.time).values():
        for line in pager.check(oncall.people):
            yield CheckLine(line.ok, line.subject, line.text, line.remedy)
