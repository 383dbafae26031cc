"""The Web API, through the real WebClient: Slack's shapes, and its words for a no."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from sandbox.slack import (
    ALICE,
    BOB,
    BOT,
    CAROL,
    CHANNEL,
    MALLORY,
    Channel,
    LocalSlack,
    Manifest,
    Refusal,
    SlackInThread,
    UserGroup,
    run_in_thread,
)

KEY = {"event_type": "roundsman", "event_payload": {"run": "lab-1", "key": "pve1.ask"}}


def post(client: WebClient, text: str = "hello", **more: object) -> str:
    return str(client.chat_postMessage(channel=CHANNEL, text=text, **more)["ts"])  # type: ignore[arg-type]


def refusal(call: Callable[[], SlackResponse]) -> str:
    """Slack's word for its no; refusals come with HTTP 200."""
    with pytest.raises(SlackApiError) as caught:
        call()
    response = caught.value.response
    assert isinstance(response, SlackResponse)
    assert response.status_code == 200
    return str(response["error"])


# ---- tokens and scopes -----------------------------------------------------------------------------------------------


def test_the_bot_learns_who_it_is(client: WebClient) -> None:
    assert client.auth_test()["user_id"] == BOT


@pytest.mark.parametrize(
    ("token", "word"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("xapp-local", "not_allowed_token_type")]
)
def test_a_wrong_token_is_refused_in_slacks_words(slack: SlackInThread, token: str, word: str) -> None:
    client = WebClient(token, base_url=slack.api_url)
    assert refusal(client.auth_test) == word


def test_a_socket_is_opened_with_the_app_token_in_the_header_only(slack: SlackInThread, client: WebClient) -> None:
    assert str(client.apps_connections_open(app_token="xapp-local")["url"]).startswith("ws://127.0.0.1:")
    assert refusal(lambda: client.apps_connections_open(app_token="xoxb-local")) == "not_allowed_token_type"
    nameless = WebClient(base_url=slack.api_url)
    assert refusal(lambda: nameless.api_call("apps.connections.open", data={"token": "xapp-local"})) == "not_authed"


def test_a_scope_that_the_manifest_lacks_is_named() -> None:
    with run_in_thread(LocalSlack(manifest=Manifest(scopes=("chat:write",)))) as slack:
        client = WebClient("xoxb-local", base_url=slack.api_url)
        with pytest.raises(SlackApiError) as caught:
            client.users_info(user=ALICE)
        assert caught.value.response["needed"] == "users:read"
        assert caught.value.response["provided"] == "chat:write"


def test_an_unknown_method_is_unknown(client: WebClient) -> None:
    assert refusal(lambda: client.api_call("chat.shout")) == "unknown_method"


# ---- messages --------------------------------------------------------------------------------------------------------


def test_time_stamps_are_unique_and_rise(client: WebClient) -> None:
    stamps = [post(client) for _ in range(20)]
    assert stamps == sorted(set(stamps))
    assert len(stamps[0].partition(".")[2]) == 6


def test_a_message_is_found_again_by_its_metadata(client: WebClient) -> None:
    board = post(client, "board")
    post(client, "asking", thread_ts=board, metadata=KEY)
    replies = client.conversations_replies(channel=CHANNEL, ts=board, include_all_metadata=True)["messages"]
    assert [message.get("metadata") for message in replies] == [None, KEY]
    without = client.conversations_replies(channel=CHANNEL, ts=board)["messages"]
    assert all("metadata" not in message for message in without)


def test_an_edit_keeps_metadata_and_drops_blocks_that_are_not_sent_again(client: WebClient) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
    ts = post(client, blocks=[section], metadata=KEY)
    client.chat_update(channel=CHANNEL, ts=ts, text="bye")
    message = client.conversations_history(channel=CHANNEL, include_all_metadata=True)["messages"][0]
    assert (message["text"], message["metadata"], "blocks" in message, "edited" in message) == ("bye", KEY, False, True)


def test_a_thread_is_no_part_of_the_history_but_counted_there(client: WebClient) -> None:
    board = post(client, "board")
    last = [post(client, f"step {n}", thread_ts=board) for n in range(3)][-1]
    (message,) = client.conversations_history(channel=CHANNEL)["messages"]
    assert (message["ts"], message["reply_count"], message["latest_reply"]) == (board, 3, last)


def test_history_comes_newest_first_in_pages(client: WebClient) -> None:
    stamps = [post(client, str(n)) for n in range(5)]
    pages = [[m["ts"] for m in page["messages"]] for page in client.conversations_history(channel=CHANNEL, limit=2)]
    assert pages == [stamps[:2:-1], stamps[2:0:-1], stamps[:1]]


def test_history_from_a_time_on_leaves_that_time_out(client: WebClient) -> None:
    first, second = post(client), post(client)
    found = client.conversations_history(channel=CHANNEL, oldest=first)["messages"]
    assert [message["ts"] for message in found] == [second]


def test_a_deleted_message_is_gone(client: WebClient) -> None:
    ts = post(client)
    client.chat_delete(channel=CHANNEL, ts=ts)
    assert client.conversations_history(channel=CHANNEL)["messages"] == []
    assert refusal(lambda: client.chat_delete(channel=CHANNEL, ts=ts)) == "message_not_found"


def test_whispering_is_seen_by_one_and_found_by_nobody(slack: SlackInThread, client: WebClient) -> None:
    ts = str(client.chat_postEphemeral(channel=CHANNEL, user=MALLORY, text="that did not count")["message_ts"])
    assert slack.wait_for(lambda message: message.ts == ts).only_for == MALLORY
    assert client.conversations_history(channel=CHANNEL)["messages"] == []
    assert refusal(lambda: client.chat_update(channel=CHANNEL, ts=ts, text="x")) == "message_not_found"


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": CHANNEL}, "no_text"),
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": CHANNEL, "text": "x", "thread_ts": "1.000000"}, "cannot_reply_to_message"),
        ({"channel": CHANNEL, "text": "x", "metadata": {"event_type": 1}}, "invalid_metadata_format"),
        ({"channel": CHANNEL, "text": "x", "blocks": {"type": "section"}}, "invalid_blocks_format"),
    ],
)
def test_a_message_that_slack_would_not_take(client: WebClient, how: dict[str, object], word: str) -> None:
    assert refusal(lambda: client.api_call("chat.postMessage", json=how)) == word


def test_a_thread_hangs_on_the_parent_never_on_a_reply(client: WebClient) -> None:
    reply = post(client, "step", thread_ts=post(client, "board"))
    assert (
        refusal(lambda: client.chat_postMessage(channel=CHANNEL, text="x", thread_ts=reply))
        == "cannot_reply_to_message"
    )


def test_an_edit_has_limits(slack: SlackInThread, client: WebClient) -> None:
    ts = post(client)
    assert refusal(lambda: client.chat_update(channel=CHANNEL, ts=ts, text="x" * 4001)) == "msg_too_long"
    slack.type(BOB, CHANNEL, "mine")
    theirs = slack.wait_for(lambda message: message.user == BOB).ts
    assert refusal(lambda: client.chat_update(channel=CHANNEL, ts=theirs, text="x")) == "cant_update_message"


def test_one_bad_block_loses_the_message_and_is_pointed_at(client: WebClient) -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=CHANNEL, text="x", blocks=[long])
    assert caught.value.response["error"] == "invalid_blocks"
    assert caught.value.response["errors"] == ["must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]
    assert client.conversations_history(channel=CHANNEL)["messages"] == []


@pytest.mark.parametrize(("kind", "warning"), [("", "missing_charset"), ("; charset=utf-8", None)])
def test_json_without_a_charset_is_grumbled_about(slack: SlackInThread, kind: str, warning: str | None) -> None:
    headers = {"Authorization": "Bearer xoxb-local", "Content-Type": f"application/json{kind}"}
    answer = requests.post(slack.api_url + "auth.test", data="{}", headers=headers, timeout=5).json()
    assert (answer["ok"], answer.get("warning")) == (True, warning)


def test_a_read_does_not_look_at_json(client: WebClient) -> None:
    assert refusal(lambda: client.api_call("users.info", json={"user": ALICE})) == "invalid_arguments"


def test_a_permalink_leads_to_the_page(client: WebClient) -> None:
    ts = post(client)
    link = str(client.chat_getPermalink(channel=CHANNEL, message_ts=ts)["permalink"])
    assert link.endswith(f"/archives/{CHANNEL}/p{ts.replace('.', '')}")


# ---- reactions -------------------------------------------------------------------------------------------------------


def test_reactions_are_listed_in_full_only_when_asked(slack: SlackInThread, client: WebClient) -> None:
    ts = post(client)
    client.reactions_add(channel=CHANNEL, timestamp=ts, name="eyes")
    for user in (ALICE, BOB, CAROL):
        slack.react(user, ts, "eyes")
    short = client.reactions_get(channel=CHANNEL, timestamp=ts)["message"]["reactions"]
    full = client.reactions_get(channel=CHANNEL, timestamp=ts, full=True)["message"]["reactions"]
    assert (short[0]["count"], len(short[0]["users"])) == (4, 3)
    assert full == [{"name": "eyes", "users": [BOT, ALICE, BOB, CAROL], "count": 4}]


def test_a_reaction_is_given_once_and_taken_back_once(client: WebClient) -> None:
    ts = post(client)
    place = {"channel": CHANNEL, "timestamp": ts, "name": "x"}
    client.reactions_add(**place)
    assert refusal(lambda: client.reactions_add(**place)) == "already_reacted"
    client.reactions_remove(**place)
    assert refusal(lambda: client.reactions_remove(**place)) == "no_reaction"
    assert "reactions" not in client.reactions_get(channel=CHANNEL, timestamp=ts)["message"]


def test_reacting_to_nothing_or_with_nonsense_is_refused(client: WebClient) -> None:
    ts = post(client)
    add = client.reactions_add
    assert refusal(lambda: add(channel=CHANNEL, timestamp="1.000000", name="x")) == "message_not_found"
    assert refusal(lambda: add(channel=CHANNEL, timestamp=ts, name="Not An Emoji")) == "invalid_name"


# ---- rooms and people ------------------------------------------------------------------------------------------------

ELSEWHERE = Channel("C0ELSE", "elsewhere", [ALICE])
PRIVATE = Channel("C0SECRET", "secret", [ALICE], is_private=True)
OLD = Channel("C0OLD", "old", [ALICE, BOT], is_archived=True)
ON_CALL = UserGroup("S0ONCALL", "oncall", "On call", (ALICE, BOB))


@pytest.fixture
def office() -> Iterator[WebClient]:
    rooms = (ELSEWHERE, PRIVATE, OLD)
    with run_in_thread(LocalSlack(channels=rooms, groups=(ON_CALL,))) as slack:
        yield WebClient("xoxb-local", base_url=slack.api_url)


@pytest.mark.parametrize(
    ("room", "word"), [(ELSEWHERE, "not_in_channel"), (PRIVATE, "channel_not_found"), (OLD, "is_archived")]
)
def test_a_room_that_the_bot_may_not_write_in(office: WebClient, room: Channel, word: str) -> None:
    assert refusal(lambda: office.chat_postMessage(channel=room.id, text="x")) == word


def test_a_room_says_whether_the_bot_is_in_it(office: WebClient) -> None:
    assert office.conversations_info(channel=ELSEWHERE.id)["channel"]["is_member"] is False
    assert office.conversations_info(channel=OLD.id)["channel"]["is_archived"] is True
    assert refusal(lambda: office.conversations_info(channel=PRIVATE.id)) == "channel_not_found"


def test_user_groups_and_their_members(office: WebClient) -> None:
    assert office.usergroups_list(include_users=True)["usergroups"][0]["users"] == [ALICE, BOB]
    assert office.usergroups_users_list(usergroup="S0ONCALL")["users"] == [ALICE, BOB]
    assert refusal(lambda: office.usergroups_users_list(usergroup="S0NOBODY")) == "no_such_subteam"


def test_the_members_of_a_user_group_are_set_all_at_once(office: WebClient) -> None:
    office.usergroups_users_update(usergroup="S0ONCALL", users=[BOB, CAROL])
    assert office.usergroups_users_list(usergroup="S0ONCALL")["users"] == [BOB, CAROL]
    assert refusal(lambda: office.usergroups_users_update(usergroup="S0ONCALL", users="")) == "no_users_provided"
    assert refusal(lambda: office.usergroups_users_update(usergroup="S0ONCALL", users="U0ZZZ")) == "user_not_found"
    assert refusal(lambda: office.usergroups_users_update(usergroup="S0NOBODY", users=BOB)) == "no_such_subteam"
    assert office.usergroups_users_list(usergroup="S0ONCALL")["users"] == [BOB, CAROL]


def test_people_have_a_time_zone_and_no_do_not_disturb(office: WebClient) -> None:
    assert office.users_info(user=ALICE)["user"]["tz"] == "Europe/Berlin"
    assert office.dnd_info(user=ALICE)["dnd_enabled"] is False
    assert refusal(lambda: office.users_info(user="U0NOBODY")) == "user_not_found"


# ---- files -----------------------------------------------------------------------------------------------------------


# ---- direct messages -------------------------------------------------------------------------------------------------


def test_a_direct_message_has_a_channel_of_its_own(slack: SlackInThread, client: WebClient) -> None:
    room = client.conversations_open(users=BOB)["channel"]["id"]
    assert client.conversations_open(users=[BOB])["channel"]["id"] == room
    ts = client.chat_postMessage(channel=room, text="wake up", metadata=KEY)["ts"]
    assert client.conversations_info(channel=room)["channel"]["is_im"]
    [found] = client.conversations_history(channel=room, include_all_metadata=True)["messages"]
    assert (found["ts"], found["metadata"]) == (ts, KEY)
    assert CHANNEL in [row["id"] for row in client.conversations_list()["channels"]]
    assert room not in [row["id"] for row in client.conversations_list()["channels"]]
    slack.react(BOB, str(ts), "eyes")
    with pytest.raises(Refusal, match="channel_not_found"):
        slack.react(CAROL, str(ts), "eyes")


@pytest.mark.parametrize(
    ("users", "word"), [("", "users_list_not_supplied"), ("U0NOBODY", "user_not_found"), (BOT, "cannot_dm_bot")]
)
def test_whom_no_direct_message_reaches(client: WebClient, users: str, word: str) -> None:
    assert refusal(lambda: client.conversations_open(users=users)) == word


def test_reading_a_direct_message_needs_a_scope_of_its_own() -> None:
    manifest = Manifest(scopes=("chat:write", "channels:history", "im:write"))
    with run_in_thread(LocalSlack(manifest=manifest)) as slack:
        client = WebClient("xoxb-local", base_url=slack.api_url)
        room = client.conversations_open(users=BOB)["channel"]["id"]
        assert refusal(lambda: client.conversations_history(channel=room)) == "missing_scope"


def test_a_picture_is_uploaded_into_a_thread(slack: SlackInThread, client: WebClient) -> None:
    board = post(client, "board")
    client.files_upload_v2(channel=CHANNEL, thread_ts=board, filename="heal.png", content=b"PNG", title="Heal")
    shown = slack.wait_for(lambda message: bool(message.files))
    assert (shown.thread_ts, shown.files[0]["title"]) == (board, "Heal")
