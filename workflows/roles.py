"""Who may do what. Judged at the moment of the deed, against the settings and, for user groups, against Slack."""

from __future__ import annotations

from collections.abc import Iterable

from workflows.settings import PeopleSettings
from workflows.site import Chat


def _named(user: str, listed: Iterable[str], chat: Chat) -> bool:
    """True if the user is listed or is in a listed group. Raises ChatDown when a group cannot be read."""
    listed = tuple(listed)
    return user in listed or any(user in chat.members(group) for group in listed if group.startswith("S"))


def may_operate(user: str, people: PeopleSettings, chat: Chat) -> bool:
    return _named(user, people.operators, chat)


def may_override(user: str, people: PeopleSettings, chat: Chat) -> bool:
    return user != chat.bot_user and _named(user, people.approvers, chat)


def why_not_approve(user: str, starter: str, people: PeopleSettings, chat: Chat) -> str:
    """Why this person's mark does not count, as half a sentence; "" if it does."""
    if user == chat.bot_user:
        return "a bot approves nothing"
    if not _named(user, people.approvers, chat):
        return f"only {mention(people.approvers)} may approve here"
    if user == starter and not people.starter_may_approve:
        return "you started this run, and here somebody else has to approve"
    return ""


def mention(ids: Iterable[str]) -> str:
    """Slack's mention of users and user groups, in the settings' order."""
    return " ".join(f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>" for who in ids)
