"""Block Kit's limits: what is just inside is taken, what is just outside is named with its place."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.slack.blocks import faults


def text(length: int, kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": kind, "text": "x" * length}


def section(length: int) -> dict[str, Any]:
    return {"type": "section", "text": text(length)}


@pytest.mark.parametrize(
    "block",
    [
        section(3000),
        {"type": "section", "fields": [text(2000)] * 10},
        {"type": "header", "text": text(150, "plain_text")},
        {"type": "context", "elements": [text(10)] * 10},
        {"type": "divider", "block_id": "b" * 255},
        {"type": "actions", "elements": [{"type": "button", "text": text(75, "plain_text"), "style": "danger"}]},
        {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "heal curve"},
        {"type": "markdown", "text": "x" * 12_000},
    ],
)
def test_what_is_just_inside_is_taken(block: dict[str, Any]) -> None:
    assert faults([block]) == []


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (section(3001), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        (section(0), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ({"type": "section"}, "must define either `text` or `fields` [json-pointer:/blocks/0]"),
        (
            {"type": "section", "fields": [text(1)] * 11},
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        (
            {"type": "section", "fields": [text(2001)]},
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ),
        ({"type": "header", "text": text(5)}, "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
        (
            {"type": "header", "text": text(151, "plain_text")},
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            {"type": "context", "elements": [text(1)] * 11},
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        ({"type": "context"}, "missing required field: elements [json-pointer:/blocks/0]"),
        (
            {"type": "actions", "elements": [{"type": "button", "text": text(76, "plain_text")}]},
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        ({"type": "image", "alt_text": "x"}, "must define either `image_url` or `slack_file` [json-pointer:/blocks/0]"),
        ({"type": "sparkline"}, "unsupported type: sparkline [json-pointer:/blocks/0/type]"),
        (
            {"type": "divider", "block_id": "b" * 256},
            "must be less than 256 characters [json-pointer:/blocks/0/block_id]",
        ),
    ],
)
def test_what_is_just_outside_is_named_with_its_place(block: dict[str, Any], fault: str) -> None:
    assert faults([block]) == [fault]


def test_fifty_blocks_are_the_most() -> None:
    assert faults([section(1)] * 50) == []
    assert faults([section(1)] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]


def test_a_block_id_is_unique() -> None:
    twins = [{"type": "divider", "block_id": "a"}] * 2
    assert faults(twins) == ["`block_id` a already exists [json-pointer:/blocks]"]


def test_markdown_counts_for_the_whole_message() -> None:
    halves = [{"type": "markdown", "text": "x" * 6001}] * 2
    assert faults(halves) == ["markdown text must be less than 12001 characters in total [json-pointer:/blocks]"]
