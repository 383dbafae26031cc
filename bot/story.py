"""One run as it is kept: its row, its journal and its messages; and how each message that is kept up to date stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import views, views_restore
from bot.views import View
from engine.port import Saying
from store.api import AlertRow, Entry, OrderRow, OutboxRow, PageRow, RunRow, Store
from workflows.alerts import OUTAGE
from workflows.approvals import APPROVE
from workflows.messages import span
from workflows.orders import Order, aborted, skipped
from workflows.pager_test import PAGER_TEST
from workflows.phases import UPGRADE, Phase, key_of, unnumbered
from workflows.picture import Wait, picture
from workflows.picture_outage import picture as picture_outage
from workflows.picture_restore import WORKFLOWS, rescue_picture
from workflows.roles import mention

REBOOTED = "the reboot was sent before you took it back; `/upgrade abort` lets this node end and stops then"
KEPT = ("board", "approval", "progress")
"""Kinds of messages that are edited when what they show changes."""

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What a message or a journal that is not as it should be raises: one such record must not stop a loop."""


def kind(row: OutboxRow) -> str:
    return str(row.message["kind"])


def node_of(row: OutboxRow) -> str:
    """The node, or the guest, that an approval or a progress message is about."""
    detail = row.message["detail"]
    about: str = detail.get("subject") or detail.get("node") or row.message["about"]
    return about.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Story:
    """`rows`: the run's messages, in the order in which they were written."""

    run: RunRow
    entries: Sequence[Entry]
    orders: Sequence[OrderRow]
    rows: Sequence[OutboxRow]
    alerts: Sequence[AlertRow] = ()
    pages: Sequence[PageRow] = ()

    @classmethod
    def read(cls, store: Store, run_id: str) -> Story | None:
        run = store.run(run_id)
        if run is None:
            return None
        outage = (store.alerts(run_id), store.pages(run_id)) if run.workflow == OUTAGE else ((), ())
        return cls(run, store.entries(run_id), store.orders(run_id), store.outbox(run_id), *outage)

    @property
    def _slash(self) -> str:
        """What people type to order this run about."""
        return "/upgrade" if self.run.workflow == UPGRADE else "/restore"

    @property
    def wait(self) -> Wait | None:
        return Wait(**self.run.parked) if self.run.parked else None

    # what is shown --------------------------------------------------------------------------------------------

    def view(self, row: OutboxRow) -> View:
        """A message as it should look now; for kinds that are never edited: as it is posted."""
        saying = Saying.of(row.message)
        match saying.kind:
            case "board":
                board = BOARDS.get(self.run.workflow)
                return board(self) if board else views.note(saying)
            case "approval":
                return views.approval(saying, self.closed(row) or self._expired(row))
            case "progress":
                return views.progress(saying, self._live(row), self.over(row))
        return views.note(saying)

    def changes(self) -> list[tuple[OutboxRow, View]]:
        """Messages that stand in Slack and should look different by now; closed requests first, for those mislead."""
        found = []
        for row in self.rows:
            if row.ts and kind(row) in KEPT and not self._rests(row):
                view = self.view(row)
                if view.digest() != row.rendered:
                    found.append((row, view))
        return sorted(found, key=lambda change: kind(change[0]) != "approval")

    def _rests(self, row: OutboxRow) -> bool:
        """A progress message between two waits, or during a hold, goes on showing what was seen last."""
        return kind(row) == "progress" and self._live(row) is None and not self.over(row)

    # approvals ------------------------------------------------------------------------------------------------

    def open_requests(self) -> list[OutboxRow]:
        """Approval requests that stand in Slack and wait for an answer."""
        return [row for row in self.rows if row.ts and kind(row) == "approval" and not self.closed(row)]

    def replaced(self, row: OutboxRow) -> bool:
        """Marks under this request mean nothing any more."""
        return self.run.state != "active" or self._newer(row) or bool(self._called_off(row))

    def closed(self, row: OutboxRow) -> str:
        """Why nobody needs to answer this request any more, as a sentence; "" while it is open."""
        last = self._last_wait(row)
        answered = _answered(last.value) if last is not None and last.kind == "result" else ""
        if answered:
            unused = self._newer(row) and not self.begun(row)
            return answered + (" It was asked again since, so this one does not count any more." if unused else "")
        if self._newer(row):
            return "🔄 Replaced by a newer request."
        return self._called_off(row) or ("" if self.run.state == "active" else "🔒 The run has ended.")

    def _expired(self, row: OutboxRow) -> str:
        """Marks under it are still read: who approves now has it asked again (Wheel.approved_late)."""
        last = self._last_wait(row)
        match last and last.value:
            case ["saw", {"how": "expired"}]:
                return f"⌛ Nobody answered in time. :{APPROVE}: makes me ask again."
        return ""

    def _called_off(self, row: OutboxRow) -> str:
        """By an order, whatever it found the run at: the wait for an answer, a hold after it, or a pause."""
        if aborted(self.orders):
            return f"🔒 Closed by `{self._slash} {Order.ABORT}`."
        return f"🔒 Closed by `{self._slash} {Order.SKIP}`." if skipped(self.orders, node_of(row)) else ""

    def begun(self, row: OutboxRow) -> str:
        """Why taking the mark back comes too late, as half a sentence: what this request allowed was begun. Else ""."""
        detail = row.message["detail"]
        act = detail.get("act") or key_of(node_of(row), Phase.REBOOT)
        did = any(
            entry.kind == "result" and unnumbered(entry.key) == act and entry.value[0] == "did"
            for entry in self._after(row)
        )
        return detail.get("too_late", REBOOTED) if did else ""

    def _newer(self, row: OutboxRow) -> bool:
        return any(kind(r) == "approval" and r.id > row.id and node_of(r) == node_of(row) for r in self.rows)

    def _last_wait(self, row: OutboxRow) -> Entry | None:
        """The newest entry of the waits for an answer to this request: open as long as it is no result."""
        wait = f"{key_of(node_of(row), Phase.ASK)}.wait"
        requests = {r.key for r in self.rows if kind(r) == "approval" and node_of(r) == node_of(row)}
        found = None
        for entry in self._after(row):
            if entry.key in requests:
                break
            if unnumbered(entry.key) == wait:
                found = entry
        return found

    def _after(self, row: OutboxRow) -> Sequence[Entry]:
        """The journal after this message was written."""
        place = next((n for n, entry in enumerate(self.entries) if entry.key == row.key), len(self.entries))
        return self.entries[place + 1 :]

    # progress -------------------------------------------------------------------------------------------------

    def stale(self, row: OutboxRow) -> bool:
        """Not worth posting any more: progress that is over, a page of an outage or a drill that is over, of an outage
        that somebody has, or that was followed by a newer one (a direct message: to the same person)."""
        if kind(row) in ("page", "direct") and self.run.workflow in (OUTAGE, PAGER_TEST):
            rings = self.run.state == "active" and self.run.args.get("mode", "ring") == "ring"
            newer = (r for r in self.rows if r.id > row.id and kind(r) == kind(row))
            return not rings or any(r.message.get("to") == row.message.get("to") for r in newer)
        return kind(row) == "progress" and (bool(self.over(row)) or row.id != self._newest_progress(row))

    def over(self, row: OutboxRow) -> str:
        """The last word of a progress message, "" while its wait may still come or go on."""
        wait = f"{row.message['about']}.wait"
        ends = [_ended(e.value, self._slash) for e in self.entries if e.kind == "result" and unnumbered(e.key) == wait]
        if ends and ends[-1]:
            return ends[-1]
        return "" if self.run.state == "active" else "The run has ended; this is no longer followed."

    def _live(self, row: OutboxRow) -> Wait | None:
        """The wait that feeds this progress message now."""
        wait = self.wait
        if (
            wait is None
            or wait.detail.keys().isdisjoint(views.FOLLOWED)
            or row.id != self._newest_progress(row)
            or self.over(row)
        ):
            return None
        return wait if wait.key.partition(".")[0] == node_of(row) else None

    def _newest_progress(self, row: OutboxRow) -> int:
        return max(r.id for r in self.rows if kind(r) == "progress" and node_of(r) == node_of(row))


def _upgrade_board(story: Story) -> View:
    return views.board(picture(story.run, story.entries, story.orders))


def _outage_board(story: Story) -> View:
    """Who has it is judged at the last look, so that the same rows always look the same."""
    at = (story.run.parked or {}).get("looked_at", story.run.created_at)
    return views.outage(picture_outage(story.run, story.alerts, story.orders, story.pages, at))


def _rescue_board(story: Story) -> View:
    return views_restore.board(rescue_picture(story.run, story.entries))


BOARDS: Mapping[str, Callable[[Story], View]] = {
    UPGRADE: _upgrade_board,
    OUTAGE: _outage_board,
    **dict.fromkeys(WORKFLOWS, _rescue_board),
}
"""How the board of a run looks. A drill has none that changes: it is shown as it was said."""


def _answered(value: Any) -> str:
    """The journaled end of a wait for approvals (workflows.wheel): None, ["ordered", order] or ["saw", answer]. "" if
    nobody said anything: after a pause the same request is asked on."""
    match value:
        case ["saw", {"how": "approved", "by": by}]:
            return f"👍 Approved by {mention(by)}."
        case ["saw", {"how": "rejected", "by": by}]:
            return f"👎 Rejected by {mention(by)}."
        case ["saw", {"how": "late"}]:
            return "⌛ The answer came after the time was up."
        case None:
            return "⌛ Nobody answered in time."
    return ""


def _ended(value: Any, slash: str) -> str:
    """The journaled end of a wait that is followed; "" when it begins anew: after a pause, or a retry of the hold."""
    match value:
        case ["saw", {"value": found}]:  # of a wait that looks after guest groups meanwhile (workflows.meanwhile)
            return _ended(["saw", found], slash)
        case ["saw", {"said": said}]:
            return str(said)
        case ["saw", {"took": took}]:
            return f"💚 Fully healed after {span(took)}."
        case ["ordered", order] if order != Order.PAUSE:
            return f"🔒 Not followed here any more, since `{slash} {order}`."
    return ""
