"""A local Slack for each test, and the real client of Slack's SDK pointed at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from sandbox.slack import SlackInThread, run_in_thread


@pytest.fixture
def slack() -> Iterator[SlackInThread]:
    with run_in_thread() as running:
        yield running


@pytest.fixture
def client(slack: SlackInThread) -> WebClient:
    """Without retries, so that a test sees every answer."""
    return WebClient("xoxb-local", base_url=slack.api_url, retry_handlers=[], timeout=5)
