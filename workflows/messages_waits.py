"""What is said when somebody asks what a run waits for."""

from __future__ import annotations

import re

from workflows.messages import at, host, span
from workflows.picture import Wait

MENTION = re.compile(r"&lt;(@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+|!date\^\d+\^[^|&]*\|[^&]*)&gt;")
ESCAPED = re.compile("&(?:amp|lt|gt);")
PLAIN = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
HELD = "held: "
"""How the reason of a hold begins (workflows.wheel)."""
AT_THE_LATEST = {
    "holding": "it is said again, to all operators",
    "paused": "it is said again",
    "watching": "the run is over",
}
"""State of a run -> what comes when its wait has lasted as long as it may."""


def sentence(text: str) -> str:
    """Escaped once, but people's mentions and times in it stay what they are: for reasons that the bot itself worded,
    some of which hold a host's words that are escaped already."""
    return MENTION.sub(r"<\1>", host(ESCAPED.sub(lambda found: PLAIN[found[0]], text)))


def holds(wait: Wait) -> bool:
    return wait.why.startswith(HELD)


def reason(wait: Wait) -> str:
    """What for; of a hold: why."""
    return sentence(wait.why.removeprefix(HELD))


def seen(wait: Wait) -> str:
    """What was seen last, "" if that is the reason itself."""
    found = sentence(wait.seen)
    return "" if found == reason(wait) else found


def at_work(run_id: str) -> str:
    return f"`{run_id}` waits for nothing: it is at work right now."


def why(run_id: str, state: str, wait: Wait, now: float) -> str:
    """What for, since when, what was seen last, who can end it, and what comes when nobody does."""
    does, word = ("holds", "because") if holds(wait) else ("waits", "for")
    last = f"Seen {span(max(now - wait.looked_at, 0))} ago: {seen(wait)}.\n" if seen(wait) else ""
    then = AT_THE_LATEST.get(state, "it holds; it never goes on by itself")
    return (
        f"`{run_id}` {does} since {at(wait.since)} ({span(now - wait.since)}) {word}: {reason(wait)}.\n"
        f"{last}What ends it: {wait.who}.\n"
        f"At the latest {at(wait.deadline)}, and then {then}."
    )


def whole(wait: Wait) -> str:
    """A sentence, for whoever hears it read out."""
    return f"It {'holds:' if holds(wait) else 'waits for'} {reason(wait)}."


def shortly(wait: Wait) -> str:
    """In a list: "waits for approval for pve1: 0 of 1 approvals"."""
    last = f": {seen(wait)}" if seen(wait) else ""
    return f"{'holds: ' if holds(wait) else 'waits for '}{reason(wait)}{last}"
