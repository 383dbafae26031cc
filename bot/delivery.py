"""The outbox, delivered to Slack: once as far as a reader can tell, in order, and never a page behind progress.

Slack has no idempotency key. So every post carries its run and key as metadata, and a message that was tried before
(a crash, a broken line, a timeout) is looked up before it is posted again; where Slack refuses the look-up, it is
rather posted twice than never. Posts have no retry of their own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bot import views
from bot.slackchat import RATE_LIMITED, Blocks, Refused
from bot.story import UNREADABLE, Story, kind
from bot.undelivered import Undelivered
from bot.views import View
from engine.port import Saying
from store.api import OutboxRow, Store
from workflows import messages_delivery
from workflows.approvals import APPROVE, REJECT
from workflows.site import ChatDown

LOOK_S = 0.25  # between two looks at the outbox
MANY, SELDOM_S = 50, 1.0
"""While so many wait for their second, looking at them all is dear; they go out one a second anyway."""
BURST = 5.0  # posts to one channel at once; beyond, one a second (Slack's own limit)
FIRST_REST_S = 2.0  # after no answer; doubled with each try
LONGEST_REST_S = 60.0
FAR_S = 3600.0  # nobody rests for so long; until later than that, the clock was put back
REFUSED_REST_S = 60.0  # after a no that a person has to mend: no invitation, no such channel
LOOKS = 5
"""A message whose look-up is refused so often is posted without; a page at once. Rather twice than never."""
URGENT = ("page", "direct")
"""They wait for nothing: neither for their thread, nor for a second of the channel, nor behind another one."""
SAY_PLAIN = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")

log = logging.getLogger(__name__)


class Poster(Protocol):
    """What delivery needs of Slack; SlackChat has it. All raise ChatDown: Refused, or Unsure."""

    def post(self, channel: str, thread: str, text: str, blocks: Blocks, run_id: str, key: str) -> str: ...

    def find(self, channel: str, thread: str, run_id: str, key: str, since: float) -> str: ...

    def whisper(self, channel: str, thread: str, user: str, text: str) -> None: ...

    def open_direct(self, user: str) -> str: ...

    def react(self, channel: str, ts: str, emoji: str) -> None: ...

    def link(self, channel: str, ts: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes; `thread` is the board's ts, "" for the top level."""

    channel: str
    thread: str


@dataclass(frozen=True, slots=True)
class Loose:
    """Stands in for the story of a message that belongs to no run: a hand-off, a gap in a rota. Its `detail` names its
    channel, or it is a direct message."""

    channel: str
    rows: tuple[OutboxRow, ...] = ()

    @classmethod
    def read(cls, row: OutboxRow) -> Loose:
        channel = str(row.message["detail"].get("channel", ""))
        if not channel and kind(row) != "direct":
            raise ValueError(f"there is no run {row.run_id!r}, and the message names no channel")
        return cls(channel)

    def stale(self, row: OutboxRow) -> bool:
        return False

    def view(self, row: OutboxRow) -> View:
        return views.note(Saying.of(row.message))


class Bucket:
    """`burst` at once, then one per `every` seconds."""

    def __init__(self, burst: float, every: float) -> None:
        self._burst, self._every = burst, every
        self._left, self._at = burst, 0.0

    def ready(self, now: float) -> bool:
        self._left = min(self._burst, self._left + max(now - self._at, 0.0) / self._every)
        self._at = now
        return self._left >= 1

    def take(self, now: float) -> bool:
        """False if it is empty. It never runs a debt."""
        ready = self.ready(now)
        self._left -= ready
        return ready


def in_turn(due: Iterable[OutboxRow]) -> list[OutboxRow]:
    """Pages, then threads in which an approval is asked, then the rest; each thread in its order."""
    rows = list(due)
    asking = asking_runs(rows)
    return sorted(rows, key=lambda row: (kind(row) not in URGENT, row.run_id not in asking, row.id))


def asking_runs(rows: Iterable[OutboxRow]) -> set[str]:
    return {row.run_id for row in rows if kind(row) == "approval"}


def resting(until: float, now: float) -> bool:
    return now < until <= now + FAR_S


def rest_after(tries: int) -> float:
    return float(min(FIRST_REST_S * 2 ** max(tries, 0), LONGEST_REST_S))


class Delivery:
    """`step` delivers all that may go now. `channel_of`: the Slack channel of a cluster, "" if it has none any more.
    `channels`: where a page is posted, in this order, that its own channel does not take."""

    def __init__(
        self,
        store: Store,
        chat: Poster,
        channel_of: Callable[[str], str],
        clock: Callable[[], float],
        channels: Sequence[str] = (),
    ) -> None:
        self._store, self._chat, self._channel_of, self._clock = store, chat, channel_of, clock
        self._channels = channels
        self.undelivered = Undelivered(clock)
        self._buckets: dict[str, Bucket] = {}
        self._bucket_of: dict[str, Bucket] = {}
        self._rest_until = 0.0
        self._stories: dict[str, Story | Loose] = {}  # of one step: of a ladder of days, each is thousands of rows
        self._held_up: dict[str, float] = {}  # run -> when the message that its thread waits for is tried again
        self._told: set[tuple[str, str]] = set()
        self._refused_looks: Counter[int] = Counter()

    def step(self) -> float:
        """Seconds until the next look."""
        now = self._clock()
        if resting(self._rest_until, now):
            return min(self._rest_until - now, LONGEST_REST_S)
        self._stories.clear()
        due = self._store.undelivered(now, FAR_S)
        asking, stopped = asking_runs(due), set[str]()
        for row in in_turn(due):
            urgent = row.run_id in asking or kind(row) in URGENT
            if (row.run_id in stopped and kind(row) not in URGENT) or not (urgent or self._may_go(row)):
                continue
            if not self._try(row, urgent=urgent):
                stopped.add(row.run_id)
            if resting(self._rest_until, self._clock()):
                break
        return LOOK_S if len(due) < MANY else SELDOM_S

    # one message ----------------------------------------------------------------------------------------------

    def _try(self, row: OutboxRow, *, urgent: bool) -> bool:
        """True if the thread may go on with its next message."""
        try:
            return self._deliver(row, urgent)
        except ChatDown as down:
            self._push_back(row, down)
        except UNREADABLE as fault:
            log.exception("delivery: message '%s' of run '%s' cannot be shown", row.key, row.run_id)
            self._store.not_delivered(row.id, f"cannot be shown: {fault!r}", self._clock() + REFUSED_REST_S)
        return kind(row) in ("private", "direct")

    def _deliver(self, row: OutboxRow, urgent: bool) -> bool:
        story = self._story(row)
        if story.stale(row) or self._given_up(story, row):
            self._settle(row)
            if kind(row) not in URGENT:
                self._stories.pop(row.run_id, None)  # others waited for it
            return True
        place, first = self._place(story, row), _first(row, story.rows)
        if place is None or (first is not None and not urgent):
            self._held_up[row.run_id] = first.next_at if first else 0.0
            return False
        bucket = self._buckets.setdefault(place.channel, Bucket(BURST, 1.0))
        if kind(row) != "direct":
            self._bucket_of[row.run_id] = bucket
        if not bucket.take(self._clock()) and not urgent:
            return False
        self._send(story, row, place)
        return True

    def _given_up(self, story: Story | Loose, row: OutboxRow) -> bool:
        """A page is not, as long as its run goes on: it is tried every minute, and `undelivered` says so. A whole
        thread is, with its board."""
        goes_on = isinstance(story, Story) and story.run.state == "active"
        if kind(row) in URGENT:
            given_up = self.undelivered.hopeless(row) and not (kind(row) == "page" and goes_on)
        else:
            given_up = self.undelivered.hopeless(row) or _never_began(story.rows)
        if not given_up:
            return False
        log.error("delivery: message '%s' of run '%s' is given up: %s", row.key, row.run_id, row.error)
        return True

    def _settle(self, row: OutboxRow, channel: str = "", ts: str = "") -> None:
        self._store.delivered(row.id, self._clock(), channel, ts)
        self.undelivered.settled(row)

    def _story(self, row: OutboxRow) -> Story | Loose:
        if row.run_id not in self._stories:
            self._stories[row.run_id] = Story.read(self._store, row.run_id) or Loose.read(row)
        return self._stories[row.run_id]

    def _send(self, story: Story | Loose, row: OutboxRow, place: Place) -> None:
        self._stories.pop(row.run_id, None)  # it will be another one
        self._held_up.pop(row.run_id, None)
        saying = Saying.of(row.message)
        if saying.kind == "private":
            self._whisper(row, place, saying)
            return
        view = self._view(story, row, saying)
        try:
            ts = self._found(row, place) or self._post(row, place, view)
        except Refused as no:
            if saying.kind != "page" or not _lasts(no):
                raise
            place, ts = self._elsewhere(story, row, place, no)
        self._settle(row, place.channel, ts)
        self._store.rendered(row.id, view.digest())
        if saying.kind == "approval":
            place_emoji(self._chat, place.channel, ts)
        if saying.kind == "board" and (link := self._chat.link(place.channel, ts)):
            self._store.keep(f"link/{row.run_id}", link, self._clock())  # for what rings: it cannot wait for Slack

    def _elsewhere(self, story: Story | Loose, row: OutboxRow, place: Place, no: Refused) -> tuple[Place, str]:
        """A page whose own channel does not take it is posted where it is heard all the same. Raises Refused where no
        channel takes it."""
        told = Saying.of(row.message)
        view = self._view(story, row, replace(told, text=f"{told.text}\n{messages_delivery.said_elsewhere(str(no))}"))
        now_its_own = self._channel_of(story.run.cluster) if isinstance(story, Story) else ""
        for channel in dict.fromkeys((now_its_own, *self._channels)):
            other = Place(channel, "")
            if channel in ("", place.channel):
                continue
            try:
                return other, self._found(row, other) or self._post(row, other, view)
            except Refused as as_well:
                if not _lasts(as_well):
                    raise
        raise no

    def _view(self, story: Story | Loose, row: OutboxRow, saying: Saying) -> View:
        if saying.kind not in URGENT:
            return story.view(row)
        board = _board(story.rows)
        return views.page(saying, self._chat.link(board.channel, board.ts) if board and board.ts else "")

    def _found(self, row: OutboxRow, place: Place) -> str:
        """The message, if an earlier try brought it there after all. Every try is asked for, also one that was refused:
        the process may have ended between a later try and its answer."""
        if row.tried_at is None:
            return ""
        try:
            return self._chat.find(place.channel, place.thread, row.run_id, row.key, row.created_at)
        except Refused as no:
            if no.code == RATE_LIMITED or not self._looked_enough(row, no):
                raise
            return ""

    def _looked_enough(self, row: OutboxRow, no: Refused) -> bool:
        """A look-up that is refused (a scope that is missing, too many messages) is so again; the message must go."""
        self._refused_looks[row.id] += 1
        enough, looks = 1 if kind(row) in URGENT else LOOKS, self._refused_looks[row.id]
        if looks == enough:
            log.error("delivery: message '%s' of run '%s' is posted, perhaps twice: %s", row.key, row.run_id, no)
        return looks >= enough

    def _post(self, row: OutboxRow, place: Place, view: View) -> str:
        self._store.trying(row.id, self._clock())
        try:
            return self._chat.post(place.channel, place.thread, view.text, view.blocks, row.run_id, row.key)
        except Refused as no:
            if no.code not in SAY_PLAIN:
                raise
            log.warning("delivery: message '%s' of run '%s' is sent as plain text: %s", row.key, row.run_id, no)
            return self._chat.post(place.channel, place.thread, view.text, (), row.run_id, row.key)

    def _whisper(self, row: OutboxRow, place: Place, saying: Saying) -> None:
        """Cannot be looked up, so a crash may repeat it. One that is refused is given up: the person may have left."""
        try:
            self._chat.whisper(place.channel, place.thread, saying.to, saying.text)
        except Refused as no:
            if no.retry_after:
                raise
            log.warning("delivery: '%s' was not told: %s", saying.to, no)
        self._settle(row)

    # where, and when again --------------------------------------------------------------------------------------

    def _place(self, story: Story | Loose, row: OutboxRow) -> Place | None:
        """None while its thread has not begun. A run stays in the channel where its board stands; a direct message has
        a channel of its own."""
        if kind(row) == "direct":
            return Place(self._chat.open_direct(Saying.of(row.message).to), "")
        if isinstance(story, Loose):
            return Place(story.channel, "")
        board = _board(story.rows)
        if board is not None and board.ts:
            return Place(board.channel, "" if kind(row) in ("board", "page") else board.ts)
        if board is not None and kind(row) not in ("board", "page"):
            return None
        channel = self._channel_of(story.run.cluster)
        if not channel:
            raise Refused(f"the settings name no channel for cluster '{story.run.cluster}'", "no_channel")
        return Place(channel, "")

    def _may_go(self, row: OutboxRow) -> bool:
        """Asked first, for a hundred messages may wait for their second, or for days behind one that is refused, and
        looking at each of their runs is dear."""
        bucket, now = self._bucket_of.get(row.run_id), self._clock()
        return not resting(self._held_up.get(row.run_id, 0.0), now) and (bucket is None or bucket.ready(now))

    def _push_back(self, row: OutboxRow, down: ChatDown) -> None:
        now, rest = self._clock(), rest_after(row.tries)
        if isinstance(down, Refused):
            rest = down.retry_after or REFUSED_REST_S
            if _lasts(down):
                self.undelivered.refused(row, str(down))
        if not isinstance(down, Refused) or down.retry_after:
            self._rest_until = now + rest  # no answer, or too many calls: that holds for every message
        self._store.not_delivered(row.id, str(down), now + rest)
        self._tell(row, down)

    def _tell(self, row: OutboxRow, down: ChatDown) -> None:
        """Once in the log, not with every try. Never to Slack: a bot that reports its rate limit makes it worse."""
        told = (row.run_id, down.code if isinstance(down, Refused) else "no answer")
        if told not in self._told:
            self._told.add(told)
            log.error("delivery: message '%s' of run '%s' waits: %s", row.key, row.run_id, down)


def place_emoji(chat: Poster, channel: str, ts: str) -> None:
    """So that one tap answers. What fails here is mended when the reactions are read again."""
    for emoji in (APPROVE, REJECT):
        try:
            chat.react(channel, ts, emoji)
        except ChatDown as down:
            log.warning("delivery: no :%s: under '%s' yet: %s", emoji, ts, down)


def _board(rows: Sequence[OutboxRow]) -> OutboxRow | None:
    return next((row for row in rows if kind(row) == "board"), None)


def _lasts(no: Refused) -> bool:
    """It will be refused again, until somebody mends it."""
    return not no.retry_after and no.code != RATE_LIMITED


def _never_began(rows: Sequence[OutboxRow]) -> bool:
    """The board was given up, so there is no thread, and there will be none."""
    board = _board(rows)
    return board is not None and board.delivered_at is not None and not board.ts


def _first(row: OutboxRow, rows: Sequence[OutboxRow]) -> OutboxRow | None:
    """The earlier message of its thread that is still to come, if any."""
    alone = (*URGENT, "private")
    if kind(row) in alone:
        return None
    return next((r for r in rows if r.id < row.id and r.delivered_at is None and kind(r) not in alone), None)
