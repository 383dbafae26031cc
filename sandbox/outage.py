"""The night of 2017 as it was, told again at a pace that can be followed: the old script with its fixed delay, lived in
virtual time, then posted line by line to the page and printed, with the cluster's state at each line beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from sandbox.cards import Cards
from sandbox.model import Event, What
from sandbox.night import Night
from sandbox.scenario import Scenario
from sandbox.slack import CHANNEL, ClusterCard, SlackInThread
from sandbox.slack.state import CAST, User

SCRIPT = User("U0SCRIPT", "old-script", "The old script", "2017", is_bot=True)
USERS = (*CAST, SCRIPT)
ACT = re.compile(r"(-> \w+ \w+) .*")
"""What follows an act and its node are checksums and ids."""
LONGEST_PAUSE_S = 3.0
"""Nobody wants to watch a fixed delay in full."""


@dataclass(frozen=True, slots=True)
class Line:
    at: float
    text: str
    card: ClusterCard


class Told(Night):
    """A night that remembers how the cluster looked at each line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.told: list[Line] = []
        self._cards = Cards(self.model, "2017: a fixed delay")

    def write(self, who: str, text: str = "") -> None:
        before = len(self.lines)
        super().write("old script" if who == "roundsman" else who, text)
        card = self._cards.card()
        self.told += [Line(self.clock.now, ACT.sub(r"\1", line), card) for line in self.lines[before:]]


def replay(
    scenario: Scenario,
    slack: SlackInThread,
    speed: float,
    show: Callable[[ClusterCard], None],
    rest: Callable[[float], None],
) -> Told:
    """Live it, and tell it `speed` times as fast as it was."""
    night = Told(scenario)
    night.live()
    thread, last = "", scenario.start
    for line in night.told:
        rest(min(max(line.at - last, 0.0) / speed, LONGEST_PAUSE_S))
        last = max(last, line.at)
        show(line.card)
        click.echo(line.text)
        thread = thread or _post(slack, f"⏰ {scenario.why}", "")
        _post(slack, f"`{line.text[:12].strip()}` {line.text[12:].strip()}", thread)
    return night


def _post(slack: SlackInThread, text: str, thread: str) -> str:
    return slack.ask(lambda: slack.slack.workspace.post(SCRIPT.id, CHANNEL, text, thread)).ts


def compared(then: Sequence[Event], now: Sequence[Event]) -> str:
    """Both ways, from what really happened in them."""
    return f"2017, fixed delay:  {_toll(then)}\nRoundsman:          {_toll(now)}"


def _toll(events: Sequence[Event]) -> str:
    def of(what: What) -> list[Event]:
        return [event for event in events if event.what is what]

    lost = ", ".join(str(event.guest) for event in of(What.IMAGES_LOST)) or "none"
    died = ", ".join(str(event.guest) for event in of(What.GUEST_DIED)) or "none"
    return f"{len(of(What.REBOOT))} nodes rebooted; images lost of guests: {lost}; guests dead: {died}"
