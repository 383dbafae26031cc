"""Commands: saved, then acknowledged, then worked on elsewhere, so that Slack's 3 seconds are never a question.

The acknowledgement is silent: the answer follows at once, and only one that takes longer is announced.

What was acknowledged is a row, so a crash loses nothing: after a start the same rows are worked on, and working one
twice is harmless. A row lands first and counts from its second write on, which comes only if its sender was not refused
meanwhile: so nothing has to be written about a refusal, and no crash makes a refused command count. One that is found
hours later is void: nobody expects an upgrade to begin because the bot's host came back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from threading import Lock
from typing import Protocol

from commands.api import Reply
from store.api import CommandRow, Store, StoreError
from workflows.site import ChatDown

SAVE_S = 2.0
"""Of Slack's 3 seconds; the rest is for the way back."""
SOON_S = 1.0
"""Whoever has no answer after so long is told that it comes."""
OLD_S = 900.0
"""Older saved commands are not worked on any more."""
REST_S = 30.0  # without a wake

ON_IT = "👍 On it; the answer follows."
NOT_SAVED = "⚠️ I could not save this, so nothing was done: my disk did not answer in time. Type it again in a minute."
TOO_OLD = "⚠️ I was not running when you typed `{slash} {text}`, and did nothing. Type it again if it still holds."
STOPPED = "⚠️ I was stopped while I saved `{slash} {text}`, and did nothing. Type it again if it still holds."
FAULT = (
    "⚠️ A fault of the bot itself kept me from answering; it is in the log. `/upgrade status` shows what is going on."
)

log = logging.getLogger(__name__)


class Replying(Protocol):
    def __call__(self, row: CommandRow, reply: Reply) -> None:
        """Raises ChatDown."""
        ...


class Saved(Enum):
    NEW = "it counts"
    AGAIN = "it counts, and was delivered before"
    NOT = "it does not count, whatever lands later"


class Inbox:
    """`answer` works a command and words the reply; `reply` brings it to whoever typed."""

    def __init__(
        self,
        store: Store,
        answer: Callable[[CommandRow], Reply],
        reply: Replying,
        clock: Callable[[], float],
        landed: Callable[[], None],
    ) -> None:
        self._store, self._answer, self._reply, self._clock = store, answer, reply, clock
        self.landed = landed
        self._savers, self._announcer = ThreadPoolExecutor(2, "save"), ThreadPoolExecutor(1, "announce")
        self._began, self._starts = clock(), True
        self._unanswered: set[str] = set()
        self._telling = Lock()

    async def receive(self, row: CommandRow) -> str:
        """Save it; what to tell the sender at once, "" if nothing."""
        self._unanswered.add(row.id)  # before anybody can answer it
        claim = Future[None]()
        saving = self._savers.submit(self._save, row, claim)
        try:
            saved = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(saving)), SAVE_S)
        except TimeoutError:
            saved = Saved.NOT if claim.cancel() else Saved.NEW
        except StoreError:
            saved = Saved.NOT
        if saved is Saved.NEW:
            asyncio.get_running_loop().call_later(SOON_S, self._announcer.submit, self._announce, row)
        else:  # delivered twice, it was perhaps answered meanwhile
            self._unanswered.discard(row.id)
        if saved is Saved.NOT:
            log.error("inbox: command '%s' is refused: it could not be saved", row.id)
            return NOT_SAVED
        return ""

    def step(self) -> float:
        """Work every saved command, oldest first; seconds until the next look."""
        if self._starts:
            self._starts = False
            self._call_off_landed()
        for row in self._store.commands("saved"):
            self._work(row)
        return REST_S

    def stop(self) -> None:
        self._savers.shutdown(wait=False)
        self._announcer.shutdown(wait=False, cancel_futures=True)

    # ----------------------------------------------------------------------------------------------------------

    def _save(self, row: CommandRow, claim: Future[None]) -> Saved:
        """`claim` decides once between refusing it (cancelled) and letting it count (running)."""
        if claim.cancelled():
            return Saved.NOT
        try:
            fresh = self._store.save_command(replace(row, state="landed"))
            counts = claim.set_running_or_notify_cancel() and self._store.accept_command(row.id)
        except StoreError as error:
            log.error("inbox: command '%s': %s", row.id, error)
            raise
        if not counts:
            return Saved.NOT
        self.landed()
        return Saved.NEW if fresh else Saved.AGAIN

    def _work(self, row: CommandRow) -> None:
        if self._clock() - row.at > OLD_S:
            self._call_off(row, TOO_OLD)
            return
        self._tell(row, self._worked(row))  # before it is settled: a crash in between answers twice rather than never
        self._store.settle_command(row.id, "done")

    def _call_off_landed(self) -> None:
        """Those of a process before this one: nobody is at them any more."""
        for row in self._store.commands("landed"):
            if row.at < self._began:
                self._call_off(row, STOPPED)

    def _call_off(self, row: CommandRow, why: str) -> None:
        self._tell(row, Reply(why.format(slash=row.slash, text=row.text)))
        self._store.settle_command(row.id, "void")

    def _worked(self, row: CommandRow) -> Reply:
        try:
            return self._answer(row)
        except StoreError:
            raise
        except Exception:
            log.exception("inbox: command '%s' (%s %s) met a fault", row.id, row.slash, row.text)
            return Reply(FAULT)

    def _announce(self, row: CommandRow) -> None:
        with self._telling:  # never after the answer
            if row.id in self._unanswered:
                self._send(row, Reply(ON_IT))

    def _tell(self, row: CommandRow, reply: Reply) -> None:
        with self._telling:
            self._unanswered.discard(row.id)
            self._send(row, reply)

    def _send(self, row: CommandRow, reply: Reply) -> None:
        """What was ordered is done, told or not: the thread shows it."""
        try:
            self._reply(row, reply)
        except ChatDown as down:
            log.warning("inbox: the answer to '%s' did not reach '%s': %s", row.id, row.user, down)
