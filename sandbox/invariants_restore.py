"""What must never happen while guests are brought back, judged by the model's truth (see invariants.py).

1. Nothing is stopped, detached, written over, unlocked, chosen or cut off without a live approval of exactly that.
2. A restore never deletes a disk that was attached, and one approval is good for one restore.
3. A drill's copy never runs with a network, and nothing is deleted that no drill has made.
4. What is left changed is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.model import Event, What
from sandbox.model.core import US
from store.api import OutboxRow, RunRow, Store
from workflows.phases import DRILL, Stage
from workflows.picture_restore import WORKFLOWS, rescue_picture

APPROVED: Mapping[What, Stage] = {
    What.STOPPING: Stage.ASIDE,
    What.DETACHED: Stage.ASIDE,
    What.RESTORING: Stage.RESTORE,
    What.FORGOTTEN: Stage.ACT,
    What.UNLOCKED: Stage.ACT,
    What.CHOSEN: Stage.ACT,
    What.POWER_CYCLED: Stage.ACT,
}
"""What needs an approval, and of which stage."""

WhyNot = Callable[[RunRow, OutboxRow, float], str]
"""Why a request was not live at that time, "" if it was."""


class Rescued:
    """Judges one night. `night`: as in invariants.Lived."""

    def __init__(self, night: Any, why_not: WhyNot) -> None:
        self._night, self._why_not = night, why_not
        self._written: dict[int, str] = {}
        self._detached: set[int] = set()

    def event(self, event: Event) -> Iterator[str]:
        if event.what is What.DISKS_FREED:
            yield _wrong(event, f"which deleted {event.text}")
        if event.what is What.GUEST_STARTED and event.guest in self._copies(event.at):
            vm = None if self._gone_since(event) else self._night.model.guests.all.get(event.guest)
            if vm is not None and vm.networks:
                yield _wrong(event, "a drill's copy, beside the real one, with a network")
        if event.what is What.DELETED and event.guest not in self._copies(event.at):
            yield _wrong(event, "which no drill has made")
        if event.by == US and event.what in APPROVED and event.guest not in self._copies(event.at):
            yield from self._approved(event)

    def left(self) -> Iterator[str]:
        """A guest without any disk, and nobody says so."""
        said = "\n".join(
            text
            for run in self._night.store.runs()
            if run.workflow in WORKFLOWS
            for text in told(self._night.store, run)
        )
        for guest in sorted(self._detached):
            vm = self._night.model.guests.all.get(guest)
            if vm is not None and not vm.disks and not _says(said, str(guest)):
                yield f"left behind without a word: guest {guest} has no disk"
        for guest in self._copies():
            if guest in self._night.model.guests.all and not _says(said, str(guest)):
                yield f"left behind without a word: the drill's copy {guest}"

    # ----------------------------------------------------------------------------------------------------------
    def _approved(self, event: Event) -> Iterator[str]:
        subject = str(event.guest) if event.guest else event.node
        request = self._request(subject, APPROVED[event.what], event.at)
        if request is None:
            yield _wrong(event, "though nobody was asked")
            return
        run, row = request
        if why := self._why_not(run, row, event.at):
            yield _wrong(event, f"though {why}")
        terms = row.message["detail"]["terms"]
        if event.what is What.DETACHED:
            self._detached.add(event.guest)
        if event.what is What.RESTORING:
            if terms.get("backup") != event.text:
                yield _wrong(event, f"from {event.text}, approved was {terms.get('backup')}")
            if self._written.get(event.guest) == f"{run.id} {row.key}":
                yield _wrong(event, "a second time, with one approval")
            self._written[event.guest] = f"{run.id} {row.key}"

    def _request(self, subject: str, stage: Stage, at: float) -> tuple[RunRow, OutboxRow] | None:
        """The last one about it that was made by then."""
        found: tuple[RunRow, OutboxRow] | None = None
        for run in reversed(self._night.store.runs()):
            for row in self._night.store.outbox(run.id):
                detail = row.message["detail"]
                if row.message["kind"] == "approval" and row.created_at <= at and _about(detail, subject, stage):
                    found = (run, row) if found is None or row.created_at >= found[1].created_at else found
        return found

    def _gone_since(self, event: Event) -> bool:
        """The guest of that event was deleted later: what has its id now is another one."""
        events = self._night.model.events
        return any(e.what is What.DELETED and e.guest == event.guest and e.at > event.at for e in events)

    def _copies(self, at: float | None = None) -> set[int]:
        """Ids that drills chose for their copies; with a time, those of drills that were under way then: an id that is
        free again may become somebody else's."""
        found: set[int] = set()
        for run in self._night.store.runs(workflow=DRILL):
            entries = self._night.store.entries(run.id)
            over = run.state != "active" and at is not None and at > max(entry.at for entry in entries)
            chosen = [
                e for e in entries if e.key == "run.look.guest.wait" and e.kind == "result" and "id" in e.value[1]
            ]
            found |= {int(entry.value[1]["id"]) for entry in chosen if not over}
        return found


def _about(detail: Any, subject: str, stage: Stage) -> bool:
    if f".{stage}" not in detail.get("act", ""):
        return False
    return bool(detail["subject"] == subject or str(detail["terms"].get("new id", "")) == subject)


def told(store: Store, run: RunRow) -> Iterator[str]:
    """What a reader is told of this run: its messages, and while it goes on its status."""
    for row in store.outbox(run.id):
        yield from str(row.message["text"]).split("\n")
    if run.state == "active":
        yield from rescue_picture(run, store.entries(run.id)).left


def _says(said: str, about: str) -> bool:
    return any(about in line and ("disk" in line or "copy" in line) for line in said.splitlines())


def _wrong(event: Event, how: str) -> str:
    return f"{event.at:.0f} {event.what} {event.guest or event.node}: {how}"
