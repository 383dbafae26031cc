"""Pagers against a telephone company and a push service on loopback: real requests, and a clock that a test winds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from oncall.pagers import Page, Pager, all_pagers
from oncall.settings import PagerSettings, Person
from sandbox.clock import VirtualClock
from sandbox.phones import APP_TOKEN, CAST, TOKEN, LocalPhones, PhonesInThread, run_in_thread

MIDNIGHT = 1_795_478_400.0
PUBLIC = "https://bot.example.org"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(MIDNIGHT)


@pytest.fixture
def phones(clock: VirtualClock) -> Iterator[PhonesInThread]:
    """A page that no test expected fails the test; so does what Twilio or Pushover would complain about."""
    with run_in_thread(LocalPhones(clock)) as running:
        yield running
        running.expect.assert_nobody_paged()
        assert running.company.faults == []


@pytest.fixture
def settings(phones: PhonesInThread) -> PagerSettings:
    """As loaded: with the secrets in their places."""
    section = phones.section()
    section["pushover"]["token"], section["twilio"]["token"] = APP_TOKEN, TOKEN
    return PagerSettings.model_validate({**section, "timeout": "20s"})


@pytest.fixture
def pagers(settings: PagerSettings, clock: VirtualClock) -> dict[str, Pager]:
    return all_pagers(settings, PUBLIC, clock)


@pytest.fixture
def people(phones: PhonesInThread) -> dict[str, Person]:
    """Alice, Bob, Carol and Mallory, each with everything that can ring."""
    return {
        one.name: Person(
            slack=f"U0{one.name.upper()}",
            name=one.name.title(),
            phone=one.phone,
            pushover=SecretStr(one.pushover),
            apprise=(SecretStr(phones.sink(one.name)),),
        )
        for one in CAST
    }


@pytest.fixture
def page(people: dict[str, Person]) -> Page:
    """To Bob."""
    return Page(
        "outage-lab-1",
        "t0.rung1.bob.voice",
        "bob",
        people["bob"],
        "Outage of cluster lab",
        "guest 101: router1 does not answer. and 2 more",
        "https://slack.example/archives/C0LAB/p1",
        MIDNIGHT,
    )


@pytest.fixture
def next_page(page: Page) -> Page:
    """The same outage, a rung later."""
    return replace(page, key="t0.rung2.bob.voice", at=page.at + 300)
