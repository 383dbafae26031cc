"""The page of the local Slack in a real Chromium: what people see and click is what the bot gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from sandbox.slack import (
    ALICE,
    CAROL,
    CHANNEL,
    ClusterCard,
    Fault,
    Kind,
    LocalSlack,
    NodeCard,
    SlackInThread,
    run_in_thread,
)
from tests.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium: apt install chromium"),
]

PVE1 = NodeCard(name="pve1", state="online", tone="good", kernel="6.8.12-9-pve", pending=0, peak=310, guests=["db"])
PVE2 = NodeCard(name="pve2", state="healing", tone="busy", kernel="6.8.12-9-pve", pending=118, peak=402, guests=[])
PVE3 = NodeCard(name="pve3", state="dark", tone="bad", kernel="", pending=None, peak=0, guests=[])
CLUSTER = ClusterCard(name="lab", note="60 times as fast as life", nodes=[PVE1, PVE2, PVE3])

BOARD: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Rolling upgrade of lab"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Waits* for `pve2` <@U0CAROL> <!date^0^{date_num}|1970>"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "`██████░░░░` 118 pending &lt;b&gt;not bold&lt;/b&gt;"}},
    {"type": "divider"},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "pve1"}, {"type": "mrkdwn", "text": "healed"}]},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "<https://example.org|runbook> :eyes:"}]},
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: uv sync --group browser"
    )
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def slack() -> Iterator[SlackInThread]:
    with run_in_thread(LocalSlack(cluster=lambda: CLUSTER)) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, slack: SlackInThread) -> Iterator[Page]:
    """The page, as Alice sees it. An error in its scripts, or a request to elsewhere, fails the test."""
    troubles: list[str] = []
    opened = chromium.new_page(viewport={"width": 1440, "height": 900})
    opened.set_default_timeout(1000 * PATIENCE_S)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda request: troubles.append(request.url) if foreign(request.url, slack) else None)
    opened.goto(slack.url)
    opened.get_by_role("radio", name="Alice").click()
    yield opened
    opened.close()
    assert troubles == []


def foreign(url: str, slack: SlackInThread) -> bool:
    return not url.startswith((slack.url, "data:", "ws://127.0.0.1:"))


@pytest.fixture
def bot(slack: SlackInThread) -> WebClient:
    return WebClient("xoxb-local", base_url=slack.api_url, retry_handlers=[])


@pytest.fixture
def listening(slack: SlackInThread, bot: WebClient) -> Iterator[None]:
    """When `/upgrade cluster` is typed, the bot posts a board and asks for an approval in its thread."""
    app = App(client=bot)

    @app.command("/upgrade")
    def upgrade(ack: Callable[..., None], command: dict[str, Any]) -> None:
        ack(f"On it: {command['text']}")
        board = bot.chat_postMessage(channel=CHANNEL, text="Rolling upgrade of lab", blocks=BOARD)["ts"]
        bot.chat_postMessage(channel=CHANNEL, thread_ts=board, text="🙋 *May I take pve2?*")

    handler = SocketModeHandler(app, "xapp-local")
    handler.connect()  # type: ignore[no-untyped-call]
    yield
    handler.close()  # type: ignore[no-untyped-call]


def type_in(page: Page, text: str) -> None:
    page.locator("#composer textarea").fill(text)
    page.locator("#composer textarea").press("Enter")


def asked(slack: SlackInThread) -> str:
    return slack.wait_for(lambda message: "May I" in message.text).ts


@pytest.mark.usefixtures("listening")
def test_a_night_on_the_page(page: Page, slack: SlackInThread, bot: WebClient, tmp_path: Path) -> None:
    type_in(page, "/upgrade cluster lab")
    page.get_by_text("Only visible to you").wait_for()
    page.get_by_text("On it: cluster lab").wait_for()

    page.get_by_role("button", name="1 reply").click()
    request = page.locator("#thread .message", has_text="May I take pve2?")
    request.wait_for()
    bot.reactions_add(channel=CHANNEL, timestamp=asked(slack), name="white_check_mark")

    page.get_by_role("radio", name="Carol").click()
    request.locator(".chip[data-emoji=white_check_mark]").click()
    approved = slack.wait_for(lambda message: CAROL in message.reactions.get("white_check_mark", ()))
    assert approved.ts == asked(slack)
    page.wait_for_function("document.querySelector('#thread .chip').textContent === '2'")

    page.screenshot(path=tmp_path / "night.png")
    assert (tmp_path / "night.png").stat().st_size > 20_000


def test_a_reaction_is_taken_back_by_clicking_again(page: Page, slack: SlackInThread, bot: WebClient) -> None:
    ts = str(bot.chat_postMessage(channel=CHANNEL, text="May I take pve2?")["ts"])
    slack.react(ALICE, ts, "x")
    page.locator(".chip.mine[data-emoji=x]").click()
    slack.wait_for(lambda message: message.ts == ts and not message.reactions)


def test_a_whisper_is_shown_to_one_person_only(page: Page, bot: WebClient) -> None:
    bot.chat_postEphemeral(channel=CHANNEL, user=CAROL, text="That did not count.")
    bot.chat_postMessage(channel=CHANNEL, text="for all")
    page.get_by_text("for all").wait_for()
    assert page.get_by_text("That did not count.").count() == 0
    page.get_by_role("radio", name="Carol").click()
    page.get_by_text("That did not count.").wait_for()


def test_blocks_are_drawn_and_text_from_hosts_stays_text(page: Page, bot: WebClient) -> None:
    bot.chat_postMessage(channel=CHANNEL, text="board", blocks=BOARD)
    board = page.locator("#messages .message").last
    board.wait_for()
    assert board.locator("h3").inner_text() == "Rolling upgrade of lab"
    assert board.locator("strong").inner_text() == "Waits"
    assert board.locator("code").inner_text() == "pve2"
    assert board.locator(".mention").inner_text() == "@carol"
    assert board.locator("time[datetime]").last.inner_text() == "1970-01-01"
    assert board.locator(".heal").inner_text() == "██████░░░░"
    assert board.get_by_text("<b>not bold</b>").count() == 1
    assert board.locator(".field").all_inner_texts() == ["pve1", "healed"]
    assert board.locator("a").get_attribute("href") == "https://example.org"
    assert board.locator(".context .emoji[title=':eyes:']").count() == 1


def test_the_cluster_is_shown_in_the_head(page: Page) -> None:
    page.locator(".node").nth(2).wait_for()
    cards = page.locator(".node").all_inner_texts()
    assert ["0 pending" in cards[0], "118 pending" in cards[1], "no answer" in cards[2]] == [True] * 3


def test_the_page_says_when_slack_is_away_and_catches_up(page: Page, slack: SlackInThread, bot: WebClient) -> None:
    slack.plant(Fault(Kind.DOWN, seconds=2.0))
    page.get_by_text("Slack cannot be reached").wait_for()
    eventually(lambda: posted(bot, "back again"))
    page.get_by_text("back again").wait_for()
    page.get_by_text("Slack cannot be reached").wait_for(state="hidden")


def posted(bot: WebClient, text: str) -> bool:
    """False while nobody listens."""
    try:
        return bool(bot.chat_postMessage(channel=CHANNEL, text=text))
    except OSError:
        return False


def test_a_command_that_nobody_takes_is_told_in_slacks_words(page: Page) -> None:
    type_in(page, "/upgrade status")
    page.get_by_text('/upgrade failed with the error "dispatch_failed"').wait_for()


def test_a_permalink_opens_its_thread(page: Page, slack: SlackInThread, bot: WebClient) -> None:
    board = str(bot.chat_postMessage(channel=CHANNEL, text="the board")["ts"])
    reply = str(bot.chat_postMessage(channel=CHANNEL, text="the step", thread_ts=board)["ts"])
    page.goto(str(bot.chat_getPermalink(channel=CHANNEL, message_ts=reply)["permalink"]))
    page.locator("#thread").get_by_text("the step").wait_for()


def test_an_empty_channel_says_what_to_type(page: Page, bot: WebClient) -> None:
    said = "getComputedStyle(document.querySelector('#messages'), '::before').content"
    assert "/upgrade cluster" in page.evaluate(said)
    bot.chat_postMessage(channel=CHANNEL, text="hello")
    page.get_by_text("hello").wait_for()
    assert page.evaluate(said) == "none"


@pytest.mark.usefixtures("listening")
def test_everything_can_be_done_from_the_keyboard(page: Page, slack: SlackInThread, bot: WebClient) -> None:
    field = page.locator("#composer textarea")
    field.focus()
    page.keyboard.type("/up")
    page.keyboard.press("Tab")
    assert field.input_value() == "/upgrade "
    page.keyboard.type("cluster lab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="1 reply").focus()
    page.keyboard.press("ArrowUp")  # in an empty field only
    page.keyboard.press("Enter")
    bot.reactions_add(channel=CHANNEL, timestamp=asked(slack), name="white_check_mark")
    chip = page.locator("#thread .chip[data-emoji=white_check_mark]")
    chip.focus()
    page.keyboard.press("Enter")
    page.locator("#thread .chip.mine").wait_for()
    assert page.evaluate("document.activeElement.dataset.emoji") == "white_check_mark"
    page.keyboard.press("Escape")
    assert page.locator("#side").is_hidden()
    page.keyboard.press("ArrowUp")
    assert field.input_value() == "/upgrade cluster lab"


def test_the_arrow_keys_choose_who_one_is(page: Page) -> None:
    page.get_by_role("radio", name="Alice").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#people .here b").inner_text() == "Bob"
    assert page.evaluate("document.activeElement.classList.contains('here')")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.locator("#people .here b").inner_text() == "Mallory"


def test_on_a_narrow_screen_nothing_is_wider_than_it(page: Page, bot: WebClient) -> None:
    board = bot.chat_postMessage(channel=CHANNEL, text="board", blocks=BOARD)["ts"]
    bot.chat_postMessage(channel=CHANNEL, thread_ts=board, text="a step")
    page.set_viewport_size({"width": 390, "height": 800})
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= 390
    page.get_by_role("button", name="1 reply").click()
    page.locator("#thread").get_by_text("a step").wait_for()
    assert page.evaluate(wide) <= 390
    assert page.locator("#main #messages").is_hidden()
