"""The one cast of every story: Alice is on call, Bob backs her up, Carol may approve, Mallory may nothing."""

from __future__ import annotations

import re

ALICE, BOB, CAROL, MALLORY = "U0ALICE", "U0BOB", "U0CAROL", "U0MALLORY"
BOT = "U0ROUNDS"
NAMES = {ALICE: "alice", BOB: "bob", CAROL: "carol", MALLORY: "mallory", BOT: "roundsman"}
IDS = {name: user for user, name in NAMES.items()}


def readable(text: str) -> str:
    """Slack's markup as a person reads it: mentions as names, dates as their UTC fallback."""
    text = re.sub(r"<@(\w+)>", lambda m: f"@{NAMES.get(m[1], m[1])}", text)
    text = re.sub(r"<!date\^[^|]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<https?://[^|>]*\|([^>]*)>", r"\1", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
