"""What must never happen (DESIGN section 5), judged by the model's truth and not by what the bot believes.

`Invariants.look()` judges what happened since the look before, cheaply: simulations call it after every step.
`violations(night)` judges a night that is over. Each violation is a sentence.

Truth is ahead of evidence: membership lags by 12 s, evidence may be 30 s old. What somebody else did to the cluster
within LAG_S before an act is therefore no fault of the act; what *we* did always is. What the node itself guards (heal,
boot id) has no excuse at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Protocol

from sandbox.invariants_restore import Rescued, told
from sandbox.model import Event, Model, What
from sandbox.model.core import US
from store.api import Entry, OutboxRow, RunRow, Store
from workflows.orders import Order, aborted, paused, skipped
from workflows.picture import picture
from workflows.picture_restore import WORKFLOWS
from workflows.settings import ManagedCluster
from workflows.wheel import run_of

LAG_S = 45.0
EXPIRY_S = 10.0
"""A command that is late by more than this was to be refused by its node."""
DOWN = (What.GUEST_STOPPED, What.GUEST_DIED)
LEFT_BEHIND = "left behind without a word"


@dataclass(frozen=True, slots=True)
class Sent:
    """An act as the bot ordered it, whatever became of it."""

    at: float
    verb: str
    about: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """An emoji that a person gave or took back, at the moment of the deed."""

    at: float
    ts: str
    user: str
    emoji: str
    given: bool


class Lived(Protocol):
    """What a night leaves to be judged."""

    @property
    def model(self) -> Model: ...
    @property
    def store(self) -> Store: ...
    @property
    def managed(self) -> ManagedCluster: ...
    @property
    def sent(self) -> list[Sent]: ...
    @property
    def marked(self) -> list[Marked]: ...


def violations(night: Lived) -> list[str]:
    """All that must never happen and did, over a whole night that is over."""
    judge = Invariants(night)
    return [*judge.look(), *judge.at_the_end()]


@dataclass(slots=True)
class Invariants:
    """Judges one night, bit by bit."""

    night: Lived
    _heard: int = 0
    _sent: int = 0
    _units: dict[str, tuple[str, str]] = field(default_factory=dict)
    _fell: dict[int, float] = field(default_factory=dict)
    _running: set[int] = field(default_factory=set)
    _foreign: dict[str, float] = field(default_factory=dict)
    _quorum_lost: float = inf
    _rescued: Rescued = field(init=False)

    def __post_init__(self) -> None:
        self._rescued = Rescued(self.night, self._why_not)
        self._running = {spec.id for spec in self.night.model.spec.guests if spec.status == "running"}

    def look(self) -> list[str]:
        """What is new and wrong."""
        events, sent = self.night.model.events, self.night.sent
        if len(events) == self._heard and len(sent) == self._sent:
            return list(self._waits())
        found = [wrong for act in sent[self._sent :] for wrong in self._order(act)]
        found += [wrong for event in events[self._heard :] for wrong in self._event(event)]
        found += [wrong for event in events[self._heard :] for wrong in self._rescued.event(event)]
        self._heard, self._sent = len(events), len(sent)
        return [*found, *self._waits()]

    def at_the_end(self) -> list[str]:
        """What was left behind without a word, messages that never went out, and alarms that outlived their run."""
        return [*self._left(), *self._rescued.left(), *self._undelivered(), *self._ringing()]

    # ---- one event -----------------------------------------------------------------------------------------------
    def _event(self, event: Event) -> Iterator[str]:
        self._remember(event)
        if event.by != US or event.what not in (What.MAINTENANCE_ON, What.UPGRADE, What.REBOOT):
            if event.what is What.UPGRADED:
                self._units[event.node] = (self._units.get(event.node, ("", ""))[0], event.text)
            return
        act = _Act(event, self._ordered_at(event))
        yield from self._apart(act)
        yield from self._whole(act)
        yield from self._approved(act)
        yield from self._obeyed(act)
        if event.at - act.at > EXPIRY_S + 1.0:
            yield act.wrong(f"{event.at - act.at:.0f} s after it was ordered")
        if event.what is What.UPGRADE:
            yield from self._upgrade(act)
        if event.what is What.REBOOT:
            yield from self._reboot(act)

    def _remember(self, event: Event) -> None:
        if event.what is What.GUEST_STARTED:
            self._running.add(event.guest)
        elif event.what in DOWN:
            self._running.discard(event.guest)
            self._fell[event.guest] = event.at
        elif event.what is What.MAINTENANCE_ON and event.by != US:
            self._foreign[event.node] = event.at
        elif event.what is What.QUORUM_LOST:
            self._quorum_lost = event.at

    def _ordered_at(self, event: Event) -> float:
        """When the bot ordered what now happened: a command may be late."""
        verb = "maintenance" if event.what is What.MAINTENANCE_ON else event.what.value
        orders = (act.at for act in reversed(self.night.sent) if (act.verb, act.about) == (verb, event.node))
        return next((at for at in orders if at <= event.at), event.at)

    def _apart(self, act: _Act) -> Iterator[str]:
        """1: one node at a time because of us, and none while another is missing anyway."""
        for node, (by, since) in act.detail["down"].items():
            if by == US:
                yield act.wrong(f"while {node} is down because of us")
            elif since is not None and act.knew(since) and not self._waived("nodes-online", act):
                yield act.wrong(f"while {node} has been down since {since:.0f}")
        for node, by in act.detail["maintenance"].items():
            if by == US:
                yield act.wrong(f"while {node} is in maintenance mode because of us")
            elif act.knew(self._foreign.get(node, inf)) and not self._waived("maintenance", act):
                yield act.wrong(f"while {node} is in maintenance mode")

    def _whole(self, act: _Act) -> Iterator[str]:
        """2: healed and quorate."""
        unhealed = act.detail["unhealed_since"]
        guarded = act.event.what is not What.MAINTENANCE_ON
        if unhealed is not None and (guarded or act.knew(unhealed)):
            yield act.wrong(f"while the storage is not healed since {unhealed:.0f}")
        if not act.detail["quorate"] and act.knew(self._quorum_lost):
            yield act.wrong("without quorum")

    def _approved(self, act: _Act) -> Iterator[str]:
        """4: somebody who may said yes to exactly this, in time, and has not taken it back."""
        request = self._request(act.node, act.at)
        if request is None:
            yield act.wrong("though nobody was asked")
            return
        run, row = request
        if why := self._why_not(run, row, act.at):
            yield act.wrong(f"though {why}")
        need = row.message["detail"]["need"]
        if act.event.what is What.REBOOT:
            if not need["reboot"]:
                yield act.wrong("approved was to go on without a reboot")
            if need["boot_id"] != act.detail["boot_id"]:
                yield act.wrong(f"of boot {act.detail['boot_id']}, approved was {need['boot_id']}")
            if need["target"] != act.detail["kernel"]:
                yield act.wrong(f"into {act.detail['kernel']}, approved was {need['target']}")

    def _obeyed(self, act: _Act) -> Iterator[str]:
        """What people have ordered by then comes before any act."""
        request = self._request(act.node, act.at)
        given = self.night.store.orders(request[0].id) if request else ()
        before = [order for order in given if order.at < act.at]
        if aborted(before) or skipped(before, act.node) or paused(before):
            yield act.wrong(f"though somebody had ordered to {before[-1].verb} before")

    def _request(self, node: str, at: float) -> tuple[RunRow, OutboxRow] | None:
        """The last request for this node that was made by then: an older one counts no more."""
        found = None
        for run in reversed(self.night.store.runs()):
            for row in self.night.store.outbox(run.id):
                message = row.message
                if message["kind"] == "approval" and message["detail"].get("node") == node and row.created_at <= at:
                    found = (run, row)
        return found

    def _why_not(self, run: RunRow, row: OutboxRow, at: float) -> str:
        people, limits = self.night.managed.people, self.night.managed.limits
        deadline = _deadline(self.night.store.entries(run.id), row.key)
        approvers = set(people.approvers) - (set() if people.starter_may_approve else {run.created_by})
        yes, in_time = self._standing(row.ts, "white_check_mark", at, deadline)
        no, _ = self._standing(row.ts, "x", at, deadline)
        if no & approvers:
            return "it was rejected"
        if len(yes & approvers) < people.approvals_needed:
            return "the approval was not given, or taken back"
        if len(yes & in_time & approvers) < people.approvals_needed:
            return f"the approval came after {deadline:.0f}, when nobody could answer any more"
        return "the approval had expired" if at > deadline + limits.approval_valid else ""

    def _standing(self, ts: str, emoji: str, at: float, deadline: float) -> tuple[set[str], set[str]]:
        """Whose mark stands at this moment, and who ever gave it in time."""
        standing: set[str] = set()
        in_time: set[str] = set()
        for mark in self.night.marked:
            if (mark.ts, mark.emoji) == (ts, emoji) and mark.at <= at:
                (standing.add if mark.given else standing.discard)(mark.user)
                if mark.given and mark.at <= deadline:
                    in_time.add(mark.user)
        return standing, in_time

    def _upgrade(self, act: _Act) -> Iterator[str]:
        """5: not while one runs, and again only after one that failed."""
        run = act.event.text.partition(".")[0]
        before, ended = self._units.get(act.node, ("", ""))
        if before == run and ended in ("", "0"):
            yield act.wrong("though one runs already" if ended == "" else "though it was upgraded already")
        self._units[act.node] = (run, "")

    def _reboot(self, act: _Act) -> Iterator[str]:
        """3 and 5: no last member, no guest that nobody sent away, no boot but the approved one, and only once."""
        asked, boot_id = act.detail["asked"], act.detail["boot_id"]
        if asked != boot_id:
            yield act.wrong(f"a second time: meant was boot {asked}, this is {boot_id}")
        elsewhere = set(act.detail["running"])
        for group in self.night.managed.groups:
            fell = any(act.event.at - self._fell.get(guest, -inf) < LAG_S for guest in group.guests)
            if len(elsewhere & set(group.guests)) < group.keep_running and not fell:
                yield act.wrong(f"which takes the last running member of {group.name}")

    # ---- one order -----------------------------------------------------------------------------------------------
    def _order(self, act: Sent) -> Iterator[str]:
        if act.verb == "shutdown":
            yield from self._stop(act, act.args[0].id, act.args[0].node)
        if act.verb == "upgrade":
            request = self._request(act.about, act.at)
            if request and request[1].message["detail"]["need"]["packages"] != act.args[2]:
                yield f"{act.at:.0f} upgrade {act.about}: with another package plan than the approved one"

    def _stop(self, act: Sent, guest: int, node: str) -> Iterator[str]:
        """3 and 4: a guest is shut down only if somebody approved it, and never as its group's last."""
        request = self._request(node, act.at)
        if request is None or guest not in request[1].message["detail"]["need"]["stops"]:
            yield f"{act.at:.0f} shutdown {guest}: nobody approved that it is stopped"
        for group in self.night.managed.groups:
            left = self._running & set(group.guests) - {guest}
            fell = any(act.at - self._fell.get(member, -inf) < LAG_S for member in group.guests)
            if guest in group.guests and len(left) < group.keep_running and not fell:
                yield f"{act.at:.0f} shutdown {guest}: it is the last running member of {group.name}"

    def _waived(self, gate: str, act: _Act) -> bool:
        return any(
            order.verb == Order.OVERRIDE and order.about == f"{gate} {act.node}" and order.at <= act.at
            for run in self.night.store.runs()
            for order in self.night.store.orders(run.id)
        )

    # ---- waits, and what is left ---------------------------------------------------------------------------------
    def _waits(self) -> Iterator[str]:
        """6: whoever waits knows until when, and wakes by then."""
        for run in self.night.store.runs(state="active"):
            parked = run.parked
            if parked and not isfinite(parked["deadline"]):
                yield f"{run.id}: {parked['key']} waits without a deadline"
            elif parked and not run.poked and run.wake_at > parked["deadline"]:
                yield f"{run.id}: {parked['key']} sleeps past its deadline"

    def _left(self) -> Iterator[str]:
        """8: what is changed because of us is said, in the thread and by the status of a run that goes on."""
        said = "\n".join(self._said())
        for node, mode in self.night.model.ha_manager.modes.items():
            if mode.asked and mode.by == US and not _says(said, node, "maintenance mode"):
                yield f"{LEFT_BEHIND}: {node} is in maintenance mode"
        for flag, by in self.night.model.ceph.by.items():
            if by == US and not _says(said, flag, "set"):
                yield f"{LEFT_BEHIND}: {flag} is set on Ceph"
        for guest in sorted({act.args[0].id for act in self.night.sent if act.verb in ("shutdown", "set_onboot")}):
            vm = self.night.model.guests.all.get(guest)
            if vm is None:
                continue  # a drill's copy, deleted again
            if not vm.running and vm.stopped_by == US and not _says(said, str(guest), "shut down"):
                yield f"{LEFT_BEHIND}: guest {guest} is shut down"
            if vm.onboot != vm.spec.onboot and not _says(said, str(guest), "shut down", "onboot"):
                yield f"{LEFT_BEHIND}: onboot of guest {guest} is off"

    def _said(self) -> Iterator[str]:
        """What a reader is told of things left: by the status while a run goes on, by its last words after it."""
        for run in self.night.store.runs():
            entries = self.night.store.entries(run.id)
            if run.workflow in WORKFLOWS:
                yield from told(self.night.store, run)
            elif run.state == "active":
                yield from picture(run, entries).left
            else:
                yield from map(_left_of, self.night.store.outbox(run.id))

    def _undelivered(self) -> Iterator[str]:
        for run in self.night.store.runs():
            for row in self.night.store.outbox(run.id):
                if row.delivered_at is None:
                    yield f"{run.id}: the {row.message['kind']} {row.key} was never delivered"

    def _ringing(self) -> Iterator[str]:
        """A run that is done has nothing any more that somebody would have to be woken for."""
        for row in self.night.store.firing():
            run = self.night.store.run(run_of(row.fingerprint))
            if run is not None and (run.result or {}).get("state") == "done":
                yield f"{run.id} is done, and people are woken for {row.fingerprint} all the same"


@dataclass(frozen=True, slots=True)
class _Act:
    """Something we did to a node. `at`: when it was ordered."""

    event: Event
    at: float

    @property
    def node(self) -> str:
        return self.event.node

    @property
    def detail(self) -> Mapping[str, Any]:
        return self.event.detail

    def knew(self, since: float) -> bool:
        """It had been so for long enough to be seen."""
        return self.at - since > LAG_S

    def wrong(self, how: str) -> str:
        return f"{self.event.at:.0f} {self.event.what} {self.node}: {how}"


def _deadline(entries: Sequence[Entry], request: str) -> float:
    """Until when this request could be answered: the last deadline of its waits (a pause begins a new one)."""
    node, deadline, mine = request.partition(".")[0], -inf, False
    for entry in entries:
        if ".ask.request.said" in entry.key and entry.key.startswith(f"{node}."):
            mine = entry.key == request
        elif mine and entry.kind == "wait" and entry.key.startswith(f"{node}.ask.wait"):
            deadline = entry.value["deadline"]
    return deadline


def _left_of(row: OutboxRow) -> str:
    """What a node's put-back says that it leaves; the list at the end of an abort only repeats it."""
    text: str = row.message["text"]
    return text.partition("Left as it is: ")[2].replace("; ", "\n") if text.startswith("↩️") else ""


def _says(said: str, about: str, *words: str) -> bool:
    return any(about in line and any(word in line for word in words) for line in said.splitlines())
