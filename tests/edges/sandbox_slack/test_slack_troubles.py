"""What can be planted goes wrong exactly so often, and in the way Slack and networks do it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.error import URLError

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler

from sandbox.slack import BOT, CHANNEL, TIERS, Fault, Kind, LocalSlack, SlackInThread, run_in_thread
from sandbox.slack.web import Limits
from tests.waiting import PATIENCE_S

BROKEN_LINE = (ConnectionError, URLError)
"""The SDK hands on what it got: while sending it is wrapped, while reading it is not."""


def posted(slack: SlackInThread) -> int:
    return sum(message.user == BOT for message in slack.messages())


def status_of(call: pytest.ExceptionInfo[SlackApiError]) -> int:
    return int(call.value.response.status_code)


def test_a_limited_method_says_when_again_and_leaves_the_others_alone(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.LIMIT, "chat.postMessage", seconds=7))
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=CHANNEL, text="x")
    assert status_of(caught) == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    client.auth_test()
    client.chat_postMessage(channel=CHANNEL, text="x")
    assert posted(slack) == 1


def test_a_post_whose_answer_is_cut_off_was_posted_all_the_same(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.CUT, "chat.postMessage"))
    with pytest.raises(BROKEN_LINE):
        client.chat_postMessage(channel=CHANNEL, text="x")
    assert posted(slack) == 1


def test_the_default_retry_of_the_sdk_posts_twice(slack: SlackInThread) -> None:
    """The reason why the bot looks a message up before it posts again."""
    hasty = WebClient("xoxb-local", base_url=slack.api_url, retry_handlers=[ConnectionErrorRetryHandler()])
    slack.plant(Fault(Kind.CUT, "chat.postMessage"))
    hasty.chat_postMessage(channel=CHANNEL, text="x")
    assert posted(slack) == 2


def test_a_post_that_is_lost_on_the_way_was_not_posted(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.LOSE, "chat.*"))
    with pytest.raises(BROKEN_LINE):
        client.chat_postMessage(channel=CHANNEL, text="x")
    assert posted(slack) == 0


def test_a_broken_slack_answers_500_without_doing_anything(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.BROKEN, "chat.postMessage"))
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=CHANNEL, text="x")
    assert (status_of(caught), posted(slack)) == (500, 0)


def test_any_refusal_can_be_planted(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.REFUSE, "reactions.get", word="fatal_error"))
    with pytest.raises(SlackApiError, match="fatal_error"):
        client.reactions_get(channel=CHANNEL, timestamp="1.0")


def test_a_late_answer_outlasts_a_patience_that_is_shorter(slack: SlackInThread) -> None:
    impatient = WebClient("xoxb-local", base_url=slack.api_url, timeout=1, retry_handlers=[])
    slack.plant(Fault(Kind.DELAY, "auth.test", seconds=1.5))
    with pytest.raises(TimeoutError):
        impatient.auth_test()


def test_a_fault_happens_as_often_as_it_says(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.BROKEN, "auth.test", times=2))
    for _ in range(2):
        with pytest.raises(SlackApiError):
            client.auth_test()
    assert client.auth_test()["ok"]


@pytest.mark.slow
def test_a_slack_that_is_away_refuses_connections_and_comes_back(slack: SlackInThread, client: WebClient) -> None:
    slack.plant(Fault(Kind.DOWN, seconds=2.0))
    with pytest.raises(ConnectionRefusedError):
        requests_of(client)
    assert comes_back(client)


@pytest.mark.slow
@pytest.mark.parametrize(("word", "status"), [("error", 503), ("hang", 200)])
def test_a_slack_that_is_away_in_other_ways(slack: SlackInThread, client: WebClient, word: str, status: int) -> None:
    slack.plant(Fault(Kind.DOWN, seconds=2.0, word=word))
    began = time.monotonic()
    got = requests.post(slack.api_url + "auth.test", headers={"Authorization": "Bearer xoxb-local"}, timeout=PATIENCE_S)
    assert got.status_code == status
    assert word == "error" or time.monotonic() - began > 0.15
    assert comes_back(client)


def requests_of(client: WebClient) -> None:
    try:
        client.auth_test()
    except OSError as error:
        raise getattr(error, "reason", error) from error


def comes_back(client: WebClient) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            return bool(client.auth_test()["ok"])
        except (OSError, SlackApiError):
            time.sleep(0.05)
    return False


# ---- over HTTP -------------------------------------------------------------------------------------------------------


def test_troubles_are_planted_listed_and_cleared_over_http(slack: SlackInThread) -> None:
    address = slack.url + "/sandbox/faults"
    planted = requests.post(address, json={"kind": "limit", "on": "chat.update", "times": 2, "seconds": 3}, timeout=5)
    assert planted.json() == [{"kind": "limit", "on": "chat.update", "times": 2, "seconds": 3, "word": ""}]
    assert requests.delete(address, timeout=5).json() == []


def test_an_impossible_trouble_is_refused_with_what_there_is(slack: SlackInThread) -> None:
    answer = requests.post(slack.url + "/sandbox/faults", json={"kind": "flood"}, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith('"flood" is no kind of fault; there are limit, refuse,')


def test_down_over_http_is_answered_before_the_line_goes(slack: SlackInThread, client: WebClient) -> None:
    answer = requests.post(slack.url + "/sandbox/faults", json={"kind": "down", "seconds": 0.2}, timeout=5)
    assert answer.status_code == 200
    assert comes_back(client)


# ---- Slack's own limits ----------------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[WebClient]:
    with run_in_thread(LocalSlack(limits=TIERS)) as slack:
        yield WebClient("xoxb-local", base_url=slack.api_url, retry_handlers=[])


def test_more_calls_than_the_tier_allows_are_limited(strict: WebClient) -> None:
    for _ in range(TIERS["usergroups.list"]):
        strict.usergroups_list()
    with pytest.raises(SlackApiError) as caught:
        strict.usergroups_list()
    assert status_of(caught) == 429
    assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 60


def test_a_minute_later_the_calls_are_taken_again() -> None:
    limits = Limits({"chat.update": 2})
    assert [limits.rest("chat.update", now) for now in (0.0, 10.0, 20.0)] == [0, 0, 40.0]
    assert limits.rest("chat.update", 60.0) == 0
    assert limits.rest("auth.test", 60.0) == 0
