"""What the workspace keeps, without any network."""

from __future__ import annotations

import pytest

from sandbox.slack.state import ALICE, BOB, BOT, CAROL, CHANNEL, MOST_REACTIONS, Manifest, Refusal, Workspace


def test_it_survives_a_restart_with_everything_that_was_said() -> None:
    before = Workspace(clock=lambda: 1_700_000_000.0)
    board = before.post(BOT, CHANNEL, "board", metadata={"event_type": "roundsman", "event_payload": {}})
    before.post(BOT, CHANNEL, "step", board.ts)
    before.react(CAROL, CHANNEL, board.ts, "white_check_mark")
    after = Workspace(clock=lambda: 1_700_000_000.0)
    after.restore(before.dump())
    assert after.messages == before.messages
    assert after.post(BOT, CHANNEL, "next").ts == "1700000000.000002"


def test_time_stamps_rise_though_the_clock_stands_or_goes_back() -> None:
    times = iter([100.0, 100.0, 90.0])
    workspace = Workspace(clock=lambda: next(times))
    stamps = [workspace.post(ALICE, CHANNEL, "x").ts for _ in range(3)]
    assert stamps == ["100.000000", "100.000001", "100.000002"]


def test_an_emoji_with_a_skin_tone_is_another_emoji() -> None:
    workspace = Workspace()
    ts = workspace.post(BOT, CHANNEL, "May I?").ts
    workspace.react(CAROL, CHANNEL, ts, "+1")
    workspace.react(BOB, CHANNEL, ts, "+1::skin-tone-3")
    assert workspace.message(CHANNEL, ts).reactions == {"+1": [CAROL], "+1::skin-tone-3": [BOB]}


def test_a_message_takes_so_many_different_emoji() -> None:
    workspace = Workspace()
    ts = workspace.post(BOT, CHANNEL, "May I?").ts
    for number in range(MOST_REACTIONS):
        workspace.react(CAROL, CHANNEL, ts, f"emoji{number}")
    workspace.react(BOB, CHANNEL, ts, "emoji0")
    with pytest.raises(Refusal, match="too_many_emoji"):
        workspace.react(CAROL, CHANNEL, ts, "one_more")


def test_an_app_is_what_its_manifest_says() -> None:
    manifest = Manifest.from_plain(
        {
            "features": {"slash_commands": [{"command": "/upgrade", "description": "…"}]},
            "oauth_config": {"scopes": {"bot": ["commands", "chat:write"]}},
            "settings": {"event_subscriptions": {"bot_events": ["reaction_added"]}},
        }
    )
    assert manifest == Manifest(("/upgrade",), ("reaction_added",), ("commands", "chat:write"))
