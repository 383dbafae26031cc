"""Who is in a user group of Slack's: asked again, so that whoever was removed approves nothing for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bot.slackchat import GROUP_TTL_S, SlackChat

NOON = 1_700_000_000.0


@pytest.mark.parametrize(("later", "members"), [(GROUP_TTL_S - 1, {"U0CAROL"}), (GROUP_TTL_S, set()), (-3600.0, set())])
def test_a_group_is_asked_again_after_a_minute_and_when_the_clock_was_put_back(
    later: float, members: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[list[str]] = iter([["U0CAROL"], []])
    now = [NOON]
    chat = SlackChat("xoxb-local", "http://127.0.0.1:9/api/", lambda: now[0])

    def asked(method: str, **_: Any) -> dict[str, Any]:
        assert method == "usergroups.users.list"
        return {"users": next(answers)}

    monkeypatch.setattr(chat, "_read", asked)
    assert chat.members("S0ADMINS") == {"U0CAROL"}
    now[0] += later
    assert chat.members("S0ADMINS") == members
