"""What a person writes about people and patience: who may do what, and how long the bot waits before it holds."""

from __future__ import annotations

from pydantic import Field

from base.settings import Duration, Section
from cluster.settings import ClusterSettings

MINUTE, HOUR = 60.0, 3600.0


class PeopleSettings(Section):
    """Slack user ids (U...) or user group ids (S...). Anybody in the channel may pause."""

    operators: tuple[str, ...] = Field(
        min_length=1, description="may start, resume, abort, skip and retry; mentioned by a page"
    )
    approvers: tuple[str, ...] = Field(min_length=1, description="may approve a node and override a gate")
    approvals_needed: int = Field(1, ge=1, description="how many different approvers a node needs")
    starter_may_approve: bool = Field(True, description="false: whoever started the run cannot approve in it")


class Limits(Section):
    """Every wait of a run ends; it ends in a hold, never in go on."""

    approval_wait: Duration = Field(
        30 * MINUTE, description="an approval request stays open this long: nobody answers a stale one"
    )
    approval_valid: Duration = Field(
        4 * HOUR, description="an approval counts this long: one working half-day, then the facts are old"
    )
    drain: Duration = Field(2 * HOUR, description="for all guests to leave a node")
    upgrade: Duration = Field(2 * HOUR, description="for dist-upgrade; a slow mirror and a big kernel take one")
    reboot: Duration = Field(
        30 * MINUTE, description="for a node to come back; servers with much memory test it for 15 minutes"
    )
    brick_back: Duration = Field(
        15 * MINUTE, description="for bricks to be connected again; the lag grows with the time a node was off"
    )
    heal: Duration = Field(12 * HOUR, description="for the storage to be fully healed; large images take hours")
    guests_back: Duration = Field(1 * HOUR, description="for guests to be back and running")
    gates: Duration = Field(1 * HOUR, description="for blocked gates to open by themselves before the run holds")
    hold: Duration = Field(12 * HOUR, description="a hold that nobody answers pages again after this long")
    restore: Duration = Field(
        6 * HOUR, description="for one restore or backup to be written; 1 TiB at 60 MB/s takes five"
    )
    serving: Duration = Field(
        15 * MINUTE,
        description="for a guest to be stopped, or to be started and to answer; large databases take their time",
    )
    watch: Duration = Field(4 * HOUR, description="watching after the last node: in 2017 the routers died hours later")


class OutageSettings(Section):
    """What happens when something of this cluster dies."""

    policy: str = Field("", description="who is woken, from oncall.policies; empty = the first one")
    settle: Duration = Field(
        5 * MINUTE, description="an outage that recovered is over after this long without a relapse"
    )


class ManagedCluster(ClusterSettings):
    """A cluster as the bot manages it: machines, people, limits."""

    people: PeopleSettings
    limits: Limits = Limits()
    outages: OutageSettings = OutageSettings()
    move_back: bool = Field(True, description="bring moved guests back to their node afterwards")
