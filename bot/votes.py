"""Reactions on approval requests: by event as they come, and by reading, for what no event told.

An event carries the time of the deed; a reaction that was found by reading carries none, so it counts from when it was
found. Slack delivers events late, twice and in any order: an id counts once, and what is older than what is known of
the same person and mark changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event
from typing import ParamSpec, Protocol

from bot.delivery import Poster, place_emoji
from bot.slackchat import Refused
from bot.story import UNREADABLE, Story, kind, node_of
from engine.port import Saying
from store.api import OrderRow, OutboxRow, RunRow, Store, VoteRow
from workflows.acknowledging import react
from workflows.alerts import OUTAGE
from workflows.approvals import APPROVE, MARKS, REJECT, normalised, note_vote
from workflows.settings import ManagedCluster
from workflows.site import Chat, ChatDown, Watchers

FRESH_S = 10.0
"""What was noted so lately is not corrected by reading: the answer may be older than the event."""
REST_S = 30.0  # without a wake
AGAIN_S = 2.0  # until they could be read for the first time
EARLY_S, EARLY_REST_S = 60.0, 0.5
"""A message stands in Slack before its row says so: while Slack's answer is on its way, or is looked up after a broken
line. A reaction under a message that is not known is looked at again for so long."""
MOST_RUNS = 1000

log = logging.getLogger(__name__)

P = ParamSpec("P")

Clusters = Mapping[str, ManagedCluster]


class VotingChat(Chat, Poster, Protocol):
    """Asked for reactions and groups, and told to place emoji."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A reaction_added or reaction_removed event. `at`: Slack's event_ts, the time of the deed, in epoch seconds."""

    event_id: str
    channel: str
    ts: str
    user: str
    emoji: str
    given: bool
    at: float


class Votes:
    """`poked` is called when a run may have something to look at."""

    def __init__(
        self,
        store: Store,
        chat: VotingChat,
        clusters: Clusters,
        clock: Callable[[], float],
        poked: Callable[[], None],
        watchers: Watchers | None = None,
    ) -> None:
        self._store, self._chat, self._clusters, self._clock, self._poked = store, chat, clusters, clock, poked
        self._watchers = watchers
        self._events: SimpleQueue[Mark] = SimpleQueue()
        self._early: list[tuple[float, Mark]] = []
        self._reading, self._read_once = Event(), Event()

    def put(self, mark: Mark) -> None:
        """Never blocks."""
        self._events.put(mark)

    def read_again(self) -> None:
        """With the next step: something may have been missed."""
        self._reading.set()

    def step(self) -> float:
        """Work all events that came, and read what was asked for; seconds until the next look."""
        early, self._early = self._early, []
        for since, mark in early:
            self._try(self._place, mark, since)
        with suppress(Empty):
            while True:
                self._try(self.work, self._events.get_nowait())
        if self._reading.is_set():
            self._reading.clear()
            if not self.try_to_read() and not self._read_once.is_set():
                self._reading.set()
                return AGAIN_S
        return EARLY_REST_S if self._early else REST_S

    def were_read(self, limit: float) -> bool:
        """Whether all reactions have been read since the start; waits for that for `limit` seconds at most."""
        return self._read_once.wait(limit)

    def _try(self, work: Callable[P, None], *args: P.args, **more: P.kwargs) -> None:
        try:
            work(*args, **more)
        except ChatDown as down:
            log.warning("votes: a reaction waits for the next reading: %s", down)
        except UNREADABLE:
            log.exception("votes: a reaction cannot be understood")

    def try_to_read(self) -> bool:
        """False if Slack did not answer: what is there stays unknown until the next reading."""
        try:
            self.reconcile()
        except ChatDown as down:
            log.warning("votes: reactions were not read: %s", down)
            return False
        self._read_once.set()
        return True

    def work(self, mark: Mark) -> None:
        """One event. Raises ChatDown when a user group cannot be read; the next reading makes up for it."""
        now = self._clock()
        if self._store.first_sight(mark.event_id, now):
            self._place(mark, now)

    def _place(self, mark: Mark, since: float) -> None:
        """`since`: when it was heard of. Under a message of somebody else it is forgotten after a while."""
        row = self._store.posted(mark.channel, mark.ts)
        if row is not None and kind(row) == "approval":
            self._note(row, mark.user, mark.emoji, mark.given, mark.at)
        elif row is not None:
            self._react(row, mark.user, mark.emoji, mark.given, mark.at)
        elif 0 <= self._clock() - since < EARLY_S:
            self._early.append((since, mark))

    def reconcile(self) -> None:
        """Read the reactions under every open request. Raises ChatDown."""
        for run in self._store.runs(state="active", limit=MOST_RUNS):
            if run.workflow == OUTAGE:
                self._try_outage(run)
                continue
            for row in self._open_requests(run.id):
                self._read(row)

    # ----------------------------------------------------------------------------------------------------------

    def _open_requests(self, run_id: str) -> list[OutboxRow]:
        story = Story.read(self._store, run_id)
        try:
            return story.open_requests() if story else []
        except UNREADABLE:
            log.exception("votes: the requests of run '%s' cannot be found", run_id)
            return []

    def _read(self, row: OutboxRow) -> None:
        now = self._clock()  # before the answer, so that what comes meanwhile is fresh
        found = {normalised(r.name): set(r.users) for r in self._chat.reactions(row.channel, row.ts)}
        if self._chat.bot_user not in found.get(APPROVE, set()) & found.get(REJECT, set()):
            place_emoji(self._chat, row.channel, row.ts)
        for emoji, mark in MARKS.items():
            given = found.get(emoji, set()) - {self._chat.bot_user}
            known = self._known(row, mark)
            for user in sorted(given):
                if not _standing(known.get(user)) and not _fresh(known.get(user), now):
                    self._note(row, user, emoji, True, now)
            for user, vote in known.items():
                if vote.given and user not in given and not _fresh(vote, now):
                    self._note(row, user, emoji, False, now)

    def _try_outage(self, run: RunRow) -> None:
        """A no of Slack's (its message was deleted, its channel archived) stays one, and is about this outage alone."""
        try:
            self._read_outage(run)
        except Refused as no:
            if no.retry_after:
                raise
            log.warning("votes: reactions of '%s' cannot be read: %s", run.id, no)

    def _read_outage(self, run: RunRow) -> None:
        """Who reacted while nobody listened has it from now on: the head of the thread and the newest page are read."""
        posted = [row for row in self._store.outbox(run.id) if row.ts and kind(row) in ("board", "page")]
        orders = self._store.orders(run.id)
        for row in {row.id: row for row in (*posted[:1], *posted[-1:])}.values():
            heard = {order.by for order in orders if _after(order, row)}
            for reaction in self._chat.reactions(row.channel, row.ts):
                for user in set(reaction.users) - heard - {self._chat.bot_user}:
                    self._react(row, user, reaction.name, True, self._clock())

    def _react(self, row: OutboxRow, user: str, emoji: str, given: bool, at: float) -> None:
        if user == self._chat.bot_user:
            return
        at = min(at, self._clock())  # by Slack's clock; one that goes before ours must not seem to be still to come
        why = react(self._store, self._watchers, row, user, normalised(emoji), given, at)
        if why:
            text = f"ℹ️ Your :{normalised(emoji)}: does not count: {why}."
            key = f"private.{row.key}.{user}.{normalised(emoji)}"
            self._store.put_out(row.run_id, key, Saying("private", text, to=user).plain(), self._clock())
        self._poked()

    def _known(self, row: OutboxRow, mark: str) -> dict[str, VoteRow]:
        """The last word of each person."""
        return {vote.user: vote for vote in self._store.votes(row.run_id, row.key) if vote.mark == mark}

    def _note(self, row: OutboxRow, user: str, emoji: str, given: bool, at: float) -> None:
        run = self._store.run(row.run_id)
        managed = self._clusters.get(run.cluster) if run else None
        if managed is None or user == self._chat.bot_user or self._late(row, user, emoji, at):
            return
        why = note_vote(self._store, self._chat, managed, row.run_id, row.key, user, emoji, given, at)
        why = why or self._too_late(row, given)
        if why:
            self._tell(row, user, emoji, given, why)
        self._poked()

    def _late(self, row: OutboxRow, user: str, emoji: str, at: float) -> bool:
        """A newer deed of the same person and mark is known already."""
        vote = self._known(row, MARKS.get(normalised(emoji), "")).get(user)
        return vote is not None and vote.at > at

    def _too_late(self, row: OutboxRow, given: bool) -> str:
        """Why a mark that was written changes nothing any more, as half a sentence; "" if it does."""
        story = Story.read(self._store, row.run_id)
        if story is None or story.replaced(row):
            return "this request is closed; its first line says why" if given else ""
        return "" if given else story.begun(row)

    def _tell(self, row: OutboxRow, user: str, emoji: str, given: bool, why: str) -> None:
        """Privately, and once for each person, request and mark, however often it is read or delivered again."""
        verb = "does not count" if given else "comes too late"
        text = f"ℹ️ Your :{normalised(emoji)}: for {node_of(row)} {verb}: {why}."
        key = f"private.{row.key}.{user}.{normalised(emoji)}.{'given' if given else 'taken'}"
        self._store.put_out(row.run_id, key, Saying("private", text, to=user).plain(), self._clock())


def _after(order: OrderRow, row: OutboxRow) -> bool:
    """It may be the reaction that stands under this message, or was given since. An older one is not: whoever has
    reacted to the first page, and to the newest one once more, is heard again."""
    return order.source.startswith(f"reaction {row.ts} ") or order.at >= float(row.ts)


def _standing(vote: VoteRow | None) -> bool:
    return vote is not None and vote.given


def _fresh(vote: VoteRow | None, now: float) -> bool:
    return vote is not None and vote.at > now - FRESH_S
