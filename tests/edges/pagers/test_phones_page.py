"""The panel of telephones in a real Chromium: who rings now, what is being said, and what a click does about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.voice import VoiceHook
from oncall.duty import Duty
from oncall.pagers import Page as Paging
from oncall.pagers import Pager, all_pagers
from oncall.settings import OnCallSettings, PagerSettings, Person
from sandbox.house import house
from sandbox.phones import APP_TOKEN, TOKEN, LocalPhones, PhonesInThread, run_in_thread
from sandbox.scenario import load
from sandbox.simpagers import ONCALL
from sandbox.slack import LocalSlack, SlackInThread
from sandbox.slack import run_in_thread as run_slack
from sandbox.speed import at_speed
from store.api import PageRow, RunRow
from store.memory import MemoryStore
from tests.edges.pagers.test_night import answering
from tests.edges.test_page import CLUSTER, chromium, page, pytestmark  # noqa: F401
from tests.waiting import PATIENCE_S, eventually
from workflows.site import Watchers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = "outage-lab-1"
SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture
def phones() -> Iterator[PhonesInThread]:
    """On the clock on the wall, for a page is looked at by people."""
    with run_in_thread(LocalPhones(ticking=True)) as running:
        yield running


@pytest.fixture
def slack(phones: PhonesInThread) -> Iterator[SlackInThread]:
    with run_slack(LocalSlack(cluster=lambda: CLUSTER, phones=phones)) as running:
        yield running


class Bot:
    """The pagers and the webhook of a bot, and one outage about which Bob is called."""

    def __init__(self, phones: PhonesInThread, url: str) -> None:
        tokens = {"pushover": APP_TOKEN, "twilio": TOKEN}
        section = {name: {**given, "token": tokens[name]} for name, given in phones.section().items()}
        settings = PagerSettings.model_validate(section)
        assert settings.twilio is not None
        self.pagers: dict[str, Pager] = all_pagers(settings, url, time.time)
        self.store = MemoryStore()
        oncall = OnCallSettings.model_validate(ONCALL)
        watchers = Watchers(oncall, lambda: Duty(oncall), {})
        self.hook = VoiceHook(self.store, watchers, settings.twilio, url, time.time)
        now = time.time()
        self.store.start_run(RunRow(RUN, "outage", "lab", {}, "active", now, "roundsman", now))
        bob = phones.company.subscribers["bob"]
        person = Person.model_validate({"slack": "U0BOB", "phone": bob.phone, "pushover": bob.pushover})
        text = "guest 101 (router-a) does not answer. guest 102 (router-b) does not answer"
        self.page = Paging(RUN, "t0.rung1.bob.voice", "bob", person, "Outage of cluster lab", text, "", now)

    def send(self, how: str) -> None:
        receipt = self.pagers[how].send(replace(self.page, key=f"t0.rung1.bob.{how}"))
        now = time.time()
        self.store.page(PageRow(RUN, f"t0.rung1.bob.{how}", "bob", how, "sent", now, now, receipt))


@pytest.fixture
def bot(phones: PhonesInThread) -> Iterator[Bot]:
    bots: list[Bot] = []

    def hook(url: str) -> VoiceHook:
        bots.append(Bot(phones, url))
        return bots[0].hook

    with answering(hook):
        yield bots[0]


def test_a_call_is_answered_and_acknowledged_by_hand(page: Page, bot: Bot, tmp_path: Path) -> None:  # noqa: F811
    assert page.locator("#phones").is_hidden()
    bot.send("pushover")
    bot.send("voice")
    call, push = page.locator(".ring.phone"), page.locator(".ring.push")
    call.get_by_role("button", name="Answer").wait_for()
    assert "Bob" in call.inner_text()
    assert "rang once" in push.inner_text()
    page.screenshot(path=tmp_path / "ringing.png")

    call.get_by_role("button", name="Answer").click()
    call.get_by_text("This is Roundsman. Outage of cluster lab. guest 1 0 1 (router a) does not answer.").wait_for()
    page.screenshot(path=tmp_path / "talking.png")
    call.get_by_role("button", name="Press 1").click()
    call.get_by_text("Acknowledged. Thank you.").wait_for()
    assert [order.verb for order in bot.store.orders(RUN)] == ["ack"]

    push.get_by_role("button", name="Acknowledge").click()
    push.get_by_text("push acknowledged").wait_for()
    call.get_by_text("call ended").wait_for()
    page.screenshot(path=tmp_path / "answered.png")


def test_a_phone_may_be_left_to_ring(page: Page, bot: Bot, phones: PhonesInThread) -> None:  # noqa: F811
    bot.send("voice")
    call = page.locator(".ring.phone")
    call.get_by_role("button", name="Let it ring").click()
    call.get_by_text("rings on").wait_for()
    assert call.get_by_role("button").count() == 0
    assert phones.calls("bob")[0].status == "ringing"
    bot.pagers["voice"].cancel(phones.calls("bob")[0].sid)
    call.get_by_text("call ended").wait_for()


def test_a_drill_by_hand_against_the_whole_bot(chromium: Browser, tmp_path: Path) -> None:  # noqa: F811
    """The demo as somebody plays it: typed, rung, answered, proven. The bot is a process of its own."""
    scenario = at_speed(load(SCENARIOS / "midnight"), 60.0, time.time())
    with house(scenario, 60.0, tmp_path) as around, around.bot():
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(around.slack.url)
        page.get_by_role("radio", name="Alice").click()
        eventually(lambda: around.slack.ask(lambda: bool(around.slack.slack.sockets.sockets)))
        page.locator("#composer textarea").fill("/oncall test")
        page.locator("#composer textarea").press("Enter")
        call = page.locator(".ring.phone")
        call.get_by_role("button", name="Answer").click()
        call.get_by_text("This is a drill of the on call pager").wait_for()
        call.get_by_role("button", name="Press 1").click()
        call.get_by_text("Acknowledged. Thank you.").wait_for()
        around.slack.wait_for(lambda message: "this pager is proven" in message.text)
        page.locator(".ring.push").get_by_text("push stopped").wait_for()
        page.screenshot(path=tmp_path / "drill.png")
        page.close()
