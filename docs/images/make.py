"""Takes the pictures of the README anew, from the demo's own page in Debian's Chromium:

    .venv/bin/python docs/images/make.py              # both, some six minutes
    .venv/bin/python docs/images/make.py board        # or only one of them

What is on them is what the bot said; look at them before they are committed.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1440, "height": 860}
PATIENCE_MS = 300_000.0


def board(page: Page) -> None:
    """The second node heals slowly, and the third waits for it."""
    upgrade(page, "pve3", "pve2")
    below_half = "".join(f"(?:{bar})?" for bar in "░░░░░")  # the bar has begun to fill
    page.locator("#thread .message", has_text=re.compile(f"pve2: now the storage heals.*██{below_half}")).wait_for()
    page.mouse.move(0, 0)


def midnight(page: Page) -> None:
    """Both routers are dead; Alice sleeps, and Bob's telephone rings beside hers."""
    say(page, "/oncall test")
    page.get_by_role("button", name="Answer").click()
    page.get_by_role("button", name="Press 1").click()
    page.locator("#phones", has_text="Acknowledged").wait_for()
    upgrade(page, "pve3", "pve2", "pve1")
    page.get_by_role("button", name="Close the thread").click()
    page.locator("#phones").get_by_role("button", name="Answer").nth(1).wait_for()


PICTURES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "board": ("slow-heal", board),
    "midnight": ("midnight", midnight),
}


def upgrade(page: Page, *nodes: str) -> None:
    """Alice types the command, Carol approves each of these nodes."""
    say(page, "/upgrade cluster")
    page.locator("#messages .message", has_text="The rolling upgrade of lab").get_by_role("button", name="repl").click()
    page.get_by_role("radio", name="Carol").click()
    for node in nodes:
        in_thread(page, f"May I take {node}?").locator(".chip[data-emoji=white_check_mark]").click()
        in_thread(page, f"{node}: approved by").wait_for()


def say(page: Page, text: str) -> None:
    page.get_by_role("radio", name="Alice").click()
    page.locator("#composer textarea").fill(text)
    page.locator("#composer textarea").press("Enter")


def in_thread(page: Page, text: str) -> Locator:
    return page.locator("#thread .message", has_text=text).last


@contextmanager
def demo(scenario: str) -> Iterator[str]:
    """The address of its page."""
    line = [sys.executable, "-m", "bot.cli", "demo", "--port", "0", "--scenario", scenario]
    with subprocess.Popen(line, cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        try:
            page = next(line for line in playing.stdout if line.startswith("The page:"))
            next(line for line in playing.stdout if line.startswith("Kill the bot"))
            yield page.split()[-1]
        finally:
            playing.send_signal(signal.SIGINT)
            playing.communicate()


def take(name: str) -> None:
    from playwright.sync_api import sync_playwright

    scenario, act = PICTURES[name]
    with demo(scenario) as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, timezone_id="UTC", locale="en-GB")  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address)
        act(page)
        page.wait_for_timeout(300)  # what slides in has slid in
        page.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        take(chosen)
