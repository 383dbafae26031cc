"""The way of one node, in the order of the runbook (DESIGN section 4): every function is one phase."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

from cluster.api import NOT_AFTER_S, ClusterError, Refused, Uncertain, Unreachable
from cluster.facts import Machines, NodeStatus, Read, Topic, Unread
from cluster.guest_settings import CannotMove
from cluster.world import GatePhase
from engine.port import Look, Waiting
from workflows import meanwhile, messages, messages_meanwhile
from workflows.approvals import Bound, Need, stops_on
from workflows.ceph import noout_off, noout_on
from workflows.drain import bring_back, drain
from workflows.journey import Journey
from workflows.orders import overrides
from workflows.phases import Phase
from workflows.putback import STILL_UP_S, await_release, in_mode, putting_back
from workflows.replication import catch_up, replicated
from workflows.stopping import park, start_again
from workflows.storage import healed
from workflows.wheel import LISTING_S, Approval, Wheel

ANSWERS_S = NOT_AFTER_S
"""A node that takes longer to answer right before an act lets what the gates have seen grow old."""
NEVER_BEGAN_S = 60.0
"""A unit that is unknown to its node so long after it was sent never began: its own limit passed long ago."""


APT_PATIENCE_S = 300.0
"""What apt refuses is said at once; if it refuses it for so long, a person has to do something, and the run holds."""
TROUBLES = 5
"""So many kinds of it are said while a node is looked at; what else apt says is waited for without a word."""
LOOKED_AT = frozenset({Topic.NODES, Topic.PACKAGES, Topic.GUESTS, Topic.MOVES})


@dataclass(slots=True)
class Walk:
    """One node under way: the wheel, what the node needs, and which guests have moved or were stopped for it."""

    wheel: Wheel
    force: bool
    need: Need
    journey: Journey
    evidence: str = ""


def walk_node(w: Wheel, *, force_reboot: bool) -> str:
    """The whole way of one node; returns how it ended, in words. Raises Skipped or Aborted after putting back."""
    began = w.act(Phase.LOOK, lambda *_: w.site.clock(), "began")
    need = look(w, force_reboot)
    if need.nothing:
        w.say(Phase.LOOK, "", lambda: messages.nothing_to_do(w.node))
        return "nothing to do"
    walk = Walk(w, force_reboot, need, Journey())
    with putting_back(w, walk.journey):
        ask(walk)
        replicated(w)
        park(w, walk.journey, _ask_again(walk))
        maintenance_on(walk)
        drain(w, walk.journey)
        if walk.need.packages:
            upgrade(walk)
            healed(w, "upgrade")
        if walk.need.reboot:
            has_ceph = noout_on(w)
            tell_who_starts(w)
            reboot(walk)
            prove(walk)
            healed(w, "reboot")
            if has_ceph:
                noout_off(w)
        release(walk)
        bring_back(w, walk.journey)
    w.say(Phase.RETURN, "done", lambda: messages.node_done(w.node, w.site.clock() - began))
    return _outcome(walk)


def _outcome(walk: Walk) -> str:
    packages = f"{walk.need.count} packages upgraded" if walk.wheel.own.packages_installed else "no packages"
    return f"{packages}, runs {walk.need.target}" if walk.need.reboot else f"{packages}, no reboot needed"


# ---- what it needs -----------------------------------------------------------------------------------------------


def look(w: Wheel, force_reboot: bool) -> Need:
    """What the node needs now. A read that decides the way: it is asked until it answers."""
    told: list[str] = []
    while True:
        found = w.wait(
            Phase.LOOK,
            lambda _: _need(w, force_reboot, told),
            min(APT_PATIENCE_S if told else inf, w.site.managed.limits.brick_back),
            why=f"reading what {w.node} needs",
            who="a person, by mending the package system" if told else "the machines, by answering",
        )
        if "need" in found:
            return Need.of(found["need"])
        told.append(found["trouble"])
        w.say(Phase.LOOK, "trouble", partial(messages_meanwhile.packages_not_read, w.node, told[-1]))


def _need(w: Wheel, force_reboot: bool, told: Sequence[str]) -> Any:
    """{"need"}, or {"trouble"}: what apt refuses, in words, if nothing of the kind was `told` yet; else Waiting."""
    machines = w.site.cluster.survey(LOOKED_AT, w.node)
    policy = w.site.managed.cannot_move
    need = need_of(machines, w.node, policy, force=force_reboot, installed=w.own.packages_installed)
    if not isinstance(need, Waiting):
        return {"need": need.plain()}
    status, plan = machines.nodes.get(w.node), machines.packages
    if not isinstance(status, Read) or not isinstance(plan, Unread):
        return need  # the node itself is silent: it may answer the next time
    trouble = messages.host(plan.why)
    known = len(told) >= TROUBLES or any(_kind(trouble) == _kind(before) for before in told)
    return Waiting(trouble) if known else {"trouble": trouble}


def _kind(trouble: str) -> str:
    """The same trouble has other numbers each time: of a process, of the seconds until a release file is valid."""
    return re.sub(r"\d+", "", trouble)


def need_of(machines: Machines, node: str, policy: CannotMove, *, force: bool, installed: bool) -> Need | Waiting:
    """From one survey (NODES, PACKAGES, GUESTS, MOVES); Waiting names what could not be read."""
    status, plan, guests = machines.nodes.get(node), machines.packages, machines.guests
    if not isinstance(status, Read):
        return Waiting(status.why if status else f"{node} was not read")
    if not isinstance(plan, Read):
        return Waiting(plan.why)
    if not isinstance(guests, Read):
        return Waiting(guests.why)
    if not isinstance(machines.moves, Read):
        return Waiting(machines.moves.why)  # without it every guest would seem to move
    if not status.value.boot_kernel:
        return Waiting(f"{node} does not tell which kernel would boot next")
    running = {g.id: g.name for g in guests.value if g.node == node and g.running and not g.template}
    stops = stops_on(machines, node, policy)
    upgrades = () if installed else plan.value.upgrades
    target = (plan.value.new_kernel if upgrades else "") or status.value.boot_kernel
    return Need(
        boot_id=status.value.boot_id,
        kernel=status.value.kernel,
        target=target,
        packages=plan.value.checksum if upgrades else "",
        count=len(upgrades),
        names=tuple(package.name for package in upgrades),
        restarts_gluster=bool(upgrades) and plan.value.restarts_gluster,
        stops=stops,
        moves=tuple(sorted(running.keys() - set(stops))),
        reboot=force or target != status.value.kernel,
        called={str(guest): name for guest, name in running.items()},
    )


# ---- the approval ------------------------------------------------------------------------------------------------


def ask(walk: Walk, why_again: str = "") -> None:
    """Ask for an approval until there is one. Before anything was changed the gates are asked first, so that nobody
    approves a node that could not be taken."""
    w = walk.wheel
    while True:
        if not w.own.maintenance:
            w.approval = None
            judged = w.gated(Phase.GATES, GatePhase.ASK, lambda *_: None)
            walk.evidence = "; ".join([judged["gates"], *judged["notes"]])
        else:
            walk.evidence = w.act(Phase.GATES, lambda *_: w.judge(GatePhase.UPGRADE).summary)
        walk.need = _narrowed(walk, look(w, walk.force)) if why_again or w.approval else walk.need
        answer = _answer(walk, why_again)
        match answer["how"]:
            case "approved":
                _accept(walk, answer)
                return
            case "rejected":
                why_again = messages.rejected_reason(answer["by"])
                w.hold(w.key(Phase.ASK), why_again)
            case _:
                why_again = f"nobody answered within {messages.span(w.site.managed.limits.approval_wait)}"
                w.hold(
                    w.key(Phase.ASK),
                    f"{w.node} was not approved: {why_again}",
                    over=partial(w.approved_late, answer["key"], answer.get("deadline", 0.0)),
                )


def _narrowed(walk: Walk, need: Need) -> Need:
    """Guests that this run moved or stopped already are no longer there to be read; they stay what they were."""
    stopped = walk.wheel.own.stopped
    plain = need.plain() | {
        "stops": sorted({*need.stops, *stopped}),
        "moves": sorted({*need.moves, *walk.need.moves}),
        "called": {**walk.need.called, **need.called},
    }
    if walk.wheel.own.packages_installed:
        plain |= {"count": walk.need.count}
    return Need.of(plain)


def _answer(walk: Walk, why_again: str) -> Mapping[str, Any]:
    w, need = walk.wheel, walk.need
    limits = w.site.managed.limits
    key = w.say(
        Phase.ASK,
        "request",
        lambda: messages.approval(
            w.site.managed, w.node, need, walk.evidence, w.site.clock() + limits.approval_wait, why_again
        ),
    )

    answer = w.wait(
        Phase.ASK,
        lambda at: _judge_votes(w, key, at),
        limits.approval_wait,
        why=f"approval for {w.node}",
        who=f"{messages.approvers(w.site.managed.people)}, with an emoji under the request",
    )
    return {"key": key, **answer}


def _judge_votes(w: Wheel, key: str, at: Look) -> Any:
    """What the marks say by the deadline; with an approval goes which gates are waived by then."""
    answer = w.answer_to(key, at)
    if isinstance(answer, Waiting) or answer["how"] != "approved":
        return answer
    return {**answer, "overrides": sorted(overrides(w.site.store.orders(w.run.id), w.node))}


def _accept(walk: Walk, answer: Mapping[str, Any]) -> None:
    w, need = walk.wheel, walk.need
    bound = Bound(need.boot_id, need.target, need.packages, need.stops, tuple(answer["overrides"]))
    expires = answer["at"] + w.site.managed.limits.approval_valid
    w.approval = Approval(answer["key"], bound, tuple(answer["by"]), expires)
    w.say(Phase.ASK, "granted", lambda: messages.approved(w.node, answer["by"], expires))


def _ask_again(walk: Walk) -> Callable[[str], None]:
    return lambda why: ask(walk, why)


# ---- maintenance and upgrade -----------------------------------------------------------------------------------


def maintenance_on(walk: Walk) -> None:
    w = walk.wheel
    w.owns(maintenance=frozenset({w.node}))
    done = w.gated(
        Phase.MAINTENANCE,
        GatePhase.MAINTENANCE,
        lambda *_: _enter(walk),
        ask_again=_ask_again(walk),
    )
    walk.journey.due = {int(guest): name for guest, name in (done["value"] or {}).items()}
    w.reduced = True
    w.wait(
        Phase.MAINTENANCE,
        lambda _: in_mode(w, True),
        w.site.managed.limits.brick_back,
        why=f"maintenance mode of {w.node}",
        who="the HA manager, within half a minute",
        detail="reached",
        hint=messages_meanwhile.shows_ha(w.node),
    )
    w.say(Phase.MAINTENANCE, "", lambda: messages.maintenance_on(w.node, done["gates"]))


def _at_once(w: Wheel, asked: float | None = None) -> NodeStatus:
    """The node's word right before an act; `asked`: when the first question of the act was asked, if not now. Raises
    Unreachable when it comes late: then the gates are asked again."""
    asked = w.site.clock() if asked is None else asked
    status = w.site.cluster.node_status(w.node)
    if (took := w.site.clock() - asked) > ANSWERS_S:
        raise Unreachable(f"{w.node} took {messages.span(took)} to answer, so nothing was begun on it")
    return status


def _enter(walk: Walk) -> dict[str, str]:
    """Returns the guests that HA will move away, guest -> name: it may have done so before the node is listed again;
    or before an order is given again whose answer was lost."""
    w, asked = walk.wheel, walk.wheel.site.clock()
    under_ha = [guest for guest in w.site.cluster.guests() if guest.running and guest.under_ha]
    left = [guest for guest in under_ha if guest.node != w.node and guest.id in walk.need.moves]
    if left and in_mode(w, False) is True:
        left = []  # they went before anybody asked for maintenance mode, and HA does not bring them back
    due = {str(guest.id): guest.name for guest in under_ha if guest.node == w.node or guest in left}
    uptime = _at_once(w, asked).uptime
    w.site.cluster.maintenance(w.node, True, uptime + NOT_AFTER_S)
    return due


def upgrade(walk: Walk) -> None:
    """dist-upgrade as a named unit on the node, followed to its end. A failed one holds; a retry gets a new name only
    after the old one is known to have ended."""
    w = walk.wheel
    while True:
        sent = w.gated(
            Phase.UPGRADE,
            GatePhase.UPGRADE,
            lambda key, _: _start_upgrade(walk, key),
            found=lambda key: _begun(w, key),
            ask_again=_ask_again(walk),
        )
        if not sent["value"]["unit"]:
            w.say(Phase.UPGRADE, "nothing", lambda: messages.nothing_left(w.node))
            w.owns(packages_installed=True)
            return
        w.say(Phase.UPGRADE, "", lambda s=sent: messages.upgrading(w.node, walk.need.count, s["gates"]))  # type: ignore[misc]
        ended = _follow_upgrade(walk, sent["value"]["unit"])
        if ended["exit"] == 0:
            break
        w.hold(w.key(Phase.UPGRADE), ended["why"], ended["hint"])
    w.owns(packages_installed=True)
    w.say(Phase.UPGRADE, "ended", lambda: messages.upgraded(w.node, walk.need.count, ended["at"] - sent["value"]["at"]))


def unit_name(run_id: str, key: str) -> str:
    """A systemd unit's name for one numbered key of one run; the same key always names the same unit."""
    return f"{run_id}.{key}".replace("#", "-")


def _begun(w: Wheel, key: str) -> dict[str, Any] | None:
    """A unit that an earlier pass may have started: what it returned, if the node knows it."""
    unit = unit_name(w.run.id, key)
    return {"unit": unit, "at": w.site.clock()} if w.site.cluster.unit(w.node, unit).began else None


def _start_upgrade(walk: Walk, key: str) -> dict[str, Any]:
    """Somebody may have finished the upgrade by hand meanwhile, and that was approved anew: then nothing is sent."""
    w, cluster = walk.wheel, walk.wheel.site.cluster
    if not walk.need.packages:
        return {"unit": "", "at": w.site.clock()}
    unit = unit_name(w.run.id, key)
    uptime = _at_once(w).uptime
    with suppress(Uncertain):  # the line broke after it was sent: whether the unit began is asked of the node
        cluster.upgrade(w.node, unit, walk.need.packages, uptime + NOT_AFTER_S)
    return {"unit": unit, "at": w.site.clock()}


def _follow_upgrade(walk: Walk, unit: str) -> dict[str, Any]:
    w = walk.wheel

    def probe(at: Look) -> Any:
        state = w.site.cluster.unit(w.node, unit)
        if not state.began:
            if at.now - at.since < NEVER_BEGAN_S:
                return Waiting("the node has not begun it yet")
            return {"exit": -1, "why": "dist-upgrade never began on the node", "hint": "", "at": at.now}
        if state.exit is None:
            return Waiting(messages.host(state.tail.strip().rpartition("\n")[2]) or "apt-get is running")
        why = state.trouble or f"dist-upgrade ended with {state.exit}: {state.tail.strip()[-300:]}"
        hint = state.hint if state.trouble else messages_meanwhile.mends_dpkg(w.node)
        return {"exit": state.exit, "why": messages.host(why), "hint": messages.host(hint), "at": at.now}

    ended: dict[str, Any] = meanwhile.wait(
        w,
        Phase.UPGRADE,
        probe,
        w.site.managed.limits.upgrade,
        why=f"dist-upgrade on {w.node}",
        who="apt-get, by ending",
        detail="run",
    )
    return ended


def tell_who_starts(w: Wheel) -> None:
    """Guests that were off before the run and start with the node: Proxmox VE does that, whatever the run does. Nobody
    is held up by a guest whose configuration cannot be read: the node is drained by now."""
    what, who = f"listing what starts with {w.node}", "the machines, by answering"
    found = w.tried(Phase.REBOOT, lambda _: _starts(w), LISTING_S, why=what, who=who, detail="starts")
    if found is None:
        w.say(Phase.REBOOT, "starts", lambda: messages_meanwhile.starts_unknown(w.node))
    elif starts := found["guests"]:
        w.say(Phase.REBOOT, "starts", lambda: messages_meanwhile.starts_with_node(w.node, starts))


def _starts(w: Wheel) -> dict[str, Any]:
    """What is off on the node and has onboot set. What HA keeps off stays off; what the run shut down has none."""
    cluster = w.site.cluster
    off = [g for g in cluster.guests() if g.node == w.node and g.status == "stopped" and not (g.template or g.ha)]
    return {"guests": [[g.id, g.name] for g in off if g.id not in w.own.stopped and cluster.onboot(g)]}


# ---- the reboot --------------------------------------------------------------------------------------------------


def reboot(walk: Walk) -> None:
    """Gates, then people, then the node's own guard: the approved boot id, compared in the same command."""
    w = walk.wheel
    sent = w.gated(
        Phase.REBOOT,
        GatePhase.REBOOT,
        lambda *_: _strike(walk),
        found=lambda _: "sent" if _struck(walk) else None,
        ask_again=_ask_again(walk),
    )
    if not walk.need.reboot:
        return
    w.owns(down=frozenset({w.node}))
    w.say(Phase.REBOOT, "", lambda: messages.rebooting(w.node, sent["gates"]))


def _struck(walk: Walk) -> bool:
    """Whether a reboot that may have been sent was: the node is gone, or has another boot id."""
    try:
        return walk.wheel.site.cluster.node_status(walk.wheel.node).boot_id != _approved(walk).boot_id
    except ClusterError:
        return True


def _approved(walk: Walk) -> Bound:
    approval = walk.wheel.approval
    if approval is None:
        raise AssertionError("a reboot without an approval: a fault in the workflow")
    return approval.bound


def _strike(walk: Walk) -> str:
    w, boot_id = walk.wheel, _approved(walk).boot_id
    if not walk.need.reboot:
        return "not needed"  # it was rebooted meanwhile, and so the last approval was asked for
    status = _at_once(w)
    if status.boot_id != boot_id:
        raise Refused(f"{w.node} was rebooted by somebody else", "look why, it will be asked for again")
    try:
        w.site.cluster.reboot(w.node, boot_id, status.uptime + NOT_AFTER_S)
    except Uncertain:
        return "sent, the line broke"  # not a failure: the proof decides
    return "sent"


def prove(walk: Walk) -> None:
    """The node rebooted: another boot id than the approved one, and the kernel that was approved."""
    w = walk.wheel
    while walk.need.reboot:  # it may have been asked anew meanwhile, for another boot, or for none
        approved = _approved(walk)
        found = meanwhile.wait(
            w,
            Phase.PROOF,
            partial(_proof, w, approved.boot_id, approved.target),
            w.site.managed.limits.reboot,
            why=f"{w.node} to come back with another boot id and kernel {approved.target}",
            who="the node, by booting",
            hint=messages_meanwhile.brings_back(w.site.managed, w.node),
        )
        if found["how"] == "back":
            w.say(Phase.PROOF, "", partial(messages.back, w.node, found["kernel"], found["took"]))
            break
        w.hold(w.key(Phase.PROOF), found["why"], found["hint"])
        if found["how"] == "never":
            w.owns(down=frozenset())  # it is up: its own helper and services are judged like everybody's
            reboot(walk)
    w.owns(down=frozenset())


def _proof(w: Wheel, before: str, target: str, at: Look) -> Any:
    took = at.now - at.since
    try:
        status: NodeStatus = w.site.cluster.node_status(w.node)
    except ClusterError as silent:
        return Waiting(f"no answer for {messages.span(took)} ({silent})")
    if status.boot_id == before:
        if took < STILL_UP_S:
            return Waiting("it still answers with the old boot id")
        why = f"{w.node} still answers with the old boot id {messages.span(took)} after the reboot was sent"
        return {
            "how": "never",
            "why": why,
            "hint": "something on the node stops reboots (molly-guard, a hung stop job)",
        }
    if status.kernel != target:
        why = f"{w.node} came back with kernel {status.kernel}, approved was {target}"
        return {"how": "kernel", "why": why, "hint": f"`proxmox-boot-tool kernel list` on {w.node} shows pins"}
    return {"how": "back", "kernel": status.kernel, "took": took}


# ---- and back ----------------------------------------------------------------------------------------------------


def release(walk: Walk) -> None:
    """Every gate for the next node, the heal gate among them; then maintenance mode off."""
    w = walk.wheel
    w.approval = None
    meanwhile.wait(
        w,
        Phase.REJOIN,
        lambda _: _rejoined(w),
        w.site.managed.limits.brick_back,
        why=f"{w.node} to rejoin",
        who="its services, by starting",
    )
    catch_up(w)
    done = w.gated(Phase.RELEASE, GatePhase.HEALED, lambda *_: w.site.cluster.maintenance(w.node, False))
    await_release(w, Phase.RELEASE)
    w.owns(maintenance=frozenset())
    w.reduced = False
    w.say(Phase.RELEASE, "", lambda: messages.released(w.node, done["gates"]))
    meanwhile.settle(w, Phase.RELEASE)
    start_again(w, walk.journey)


def _rejoined(w: Wheel) -> Any:
    """The services run, asked cheaply: so that nobody hears of a gate that is shut only because the boot goes on."""
    gluster = w.site.managed.gluster
    peers = (gluster.nodes or tuple(w.site.managed.nodes)) if gluster.enabled else ()
    services = w.site.cluster.node_status(w.node).services
    late = [f"{unit} is {state}" for unit, state in services.items() if state != "active"]
    if w.node not in peers:
        late = [text for text in late if not text.startswith("glusterd ")]
    return Waiting(messages.host("; ".join(late))) if late else True
