"""What each Web API method does to the workspace. No HTTP here: arguments in, answer out, `Refusal` for a no."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.slack import blocks
from sandbox.slack.ask import Ask, invalid_arguments, with_messages
from sandbox.slack.files import Files
from sandbox.slack.state import APP, BOT, BOT_ID, TEAM, Channel, Message, Plain, Refusal, User, Workspace

MOST_EDITED = 4000  # characters that chat.update takes
MOST_PAGE = 999
SHORT_USERS = 3
"""So many names under an emoji when the full list is not asked for. Slack's own number is not published."""

Do = Callable[[Ask], Plain]


@dataclass(frozen=True, slots=True)
class Method:
    """`scopes`: one of them is needed. `json`: takes a JSON body too. `app_level`: wants the app's token."""

    do: Do
    scopes: tuple[str, ...] = ()
    json: bool = False
    app_level: bool = False


class Methods:
    """`address` is where this Slack listens; `ticket` opens a socket; `reacted` is told what the bot itself did."""

    def __init__(
        self,
        workspace: Workspace,
        files: Files,
        address: Callable[[], str],
        ticket: Callable[[], str],
        reacted: Callable[[str, str, Message, str], None],
        scopes: Sequence[str],
    ) -> None:
        self._workspace = workspace
        self._files = files
        self._address = address
        self._ticket = ticket
        self._reacted = reacted
        self._scopes = scopes
        history = ("channels:history", "groups:history", "im:history")
        rooms = ("channels:read", "groups:read")
        self.table: Mapping[str, Method] = {
            "auth.test": Method(self._auth_test, json=True),
            "apps.connections.open": Method(self._open_socket, app_level=True),
            "chat.postMessage": Method(self._post, ("chat:write",), json=True),
            "chat.update": Method(self._update, ("chat:write",), json=True),
            "chat.delete": Method(self._delete, ("chat:write",), json=True),
            "chat.postEphemeral": Method(self._whisper, ("chat:write",), json=True),
            "chat.getPermalink": Method(self._permalink),
            "reactions.add": Method(self._react, ("reactions:write",), json=True),
            "reactions.remove": Method(self._unreact, ("reactions:write",), json=True),
            "reactions.get": Method(self._reactions, ("reactions:read",)),
            "conversations.history": Method(self._history, history),
            "conversations.replies": Method(self._replies, history),
            "conversations.info": Method(self._channel, rooms),
            "conversations.open": Method(self._open_direct, ("im:write",), json=True),
            "conversations.members": Method(self._members, rooms),
            "conversations.list": Method(self._channels, rooms),
            "users.info": Method(self._user, ("users:read",)),
            "users.list": Method(self._users, ("users:read",)),
            "usergroups.list": Method(self._groups, ("usergroups:read",)),
            "usergroups.users.list": Method(self._group, ("usergroups:read",)),
            "usergroups.users.update": Method(self._set_group, ("usergroups:write",), json=True),
            "dnd.info": Method(self._dnd, ("dnd:read",)),
            "files.getUploadURLExternal": Method(self._upload_url, ("files:write",)),
            "files.completeUploadExternal": Method(self._upload_done, ("files:write",), json=True),
        }

    # the app ----------------------------------------------------------------------------------------------------

    def _auth_test(self, ask: Ask) -> Plain:
        name = self._workspace.user(BOT).name
        url = self._address() + "/"
        return {"url": url, "team": "Local", "user": name, "team_id": TEAM, "user_id": BOT, "bot_id": BOT_ID}

    def _open_socket(self, ask: Ask) -> Plain:
        return {"url": f"{self._address().replace('http', 'ws', 1)}/link?ticket={self._ticket()}&app_id={APP}"}

    # messages ---------------------------------------------------------------------------------------------------

    def _post(self, ask: Ask) -> Plain:
        ask.need("channel")
        message = self._workspace.post(
            BOT,
            ask.text("channel"),
            ask.text("text"),
            ask.text("thread_ts"),
            blocks=self._content(ask),
            metadata=_metadata(ask),
            bot_id=BOT_ID,
            broadcast=ask.flag("reply_broadcast"),
        )
        return {"channel": message.channel, "ts": message.ts, "message": shown(message, metadata=True)}

    def _update(self, ask: Ask) -> Plain:
        ask.need("channel", "ts")
        if len(ask.text("text")) > MOST_EDITED:
            raise Refusal("msg_too_long")
        new, metadata = self._content(ask), _metadata(ask)
        channel, ts = ask.text("channel"), ask.text("ts")
        message = self._workspace.edit(BOT, channel, ts, ask.text("text"), new, metadata)
        return {"channel": channel, "ts": ts, "text": message.text, "message": shown(message, metadata=True)}

    def _delete(self, ask: Ask) -> Plain:
        ask.need("channel", "ts")
        self._workspace.delete(BOT, ask.text("channel"), ask.text("ts"))
        return {"channel": ask.text("channel"), "ts": ask.text("ts")}

    def _whisper(self, ask: Ask) -> Plain:
        ask.need("channel", "user")
        message = self._workspace.whisper(
            BOT,
            ask.text("channel"),
            ask.text("user"),
            ask.text("text"),
            ask.text("thread_ts"),
            blocks=self._content(ask),
            bot_id=BOT_ID,
        )
        return {"message_ts": message.ts}

    def _permalink(self, ask: Ask) -> Plain:
        ask.need("channel", "message_ts")
        self._workspace.channel_for(BOT, ask.text("channel"))
        message = self._workspace.message(ask.text("channel"), ask.text("message_ts"))
        return {"channel": message.channel, "permalink": permalink(self._address(), message)}

    def _content(self, ask: Ask) -> list[Plain]:
        """The blocks, judged. A message needs those or a text."""
        given = ask.plain("blocks", "invalid_blocks_format") or []
        if not isinstance(given, list):
            raise Refusal("invalid_blocks_format")
        if found := blocks.faults(given):
            raise Refusal("invalid_blocks", errors=found, **with_messages(*found))
        if not given and not ask.text("text"):
            raise Refusal("no_text")
        return given

    # reactions --------------------------------------------------------------------------------------------------

    def _react(self, ask: Ask) -> Plain:
        ask.need("channel", "timestamp", "name")
        emoji = ask.text("name")
        message = self._workspace.react(BOT, ask.text("channel"), ask.text("timestamp"), emoji)
        self._reacted("reaction_added", BOT, message, emoji)
        return {}

    def _unreact(self, ask: Ask) -> Plain:
        ask.need("channel", "timestamp", "name")
        emoji = ask.text("name")
        message = self._workspace.unreact(BOT, ask.text("channel"), ask.text("timestamp"), emoji)
        self._reacted("reaction_removed", BOT, message, emoji)
        return {}

    def _reactions(self, ask: Ask) -> Plain:
        ask.need("channel", "timestamp")
        self._workspace.channel_for(BOT, ask.text("channel"))
        message = self._workspace.message(ask.text("channel"), ask.text("timestamp"))
        link = permalink(self._address(), message)
        item = {**shown(message, most_users=None if ask.flag("full") else SHORT_USERS), "permalink": link}
        return {"type": "message", "channel": message.channel, "message": item}

    # reading ----------------------------------------------------------------------------------------------------

    def _history(self, ask: Ask) -> Plain:
        """Newest first."""
        ask.need("channel")
        channel = self._readable(ask)
        found = _between(self._workspace.top_level(channel.id)[::-1], ask)
        return self._pages(found, ask)

    def _replies(self, ask: Ask) -> Plain:
        """Oldest first; the parent is always there."""
        ask.need("channel", "ts")
        channel = self._readable(ask)
        first, *rest = self._workspace.thread(channel.id, ask.text("ts"))
        return self._pages([first, *_between(rest, ask)], ask)

    def _readable(self, ask: Ask) -> Channel:
        channel = self._workspace.channel_for(BOT, ask.text("channel"))
        if BOT not in channel.members:
            raise Refusal("not_in_channel")
        if channel.is_im and "im:history" not in self._scopes:
            raise Refusal("missing_scope", needed="im:history", provided=",".join(self._scopes))
        return channel

    def _pages(self, found: Sequence[Message], ask: Ask) -> Plain:
        limit = ask.number("limit", 100)
        if not 1 <= limit <= MOST_PAGE + 1:
            raise Refusal("invalid_limit")
        start = _from_cursor(ask.text("cursor"))
        metadata = ask.flag("include_all_metadata")
        page = [self._counted(m, metadata) for m in found[start : start + limit]]
        more = start + limit < len(found)
        answer: Plain = {"messages": page, "has_more": more}
        return answer | ({"response_metadata": {"next_cursor": _to_cursor(start + limit)}} if more else {})

    def _counted(self, message: Message, metadata: bool) -> Plain:
        """A parent carries the number of its replies."""
        plain = shown(message, metadata=metadata)
        replies = [] if message.thread_ts else self._workspace.replies(message.channel, message.ts)
        if replies:
            who = list(dict.fromkeys(reply.user for reply in replies))
            plain |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
            plain |= {"reply_users": who, "reply_users_count": len(who)}
        return plain

    def _open_direct(self, ask: Ask) -> Plain:
        """One user; groups are not made here."""
        if not ask.text("users"):
            raise Refusal("users_list_not_supplied")
        return {"channel": {"id": self._workspace.direct(ask.text("users")).id}}

    def _channel(self, ask: Ask) -> Plain:
        ask.need("channel")
        return {"channel": _channel(self._workspace.channel_for(BOT, ask.text("channel")))}

    def _channels(self, ask: Ask) -> Plain:
        rooms = [c for c in self._workspace.channels.values() if not c.is_im]
        visible = [c for c in rooms if not c.is_private or BOT in c.members]
        return {"channels": [_channel(channel) for channel in visible], "response_metadata": {"next_cursor": ""}}

    def _members(self, ask: Ask) -> Plain:
        ask.need("channel")
        members = self._workspace.channel_for(BOT, ask.text("channel")).members
        return {"members": list(members), "response_metadata": {"next_cursor": ""}}

    # people -----------------------------------------------------------------------------------------------------

    def _user(self, ask: Ask) -> Plain:
        ask.need("user")
        return {"user": _user(self._workspace.user(ask.text("user")))}

    def _users(self, ask: Ask) -> Plain:
        members = [_user(user) for user in self._workspace.users.values()]
        return {"members": members, "response_metadata": {"next_cursor": ""}}

    def _groups(self, ask: Ask) -> Plain:
        rows = []
        for group in self._workspace.groups.values():
            users = {"users": list(group.users)} if ask.flag("include_users") else {}
            rows.append({"id": group.id, "team_id": TEAM, "handle": group.handle, "name": group.name, **users})
        return {"usergroups": rows}

    def _group(self, ask: Ask) -> Plain:
        ask.need("usergroup")
        return {"users": list(self._workspace.group(ask.text("usergroup")).users)}

    def _set_group(self, ask: Ask) -> Plain:
        """The whole list at once: user ids with commas between; Slack takes no empty one, and no strangers."""
        ask.need("usergroup")
        users = [user for user in ask.text("users").split(",") if user]
        if not users:
            raise Refusal("no_users_provided")
        group = self._workspace.set_members(ask.text("usergroup"), users)
        row = {"id": group.id, "team_id": TEAM, "handle": group.handle, "name": group.name, "users": list(group.users)}
        return {"usergroup": row}

    def _dnd(self, ask: Ask) -> Plain:
        """Both times are 1 where there is no Do Not Disturb."""
        user = self._workspace.user(ask.text("user", BOT))
        start, end = user.dnd or (1, 1)
        return {"dnd_enabled": user.dnd is not None, "next_dnd_start_ts": start, "next_dnd_end_ts": end}

    # files ------------------------------------------------------------------------------------------------------

    def _upload_url(self, ask: Ask) -> Plain:
        ask.need("filename", "length")
        file = self._files.expect(ask.text("filename"), ask.number("length", 0))
        return {"upload_url": f"{self._address()}/upload/{file.id}", "file_id": file.id}

    def _upload_done(self, ask: Ask) -> Plain:
        rows = ask.plain("files", "invalid_arguments")
        if not isinstance(rows, list) or not rows:
            raise invalid_arguments("missing required field: files")
        done = [self._files.complete(str(row.get("id")), str(row.get("title", ""))) for row in rows]
        if channel := ask.text("channel_id"):
            text, thread = ask.text("initial_comment"), ask.text("thread_ts")
            self._workspace.post(BOT, channel, text, thread, bot_id=BOT_ID, files=done)
        return {"files": done}


# ---- shapes --------------------------------------------------------------------------------------------------------


def shown(message: Message, metadata: bool = False, most_users: int | None = None) -> Plain:
    """A message as Slack gives it out. `most_users`: so many names under each emoji; the count is always right."""
    plain: Plain = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
    plain |= {"team": TEAM} | ({"bot_id": message.bot_id, "app_id": APP} if message.bot_id else {})
    if message.thread_ts:
        plain["thread_ts"] = message.thread_ts
    if message.edited:
        plain["edited"] = {"user": message.user, "ts": message.edited}
    if metadata and message.metadata:
        plain["metadata"] = message.metadata
    optional: Plain = {"blocks": message.blocks, "files": message.files}
    optional["reactions"] = [
        {"name": name, "users": users[:most_users], "count": len(users)} for name, users in message.reactions.items()
    ]
    return plain | {name: value for name, value in optional.items() if value}


def permalink(address: str, message: Message) -> str:
    """The page opens the place it names."""
    thread = f"?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else ""
    return f"{address}/archives/{message.channel}/p{message.ts.replace('.', '')}{thread}"


def _channel(channel: Channel) -> Plain:
    kinds = {"is_channel": not channel.is_private, "is_group": channel.is_private and not channel.is_im}
    kinds |= {"is_private": channel.is_private, "is_im": channel.is_im}
    state = {"is_archived": channel.is_archived, "is_member": BOT in channel.members}
    return {"id": channel.id, "name": channel.name, **kinds, **state, "topic": {"value": channel.topic}}


def _user(user: User) -> Plain:
    kinds = {"is_bot": user.is_bot, "is_restricted": user.is_restricted, "deleted": user.deleted}
    place = {"tz": user.tz, "tz_offset": user.tz_offset}
    profile = {"real_name": user.real_name, "display_name": user.name}
    return {"id": user.id, "team_id": TEAM, "name": user.name, **kinds, **place, "profile": profile}


def _metadata(ask: Ask) -> Plain | None:
    """None: not sent. {}: sent empty, which removes it in an update."""
    given: Plain | None = ask.plain("metadata", "invalid_metadata_format")
    if given is None or given == {}:
        return given
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise Refusal("invalid_metadata_format")
    if not isinstance(given.get("event_payload"), dict):
        raise Refusal("invalid_metadata_format")
    return given


def _between(messages: Sequence[Message], ask: Ask) -> list[Message]:
    """Those after `oldest` and before `latest`; the ends themselves only if `inclusive`."""
    oldest, latest = _seconds(ask, "oldest", float("-inf")), _seconds(ask, "latest", float("inf"))
    if ask.flag("inclusive"):
        return [m for m in messages if oldest <= float(m.ts) <= latest]
    return [m for m in messages if oldest < float(m.ts) < latest]


def _seconds(ask: Ask, name: str, default: float) -> float:
    try:
        return float(ask.text(name)) if ask.text(name) else default
    except ValueError:
        raise Refusal(f"invalid_ts_{name}") from None


def _to_cursor(start: int) -> str:
    return base64.b64encode(f"next:{start}".encode()).decode()


def _from_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except ValueError:
        raise Refusal("invalid_cursor") from None
