"""`/oncall test`: a drill. It rings one person now, in every way that a night would, and remembers who answered: an
untested pager is the night of 2017 again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.port import Look, Plain, Run, Waiting
from oncall.escalation import RINGS, Ring, policy_of
from workflows import messages_outage as messages
from workflows.acknowledging import Deed
from workflows.readiness import contact, proof_of
from workflows.ringing import Outage, Rung, cancel, poll
from workflows.site import Site, Watchers

PAGER_TEST = "pager_test"
"""The workflow of a drill."""
CUT_OFF_S = 900.0
"""Nobody expects to be rung any more so long after it was asked for, as with any typed command (bot/inbox.py); and an
answer that could not come in for so long may have been given."""
CUT_OFF = "cut off"


def pager_test(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": "answered" | "unanswered", "person": name, "how": way, "took": seconds}, or {"state": CUT_OFF,
    "person": name}. Only the person who is tested can answer; and on what rings, if it can be answered there: a click
    in Slack proves no telephone."""
    watchers, name = site.watchers, args["person"]
    if watchers is None:
        raise LookupError("the settings have no section oncall any more; put it back")
    person = watchers.settings.people.get(name)  # None: they left the settings while it rang
    user = person.slack if person else name
    run.say("board", lambda: messages.drill(name, user))
    rings = run.step("ways", lambda: [[ring.person, ring.how] for ring in ways(watchers, name)])
    drill = Drill(run, site, {**args, "turn": 0, "mode": "ring", "policy": "", "void_before": 0.0})
    rung = Rung(drill, 0)
    heard = _answerable(watchers, rings)
    rung.page({"rings": rings, "note": messages.proves(heard)})
    answer = run.until(
        "answer",
        lambda at: _answer(drill, user, heard, at),
        watchers.settings.test_wait,
        why=f"{name} to answer the drill",
        who=f"{name}: {messages.proves(heard) or 'by reacting in Slack'}",
    )
    run.step("hush", lambda: cancel(site, run.id, site.clock()))
    if answer == CUT_OFF:
        run.say("cut-off", lambda: messages.drill_cut_off(name, user))
        return {"state": CUT_OFF, "person": name}
    if answer is None:
        waited = watchers.settings.test_wait
        run.say("failed", lambda: messages.drill_failed(name, user, waited, _clicked(drill, user, heard)))
        return {"state": "unanswered", "person": name, "how": "", "took": waited}
    proof = {"how": answer["how"], "run": run.id, "contact": contact(person, answer["how"])}
    run.step("proven", lambda: site.store.keep(proof_of(name), proof, answer["at"]))
    run.say("passed", lambda: messages.drill_passed(name, user, answer["how"], answer["took"]))
    return {"state": "answered", "person": name, **answer}


class Drill(Outage):
    """Rung like an outage; but nothing is wrong, so it rings until its own person answers, and not hours later."""

    def mode(self, now: float) -> str:
        row = self.site.store.run(self.run.id)
        return CUT_OFF if row and now - row.created_at >= CUT_OFF_S else "ring"

    def cut_off(self, at: Look) -> bool:
        """The bot was away when it should have rung, or when the time for an answer ran out."""
        return self.mode(at.since) == CUT_OFF or at.now - at.deadline >= CUT_OFF_S


def ways(watchers: Watchers, name: str) -> list[Ring]:
    """Every way that rings in which any policy could page this person, and a mention beside it."""
    names = [policy.name for policy in watchers.settings.policies]
    rungs = [rung for policy in names for rung in policy_of(watchers.settings, policy).rungs]
    known = dict.fromkeys(how for rung in rungs for how in (*rung.how, *rung.night) if how in RINGS)
    person = watchers.settings.people.get(name)
    usable = [how for how in known if person and how in watchers.pagers and not watchers.pagers[how].reaches(person)]
    return [Ring(name, "mention"), *(Ring(name, how) for how in usable)]


def _clicked(drill: Drill, user: str, heard: Sequence[str]) -> bool:
    """They answered, on nothing that rings."""
    orders = drill.site.store.orders(drill.run.id)
    return any(order.verb == Deed.ACK and order.by == user and order.reason not in heard for order in orders)


def _answerable(watchers: Watchers, rings: Sequence[Sequence[str]]) -> list[str]:
    """Ways of these in which an answer can come back."""
    return [how for _, how in rings if how in watchers.pagers and watchers.pagers[how].acknowledges]


def _answer(drill: Drill, user: str, heard: Sequence[str], at: Look) -> Any:
    poll(drill.site, drill.run.id, at.now)
    for order in drill.site.store.orders(drill.run.id):
        proof = order.reason in heard or not heard
        if order.verb == Deed.ACK and order.by == user and order.at <= at.deadline and proof:
            return {"how": order.reason, "at": order.at, "took": order.at - at.since}
    return CUT_OFF if drill.cut_off(at) else Waiting("not answered yet")
