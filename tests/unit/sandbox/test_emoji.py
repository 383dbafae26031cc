"""A bare machine has no emoji font: what the bot says is drawn by the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EMOJI = re.compile(
    "[\U0001f300-\U0001faff\u231a-\u23ff\u2600-\u26ff\u2705\u270a-\u270d\u2728\u274c\u274e\u2753-\u2757]"
)
SAID = sorted(
    [*ROOT.glob("workflows/*.py"), *ROOT.glob("commands/*.py"), *ROOT.glob("bot/views*.py"), ROOT / "bot/story.py"]
)


@pytest.mark.parametrize("file", SAID, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_emoji_of_the_bot_is_drawn(file: Path) -> None:
    drawn = (ROOT / "sandbox/slack/static/emoji.js").read_text("utf-8")
    used = set(EMOJI.findall(file.read_text("utf-8")))
    missing = {emoji for emoji in used if f'["{emoji}' not in drawn}
    assert not missing, f"draw {' '.join(missing)} in sandbox/slack/static/emoji.js, or say it with one that is drawn"
