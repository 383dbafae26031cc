"""People at the wheel, in one place: every act, wait and hold of a run goes through here.

Orders (pause, skip, abort, retry, override) are rows. They are looked at in three places only: in an act, right before
it acts; in a wait, at each look; in a hold. What was seen is the *journaled result*, and only then is it obeyed, so
every replay turns at the same place. Results are tagged lists, for a journal holds nothing but JSON:
["did", value], ["failed", why, hint], ["later", why]: not done, ["unclear", why]: it may have been, ["ordered", order],
["shut", reasons, remedy, urgent reasons].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count
from typing import Any

from cluster.api import ClusterError, Refused, Uncertain
from cluster.facts import Read, Topic
from cluster.gates import guest_groups
from cluster.world import GatePhase, OwnChanges
from engine.port import Look, Run, Saying, Waiting
from workflows import meanwhile, messages, orders
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.approvals import Bound, counted, tally
from workflows.judging import URGENT, Judgement, judge_now
from workflows.messages_waits import sentence
from workflows.orders import Order
from workflows.phases import AnyPhase, key_of
from workflows.roles import mention
from workflows.site import ChatDown, Site

REST_S = 30.0
"""Between two tries of an act whose machine did not answer."""
LISTING_S = 60.0
"""So long it is tried to list what people are only told, and on which nothing hangs."""
TRIES = 10
"""So many rests, then a hold: a loop without an end would be a wait without a deadline."""


CUT_OFF = "whether it was done before the bot was started again is not known"


OF_RUN = "run/"
"""Alerts of a run have fingerprints that begin so, then the run's id."""
WORSE, BETTER = "worse", "better"
"""A gate that cannot wait was shut while others were waited for; or none of them is any more."""


def run_of(fingerprint: str) -> str:
    """The run that this alert is of, "" for an alert of anything else."""
    return fingerprint.removeprefix(OF_RUN).partition("/")[0] if fingerprint.startswith(OF_RUN) else ""


def _urgent(reasons: Sequence[str]) -> list[str]:
    return [reason for reason in reasons if reason.partition(":")[0] in URGENT]


class Halt(Exception):
    """A person ended the way: raised only from journaled results. `left`: what putting back left, but for maintenance
    mode, of which the world is asked."""

    left: tuple[str, ...] = ()


class Skipped(Halt): ...


class Aborted(Halt): ...


class GaveUp(Exception):
    """While putting back after an abort: this could not be put back; str() says what and why. Nobody is asked."""


class Mode(Enum):
    DRIVE = "drive"  # obeys pause, skip, abort
    SKIP = "skip"  # putting a skipped node back: obeys abort alone
    ABORT = "abort"  # putting back after an abort: obeys nothing


@dataclass(frozen=True, slots=True)
class Approval:
    """A live approval: the outbox key of its request, what it is bound to, until when it counts."""

    key: str
    bound: Bound
    by: tuple[str, ...]
    expires_at: float


UNCHANGED = OwnChanges()

Deed = Callable[[str, bool], Any]
"""fn(key, again): `again` says that an earlier pass may have acted already, so the world is to be asked."""
Shut = Callable[[str, Sequence[str], str, Sequence[str]], None]
"""shut(base, reasons, remedy, urgent): what is done about gates that are shut, or an approval that no longer stands."""


def nothing(_: str) -> None:
    return None


def never() -> bool:
    return False


def healing(site: Site, node: str) -> Waiting | None:
    """The cheap question, asked on any node but this one; None when it says healed. Raises ClusterError."""
    if not site.managed.gluster.enabled:
        return None
    progress = site.cluster.heal_progress(node)
    if progress.healed:
        return None
    return Waiting(messages.heal_state(progress), {"pending": dict(progress.pending), "down": list(progress.down)})


class Wheel:
    """One node (or, with node "", the run itself) under way. All fields are derived from journaled results alone."""

    def __init__(self, run: Run, site: Site, starter: str, node: str = "") -> None:
        self.run, self.site, self.starter, self.node = run, site, starter, node
        self.mode = Mode.DRIVE
        self.reduced = False
        """Redundancy is reduced because of us, so a hold pages; else it notifies."""
        self.own = UNCHANGED
        self.approval: Approval | None = None
        self.over: set[str] = set()
        """Tasks of Proxmox VE that this run followed to their end: none of them is the one that is looked for."""
        self.follows = ""
        """The task of Proxmox VE that is followed just now: an abort lets it end first."""
        self.began: Callable[[], str] | None = None
        """Finds the task of what is waited for just now without being followed: an abort lets that end as well."""
        self.carried: frozenset[int] = frozenset()
        """Guests that ran on the node before, once they are to be back: one that is down then is down because of us."""
        self.fallen: list[str] = []
        """Guest groups of which too few serve, as it was said while something was waited for."""
        self.fallen_alarm = ""
        """The alarm that was raised for it, "" if none was."""
        self._used: dict[str, int] = {}

    # keys and sayings -----------------------------------------------------------------------------------------

    def numbered(self, base: str) -> str:
        """A phase that comes round again is numbered."""
        number = self._used[base] = self._used.get(base, 0) + 1
        return base if number == 1 else f"{base}#{number}"

    def key(self, phase: AnyPhase, detail: str = "") -> str:
        return key_of(self.node or "run", phase, detail)

    def say(self, phase: AnyPhase, detail: str, fn: Callable[[], Saying | None]) -> str:
        key = self.numbered(f"{self.key(phase, detail)}.said")
        self.run.say(key, fn)
        return key

    def owns(self, **changes: Any) -> None:
        self.own = replace(self.own, **changes)

    # orders ---------------------------------------------------------------------------------------------------

    def ordered(self) -> Order | None:
        if self.mode is Mode.ABORT:
            return None
        rows = self.site.store.orders(self.run.id)
        if not rows:
            return None
        if orders.aborted(rows):
            return Order.ABORT
        if self.mode is Mode.SKIP:
            return None
        if self.node and orders.skipped(rows, self.node):
            return Order.SKIP
        return Order.PAUSE if orders.paused(rows) else None

    def obey(self, order: str, base: str) -> None:
        """`base`: the key of what the order was met at; a pause is named after it."""
        match order:
            case Order.ABORT:
                raise Aborted(self.node)
            case Order.SKIP:
                raise Skipped(self.node)
            case Order.PAUSE:
                self._hold_pause(base)
            case _:
                raise ValueError(f"nobody can obey {order!r}")

    # acts -----------------------------------------------------------------------------------------------------

    def act(self, phase: AnyPhase, fn: Deed, detail: str = "") -> Any:
        """Do one act, in the face of orders, silent machines and refusals. Returns its (plain) value."""
        return self._drive(self.key(phase, detail), lambda key, _: self._attempt(key, fn), lambda *_: None)

    def gated(
        self,
        phase: AnyPhase,
        moment: GatePhase,
        fn: Deed,
        *,
        found: Callable[[str], Any] = nothing,
        ask_again: Callable[[str], None] | None = None,
        detail: str = "",
    ) -> Any:
        """An act behind gates: read in this order, machines, people, then the node's own guard inside `fn`.

        `found(key)`: asked first when an earlier pass may have acted; a value means that it has. While no machine can
        say it, nothing is done: a try under a new key could be a second one beside the first.
        `ask_again(why)`: called when the approval no longer stands, after which the act is tried anew.
        """

        def shut(base: str, reasons: Sequence[str], remedy: str, urgent: Sequence[str]) -> None:
            if not remedy:
                self._await_gates(phase, moment, reasons, urgent)
                return
            why = "; ".join(reasons)
            if remedy == "hold":
                self.hold(base, why)
            if ask_again:
                ask_again(why)

        return self.judged(self.key(phase, detail), lambda: self.judge(moment), fn, shut, found)

    def judged(
        self,
        base: str,
        judge: Callable[[], Judgement],
        fn: Deed,
        shut: Shut,
        found: Callable[[str], Any] = nothing,
    ) -> Any:
        """An act behind a judgement, made anew at each try. `shut`: what to do about a no."""

        def attempt(key: str, unclear: Sequence[str]) -> Any:
            try:
                begun = [found(tried) for tried in (*unclear, *[key] * self.run.acted(key))]
            except ClusterError as silent:
                return ["unclear", messages.host(str(silent))]
            if values := [value for value in begun if value is not None]:
                return ["did", {"value": values[0], "gates": "found begun after a restart", "notes": []}]
            judgement = judge()
            if not judgement.open:
                return ["shut", judgement.in_the_way, judgement.remedy, judgement.urgent]
            tried = self._attempt(key, fn)
            if tried[0] != "did":
                return tried
            return ["did", {"value": tried[1], "gates": judgement.summary, "notes": judgement.notes}]

        return self._drive(base, attempt, shut)

    def _drive(
        self,
        base: str,
        attempt: Callable[[str, Sequence[str]], Any],
        shut: Shut,
    ) -> Any:
        """`attempt(key, unclear)`: of the keys in `unclear` nobody could say yet whether they acted."""
        tries = 0
        unclear: list[str] = []
        while True:
            key = self.numbered(base)
            result = self.run.step(key, lambda key=key: self._known(key, attempt(key, unclear)))  # type: ignore[misc]
            if result[0] == "unclear":
                unclear.append(key)
                self.reduced = self.reduced or bool(self.own.maintenance)  # the node may have been taken
            match result:
                case ["did", value]:
                    return value
                case ["ordered", order]:
                    self.obey(order, base)
                case ["shut", reasons, remedy, *urgent] if (tries := tries + 1) < TRIES:
                    shut(base, reasons, remedy, urgent[0] if urgent else _urgent(reasons))  # former versions kept none
                case ["shut", reasons, *_]:
                    tries = 0
                    self.hold(base, f"{'; '.join(reasons)}; shut again {TRIES} times")
                case ["later" | "unclear", why] if (tries := tries + 1) < TRIES:
                    self._rest(base, why)
                case ["later" | "unclear", why]:
                    tries = 0
                    self.hold(base, f"{why}, {TRIES} times in a row")
                case ["failed", why, hint]:
                    self.hold(base, why, hint)

    def _known(self, key: str, result: list[Any]) -> list[Any]:
        """Of an act that a crash cut off, whatever keeps it from being done now does not say that it was not."""
        cut_off = self.run.acted(key) and result[0] not in ("did", "unclear")
        return ["unclear", CUT_OFF] if cut_off else result

    def _attempt(self, key: str, fn: Deed) -> list[Any]:
        if order := self.ordered():
            return ["ordered", order.value]
        try:
            return ["did", fn(key, self.run.acted(key))]
        except Refused as refused:
            return ["failed", messages.host(str(refused)), messages.host(refused.hint)]
        except Uncertain as broken:
            return ["unclear", messages.host(str(broken))]
        except (ClusterError, ChatDown) as silent:
            return ["later", messages.host(str(silent))]

    def _rest(self, base: str, why: str) -> None:
        self.until(f"{base}.rest", lambda look: Waiting(why), REST_S, why=why, who="nobody has to: it is tried again")

    # waits ----------------------------------------------------------------------------------------------------

    def wait(
        self,
        phase: AnyPhase,
        probe: Callable[[Look], Any],
        timeout: float,
        *,
        why: str,
        who: str,
        detail: str = "",
        hint: str = "",
    ) -> Any:
        """Wait for a value of `probe`. Not in time: a hold, with this hint, and after a retry the wait begins anew."""
        base = self.key(phase, detail)
        while True:
            match self.until(base, probe, timeout, why=why, who=who):
                case ["saw", value]:
                    return value
                case answer:
                    self.in_vain(base, timeout, why, answer, hint)

    def in_vain(self, base: str, timeout: float, why: str, answer: Any, hint: str) -> None:
        """Hold, for the wait ended without a value. `answer`: as `until` gave it."""
        last = f"last seen: {answer[1]}" if answer else "nothing could be seen"
        self.hold(base, f"waited {messages.span(timeout)} in vain for {why}; {last}", hint)

    def tried(
        self, phase: AnyPhase, probe: Callable[[Look], Any], timeout: float, *, why: str, who: str, detail: str = ""
    ) -> Any:
        """Wait for a value of `probe`; None: not in time, which holds nobody up."""
        answer = self.until(self.key(phase, detail), probe, timeout, why=why, who=who)
        return answer[1] if answer is not None and answer[0] == "saw" else None

    def until(self, base: str, probe: Callable[[Look], Any], timeout: float, *, why: str, who: str) -> Any:
        """["saw", value]; or ["late", what was seen], or None where not even that is known. A pause holds, and then
        the wait begins anew."""

        def look(at: Look) -> Any:
            if order := self.ordered():
                return ["ordered", order.value]
            seen = probe(at)
            if not isinstance(seen, Waiting):
                return ["saw", seen]
            return ["late", seen.seen] if at.now >= at.deadline else seen

        while True:
            match self.run.until(self.numbered(f"{base}.wait"), look, timeout, why=why, who=who):
                case ["ordered", order]:
                    self.obey(order, base)
                case answer:
                    return answer

    def read(self, phase: AnyPhase, fn: Callable[[], Any], what: str, detail: str = "") -> Any:
        """A read that decides the way: a flaky line must not page anybody, so it is asked until it answers."""
        return self.wait(
            phase,
            lambda _: fn(),
            self.site.managed.limits.brick_back,
            why=what,
            who="the machines, by answering",
            detail=detail,
        )

    # answers --------------------------------------------------------------------------------------------------

    def answer_to(self, key: str, at: Look) -> Any:
        """What the marks under the request of this key say by the deadline of the wait."""
        people, chat = self.site.managed.people, self.site.chat
        marks = tally(self.site.store.votes(self.run.id, key), at.deadline)
        if rejecters := counted(marks.reject, self.starter, people, chat):
            return {"how": "rejected", "by": list(rejecters)}
        approvers = counted(marks.approve, self.starter, people, chat)
        if len(approvers) >= people.approvals_needed:
            return {"how": "approved", "by": list(approvers), "at": at.now}
        if at.now >= at.deadline:
            return {"how": "expired", "deadline": at.deadline}
        return Waiting(f"{len(approvers)} of {people.approvals_needed} approvals")

    def approved_late(self, key: str, deadline: float) -> bool:
        """Somebody approved after the time was up: it does not count (a mark carries no time), but it asks again."""
        votes = self.site.store.votes(self.run.id, key)
        return any(vote.given and vote.mark == "approve" and vote.at > deadline for vote in votes)

    # gates ----------------------------------------------------------------------------------------------------

    def judge(self, moment: GatePhase) -> Judgement:
        """All gates of this moment, on the world as it is now. Machines first, then people."""
        return judge_now(self.site, self.run.id, self.node, moment, self.own, self.approval, self.starter)

    def _await_gates(self, phase: AnyPhase, moment: GatePhase, reasons: Sequence[str], urgent: Sequence[str]) -> None:
        """Wait until every gate is open, or only the approval is in question.

        While a heal goes on only the cheap question is asked; the whole survey follows when that one says healed. What
        cannot wait so long ends the wait too, and so does its end: the act is tried anew, and says what shuts it now.
        """
        why = f"gates to open before {messages.MOMENTS[moment]}"
        urgent = urgent if self.reduced else ()
        calm = self.reduced and not urgent

        def probe(_: Look) -> Any:
            if waiting := healing(self.site, self.node):
                return WORSE if calm and meanwhile.groups_down(self) else waiting
            judgement = self.judge(moment)
            if judgement.open or judgement.remedy:
                return judgement.open or judgement.remedy
            if calm and judgement.urgent:
                return WORSE
            if urgent and not _urgent(judgement.reasons):
                return BETTER
            return Waiting("; ".join(judgement.reasons), {"gates": judgement.reasons})

        name = self.numbered(f"{self.key(phase)}.urgent")
        news = bool(urgent) and not self._alarmed_already(f"{name}.known", urgent)
        alarmed = news and self.alarm(f"{name}.alarm", name, "; ".join(urgent), lambda: True)
        page = news and not alarmed
        self.say(phase, "shut", lambda: messages.gates_shut(self.site.managed, self.node, moment, reasons, page))
        who = f"the cluster itself, or an approver with `/upgrade override GATE {self.node} REASON`"
        try:
            found = self.wait(phase, probe, self.site.managed.limits.gates, why=why, who=who, detail="gates")
        except Halt:  # a person skips or aborts: nobody waits for these gates any more
            if alarmed:
                self.all_clear(f"{name}.clear", name)
            raise
        if alarmed:
            self.all_clear(f"{name}.clear", name)
        if urgent and found != WORSE:
            meanwhile.settle(self, phase)
        if found is True:
            self.say(phase, "open", lambda: messages.gates_open(self.node, moment))

    def _alarmed_already(self, key: str, urgent: Sequence[str]) -> bool:
        """All of it is what people are woken for since something else was waited for: whoever has that is not rung once
        more for the same."""
        told = [f"{guest_groups.GATE.name}: {group}" for group in self.fallen] if self.fallen_alarm else []
        if not all(reason.replace(guest_groups.outside(self.node), "") in told for reason in urgent):
            return False
        marks = [self._fingerprint(self.fallen_alarm)]
        return self.run.step(key, lambda: bool(self.site.store.firing(self.site.managed.name, marks)))

    # holds ----------------------------------------------------------------------------------------------------

    def hold(self, base: str, why: str, hint: str = "", *, over: Callable[[], bool] = never) -> None:
        """Stop until a person says retry (returns), skip or abort (raises), or until `over` says that somebody did
        what it was about. Pages if redundancy is reduced; nobody in time: said again, to all."""
        if self.mode is Mode.ABORT:
            raise GaveUp(why)
        name = self.numbered(f"{base}.hold")

        def probe(_: Look) -> Any:
            order = self.ordered()
            if order in (Order.ABORT, Order.SKIP):
                return str(order)
            if orders.retried(self.site.store.orders(self.run.id), name) or over():
                return str(Order.RETRY)
            return Waiting(why, {"hold": name})

        for n in count(1):
            alarmed = self.alarm(f"{name}.alarm#{n}", name, f"holds: {why}", lambda n=n: n > 1 or self._weak())  # type: ignore[misc]
            self.run.say(
                f"{name}.said#{n}",
                lambda n=n, a=alarmed: self.says_hold(  # type: ignore[misc]
                    sentence(why), sentence(hint), not a and (n > 1 or self._weak())
                ),
            )
            answer = meanwhile.held(self, name, f"{name}.answer#{n}", probe, why=f"held: {why}", who=self.ends_a_hold)
            if answer is not None:
                self.all_clear(f"{name}.clear#{n}", name)
            if answer == Order.RETRY:
                return
            if answer is not None:
                self.obey(answer, name)

    def alarm(self, key: str, name: str, what: str, serious: Callable[[], bool]) -> bool:
        """Wake whoever is on call, if it is serious; an outage then climbs until somebody has it. False: it is not, or
        nobody is on call by the settings, and the thread alone says so."""
        if self.site.watchers is None:
            return False

        def raised() -> bool:
            if not serious():
                return False
            now, where = self.site.clock(), f"run {self.run.id}" + (f" at {self.node}" if self.node else "")
            alert = Alert(self._fingerprint(name), "run", where, what, "critical", now)
            raise_alerts(self.site.store, self.site.managed, [alert], now)
            return True

        return self.run.step(key, raised)

    def all_clear(self, key: str, name: str) -> None:
        if self.site.watchers is None:
            return

        def clear() -> None:
            clear_alerts(self.site.store, self.site.managed.name, [self._fingerprint(name)], self.site.clock())

        self.run.step(key, clear)

    def _fingerprint(self, name: str) -> str:
        return f"{OF_RUN}{self.run.id}/{name}"

    @property
    def ends_a_hold(self) -> str:
        return messages.WHO_ENDS_A_HOLD

    def says_hold(self, why: str, hint: str, page: bool) -> Saying:
        return messages.hold(self.site.managed, self.node, why, hint, page)

    def _weak(self) -> bool:
        """Redundancy is reduced, by us or by anything else, or a guest of ours is down; what cannot be seen is not
        whole."""
        if self.reduced or self.own.stopped:
            return True
        machines = self.site.cluster.survey(frozenset({Topic.MEMBERSHIP, Topic.GUESTS}), None)
        membership, guests = machines.membership, machines.guests
        if not isinstance(membership, Read) or not all(member.online for member in membership.value.members):
            return True
        if not isinstance(guests, Read) or any(g.id in self.carried and not g.running for g in guests.value):
            return True
        try:
            return healing(self.site, "") is not None
        except ClusterError:
            return True

    def _who_paused(self) -> str:
        by = [order.by for order in self.site.store.orders(self.run.id) if order.verb == Order.PAUSE]
        return f"paused by {mention(by[-1:])}"

    def _hold_pause(self, base: str) -> None:
        """A pause lasts until an operator resumes; it pages nobody, but says so again each time its limit passes."""
        name = self.numbered(f"{base}.paused")

        def probe(_: Look) -> Any:
            order = self.ordered()
            return Waiting(self._who_paused(), {"paused": name}) if order == Order.PAUSE else str(order or "go")

        for n in count(1):
            self.run.say(f"{name}.said#{n}", lambda: messages.paused(self.node))
            answer = meanwhile.held(
                self,
                name,
                f"{name}.answer#{n}",
                probe,
                why="an operator to resume it",
                who="an operator, with `/upgrade resume`",
            )
            if answer == "go":
                return
            if answer is not None:
                self.obey(answer, name)
