"""A whole house for each test: local Slack, cluster on real ports, and the bot as a real process that may be killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.house import house
from sandbox.people import People
from sandbox.scenario import Scenario
from sandbox.speed import at_speed
from tests.chaos.evening import CUES, SPEED, Evening, spec


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    night = at_speed(Scenario("chaos", "", spec(), (), ()), SPEED, time.time())
    with ExitStack() as stack:
        around = stack.enter_context(house(night, SPEED, tmp_path))
        bot = stack.enter_context(around.bot(rest=0.2))
        people = People(around.slack.slack, CUES, lambda *_: None, lambda _: None, time.time)
        yield Evening(around, bot, people)
    print((tmp_path / "bot.log").read_text()[-6000:])
