"""What is said of messages themselves."""

from __future__ import annotations


def said_elsewhere(why: str) -> str:
    """Below a page that its own channel does not take. `why`: Slack's refusal, with what to do about it."""
    return f"↪️ This page belongs into another channel, which does not take it: {why}."
