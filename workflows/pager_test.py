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


def pager_test(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": "answered" | "unanswered", "person": name, "how": way, "took": seconds}. Only the person who is
    tested can answer; and on what rings, if it can be answered there: a click in Slack proves no telephone."""
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
        lambda at: _answer(site, run.id, user, heard, at),
        watchers.settings.test_wait,
        why=f"{name} to answer the drill",
        who=f"{name}: {messages.proves(heard) or 'by reacting in Slack'}",
    )
    run.step("hush", lambda: cancel(site, run.id, site.clock()))
    if answer is None:
        run.say(
            "failed", lambda: messages.drill_failed(name, user, watchers.settings.test_wait, _clicked(site, run, user))
        )
        return {"state": "unanswered", "person": name, "how": "", "took": watchers.settings.test_wait}
    proof = {"how": answer["how"], "run": run.id, "contact": contact(person, answer["how"])}
    run.step("proven", lambda: site.store.keep(proof_of(name), proof, answer["at"]))
    run.say("passed", lambda: messages.drill_passed(name, user, answer["how"], answer["took"]))
    return {"state": "answered", "person": name, **answer}


class Drill(Outage):
    """Rung like an outage; but nothing is wrong, so it rings until its own person answers."""

    def mode(self, now: float) -> str:
        return "ring"


def ways(watchers: Watchers, name: str) -> list[Ring]:
    """Every way that rings in which any policy could page this person, and a mention beside it."""
    names = [policy.name for policy in watchers.settings.policies]
    rungs = [rung for policy in names for rung in policy_of(watchers.settings, policy).rungs]
    known = dict.fromkeys(how for rung in rungs for how in (*rung.how, *rung.night) if how in RINGS)
    person = watchers.settings.people.get(name)
    usable = [how for how in known if person and how in watchers.pagers and not watchers.pagers[how].reaches(person)]
    return [Ring(name, "mention"), *(Ring(name, how) for how in usable)]


def _clicked(site: Site, run: Run, user: str) -> bool:
    return any(order.verb == Deed.ACK and order.by == user for order in site.store.orders(run.id))


def _answerable(watchers: Watchers, rings: Sequence[Sequence[str]]) -> list[str]:
    """Ways of these in which an answer can come back."""
    return [how for _, how in rings if how in watchers.pagers and watchers.pagers[how].acknowledges]


def _answer(site: Site, run_id: str, user: str, heard: Sequence[str], at: Look) -> Any:
    poll(site, run_id, at.now)
    for order in site.store.orders(run_id):
        proof = order.reason in heard or not heard
        if order.verb == Deed.ACK and order.by == user and order.at <= at.deadline and proof:
            return {"how": order.reason, "at": order.at, "took": order.at - at.since}
    return Waiting("not answered yet")
