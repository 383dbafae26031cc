"""Approved steps about anything that is no node: a guest to restore, a lock to take off, a switch at the wall.

A step is looked at, asked for with an emoji, looked at again right before it is done, and done only while it still is
what was approved. `Offer` is what a look finds: the terms that somebody would approve, or why it cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from cluster.api import ClusterError
from cluster.facts import Machines, Read
from cluster.gates import approval as approval_gate
from cluster.world import Blocked, GatePhase, Opinion, OwnChanges, Passed, Unknown, World
from engine.port import Run, Saying, Waiting
from store.api import AuditRow
from workflows import messages, messages_rescue
from workflows.approvals import Present, digest_of, seen_now
from workflows.judging import Judgement
from workflows.phases import Stage
from workflows.site import Site
from workflows.wheel import Wheel, nothing


@dataclass(frozen=True, slots=True)
class StepTerms:
    """Short named texts, as a person reads them: {"guest": "router-a (101)", "backup": ...}."""

    parts: Mapping[str, str]

    def digest(self) -> str:
        return digest_of(self.parts)

    def changed(self, now: StepTerms) -> str:
        names = sorted({*self.parts, *now.parts})
        return "; ".join(
            f"{name} is now {now.parts.get(name, 'none')}, approved was {self.parts.get(name, 'none')}"
            for name in names
            if self.parts.get(name) != now.parts.get(name)
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What a step would do now. `no`: why it cannot be done, as half a sentence, "" if it can; `data`: what the deed
    needs beside the terms (plain)."""

    terms: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    no: str = ""
    hint: str = ""

    def plain(self) -> dict[str, Any]:
        return {"terms": dict(self.terms), "data": dict(self.data), "no": self.no, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class Step:
    """One step that needs an approval. `what`: half a sentence ("setting the disks of router-a aside"); `request` words
    the question; `too_late` says what taking the mark back means once it began."""

    stage: Stage
    what: str
    look: Callable[[], Offer | Waiting]
    request: Callable[[Offer], str]
    too_late: str


Deed = Callable[[str, Offer], Any]
"""deed(key, offer), with the offer as it was approved. Short; harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A live approval of one step."""

    key: str
    offer: Offer
    by: tuple[str, ...]
    expires_at: float


class Declined(Exception):
    """It cannot be done, and that was said. Nothing was changed. str(): why."""


class Steward(Wheel):
    """A wheel for one guest, or for whatever a runbook's act is about (`subject`, "" until that is found)."""

    def __init__(self, run: Run, site: Site, starter: str, subject: str, name: str, *, pages: bool = False) -> None:
        super().__init__(run, site, starter, subject)
        self.name, self._pages = name, pages
        self.meant = subject if subject.isdigit() else name
        """How people name it when they steer."""
        self.granted: Granted | None = None

    # how it speaks ------------------------------------------------------------------------------------------------

    @property
    def ends_a_hold(self) -> str:
        return f"an operator, with `/restore retry {self.meant}` or `/restore abort {self.meant}`"

    def says_hold(self, why: str, hint: str, page: bool) -> Saying:
        return messages_rescue.hold(self.site.managed, self.name, self.meant, why, hint, page)

    def _weak(self) -> bool:
        """A guest that is down is reason enough to wake somebody; a drill is not."""
        return self._pages

    # an approved step ---------------------------------------------------------------------------------------------

    def approved(self, step: Step, deed: Deed, found: Callable[[str], Any] = nothing) -> Any:
        """Ask, and do what was approved; ask again when it is not that any more. Returns the deed's (plain) value.

        `found(key)`: as in Wheel.gated.
        """
        self._ask(step, "")
        return self.goes_on(step, deed, "", found)

    def goes_on(self, step: Step, deed: Deed, detail: str, found: Callable[[str], Any] = nothing) -> Any:
        """Another act of a step that is approved already: asked again only if it is not that any more."""
        base = self.key(step.stage, detail)

        def do(key: str, _: bool) -> Any:
            return deed(key, self.offered())

        def shut(_: str, reasons: Sequence[str], remedy: str, __: Sequence[str]) -> None:
            why = "; ".join(reasons)
            if remedy == "hold":
                self.hold(base, why)
            if remedy:
                self._ask(step, why)
            else:
                self._rest(base, why)

        return self.judged(base, lambda: self._judge(step), do, shut, found)["value"]

    def decline(self, why: str, hint: str = "") -> NoReturn:
        """Say why it cannot be done. Raises Declined."""
        if self.node:
            self.say(Stage.LOOK, "refused", lambda: messages_rescue.refused(why, hint))
        else:
            self.run.say("run.refused", lambda: messages_rescue.refused(why, hint))
        raise Declined(why)

    def must_be_possible(self, step: Step) -> None:
        """Raises Declined if it could not be done anyway: then nobody is asked."""
        plain = self.read(step.stage, lambda: _plain(step.look()), f"looking before {step.what}", "first")
        if plain["no"]:
            self.decline(plain["no"], plain["hint"])

    def offered(self) -> Offer:
        """What was approved last."""
        assert self.granted is not None, "only asked after an approval"
        return self.granted.offer

    def _ask(self, step: Step, why_again: str) -> None:
        """Until somebody who may says yes."""
        while True:
            offer = self._possible(step)
            answer = self._answer(step, offer, why_again)
            match answer["how"]:
                case "approved":
                    self._accept(step, offer, answer)
                    return
                case "rejected":
                    why_again = messages.rejected_reason(answer["by"])
                    self.hold(self.key(Stage.ASK), why_again)
                case _:
                    why_again = f"nobody answered within {messages.span(self.site.managed.limits.approval_wait)}"
                    why = f"{step.what} was not approved: {why_again}"
                    late = partial(self.approved_late, answer["key"], answer.get("deadline", 0.0))
                    self.hold(self.key(Stage.ASK), why, over=late)

    def _accept(self, step: Step, offer: Offer, answer: Mapping[str, Any]) -> None:
        expires = answer["at"] + self.site.managed.limits.approval_valid
        self.granted = Granted(answer["key"], offer, tuple(answer["by"]), expires)
        self.say(Stage.ASK, "granted", lambda: messages_rescue.granted(step.what, answer["by"], expires))

    def _possible(self, step: Step) -> Offer:
        """What would be done now; what cannot be done holds, and is looked at again after a retry."""
        while True:
            plain = self.read(step.stage, lambda: _plain(step.look()), f"looking before {step.what}", "offer")
            offer = Offer(**plain)
            if not offer.no:
                return offer
            self.hold(self.key(step.stage), offer.no, offer.hint)

    def _answer(self, step: Step, offer: Offer, why_again: str) -> Mapping[str, Any]:
        limits, people = self.site.managed.limits, self.site.managed.people
        key = self.say(
            Stage.ASK,
            "request",
            lambda: messages_rescue.request(
                self.site.managed,
                self.node,
                step.request(offer),
                self.site.clock() + limits.approval_wait,
                why_again,
                act=self.key(step.stage),
                too_late=step.too_late,
                terms=offer.terms,
            ),
        )
        answer = self.wait(
            Stage.ASK,
            lambda at: self.answer_to(key, at),
            limits.approval_wait,
            why=f"approval for {step.what}",
            who=f"{messages.approvers(people)}, with an emoji under the request",
        )
        return {"key": key, **answer}

    # right before the deed ------------------------------------------------------------------------------------------

    def _judge(self, step: Step) -> Judgement:
        """The machines first, then people: is it still what was approved, and do they still say so?"""
        now = self.site.clock()
        try:
            offer = step.look()
        except ClusterError as silent:
            return _unknown(str(silent), now)
        if isinstance(offer, Waiting):
            return _unknown(offer.seen, now)
        if offer.no:
            return Judgement((Opinion(step.stage, Blocked(offer.no, {}, offer.hint), now),), "hold")
        return self._live(step, offer)

    def _live(self, step: Step, offer: Offer) -> Judgement:
        granted = self.granted
        assert granted is not None, "asked before"
        approved, present = StepTerms(granted.offer.terms), Present(StepTerms(offer.terms))
        seen = seen_now(self.site, self.run.id, granted.key, self.starter, approved, present, granted.expires_at)
        if not isinstance(seen, Read):
            return _unknown(seen.why, self.site.clock())
        world = World(self.site.managed, Machines(), OwnChanges(), seen)
        now = self.site.clock()
        verdict = approval_gate.GATE.check(world, self.node, GatePhase.ASK, now)
        if isinstance(verdict, Passed):
            self._keep(step, granted, now)
            return Judgement((Opinion("approval", verdict, now),))
        return Judgement((Opinion("approval", verdict, now),), "hold" if seen.value.rejecters else "ask")

    def _keep(self, step: Step, granted: Granted, now: float) -> None:
        detail = {"terms": dict(granted.offer.terms), "by": list(granted.by)}
        row = AuditRow(now, self.run.id, self.site.managed.name, "roundsman", step.what, detail)
        self.site.store.audit(row)


def _plain(offer: Offer | Waiting) -> Any:
    return offer if isinstance(offer, Waiting) else offer.plain()


def _unknown(why: str, now: float) -> Judgement:
    """Nothing is done while it is not known; it is looked at again after a rest."""
    return Judgement((Opinion("look", Unknown(why), now),))
