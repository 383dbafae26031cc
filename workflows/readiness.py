"""Who would be woken if something died in or after a run: collected for the on-call gate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cluster.facts import Read, Reading
from cluster.world import OnCallSeen, PersonSeen
from oncall.escalation import RINGS, ROTA, Step, climb, night, policy_of, reachable
from oncall.settings import Person, Policy
from workflows.acknowledging import PUT_BACK_S
from workflows.phases import UPGRADE
from workflows.site import ChatDown, Site, Watchers

NODE_S = 3600.0
"""A node takes about so long, as long as no finished run of the cluster says better."""


def on_call_now(site: Site) -> Reading[OnCallSeen] | None:
    """None without a section `oncall`. Slack is asked about Do Not Disturb alone, and its silence is told as such."""
    watchers = site.watchers
    if watchers is None:
        return None
    now = site.clock()
    policy = policy_of(watchers.settings, site.managed.outages.policy)
    first = climb(watchers.settings, policy, 0, now, watchers.on_call)
    called = () if first.note and not _named(policy) else first.people
    others = reachable(watchers.settings, policy, watchers.on_call, now) - set(called)
    until = now + expected_s(site) + site.managed.limits.watch
    gaps = tuple(_gaps(watchers, policy, now, until))
    people = tuple(_person(site, watchers, first, name, now) for name in called)
    return Read(OnCallSeen(people, tuple(sorted(others)), until, gaps, watchers.settings.proof_age), now)


def expected_s(site: Site) -> float:
    """How long a run of this cluster takes: as its last one did, else about an hour a node."""
    done = site.store.runs(cluster=site.managed.name, workflow=UPGRADE, state="done", limit=20)
    for row in done:
        nodes = [outcome for outcome in (row.result or {}).get("nodes", {}).values() if "packages" in outcome]
        if row.finished_at and len(nodes) == len(site.managed.nodes):
            return max(row.finished_at - row.created_at - site.managed.limits.watch, NODE_S)
    return NODE_S * len(site.managed.nodes)


def _named(policy: Policy) -> bool:
    """The first rung names people beside rotas."""
    return any(not who.startswith(ROTA) for who in policy.rungs[0].who)


def _gaps(watchers: Watchers, policy: Policy, now: float, until: float) -> Iterator[tuple[str, float, float]]:
    duty = watchers.duty()
    for who in policy.rungs[0].who:
        rota = who.removeprefix(ROTA)
        if who.startswith(ROTA) and rota in duty.rotas:
            yield from ((gap.rota, gap.start, gap.end) for gap in duty.gaps(rota, now, until))


def _person(site: Site, watchers: Watchers, first: Step, name: str, now: float) -> PersonSeen:
    ways = {ring.how for ring in first.rings if ring.person == name and ring.how in RINGS}
    rings = tuple(sorted(how for how in ways if how in watchers.pagers))
    person = watchers.settings.people[name]
    return PersonSeen(name, night(person, now), rings, _proven_at(site, name, person, now), _quiet(site, person.slack))


def _proven_at(site: Site, name: str, person: Person, now: float) -> float | None:
    """When they answered a drill on what they have still got: a new number proves itself anew. None also for a time
    that is still to come: the clock was put back since, and nobody can tell how old that proof is."""
    proof = site.store.kept(proof_of(name))
    if proof is None or proof.at - now >= PUT_BACK_S:
        return None
    before_this_was_kept = "contact" not in proof.value
    same = before_this_was_kept or proof.value["contact"] == contact(person, proof.value["how"])
    return proof.at if same else None


def _quiet(site: Site, user: str) -> str:
    try:
        return "Do Not Disturb is on in Slack: a mention makes no sound" if site.chat.quiet(user) else ""
    except ChatDown as down:
        return f"Slack did not say whether Do Not Disturb is on ({down})"


def contact(person: Person | None, how: str) -> str:
    """What is rung in this way, for comparing alone: a key is a secret."""
    told = {"voice": person.phone, "pushover": person.pushover.get_secret_value()}.get(how, "") if person else ""
    return hashlib.sha256(f"{how} {told}".encode()).hexdigest()[:16]


def proof_of(name: str) -> str:
    """Under which name an answered drill is kept."""
    return f"proof/{name}"
