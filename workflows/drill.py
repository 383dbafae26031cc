"""A restore drill: the newest backup restored under a spare id, without network, booted, checked, deleted, and timed.

Nothing of the guest itself is touched, so nobody has to approve it. Deleted is only what this drill has made: an id
that was free when it asked, and that its own restore task has filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cluster.api import ClusterError, Refused, TaskRef
from cluster.facts import Backup, Guest
from engine.port import Plain, Run
from store.api import Store
from workflows import messages_drill as words
from workflows import messages_rescue
from workflows.guestwork import (
    find_task,
    follow,
    let_end,
    node_is_dead,
    serves,
    start_once,
    start_task,
    task_kind,
    until_stopped,
)
from workflows.journey import find
from workflows.judging import Judgement
from workflows.messages import host, named
from workflows.phases import Stage
from workflows.restore_look import choose_backup, choose_node, choose_storage, examine, find_guest
from workflows.settings import ManagedCluster
from workflows.site import Site
from workflows.steward import Declined, Steward
from workflows.wheel import Aborted, GaveUp, Mode


@dataclass(slots=True)
class Copy:
    """The copy of one drill; derived from journaled results. `began`: the drill, in epoch seconds. `task`: its restore.
    `made`: it is there."""

    guest: int
    name: str
    kind: str
    id: int
    node: str
    storage: str
    volid: str
    task: str = ""
    made: bool = False
    began: float = 0.0


def drill_restore(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | failed | refused | aborted, ...}."""
    word, by = str(args["guest"]), str(args["by"])
    run.say("board", lambda: messages_rescue.board(site.managed.name, f"Restore drill of {host(word)}", by))
    w = Steward(run, site, by, "", word)
    try:
        found = w.read(Stage.LOOK, lambda: _look(site, word), "looking for a backup and room for it", "guest")
        if found["refused"]:
            w.decline(found["refused"])
    except Declined as no:
        return {"state": "refused", "why": str(no)}
    except Aborted:
        run.say("run.aborted", lambda: messages_rescue.aborted(w.name, []))
        return {"state": "aborted"}
    w = Steward(run, site, by, str(found["guest"]), found["name"])
    return _drill(w, found)


def _look(site: Site, word: str) -> Any:
    """Which backup, and where its copy goes: onto a storage that is well, of a node that reads the backup."""
    members = next((group.guests for group in site.managed.groups if group.name == word), ())
    guest, why = find_guest(site.cluster.guests(), str(_longest_untried(site, members)) if members else word)
    if guest is None:
        return {"refused": why}
    dead, _ = node_is_dead(site, guest)
    if dead:
        return {"refused": words.drilled_when_it_is_back(guest)}
    case = examine(site, guest)
    backup, why = choose_backup(case, "")
    if backup is None:
        return {"refused": why}
    node, why = choose_node(case, "", backup)
    space, why = choose_storage(site.managed, case, node, "", case.config.size or backup.size) if node else (None, why)
    if space is None:
        return {"refused": why}
    return {
        "refused": "",
        "guest": guest.id,
        "name": guest.name,
        "kind": guest.kind,
        "id": site.cluster.rescue.free_id(),
        "node": node,
        "storage": space.storage,
        "backup": asdict(backup),
    }


def _longest_untried(site: Site, members: tuple[int, ...]) -> int:
    """Of a group the member whose last drill is the longest ago."""
    tried = {guest: site.store.kept(drill_name(site.managed.name, guest)) for guest in members}
    return min(members, key=lambda guest: kept.at if (kept := tried[guest]) else 0.0)


def _drill(w: Steward, found: Mapping[str, Any]) -> Plain:
    backup = found["backup"]
    copy = Copy(
        found["guest"], found["name"], found["kind"], found["id"], found["node"], found["storage"], backup["volid"]
    )
    began = copy.began = w.act(Stage.LOOK, lambda *_: w.site.clock(), "began")
    w.say(
        Stage.LOOK,
        "",
        lambda: words.drill_begins(copy.name, copy.guest, copy.id, Backup(**backup), began, copy.node, copy.storage),
    )
    try:
        seen = _live_through(w, copy)
    except Aborted:
        w.mode = Mode.ABORT
        left = _deleted(w, copy)
        w.run.say("run.aborted", lambda: messages_rescue.aborted(w.name, left))
        return {"state": "aborted", "left": left}
    left = _deleted(w, copy)
    why = seen["error"] or ("its copy could not be deleted" if left else "")
    took = w.act(Stage.DELETE, lambda *_: _keep(w, copy, began, passed=not why), "kept")
    if why:
        w.say(Stage.DELETE, "failed", lambda: words.drill_failed(copy.name, copy.guest, why, left))
        return {"state": "failed", "why": why, "left": left}
    w.say(
        Stage.DELETE,
        "passed",
        lambda: words.drill_passed(copy.name, copy.guest, took, seen["copying"], seen["booted"]),
    )
    return {"state": "done", "took": took}


def _live_through(w: Steward, copy: Copy) -> dict[str, Any]:
    """{"error": "" or why, "copying", "booted"} in seconds."""
    copy.task = _restored(w, copy)
    ended = follow(w, Stage.RESTORE, copy.task, "the copy to be written", w.site.managed.limits.restore)
    if ended["error"]:
        return {"error": f"the restore ended with: {ended['error']}", "copying": ended["took"], "booted": 0.0}
    copy.made = True
    if devices := w.act(Stage.NETWORK, lambda *_: _unplug(w, copy)):
        why = f"it was restored, and not started: {', '.join(devices)} of it is a device of {copy.node}"
        return {"error": why, "copying": ended["took"], "booted": 0.0}
    booted = _boot(w, copy)
    if booted is None:
        return {"error": "it was restored, and did not answer after its start", "copying": ended["took"], "booted": 0.0}
    return {"error": booted["error"], "copying": ended["took"], "booted": booted["took"]}


def _restored(w: Steward, copy: Copy) -> str:
    """The task that makes the copy. One that is there already is taken for ours only if a try of ours may have started
    it: else somebody's guest, restored meanwhile under the id that was free, would be the one that is deleted."""
    rescue = w.site.cluster.rescue
    sent = w.judged(
        w.key(Stage.RESTORE),
        lambda: Judgement(()),
        lambda *_: rescue.restore(copy.id, copy.kind, copy.node, copy.volid, copy.storage, over=False).upid,
        lambda *_: None,
        lambda _: _begun(w, copy) or None,
    )
    return str(sent["value"])


def _begun(w: Steward, copy: Copy) -> str:
    return find_task(w, (task_kind(copy.kind, "restore"),), copy.id, copy.began)


def _copy(w: Steward, copy: Copy) -> Guest:
    """As it is listed. Raises Refused when another guest has taken its place: its id was free again once somebody had
    deleted it by hand. Proxmox VE lists a guest by its name some seconds after it was restored."""
    guest = find(w, copy.id)
    if guest.kind != copy.kind or guest.name not in (copy.name, "", f"VM {copy.id}", f"CT{copy.id}"):
        raise Refused(
            f"guest {copy.id} is not the copy of {named(copy.name, copy.guest)}: it is called {guest.name}",
            "it is left as it is; `/restore abort` ends the drill",
        )
    return guest


def _unplug(w: Steward, copy: Copy) -> list[str]:
    """No network, and no start with its node. Read again before it may start: two routers of one address are worse
    than no drill. Returns slots with devices of the node, a network card perhaps: with these it may not start."""
    rescue, guest = w.site.cluster.rescue, _copy(w, copy)
    config = rescue.config(guest)
    if config.networks:
        rescue.unplug(guest, config.networks)
    if w.site.cluster.onboot(guest):
        w.site.cluster.set_onboot(guest, False)
    return list(config.devices)


def _boot(w: Steward, copy: Copy) -> Any:
    """How it answered; None: not in time, which is what a drill is there to find."""
    began = w.act(Stage.START, lambda *_: w.site.clock(), "began")
    w.act(Stage.START, lambda *_: _start_unplugged(w, copy, began))
    return w.tried(
        Stage.SERVE,
        lambda at: serves(w, copy.id, began, at),
        w.site.managed.limits.serving,
        why=f"copy {copy.id} to answer",
        who="the copy, by booting",
    )


def _start_unplugged(w: Steward, copy: Copy, began: float) -> str:
    guest = _copy(w, copy)
    config = w.site.cluster.rescue.config(guest)
    if wired := [*config.networks, *config.devices]:
        raise Refused(f"copy {copy.id} still has {', '.join(wired)}: it is not started beside the real one")
    return start_task(w, guest, began)


# ---- what it leaves: nothing ---------------------------------------------------------------------------------------


OURS, DOUBTFUL, NONE = "ours", "doubtful", ""


def _deleted(w: Steward, copy: Copy) -> list[str]:
    """Let its restore end, stop the copy and delete it; [] if nothing is left of it."""
    try:
        if not copy.task:  # aborted before anybody heard whether it was begun
            copy.task = w.read(Stage.DELETE, lambda: _begun(w, copy), "whether its restore was begun", "begun")
        let_end(w, Stage.RESTORE, copy.task)
        found = w.read(Stage.DELETE, lambda: _found(w, copy), "whether the copy is there", "there")
        if not found:
            return []
        if found == DOUBTFUL:
            return [words.drill_doubtful(copy.id, copy.node)]
        w.act(Stage.DELETE, lambda *_: _stop(w, copy), "stop")
        until_stopped(w, Stage.DELETE, copy.id, f"copy {copy.id}")
        began = w.act(Stage.DELETE, lambda *_: w.site.clock(), "began")
        upid = w.act(Stage.DELETE, lambda *_: _delete(w, copy, began))
        ended = follow(w, Stage.DELETE, upid, "the copy to be deleted", w.site.managed.limits.serving) if upid else {}
        return [f"{words.drill_left(copy.id, copy.node)} ({host(ended['error'])})"] if ended.get("error") else []
    except GaveUp as why:
        return [f"{words.drill_left(copy.id, copy.node)} ({why})"]


def _found(w: Steward, copy: Copy) -> str:
    """OURS: there is a guest of this id, and our own restore has made it, for its task ended well. DOUBTFUL: there is
    one, and a restore of ours was begun that did not end well, as far as anybody can tell: it is left to a person."""
    if not copy.task or not any(guest.id == copy.id for guest in w.site.cluster.guests()):
        return NONE
    return OURS if copy.made or _made_by(w, copy) else DOUBTFUL


def _made_by(w: Steward, copy: Copy) -> bool:
    try:
        state = w.site.cluster.task(TaskRef(copy.task))
    except ClusterError:
        return False
    return not state.running and not state.error


def _stop(w: Steward, copy: Copy) -> str:
    guest = _copy(w, copy)
    return "" if guest.status == "stopped" else w.site.cluster.rescue.stop(guest).upid


def _delete(w: Steward, copy: Copy, began: float) -> str:
    """Gone already (a try whose answer was lost) is deleted too."""
    if not any(guest.id == copy.id for guest in w.site.cluster.guests()):
        return ""
    guest, kinds = _copy(w, copy), (task_kind(copy.kind, "destroy"),)
    return start_once(w, kinds, copy.id, began, lambda: w.site.cluster.rescue.delete(guest))


# ---- what is remembered --------------------------------------------------------------------------------------------


def drill_name(cluster: str, guest: int) -> str:
    """Under which the last drill of a guest is kept."""
    return f"drill.restore.{cluster}.{guest}"


def _keep(w: Steward, copy: Copy, began: float, *, passed: bool) -> float:
    """Seconds from the first order to the deleted copy."""
    now = w.site.clock()
    fact = {"guest": copy.guest, "name": copy.name, "took": now - began, "passed": passed, "run": w.run.id}
    w.site.store.keep(drill_name(w.site.managed.name, copy.guest), fact, now)
    return now - began


def last_drills(store: Store, managed: ManagedCluster, now: float) -> list[str]:
    """ "last restore drill of router-a: 12 days ago, 4 min 10 s", for each guest that had one."""
    kept = store.kept_all(f"drill.restore.{managed.name}.")
    return [
        words.last_drill(row.value["name"], now - row.at, row.value["took"], row.value["passed"])
        for row in sorted(kept, key=lambda row: int(row.value["guest"]))
    ]
