"""The people of a scenario, acting by themselves in the local Slack when their cue comes: they read what the channel
shows, type slash commands and click reactions, as anybody at the page does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from sandbox.cast import IDS, readable
from sandbox.invariants import Marked
from sandbox.phones import PhonesInThread
from sandbox.scenario import Cue
from sandbox.slack import BOT, CHANNEL, LocalSlack, Message, Refusal
from sandbox.slack.state import Change
from workflows.approvals import normalised

Tell = Callable[[str, str], None]
HANDOFFS = "oncall"
"""What the bot says of the rota belongs to no run, and wakes nobody."""


def kind_and_node(message: Message) -> tuple[str, str]:
    """What the bot posted ("approval", "page" or "note"), and for which node it asks: as any reader of the channel
    could tell, from its metadata and its place."""
    key = str((message.metadata or {}).get("event_payload", {}).get("key", ""))
    if ".ask.request.said" in key:
        return "approval", key.partition(".")[0]
    of_run = (message.metadata or {}).get("event_payload", {}).get("run_id") != HANDOFFS
    top_level = bool(key) and of_run and key != "board" and not message.thread_ts
    return ("page" if top_level else "note"), ""


class People:
    """Lives in the loop of its Slack. `outage`: what to do when the cue is not a person's but Slack's or the bot's.
    `marked`: every reaction of theirs, for whoever judges the night."""

    def __init__(
        self,
        slack: LocalSlack,
        cues: Iterable[Cue],
        tell: Tell,
        outage: Callable[[Cue], None],
        clock: Callable[[], float],
        phones: PhonesInThread | None = None,
    ) -> None:
        self._phones = phones
        self._slack, self._cues, self._tell, self._outage, self._clock = slack, tuple(cues), tell, outage, clock
        self._waiting = [cue for cue in self._cues if cue.when]
        self._requests: list[str] = []
        self._answerable: set[str] = set()
        self._under_way: set[asyncio.TimerHandle | asyncio.Task[None]] = set()
        self.marked: list[Marked] = []

    def begin(self) -> None:
        self._slack.workspace.listeners.append(self._changed)
        for cue in self._cues:
            if cue.at is not None:
                self._later(cue.at, cue, "")

    @property
    def busy(self) -> bool:
        """Somebody is about to do something at a time that is known."""
        return bool(self._under_way)

    # ------------------------------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        message = change.message
        if change.kind == "changed":
            self._note_marks(message)
        if change.kind != "posted" or message.user != BOT or message.only_for:
            return
        kind, node = kind_and_node(message)
        if kind == "approval":
            self._requests.append(message.ts)
        if kind in ("approval", "page"):
            self._answerable.add(message.ts)
        self._take_cues(kind, node, readable(message.text), message.ts)

    def _take_cues(self, kind: str, node: str, text: str, ts: str) -> None:
        for cue in list(self._waiting):
            if cue.meant_by(kind, node, text):
                if not cue.each:
                    self._waiting.remove(cue)
                self._later(cue.after, cue, ts)

    def _note_marks(self, message: Message) -> None:
        """Whose marks came and went since the last look at this message."""
        standing: set[tuple[str, str]] = set()
        for mark in (mark for mark in self.marked if mark.ts == message.ts):
            (standing.add if mark.given else standing.discard)((mark.user, mark.emoji))
        now = {(user, normalised(emoji)) for emoji, users in message.reactions.items() for user in users if user != BOT}
        for user, emoji in sorted(now ^ standing):
            self.marked.append(Marked(self._clock(), message.ts, user, emoji, (user, emoji) in now))

    def _later(self, seconds: float, cue: Cue, ts: str) -> None:
        handle: asyncio.TimerHandle

        def due() -> None:
            self._under_way.discard(handle)
            self._perform(cue, ts)

        handle = asyncio.get_running_loop().call_later(seconds, due)
        self._under_way.add(handle)

    def _perform(self, cue: Cue, ts: str) -> None:
        if cue.slack or cue.bot:
            self._outage(cue)
        elif cue.types:
            task = asyncio.get_running_loop().create_task(self._type(cue.who, cue.types))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        elif cue.presses and self._phones:
            self._tell(cue.who, f"presses {cue.presses}")
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._phones.press, cue.who, cue.presses))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        else:
            self._mark(cue, ts if ts in self._answerable else next(reversed(self._requests), ""))

    def rang(self, person: str, how: str, text: str) -> None:
        """Heard by everybody in the room. In the loop of Slack."""
        self._tell(f"RING @{person} ({how})", text)
        self._take_cues("ring", f"{person} {how}", text, "")

    async def _type(self, who: str, text: str) -> None:
        self._tell(who, text)
        answer = await self._slack.type(IDS[who], CHANNEL, text)
        if answer.failure:
            self._tell("slack", f"(only {who}) {answer.text}")

    def _mark(self, cue: Cue, ts: str) -> None:
        emoji = cue.reacts or cue.unreacts
        self._tell(cue.who, f"{'reacts' if cue.reacts else 'takes back'} :{emoji}:")
        try:
            (self._slack.react if cue.reacts else self._slack.unreact)(IDS[cue.who], ts, emoji)
        except Refusal as no:
            self._tell("slack", f"(only {cue.who}) {no.code}")
