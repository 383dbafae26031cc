"""What restores, drills, backups and the runbook's acts share: what the world says of a guest right before it is
touched, tasks that are found again, a guest that is stopped, or started and proven to serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.api import ClusterError, Refused, TaskRef, Uncertain
from cluster.facts import Guest, Read, Topic
from cluster.gates.ha import LEFT_ALONE
from cluster.rescue import progress
from cluster.ways import why_not_serving
from engine.port import Look, Waiting
from workflows import messages_rescue as words
from workflows.journey import find
from workflows.messages import host, named, span
from workflows.phases import Stage
from workflows.restore_look import is_dead
from workflows.site import Site
from workflows.wheel import GaveUp, Wheel

LOG_TELLS = "job errors"
"""vzdump's last word, whatever went wrong."""
SETTLES_S = 10.0
"""A guest without an agent counts as serving when it has run for so long."""


def task_kind(kind: str, verb: str) -> str:
    """PVE's name of a task: restore, destroy, start of a VM or a container."""
    return f"{'vz' if kind == 'lxc' else 'qm'}{verb}"


def must_be_stopped(w: Wheel, guest_id: int) -> Guest:
    """Invariant 5, asked of the world right before the act: never over a running guest."""
    guest = find(w, guest_id)
    if guest.status != "stopped":
        raise Refused(f"guest {guest_id} is {guest.status} on {guest.node}: it is never restored over while it runs")
    return guest


def node_is_dead(site: Site, guest: Guest, target: str = "") -> tuple[str, str]:
    """Why a guest whose node is dead is not touched, and what to do instead; ("", "") while its node is not. What is
    listed of such a guest is what was published last: it may still be called running."""
    rescue, nodes = site.cluster.rescue, site.managed.nodes
    if guest.node not in nodes or rescue.answers(guest.node):
        return "", ""
    others = [target] if target and target != guest.node else [name for name in nodes if name != guest.node]
    alive = next((name for name in others if rescue.answers(name)), others[0])
    by_ha = bool(guest.ha) and guest.ha not in LEFT_ALONE
    return words.on_a_dead_node(guest, alive, bool(nodes[guest.node].power_cycle), by_ha)


# ---- stopping --------------------------------------------------------------------------------------------------------


def stop_if_dead(w: Wheel, guest_id: int) -> str:
    """Asked once more, for people took their time."""
    guest = find(w, guest_id)
    return w.site.cluster.rescue.stop(guest).upid if is_dead(guest) else ""


def until_stopped(w: Wheel, stage: Stage, guest_id: int, called: str) -> None:
    def probe(_: Look) -> Any:
        guest = find(w, guest_id)
        return True if guest.status == "stopped" else Waiting(f"it is {host(guest.status)}")

    w.wait(
        stage,
        probe,
        w.site.managed.limits.serving,
        why=f"{called} to be stopped",
        who="Proxmox VE, by ending its process",
        detail="stopped",
    )


# ---- tasks -----------------------------------------------------------------------------------------------------------


def start_once(w: Wheel, kinds: Sequence[str], guest: int, since: float, send: Callable[[], TaskRef]) -> str:
    """The task that does it: one that an earlier try has started since then, or a new one. An act of unknown outcome is
    looked up by its task."""
    if found := find_task(w, kinds, guest, since):
        return found
    try:
        return send().upid
    except Uncertain:
        if found := find_task(w, kinds, guest, since):
            return found
        raise


def find_task(w: Wheel, kinds: Sequence[str], guest: int, since: float) -> str:
    """One of ours that began since then and that was not followed to its end yet; "" if there is none."""
    for kind in kinds:
        ref = w.site.cluster.find_task(kind, guest, since)
        if ref is not None and ref.upid not in w.over:
            return ref.upid
    return ""


def follow(w: Wheel, stage: Stage, upid: str, what: str, timeout: float, detail: str = "end") -> Mapping[str, Any]:
    """To its end: {"error": "" or why, "took", "said"}; on the way its log tells how far it is."""

    def probe(at: Look) -> Any:
        ref = TaskRef(upid)
        state = w.site.cluster.task(ref)
        if state.running:
            return _under_way(w, ref)
        took = at.now - at.since
        return {"error": _reason(w, ref, state.error), "took": took, "said": "" if state.error else words.written(took)}

    w.follows = upid
    ended: Mapping[str, Any] = w.wait(
        stage, probe, timeout, why=what, who="Proxmox VE, by ending its task", detail=detail
    )
    w.follows = ""
    w.over.add(upid)
    return ended


def _reason(w: Wheel, ref: TaskRef, error: str) -> str:
    """A task's last word; of a backup, which never tells the reason there, its log's."""
    if error != LOG_TELLS:
        return error
    try:
        lines = w.site.cluster.rescue.log(ref)
    except ClusterError:
        return error
    return next((line.removeprefix("ERROR: ") for line in reversed(lines) if line.startswith("ERROR: ")), error)


def _under_way(w: Wheel, ref: TaskRef) -> Waiting:
    """The log only tells how far it is: without it the task still runs."""
    try:
        seen = progress(w.site.cluster.rescue.log(ref))
    except ClusterError:
        return Waiting("it runs; its log does not answer")
    if seen.percent is None:
        return Waiting(f"it runs: {host(seen.last)}" if seen.last else "it runs")
    return Waiting(f"{seen.percent} % done", {"percent": seen.percent})


# ---- starting --------------------------------------------------------------------------------------------------------


def start_and_serve(w: Wheel, guest_id: int, name: str, old: int = 0) -> float:
    """Start it and wait until it serves; seconds from the one to the other. A start that fails holds; a retry tries
    again. `old`: the guest that this one is a copy of, with its addresses; 0 for none. The two never run together."""
    while True:
        began = w.act(Stage.START, lambda *_: w.site.clock(), "began")
        node = w.act(Stage.START, lambda *_, since=began: _start(w, guest_id, since, old))
        w.say(Stage.START, "", lambda node=node: words.starting(name, guest_id, node))  # type: ignore[misc]
        w.began = lambda since=began: _start_of(w, guest_id, since)
        served = w.wait(
            Stage.SERVE,
            lambda at, since=began: serves(w, guest_id, since, at),  # type: ignore[misc]
            w.site.managed.limits.serving,
            why=f"{host(name) or guest_id} to serve",
            who="the guest, by booting and by its agent's answer",
        )
        w.began = None
        if not served["error"]:
            w.say(Stage.SERVE, "", lambda s=served: words.serving(name, guest_id, s["how"], s["took"]))  # type: ignore[misc]
            return float(served["took"])
        why = f"{named(name, guest_id)} did not start: {host(served['error'])}"
        w.hold(w.key(Stage.START), why, served.get("hint", ""), over=lambda: _runs(w, guest_id))


def _runs(w: Wheel, guest_id: int) -> bool:
    """Whether somebody started it meanwhile."""
    try:
        return find(w, guest_id).running
    except ClusterError:
        return False


def _start(w: Wheel, guest_id: int, began: float, old: int) -> str:
    """The node on which it is started."""
    guest = find(w, guest_id)
    if beside := [other for other in w.site.cluster.guests() if other.id == old and other.status != "stopped"]:
        raise Refused(*words.beside_its_copy(beside[0], guest_id))
    start_task(w, guest, began)
    return guest.node


def start_task(w: Wheel, guest: Guest, began: float) -> str:
    """The task that starts it; "" for one that runs already."""
    if guest.running:
        return ""
    return start_once(w, _starts(guest), guest.id, began, lambda: w.site.cluster.start(guest))


def _starts(guest: Guest) -> tuple[str, str]:
    return task_kind(guest.kind, "start"), "hastart"


def _start_of(w: Wheel, guest_id: int, began: float) -> str:
    return find_task(w, _starts(find(w, guest_id)), guest_id, began)


def serves(w: Wheel, guest_id: int, began: float, at: Look) -> Any:
    """{"how": ..., "took": ...}, or {"error": why, "hint": ...} when it does not start, or Waiting."""
    guest = find(w, guest_id)
    took = at.now - at.since
    if not guest.running:
        return _not_started(w, guest, began)
    if guest.kind == "qemu" and w.site.cluster.rescue.config(guest).agent:
        if not w.site.cluster.rescue.agent_answers(guest):
            return Waiting("it runs, its agent does not answer yet")
        how = f"it runs on {guest.node} and its agent answers"
    elif took < SETTLES_S:
        return Waiting(f"it runs for {span(took)}")
    else:
        how = f"it runs on {guest.node}"
    probed, why = _probed(w, guest_id)
    return Waiting(host(why)) if why else {"error": "", "how": how + probed, "took": took}


def _probed(w: Wheel, guest_id: int) -> tuple[str, str]:
    """What its group's health probe says: a word for people if it passed, or why it did not."""
    groups = [group for group in w.site.managed.groups if guest_id in group.health]
    if not groups:
        return "", ""
    reading = w.site.cluster.survey(frozenset({Topic.SERVING}), None).serving
    if not isinstance(reading, Read):
        return "", reading.why
    why = next(filter(None, (why_not_serving(reading.value, group, guest_id) for group in groups)), "")
    return ", and its health probe passed", why


def _not_started(w: Wheel, guest: Guest, began: float) -> Any:
    if guest.ha == "error":
        why, hint = words.given_up_by_ha(guest.id)
        return {"error": why, "hint": hint, "how": "", "took": 0.0}
    ref = w.site.cluster.find_task(task_kind(guest.kind, "start"), guest.id, began)
    if ref is not None and ref.upid not in w.over:
        state = w.site.cluster.task(ref)
        if not state.running and state.error:
            return {"error": state.error, "how": "", "took": 0.0}
    return Waiting(f"it is {guest.status}")


# ---- after an abort --------------------------------------------------------------------------------------------------


def let_end(w: Wheel, stage: Stage, upid: str = "") -> None:
    """Nothing that was begun is cut off: a task of ours ends first. `upid`: which, if it is not the one of just now."""
    try:
        upid = upid or w.follows or (w.began and w.read(stage, w.began, "finding what was begun", "begun")) or ""
        if upid and upid not in w.over:
            follow(w, stage, upid, "what was begun to end", w.site.managed.limits.restore, "aborted")
    except GaveUp:
        return  # its limit passed: what is left is looked at and said anyway
