"""The whole bot with telephones: Slack, the database, the HTTP server and the paging services are real connections."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.http_settings import HttpSettings
from bot.views import ACK_BUTTON
from bot.votes import Mark
from oncall.settings import OnCallSettings
from sandbox.clock import ModelClock
from sandbox.phones import APP_TOKEN, TOKEN, Habit, LocalPhones, PhonesInThread, run_in_thread
from sandbox.simpagers import ONCALL
from sandbox.slack import ALICE, BOB, CHANNEL, LocalSlack, Manifest
from sandbox.slack import run_in_thread as run_slack
from sandbox.sockets import free_port
from tests.edges.test_app import SPEED, House
from tests.waiting import PATIENCE_S, eventually
from workflows.alerts import Alert, clear_alerts, raise_alerts

COMMANDS = Manifest(commands=("/upgrade", "/outage", "/oncall"))
PEOPLE = OnCallSettings.model_validate(ONCALL).model_dump()["people"]
RUNGS = [
    {"who": ["alice"], "how": ["mention", "direct", "pushover"], "wait": "2m"},
    {"who": ["bob"], "how": ["mention", "voice"], "wait": "10m"},
]


class Called(House):
    """A bot whose people have telephones. Time passes sixty times as fast, for the phones too."""

    phones: PhonesInThread

    def with_phones(self, phones: PhonesInThread, public: bool = True) -> Called:
        self.phones = phones
        section = phones.section()
        section["pushover"]["token"], section["twilio"]["token"] = APP_TOKEN, TOKEN
        people = {
            name: {
                **person,
                "phone": phones.company.subscribers[name].phone,
                "pushover": phones.company.subscribers[name].pushover,
            }
            for name, person in PEOPLE.items()
        }
        oncall = {**ONCALL, "people": people, "policies": [{"rungs": RUNGS}], "pagers": section}
        port = free_port()
        http = HttpSettings(port=port, public_url=f"http://127.0.0.1:{port}" if public else "")
        self.settings = self.settings.model_copy(update={"oncall": OnCallSettings.model_validate(oncall), "http": http})
        return self

    def dies(self) -> str:
        now = self.clock()
        alert = Alert("probe/101", "probe", "router-a (101)", "does not answer", "critical", now)
        return raise_alerts(self.bots[0]._store, self.managed, [alert], now)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Called]:
    clock = ModelClock(SPEED)
    with run_slack(LocalSlack(clock=clock, manifest=COMMANDS)) as slack:
        house = Called(slack, tmp_path, clock)
        yield house
        for bot in house.bots:
            bot.stop()
        assert house.exits == []


@pytest.fixture
def phones(house: Called) -> Iterator[PhonesInThread]:
    with run_in_thread(LocalPhones(house.clock, ticking=True)) as running:
        yield running


def test_the_second_person_presses_one_and_everything_else_stops(house: Called, phones: PhonesInThread) -> None:
    house.with_phones(phones).running()
    phones.will("bob", Habit(answers=5, presses="1", after=20))
    outage = house.dies()
    house.slack.wait_for(lambda message: message.channel == CHANNEL and f"<@{ALICE}>" in message.text)
    house.slack.wait_for(lambda message: message.channel.startswith("D") and "*lab*: outage" in message.text)
    eventually(lambda: phones.pushes_to("alice") != [])

    house.says(f"<@{BOB}> has it; nothing rings any more")
    [call] = phones.calls("bob")
    assert "router a (1 0 1): does not answer" in call.said[0]
    eventually(lambda: call.said[-1] == "Acknowledged. Thank you. It is yours now.")
    eventually(lambda: phones.pushes_to("alice")[0].cancelled is not None)
    pages = {(page.person, page.how): page.state for page in house.bots[0]._store.pages(outage)}
    assert pages["alice", "pushover"] == "cancelled"
    assert pages["bob", "voice"] == "acknowledged"
    assert phones.company.faults == []


@pytest.mark.slow
def test_the_button_of_the_thread_takes_it_and_stops_the_phones(house: Called, phones: PhonesInThread) -> None:
    """A click on the page, `interactive` over Socket Mode, Bolt, an order, and nothing rings any more."""
    house.with_phones(phones).running()
    outage = house.dies()
    head = house.slack.wait_for(lambda message: "I have it" in str(message.blocks), PATIENCE_S)
    eventually(lambda: phones.pushes_to("alice") != [])
    house.slack.click(BOB, head.ts, ACK_BUTTON)
    house.says(f"<@{BOB}> has it; nothing rings any more")
    store = house.bots[0]._store
    assert [(order.verb, order.by) for order in store.orders(outage)] == [("ack", BOB)]
    eventually(lambda: phones.pushes_to("alice")[0].cancelled is not None)
    house.slack.wait_for(lambda message: message.ts == head.ts and f"<@{BOB}> has it by" in message.text, PATIENCE_S)


def test_a_button_of_an_outage_that_is_over_takes_nothing(
    house: Called, phones: PhonesInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's page of Slack was not redrawn yet."""
    votes = house.with_phones(phones).running()._votes
    outage, store = house.dies(), house.bots[0]._store
    worked: list[str] = []
    work = votes.work

    def noted(mark: Mark) -> None:
        work(mark)
        worked.append(mark.user)

    monkeypatch.setattr(votes, "work", noted)
    head = house.slack.wait_for(lambda message: "I have it" in str(message.blocks), PATIENCE_S)
    clear_alerts(store, house.managed.name, ["probe/101"], house.clock())
    house.slack.type(BOB, CHANNEL, "/outage resolve")
    eventually(lambda: (row := store.run(outage)) is not None and row.state == "done")
    before = store.orders(outage)
    house.slack.click(BOB, head.ts, ACK_BUTTON)
    eventually(lambda: BOB in worked)
    assert store.orders(outage) == before


def test_without_a_public_address_the_start_says_what_will_not_work(
    house: Called, phones: PhonesInThread, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    house.with_phones(phones, public=False).running()
    assert "http.public_url is not set; the phone rings and speaks, but no key press can acknowledge" in caplog.text


def test_with_one_the_start_warns_of_nothing(
    house: Called, phones: PhonesInThread, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    house.with_phones(phones).running()
    assert "public_url" not in caplog.text
