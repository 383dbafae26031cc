"""One rung of a ladder: everybody on it is paged, what does not go through is tried again, and so much time is left for
an acknowledgement. What an outage and a drill of a pager share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from engine.port import Again, Look, Plain, Run, Waiting
from oncall.escalation import Ring, Step, climb, policy_of
from oncall.pagers import Delivery, Page, Pager, PagerError, State
from oncall.settings import Person, Policy
from store.api import AlertRow, PageRow
from workflows import messages_outage as messages
from workflows.acknowledging import PUT_BACK_S, Holder, holders, resolved, take
from workflows.site import Site, one_by_one

SENT = "sent"
"""State of a page that may still ring."""
TAKEN = frozenset({SENT, "acknowledged", "cancelled", "expired"})
"""States of a page that a service took."""
RETRY_S, TRIES = 10.0, 3
"""A page that a service did not take for now is tried again after this long, so many times in all; then the ladder
climbs on and comes back to it."""
POSTED_S = 30.0
"""A message that Slack has not got for so long, as a second is usual, may wait for hours: Slack is down, or the bot was
put out of the channel. A rung of mentions alone reaches nobody then, and is not waited for."""
OPERATORS_WAIT_S = 900.0
"""Without a section `oncall` the operators are mentioned, and again so often."""
UNASKED_S = 5.0
"""A receipt is polled no more often (Pushover's rule)."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """Where an outage stands: what `Again` carries from turn to turn. `void_before`: acknowledgements until then do not
    count any more. `seen`: so many alerts have been told. `told_at`: when news were told last."""

    number: int
    mode: str
    policy: str
    void_before: float
    seen: int = 0
    told_at: float = 0.0

    @classmethod
    def of(cls, args: Mapping[str, Plain]) -> Turn:
        return cls(
            args["turn"],
            args["mode"],
            args["policy"],
            args["void_before"],
            args.get("seen", 0),
            args.get("told_at", 0.0),
        )

    def next(self, args: Mapping[str, Plain], mode: str, **changes: Plain) -> Again:
        return Again({**args, "turn": self.number + 1, "mode": mode, **changes})


class Outage:
    """What every turn works with."""

    def __init__(self, run: Run, site: Site, args: Mapping[str, Plain]) -> None:
        self.run, self.site, self.args, self.turn = run, site, args, Turn.of(args)

    def key(self, name: str) -> str:
        return f"t{self.turn.number}.{name}"

    def alerts(self) -> list[AlertRow]:
        return self.site.store.alerts(self.run.id)

    def holders(self, now: float) -> tuple[Holder, ...]:
        return holders(self.site.store.orders(self.run.id), self.turn.void_before, now)

    @property
    def policy(self) -> Policy | None:
        return policy_of(self.site.watchers.settings, self.turn.policy) if self.site.watchers else None

    def mode(self, now: float) -> str:
        """What the world and its people ask for now: "resolved", "quiet", "held" or "ring"."""
        if resolved(self.site.store.orders(self.run.id)):
            return "resolved"
        if not any(alert.firing for alert in self.alerts()):
            return "quiet"
        return "held" if self.holders(now) else "ring"

    def seen(self) -> str:
        alerts = self.alerts()  # once: after a flood there are ten thousand
        return f"{sum(alert.firing for alert in alerts)} of {len(alerts)} alerts fire"


def changed(o: Outage, at: Look) -> Any:
    """A value once nobody needs to be rung any more. Also when the clock was put back: the deadline may be hours away
    then, and a ladder that climbs too early is better than one that stands."""
    mode = o.mode(at.now)
    stands = mode == "ring" and at.since - at.now < PUT_BACK_S
    return Waiting(o.seen()) if stands else {"mode": mode, "at": at.now}


def heard(o: Outage, at: Look) -> Any:
    """As `changed`, with a look at the phones that still ring."""
    poll(o.site, o.run.id, at.now)
    return changed(o, at)


class Rung:
    """One rung under way."""

    def __init__(self, o: Outage, number: int) -> None:
        self.o, self.number = o, number
        self._posted: list[str] = []
        """Keys of its messages, where Slack alone was told: they may reach somebody. Beside a phone that is out of
        order a mention wakes nobody."""
        self._tried: list[str] = []
        """Keys of the pages that a service was asked to take: their rows say what came of it."""

    # who and how ------------------------------------------------------------------------------------------------

    def plan(self) -> Plain:
        now = self.o.site.clock()
        mode = self.o.mode(now)
        step = self._step(now) if mode == "ring" else Step((), 0.0)
        rings = [[ring.person, ring.how] for ring in step.rings]
        seen = len(self.o.alerts())
        return {"mode": mode, "at": now, "rings": rings, "wait": step.wait, "note": step.note, "seen": seen}

    def _step(self, now: float) -> Step:
        watchers, policy = self.o.site.watchers, self.o.policy
        if watchers is None or policy is None:
            operators = self.o.site.managed.people.operators
            return Step(tuple(Ring(user, "mention") for user in operators), OPERATORS_WAIT_S)
        return climb(watchers.settings, policy, self.number, now, watchers.on_call)

    # paging -----------------------------------------------------------------------------------------------------

    def page(self, planned: Plain) -> None:
        """Slack first, for it costs nothing; then everything that rings; then once more what did not go through."""
        rings = [Ring(person, how) for person, how in planned["rings"]]
        self._mention([ring.person for ring in rings if ring.how == "mention"], planned["note"])
        for ring in rings:
            if ring.how == "direct":
                self._direct(ring)
        ringing = [ring for ring in rings if ring.how not in ("mention", "direct")]
        if not ringing:
            self._posted = list(dict.fromkeys(self._message(ring) for ring in rings))
        later = self._send(ringing, 1)
        for attempt in range(2, TRIES + 1):
            if later and self._rested(attempt):
                return
            later = self._send(later, attempt)

    def _mention(self, people: Sequence[str], note: str) -> None:
        if people:
            self._note_slack(people, "mention")
            users = tuple(self._user(person) for person in people)
            o = self.o
            self.o.run.say(
                self._message(Ring("", "mention")),
                lambda: messages.page(o.site.managed.name, o.alerts(), users, note, o.turn.number, self.number),
            )

    def _direct(self, ring: Ring) -> None:
        self._note_slack([ring.person], "direct")
        o, user = self.o, self._user(ring.person)
        self.o.run.say(self._message(ring), lambda: messages.direct(o.site.managed.name, o.alerts(), user))

    def _message(self, ring: Ring) -> str:
        """One for all who are mentioned."""
        return self._key("mention" if ring.how == "mention" else f"{ring.person}.direct")

    def _note_slack(self, people: Sequence[str], how: str) -> None:
        """For the timeline; the outbox does the sending."""

        def write() -> None:
            now = self.o.site.clock()
            for person in people:
                self._record(PageRow(self.o.run.id, self._key(f"{person}.{how}"), person, how, "posted", now, now))

        self.o.run.step(self._key(f"{'-'.join(people)}.{how}.noted"), write)

    def _send(self, rings: Sequence[Ring], attempt: int) -> list[Ring]:
        """All of them side by side, in one act; those that a service did not take for now. What came of each is in its
        page's row as soon as it is known: after a crash that act finds it there."""
        if not rings:
            return []
        keys = [self._key(f"{ring.person}.{ring.how}", attempt) for ring in rings]
        firsts = [self._key(f"{ring.person}.{ring.how}") for ring in rings]
        acts = [partial(self._sent, *one) for one in zip(keys, rings, firsts, strict=True)]
        outcomes = self.o.run.step(self._key("rings", attempt), lambda: _together(self.o.site, acts))
        self._tried += keys
        return [ring for ring, (outcome, _) in zip(rings, outcomes, strict=True) if outcome == "later"]

    def _sent(self, key: str, ring: Ring, first: str) -> list[str]:
        """["sent", receipt], ["failed", why] for good, ["later", why], or ["over", mode]. One look more, right before
        the act: who has acknowledged meanwhile is not rung. What was tried before, by a pass that a crash cut off or
        over a line that broke, is looked up under its `first` key and from its first time on."""
        known = self.o.site.store.page_row(self.o.run.id, key)
        if known is not None and known.state in TAKEN:
            return ["sent", known.receipt]
        now = self.o.site.clock()
        if (mode := self.o.mode(now)) != "ring":
            return ["over", mode]
        row = PageRow(self.o.run.id, key, ring.person, ring.how, "sending", now, now)
        pager, person, why = self._way(ring)
        if pager is None or person is None:
            self._record(replace(row, state="failed", error=why))
            return ["failed", why]
        tried = self.o.site.store.page_row(self.o.run.id, first)
        since = tried.at if tried else now
        page = messages.to_ring(self.o.run.id, first, ring.person, person, self.o.site, self.o.alerts(), since)
        try:
            receipt = (tried and _found(pager, page)) or self._hand_over(pager, page, row)
        except PagerError as error:
            self._record(replace(row, state="failed", error=str(error), changed_at=self.o.site.clock()))
            return ["failed" if error.permanent else "later", str(error)]
        self._record(replace(row, state=SENT, receipt=receipt, changed_at=self.o.site.clock()))
        cancel(self.o.site, self.o.run.id, now, row)
        return ["sent", receipt]

    def _hand_over(self, pager: Pager, page: Page, row: PageRow) -> str:
        self._record(row)
        return _asked(lambda: pager.send(page))

    def _way(self, ring: Ring) -> tuple[Pager | None, Person | None, str]:
        watchers = self.o.site.watchers
        pager = watchers.pagers.get(ring.how) if watchers else None
        person = watchers.settings.people.get(ring.person) if watchers else None
        if pager is None or person is None:
            return None, None, f"{ring.how} is not set up" if pager is None else f"nobody is called {ring.person}"
        why = pager.reaches(person)
        return (None, None, why) if why else (pager, person, "")

    def _rested(self, attempt: int) -> bool:
        """True when nobody needs to be rung any more."""
        key = self._key("again", attempt)
        what = "a paging service to take the page"
        return bool(self.o.run.until(key, lambda at: heard(self.o, at), RETRY_S, why=what, who="nobody has to"))

    # waiting ----------------------------------------------------------------------------------------------------

    def wait(self, planned: Plain) -> Any:
        who = ", ".join(dict.fromkeys(messages.called(person) for person, _ in planned["rings"])) or "nobody"
        return self.o.run.until(
            self._key("wait"),
            self._answer,
            planned["wait"],
            why=f"{who} to acknowledge",
            who=messages.WHO_ACKNOWLEDGES,
        )

    def _answer(self, at: Look) -> Any:
        answer = heard(self.o, at)
        if isinstance(answer, Waiting) and not self._reaches_anybody(at.now - at.since):
            return {"mode": "unreached", "at": at.now}
        return answer

    def _reaches_anybody(self, waited: float) -> bool:
        """Slack has got the message, or may still get it in time; or a page that was taken has not failed since."""
        store, run_id = self.o.site.store, self.o.run.id
        posted = [store.outbox_row(run_id, key) for key in self._posted]
        if posted and (waited < POSTED_S or any(row is not None and row.ts for row in posted)):
            return True
        tried = [store.page_row(run_id, key) for key in self._tried]
        return any(row is not None and row.state != "failed" for row in tried)

    def _key(self, name: str, attempt: int = 1) -> str:
        key = self.o.key(f"rung{self.number}.{name}")
        return key if attempt == 1 else f"{key}#{attempt}"

    def _user(self, person: str) -> str:
        watchers = self.o.site.watchers
        known = watchers.settings.people.get(person) if watchers else None
        return known.slack if known else person

    def _record(self, row: PageRow) -> None:
        self.o.site.store.page(row)


def _found(pager: Pager, page: Page) -> str:
    """The receipt of a page that an earlier pass may have sent; "" = send it (again): rather twice than never."""
    try:
        return _asked(lambda: pager.find(page)) or ""
    except PagerError:
        return ""


def _asked(ask: Callable[[], T]) -> T:
    """A pager with a fault is one that does not answer: it holds up neither the others nor the ladder."""
    try:
        return ask()
    except PagerError:
        raise
    except Exception as fault:
        log.exception("ringing: a pager was asked -> it broke")
        why = f"the pager itself broke ({type(fault).__name__}): a fault in Roundsman, its log has the trace"
        raise PagerError(why, permanent=False) from None


def _ringing(site: Site, run_id: str) -> list[tuple[PageRow, Pager]]:
    """Its pages that may still ring, of services that can be asked about them."""
    pagers = site.watchers.pagers if site.watchers else {}
    rows = site.store.pages(run_id, state=SENT)
    return [(row, pagers[row.how]) for row in rows if row.how in pagers and row.receipt]


def _together(site: Site, works: Sequence[Callable[[], T]]) -> list[T]:
    return site.watchers.together(works) if site.watchers else one_by_one(works)


def poll(site: Site, run_id: str, now: float) -> None:
    """Ask the services what came of the pages that still ring. Harmless when repeated; a service that does not answer
    is asked again with the next look."""
    due = [(row, pager) for row, pager in _ringing(site, run_id) if not 0 <= now - row.changed_at < UNASKED_S]
    states = _together(site, [partial(_state, pager, row.receipt) for row, pager in due])
    for (row, _), delivery in zip(due, states, strict=True):
        _take_in(site, row, delivery, now)


def _stands(site: Site, row: PageRow) -> bool:
    """No key was pressed while the service was asked: such a word counts, whatever the service has seen."""
    return site.store.page_row(row.run_id, row.key) == row


def _state(pager: Pager, receipt: str) -> Delivery:
    try:
        return _asked(lambda: pager.state(receipt))
    except PagerError as silent:
        return Delivery(State.WAITING, str(silent))


def _take_in(site: Site, row: PageRow, delivery: Delivery, now: float) -> None:
    if delivery.state is State.WAITING or not _stands(site, row):
        return
    if delivery.state is State.ACKNOWLEDGED and (run := site.store.run(row.run_id)) and site.watchers:
        person = site.watchers.settings.people.get(row.person)  # None: they left the settings while it rang
        take(
            site.store,
            site.watchers,
            run,
            person.slack if person else row.person,
            row.how,
            f"{row.run_id} {row.receipt}",
            now,
        )
    site.store.page(replace(row, state=delivery.state.value, error=delivery.why, changed_at=now))


def cancel(site: Site, run_id: str, now: float, newer: PageRow | None = None) -> None:
    """Whatever still rings for this run stops; with `newer`, only what this page, which rings already, takes the place
    of. A service that does not answer goes on ringing until it expires by itself, which is said in the page's row."""
    meant = [(row, pager) for row, pager in _ringing(site, run_id) if newer is None or _replaces(newer, row)]
    errors = _together(site, [partial(_called_off, pager, row.receipt) for row, pager in meant])
    for (row, _), error in zip(meant, errors, strict=True):
        if _stands(site, row):
            site.store.page(replace(row, state="cancelled", error=error, changed_at=now))


def _replaces(newer: PageRow, row: PageRow) -> bool:
    return (newer.person, newer.how) == (row.person, row.how) and newer.key != row.key


def _called_off(pager: Pager, receipt: str) -> str:
    """Empty, or why not."""
    try:
        _asked(lambda: pager.cancel(receipt))
    except PagerError as error:
        return f"not cancelled: {error}"
    return ""
