"""What people do in this Slack: type, react, take a reaction back; and what Slack tells the app and them about it."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from sandbox.slack import blocks
from sandbox.slack.socketmode import NoAck, NoSocket, SocketMode
from sandbox.slack.state import APP, BOT, BOT_ID, SLACKBOT, TEAM, Channel, Manifest, Message, Plain, Refusal, Workspace

URL_USES = 5
URL_LIFE = 30 * 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody got for a slash command: what the app sent with its acknowledgement, or Slack's own `failure`."""

    text: str = ""
    failure: str = ""
    public: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """`born` on the workspace's clock."""

    user: str
    channel: str
    born: float
    uses: int = 0


@dataclass(slots=True)
class People:
    workspace: Workspace
    sockets: SocketMode
    manifest: Manifest
    address: Callable[[], str]
    _urls: dict[str, ResponseUrl] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # what they do -----------------------------------------------------------------------------------------------

    async def type(self, user: str, channel: str, text: str, thread: str = "") -> Answer:
        """A message, or a slash command. Returns when Slack shows that it was taken, or that it was not."""
        room = self.workspace.channel_for(user, channel)
        if text.startswith("/"):
            return await self._command(user, room, text, thread)
        message = self.workspace.post(user, channel, self._escaped(_harmless(text)), thread)
        if f"<@{BOT}>" in message.text and BOT in room.members:
            place = {"channel": channel, "ts": message.ts} | ({"thread_ts": thread} if thread else {})
            self._event({"type": "app_mention", "user": user, "text": message.text, **place, "event_ts": message.ts})
        return Answer(message.text, public=True)

    def react(self, user: str, ts: str, emoji: str) -> None:
        """Raises Refusal, as the page would not let them."""
        message = self.workspace.by_ts(ts)
        self.workspace.react(user, message.channel, ts, emoji)
        self.reacted("reaction_added", user, message, emoji)

    def unreact(self, user: str, ts: str, emoji: str) -> None:
        message = self.workspace.by_ts(ts)
        self.workspace.unreact(user, message.channel, ts, emoji)
        self.reacted("reaction_removed", user, message, emoji)

    async def click(self, user: str, ts: str, action: str) -> None:
        """A button of a message. Raises Refusal where there is none; a click that nobody takes is lost, as in Slack."""
        message = self.workspace.by_ts(ts)
        elements = [one for block in message.blocks if block["type"] == "actions" for one in block["elements"]]
        button = next((one for one in elements if one["action_id"] == action), None)
        if button is None:
            raise Refusal("no_such_button")
        with suppress(NoSocket, NoAck):
            await self.sockets.deliver("interactive", self._click_payload(user, message, button), accepts=False)

    def _click_payload(self, user: str, message: Message, button: Plain) -> Plain:
        pressed = {"type": "button", "action_ts": self._now_ts(), "block_id": "b", **button}
        place = {"type": "message", "message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": False}
        return {
            "type": "block_actions",
            "user": {"id": user, "username": self.workspace.user(user).name, "team_id": TEAM},
            "api_app_id": APP,
            "token": "local",
            "trigger_id": self._id("trigger."),
            "team": {"id": TEAM, "domain": "local"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": self.workspace.channels[message.channel].name},
            "container": place,
            "message": {"type": "message", "ts": message.ts, "user": message.user, "text": message.text},
            "actions": [pressed],
        }

    # what the app hears -----------------------------------------------------------------------------------------

    def reacted(self, kind: str, user: str, message: Message, emoji: str) -> None:
        """The app hears of every reaction where it is a member, its own included."""
        if BOT in self.workspace.channels[message.channel].members:
            item = {"type": "message", "channel": message.channel, "ts": message.ts}
            event = {"type": kind, "user": user, "reaction": emoji, "item": item, "item_user": message.user}
            self._event({**event, "event_ts": self._now_ts()})

    def _event(self, event: Plain) -> None:
        if event["type"] not in self.manifest.events:
            return
        bot = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True, "is_enterprise_install": False}
        envelope: Plain = {"token": "local", "team_id": TEAM, "api_app_id": APP}
        envelope |= {"type": "event_callback", "event": event}
        envelope |= {"event_id": self._id("Ev"), "event_time": int(self.workspace.clock()), "authorizations": [bot]}
        self.sockets.event(envelope)

    # slash commands ---------------------------------------------------------------------------------------------

    async def _command(self, user: str, room: Channel, typed: str, thread: str) -> Answer:
        name, _, rest = typed.partition(" ")
        if name not in self.manifest.commands:
            return self._slackbot(user, room, f"`{name}` is not a valid command.", "invalid_command")
        if thread:
            return self._slackbot(user, room, f"`{name}` is not supported in threads. Sorry!", "in_thread", thread)
        try:
            payload = await self.sockets.command(self._command_payload(user, room, name, rest.strip()))
        except NoSocket:
            return self._failed(user, room, name, "dispatch_failed")
        except NoAck:
            return self._failed(user, room, name, "operation_timeout")
        return self._answered(user, room, typed, payload)

    def _command_payload(self, user: str, room: Channel, name: str, text: str) -> Plain:
        who = {"user_id": user, "user_name": self.workspace.user(user).name}
        where = {"channel_id": room.id, "channel_name": "privategroup" if room.is_private else room.name}
        team = {"token": "local", "team_id": TEAM, "team_domain": "local", "api_app_id": APP}
        what = {"command": name, "text": self._escaped(_harmless(text)), "is_enterprise_install": "false"}
        url = f"{self.address()}/commands/{self._new_url(user, room.id)}"
        return {**team, **who, **where, **what, "response_url": url, "trigger_id": self._id("trigger.")}

    def _answered(self, user: str, room: Channel, typed: str, payload: Plain) -> Answer:
        """An acknowledgement may carry an answer. A public one shows the command, too."""
        text, public = str(payload.get("text", "")), payload.get("response_type") == "in_channel"
        if public:
            self.workspace.post(user, room.id, _harmless(typed))
        if text or payload.get("blocks"):
            self._show(user, room.id, payload)
        return Answer(text, public=public)

    def _show(self, user: str, channel: str, payload: Plain) -> None:
        """Slack posts an answer for the app, also where the app is no member."""
        given = payload.get("blocks") or []
        only_for = "" if payload.get("response_type") == "in_channel" else user
        sound = [] if blocks.faults(given) else given
        self.workspace.answer(channel, str(payload.get("text", "")), only_for, blocks=sound, bot_id=BOT_ID)

    def _failed(self, user: str, room: Channel, name: str, error: str) -> Answer:
        return self._slackbot(user, room, f'{name} failed with the error "{error}"', error)

    def _slackbot(self, user: str, room: Channel, text: str, failure: str, thread: str = "") -> Answer:
        self.workspace.whisper(SLACKBOT, room.id, user, text, thread)
        return Answer(text, failure)

    # response_url -----------------------------------------------------------------------------------------------

    def _new_url(self, user: str, channel: str) -> str:
        key = f"{TEAM}/{next(self._numbers)}/{secrets.token_hex(8)}"
        self._urls[key] = ResponseUrl(user, channel, self.workspace.clock())
        return key

    def respond(self, key: str, payload: Plain) -> None:
        """What the app sends to a response_url: 5 times within 30 minutes. Raises Refusal."""
        url = self._urls.get(key)
        if url is None or self.workspace.clock() - url.born > URL_LIFE:
            raise Refusal("expired_url")
        if url.uses >= URL_USES:
            raise Refusal("used_url")
        if not payload.get("text") and not payload.get("blocks"):
            raise Refusal("no_text")
        url.uses += 1
        self._show(url.user, url.channel, payload)

    # ------------------------------------------------------------------------------------------------------------

    def _escaped(self, text: str) -> str:
        """@carol and #lab as Slack hands them to an app (should_escape in the manifest)."""
        users = {user.name: f"<@{user.id}>" for user in self.workspace.users.values()}
        channels = {channel.name: f"<#{channel.id}>" for channel in self.workspace.channels.values()}
        text = re.sub(r"@([\w.-]+)", lambda found: users.get(found[1], found[0]), text)
        return re.sub(r"#([\w-]+)", lambda found: channels.get(found[1], found[0]), text)

    def _now_ts(self) -> str:
        return f"{self.workspace.clock():.6f}"

    def _id(self, prefix: str) -> str:
        return f"{prefix}{secrets.token_hex(6).upper()}"


def _harmless(text: str) -> str:
    """What people type is escaped by Slack before anybody gets it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
