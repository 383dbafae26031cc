"""Nobody is on call: that is an outage by itself, and the people whom the settings name for it are woken."""

from __future__ import annotations

from collections.abc import Sequence

from bot.handoffs import Handoffs
from sandbox.nightwatch import NightWatch
from sandbox.simpagers import ONCALL

UNTIL_ONE = {"people": ["alice"], "start": "2026-01-05T09:00", "end": "2026-03-03T01:00"}


class NoGroups:
    """No rota of this test keeps a user group."""

    def members(self, group: str) -> frozenset[str]:
        raise AssertionError(group)

    def set_members(self, group: str, users: Sequence[str]) -> None:
        raise AssertionError(group)


class Watch(NightWatch):
    """The rota ends an hour after midnight."""

    def __init__(self) -> None:
        super().__init__({**ONCALL, "rotas": [{"name": "primary", "layers": [UNTIL_ONE]}]})
        assert self.watchers is not None
        clusters, channel = {self.managed.name: self.managed}, self.managed.channel
        self.told = Handoffs(self.store, self.watchers.duty, NoGroups(), clusters, channel, lambda: self.clock.now)

    def looks(self) -> None:
        """What the bot does every few seconds."""
        self.told.step()
        self.settle()


def test_nobody_on_call_wakes_the_last_resort_until_somebody_stands_in() -> None:
    watch = Watch()
    watch.looks()
    watch.assert_quiet()
    watch.fast_forward(hours=1)
    watch.looks()
    watch.assert_paged("carol", "mention", "pushover", "voice")
    watch.assert_paged("alice", "direct")  # that she is off
    watch.assert_said("nobody is on call in primary")
    assert watch.types("bob", "/oncall override bob until 09:00").startswith("📟 *primary*: @bob is on call from")
    watch.looks()
    watch.assert_paged("bob", "direct")  # that he is on
    watch.fast_forward(minutes=10)
    watch.assert_quiet()
    assert watch.outages() == []


def test_it_rings_on_until_somebody_has_it_and_not_anew_with_every_look() -> None:
    watch = Watch()
    watch.looks()
    watch.fast_forward(hours=1)
    for _ in range(5):
        watch.looks()
    watch.assert_paged("carol", "mention", "pushover", "voice")
    watch.assert_paged("alice", "direct")
    watch.reacts("carol")
    watch.fast_forward(minutes=30)
    watch.looks()
    watch.assert_quiet()
    assert len(watch.outages()) == 1
