"""An outage, from its first alert until it is over: people are paged, rung after rung and round after round, until
somebody has it, and again when nobody has it any more.

One turn of the workflow is one mode: ring (once through the ladder), held (somebody has it), quiet (all is well again,
but not for long yet). A turn ends with `Again`: so a ladder that nobody answers for three days stays as cheap as in its
first hour, and its keys carry the turn. What people did are rows; they are read in acts and waits alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.api import ClusterError
from engine.port import Again, Look, Plain, Run, Waiting
from oncall.escalation import Ring, Step, climb, policy_of
from oncall.pagers import Delivery, Page, Pager, PagerError, State
from oncall.settings import Person, Policy
from store.api import AlertRow, PageRow, RunRow
from workflows import messages_outage as messages
from workflows.acknowledging import Holder, holders, resolved, take
from workflows.messages import host, some
from workflows.phases import UPGRADE
from workflows.site import Site

KNOWN = "outage_known"
"""The workflow that finds out what is known of a fresh outage."""
SENT = "sent"
"""State of a page that may still ring."""
RETRY_S, TRIES = 10.0, 3
"""A page that a service did not take for now is tried again after this long, so many times in all; then the ladder
climbs on and comes back to it."""
UNREACHED_REST_S = 60.0
"""A ladder of which nothing reaches anybody (a revoked token) goes round no faster: each round mentions, and asks."""
REMIND = 0.75
"""Part of an acknowledgement's life after which its holder is asked for a sign of life."""
NEWS_S = 300.0
"""While somebody has it, whatever else goes wrong is told to them at most so often."""
OPERATORS_WAIT_S = 900.0
"""Without a section `oncall` the operators are mentioned, and again so often."""
UNASKED_S = 5.0
"""A receipt is polled no more often (Pushover's rule)."""


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


def outage(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain | Again:
    """Returns {"state": "recovered" | "resolved", "by": user or "", "took": seconds}."""
    o = Outage(run, site, args)
    if o.turn.number == 0:
        run.say("board", lambda: messages.board(site.managed.name, o.alerts()))
    match o.turn.mode:
        case "ring":
            return _ring(o)
        case "held":
            return _held(o)
        case "quiet":
            return _quiet(o)
    raise LookupError(f"this version of the bot knows no mode {o.turn.mode!r} of an outage")


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
        firing = sum(alert.firing for alert in self.alerts())
        return f"{firing} of {len(self.alerts())} alerts fire"

    def went(self, mode: str, now: float) -> Plain | Again:
        """The next turn, or the end."""
        if mode == "resolved":
            return _end(self, "resolved")
        return self.turn.next(self.args, mode, seen=len(self.alerts()), told_at=now, holders=[])


# ---- ring --------------------------------------------------------------------------------------------------------


def _ring(o: Outage) -> Plain | Again:
    """
    1. Each rung: who and how is worked out at that moment, all of them are paged at once.
    2. Then so much time to acknowledge; at once the next rung when nothing of it can reach anybody.
    3. After the last rung the ladder begins again; after a while only, if nothing of it could reach anybody.
    """
    rungs, reached = len(o.policy.rungs) if o.policy else 1, False
    for number in range(rungs):
        rung = Rung(o, number)
        planned = o.run.step(o.key(f"rung{number}"), rung.plan)
        if planned["mode"] != "ring":
            return o.went(planned["mode"], planned["at"])
        rung.page(planned)
        if o.turn.number == number == 0:
            o.run.step(o.key("ask"), lambda: _ask_what_is_known(o))
        answer = rung.wait(planned)
        if answer and answer["mode"] not in ("ring", "unreached"):
            return o.went(answer["mode"], answer["at"])
        reached = reached or not answer
    return _rest(o, 0.0 if reached else UNREACHED_REST_S)


def _rest(o: Outage, least: float) -> Plain | Again:
    pause = max(o.policy.pause if o.policy else 0.0, least)
    if pause:
        what = "the ladder to begin again"
        answer = o.run.until(o.key("rest"), lambda at: _changed(o, at), pause, why=what, who=messages.WHO_ACKNOWLEDGES)
        if answer:
            return o.went(answer["mode"], answer["at"])
    return o.turn.next(o.args, "ring")


def _changed(o: Outage, at: Look) -> Any:
    """A value once nobody needs to be rung any more."""
    mode = o.mode(at.now)
    return Waiting(o.seen()) if mode == "ring" else {"mode": mode, "at": at.now}


class Rung:
    """One rung under way."""

    def __init__(self, o: Outage, number: int) -> None:
        self.o, self.number = o, number
        self._posted = False
        """Slack alone was told: it may reach somebody. Beside a phone that is out of order a mention wakes nobody."""
        self._taken: list[str] = []
        """Keys of the pages that a service took."""

    # who and how ------------------------------------------------------------------------------------------------

    def plan(self) -> Plain:
        now = self.o.site.clock()
        mode = self.o.mode(now)
        step = self._step(now) if mode == "ring" else Step((), 0.0)
        rings = [[ring.person, ring.how] for ring in step.rings]
        return {"mode": mode, "at": now, "rings": rings, "wait": step.wait, "note": step.note}

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
        self._posted = bool(rings) and not ringing
        later = [ring for ring in ringing if self._send(ring, 1) == "later"]
        for attempt in range(2, TRIES + 1):
            if later and self._rested(attempt):
                return
            later = [ring for ring in later if self._send(ring, attempt) == "later"]

    def _mention(self, people: Sequence[str], note: str) -> None:
        if people:
            self._note_slack(people, "mention")
            users = tuple(self._user(person) for person in people)
            o = self.o
            self.o.run.say(
                self._key("mention"),
                lambda: messages.page(o.site.managed.name, o.alerts(), users, note, o.turn.number, self.number),
            )

    def _direct(self, ring: Ring) -> None:
        self._note_slack([ring.person], "direct")
        o, user = self.o, self._user(ring.person)
        self.o.run.say(
            self._key(f"{ring.person}.direct"), lambda: messages.direct(o.site.managed.name, o.alerts(), user)
        )

    def _note_slack(self, people: Sequence[str], how: str) -> None:
        """For the timeline; the outbox does the sending."""

        def write() -> None:
            now = self.o.site.clock()
            for person in people:
                self._record(PageRow(self.o.run.id, self._key(f"{person}.{how}"), person, how, "posted", now, now))

        self.o.run.step(self._key(f"{'-'.join(people)}.{how}.noted"), write)

    def _send(self, ring: Ring, attempt: int) -> str:
        first = self._key(f"{ring.person}.{ring.how}")
        key = self._key(f"{ring.person}.{ring.how}", attempt)
        outcome: str = self.o.run.step(key, lambda: self._sent(key, ring, first))[0]
        if outcome == SENT:
            self._taken.append(key)
        return outcome

    def _sent(self, key: str, ring: Ring, first: str) -> list[str]:
        """["sent", receipt], ["failed", why] for good, ["later", why], or ["over", mode]. One look more, right before
        the act: who has acknowledged meanwhile is not rung. What was tried before, by a pass that a crash cut off or
        over a line that broke, is looked up under its `first` key and from its first time on."""
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
        return ["sent", receipt]

    def _hand_over(self, pager: Pager, page: Page, row: PageRow) -> str:
        cancel(self.o.site, self.o.run.id, row.at, (row.person, row.how))  # the new ring takes the old one's place
        self._record(row)
        return pager.send(page)

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
        return bool(self.o.run.until(key, lambda at: _changed(self.o, at), RETRY_S, why=what, who="nobody has to"))

    # waiting ----------------------------------------------------------------------------------------------------

    def wait(self, planned: Plain) -> Any:
        who = ", ".join(dict.fromkeys(person for person, _ in planned["rings"])) or "nobody"
        return self.o.run.until(
            self._key("wait"),
            self._answer,
            planned["wait"],
            why=f"{who} to acknowledge",
            who=messages.WHO_ACKNOWLEDGES,
        )

    def _answer(self, at: Look) -> Any:
        poll(self.o.site, self.o.run.id, at.now)
        mode = self.o.mode(at.now)
        if mode != "ring":
            return {"mode": mode, "at": at.now}
        if not self._reaches_anybody():
            return {"mode": "unreached", "at": at.now}
        return Waiting(self.o.seen())

    def _reaches_anybody(self) -> bool:
        """Slack may reach somebody, or a page that was taken has not failed since."""
        rows = [self.o.site.store.page_row(self.o.run.id, key) for key in self._taken]
        return self._posted or any(row is not None and row.state != "failed" for row in rows)

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
        return pager.find(page) or ""
    except PagerError:
        return ""


def poll(site: Site, run_id: str, now: float) -> None:
    """Ask the services what came of the pages that still ring. Harmless when repeated; a service that does not answer
    is asked again with the next look."""
    for row in site.store.pages(run_id, state=SENT):
        pager = site.watchers.pagers.get(row.how) if site.watchers else None
        if pager is not None and row.receipt and now - row.changed_at >= UNASKED_S:
            _take_in(site, row, _state(pager, row.receipt), now)


def _state(pager: Pager, receipt: str) -> Delivery:
    try:
        return pager.state(receipt)
    except PagerError as silent:
        return Delivery(State.WAITING, str(silent))


def _take_in(site: Site, row: PageRow, delivery: Delivery, now: float) -> None:
    if delivery.state is State.WAITING:
        return
    if delivery.state is State.ACKNOWLEDGED and (run := site.store.run(row.run_id)) and site.watchers:
        user = site.watchers.settings.people[row.person].slack
        take(site.store, site.watchers, run, user, row.how, f"{row.run_id} {row.receipt}", now)
    site.store.page(replace(row, state=delivery.state.value, error=delivery.why, changed_at=now))


def _ask_what_is_known(o: Outage) -> None:
    """A run of its own, for machines that are in trouble answer slowly, and the ladder must not wait for them."""
    args = {"cluster": o.site.managed.name, "outage": o.run.id}
    now = o.site.clock()
    o.site.store.start_run(
        RunRow(f"{o.run.id}.known", KNOWN, o.site.managed.name, args, "active", now, "roundsman", now)
    )


def known(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """What can be found out at once, into the outage's thread: guests that do not run, which way in still works, and
    the last run."""

    def tell() -> None:
        message = messages.known([*_guests(site), _paths(site), *_last_run(site)]).plain()
        site.store.put_out(args["outage"], "known", message, site.clock())

    run.step("tell", tell)
    return {}


def _guests(site: Site) -> list[str]:
    try:
        guests = site.cluster.guests()
    except ClusterError as silent:
        return [f"Proxmox VE does not answer: {host(str(silent))}"]
    down = [
        f"{guest.name} ({guest.id}) on {guest.node}" for guest in guests if not guest.running and not guest.template
    ]
    running = sum(guest.running for guest in guests)
    return [f"{running} guests run, {len(down)} do not: {host(some(down)) or 'none'}"]


def _paths(site: Site) -> str:
    """Tried now: the last round of tests may be from before the trouble."""
    return messages.ways_in([path.name for path in site.managed.ways], site.cluster.test_paths().tests)


def _last_run(site: Site) -> list[str]:
    for row in site.store.runs(cluster=site.managed.name, workflow=UPGRADE, limit=1):
        ago = site.clock() - (row.finished_at or row.created_at)
        return [f"the last run, `{row.id}` by <@{row.created_by}>, {messages.last_run(row.state, ago)}"]
    return ["no run has touched this cluster yet"]


# ---- held --------------------------------------------------------------------------------------------------------


def _held(o: Outage) -> Plain | Again:
    """Somebody has it: everything stops ringing. Before their word goes stale they are asked for a sign of life."""
    held = o.run.step(o.key("hold"), lambda: _stop_ringing(o))
    if not held["holders"]:
        return o.went(held["mode"], held["at"])
    if o.args.get("holders") != held["holders"]:
        o.run.say(o.key("held"), lambda: messages.taken(held["holders"], held["ends"], held["snoozed"]))
    life = max(held["ends"] - held["at"], 0.0)
    answer = _hold(o, "life", held, life if held["snoozed"] else life * REMIND)
    if answer is None and not held["snoozed"]:
        o.run.say(o.key("remind"), lambda: messages.remind(held["holders"], held["ends"]))
        answer = _hold(o, "last", held, life * (1 - REMIND))
    if answer is None:
        return _lapsed(o, held)
    if answer["mode"] == "news":
        o.run.say(o.key("news"), lambda: messages.news(held["holders"], o.alerts()[o.turn.seen :]))
    return _left(o, held, answer)


def _left(o: Outage, held: Plain, answer: Plain) -> Plain | Again:
    if answer["mode"] == "ring":
        o.run.say(o.key("released"), lambda: messages.released(held["holders"]))
    if answer["mode"] in ("held", "news"):
        told = {"seen": len(o.alerts()), "told_at": answer["at"]} if answer["mode"] == "news" else {}
        return o.turn.next(o.args, "held", holders=held["holders"], **told)
    return o.went(answer["mode"], answer["at"])


def _lapsed(o: Outage, held: Plain) -> Again:
    """Nobody who held it gave a sign of life: their word does not count any more, and the ladder begins at its top."""
    now = o.run.step(o.key("lapsed"), o.site.clock)
    o.run.say(o.key("stale"), lambda: messages.lapsed(held["holders"], bool(held["snoozed"])))
    return o.turn.next(o.args, "ring", void_before=now, holders=[])


def _hold(o: Outage, name: str, held: Plain, timeout: float) -> Any:
    return o.run.until(
        o.key(name),
        lambda at: _held_still(o, held, at),
        timeout,
        why=f"{messages.names(held['holders'])} to mend it",
        who="whoever mends it; `/outage resolve` ends it, `/outage ack` is a sign of life",
    )


def _held_still(o: Outage, held: Plain, at: Look) -> Any:
    mode = o.mode(at.now)
    if mode != "held":
        gone = mode == "ring" and at.now >= held["ends"]
        return Waiting(o.seen()) if gone else {"mode": mode, "at": at.now}  # a lapse is the deadline's, not a release
    if _who(o.holders(at.now)) != held["signs"]:
        return {"mode": "held", "at": at.now}
    if len(o.alerts()) > o.turn.seen and at.now - o.turn.told_at >= NEWS_S:
        return {"mode": "news", "at": at.now}
    return Waiting(o.seen())


def _who(found: Sequence[Holder]) -> list[list[Any]]:
    return [[holder.user, holder.ends] for holder in found]


def _stop_ringing(o: Outage) -> Plain:
    now = o.site.clock()
    found = o.holders(now)
    mode = o.mode(now)
    if mode != "held":
        return {"mode": mode, "at": now, "holders": []}
    cancel(o.site, o.run.id, now)
    ends = max(holder.ends for holder in found)
    snoozed = all(holder.snoozed for holder in found)
    users = [holder.user for holder in found]
    return {"mode": mode, "at": now, "holders": users, "ends": ends, "snoozed": snoozed, "signs": _who(found)}


def cancel(site: Site, run_id: str, now: float, only: tuple[str, str] | None = None) -> None:
    """Whatever still rings for this run stops (`only`: for this person in this way). A service that does not answer
    goes on ringing until it expires by itself, which is said in the page's row."""
    for row in site.store.pages(run_id, state=SENT):
        pager = site.watchers.pagers.get(row.how) if site.watchers else None
        if pager is None or not row.receipt or only not in (None, (row.person, row.how)):
            continue
        try:
            pager.cancel(row.receipt)
        except PagerError as error:
            site.store.page(replace(row, state="cancelled", error=f"not cancelled: {error}", changed_at=now))
        else:
            site.store.page(replace(row, state="cancelled", changed_at=now))


# ---- quiet, and the end --------------------------------------------------------------------------------------------


def _quiet(o: Outage) -> Plain | Again:
    """All is well again: nothing rings any more; it is over when it stays so for a while."""
    began = o.run.step(o.key("quiet"), lambda: _hush(o))
    settle = o.site.managed.outages.settle
    o.run.say(o.key("recovered"), lambda: messages.recovered(o.alerts(), settle))
    answer = o.run.until(
        o.key("settle"),
        lambda at: _relapsed(o, at),
        settle,
        why="the recovery to last",
        who="time, or a relapse",
    )
    if answer is None:
        return _end(o, "recovered")
    if answer["mode"] != "resolved":
        o.run.say(o.key("relapsed"), lambda: messages.relapsed(answer["at"] - began))
    return o.went(answer["mode"], answer["at"])


def _hush(o: Outage) -> float:
    now = o.site.clock()
    cancel(o.site, o.run.id, now)
    return now


def _relapsed(o: Outage, at: Look) -> Any:
    mode = o.mode(at.now)
    return Waiting("all is well again") if mode == "quiet" else {"mode": mode, "at": at.now}


def _end(o: Outage, how: str) -> Plain:
    ended = o.run.step(o.key("end"), lambda: _close(o, how))
    o.run.say(o.key("over"), lambda: messages.over(o.site.managed.name, ended["state"], ended["by"], ended["took"]))
    return ended


def _close(o: Outage, how: str) -> Plain:
    """What a person resolved fires no more; it may fire again, as an outage of its own."""
    now, row = o.site.clock(), o.site.store.run(o.run.id)
    cancel(o.site, o.run.id, now)
    o.site.store.clear(o.site.managed.name, [alert.fingerprint for alert in o.alerts() if alert.firing], now)
    order = resolved(o.site.store.orders(o.run.id))
    began = min((alert.began_at for alert in o.alerts()), default=row.created_at if row else now)
    return {"state": how, "by": order.by if order and how == "resolved" else "", "took": now - began}
