"""Backups made now: of a guest or a group, approved once; and those that a run makes itself if the settings say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cluster.facts import Guest, Read, Topic
from cluster.gates.backups import stale
from cluster.world import World
from engine.port import Plain, Run, Waiting
from workflows import messages_backup as words
from workflows import messages_rescue
from workflows.guestwork import follow, node_is_dead, start_once
from workflows.journey import find
from workflows.messages import host, named
from workflows.phases import Stage
from workflows.restore_look import find_guest, is_sick, sickness
from workflows.site import Site
from workflows.steward import Declined, Offer, Step, Steward
from workflows.untouchable import locked
from workflows.wheel import Aborted, Wheel

SUBJECT = "backup"
SKEW_S = 60.0
"""A backup is stamped by its storage's clock."""


def backup_now(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Returns {"state": done | refused | aborted, "made": [volume id, ...]}."""
    word, by = str(args["group"]), str(args["by"])
    run.say("board", lambda: messages_rescue.board(site.managed.name, f"Backup of {host(word)}", by))
    w = Steward(run, site, by, SUBJECT, word)
    try:
        found = w.read(Stage.LOOK, lambda: _look(site, word, str(args.get("storage", ""))), "looking for room")
        if found["refused"]:
            w.decline(found["refused"], found.get("hint", ""))
        return _make(w, found)
    except Declined as no:
        return {"state": "refused", "why": str(no)}
    except Aborted:
        left = run.step("run.left", lambda: [words.left_saving()] if _saving(site) else [])
        run.say("run.aborted", lambda: messages_rescue.aborted(w.name, left))
        return {"state": "aborted", "left": left}


def _saving(site: Site) -> bool:
    """Whether a backup runs, or nobody can tell."""
    tasks = site.cluster.survey(frozenset({Topic.TASKS}), None).tasks
    return not isinstance(tasks, Read) or any(task.kind == "vzdump" for task in tasks.value)


def _make(w: Steward, found: Mapping[str, Any]) -> Plain:
    guests, storage = found["guests"], found["storage"]
    names = [named(guest["name"], guest["id"]) for guest in guests]
    containers = [named(guest["name"], guest["id"]) for guest in guests if guest.get("kind") == "lxc"]
    size = sum(guest["size"] for guest in guests)
    step = Step(
        Stage.BACKUP,
        f"backing up {host(', '.join(guest['name'] for guest in guests))}",
        lambda: _offer(w, guests, storage),
        lambda offer: words.ask_backup(names, storage, size, offer.data.get("full", []), containers),
        "the backup had begun before you took it back; `/restore abort` stops before the next guest",
    )
    began = w.act(Stage.BACKUP, lambda *_: w.site.clock(), "began")
    w.approved(step, lambda *_: "go")
    made = [save(w, guest["id"], guest["name"], storage) for guest in guests]
    took = w.act(Stage.BACKUP, lambda *_: w.site.clock() - began, "took")
    w.say(Stage.BACKUP, "done", lambda: words.backups_done(names, took))
    return {"state": "done", "made": made}


def _look(site: Site, word: str, storage: str) -> Any:
    members = next((group.guests for group in site.managed.groups if group.name == word), ())
    listed = site.cluster.guests()
    guests: list[Guest] = []
    for one in [str(member) for member in members] or [word]:
        guest, why = find_guest(listed, one)
        if guest is None:
            return {"refused": why}
        why, hint = node_is_dead(site, guest)
        if why:
            return {"refused": why, "hint": hint}
        guests.append(guest)
    chosen, why = _storage(site, guests, storage)
    if not chosen:
        return {"refused": why}
    rescue = site.cluster.rescue
    rows = [
        {"id": guest.id, "name": guest.name, "kind": guest.kind, "size": rescue.config(guest).size} for guest in guests
    ]
    return {"refused": "", "guests": rows, "storage": chosen}


def _storage(site: Site, guests: Sequence[Guest], wanted: str) -> tuple[str, str]:
    """What was named; else where the newest backup lies; else the emptiest. Seen from every guest's node; never on the
    volume that it is to save from, unless named."""
    rescue = site.cluster.rescue
    sick = sickness(site)
    nodes = {guest.node for guest in guests}
    rows = [space for space in rescue.spaces() if space.active and "backup" in space.holds]
    usable = {
        space.storage: space
        for space in rows
        if nodes <= {other.node for other in rows if other.storage == space.storage}
        and (space.storage == wanted or not is_sick(site.managed, sick, space))
        and (space.storage == wanted or space.storage not in site.managed.backups.on_gluster)
    }
    if wanted:
        return (
            (wanted, "")
            if wanted in usable
            else ("", f"no active storage {host(wanted)} takes backups on {_all(nodes)}")
        )
    if not usable:
        return "", f"no active storage takes backups on {_all(nodes)}"
    newest = [backup.storage for guest in guests for backup in rescue.backups(guest.id)[:1]]
    order = sorted(usable.values(), key=lambda space: (space.storage not in newest, not space.shared, -space.avail))
    return order[0].storage, ""


def _all(nodes: set[str]) -> str:
    return " and ".join(sorted(nodes))


def _offer(w: Steward, guests: Sequence[Mapping[str, Any]], storage: str) -> Offer:
    terms = {"storage": storage}
    full = []
    for row in guests:
        guest = find(w, row["id"])
        if no := locked(guest):
            return Offer(no=f"{named(guest.name, guest.id)}: {no.no}", hint=no.hint)
        terms[f"guest {guest.id}"] = f"{guest.name} on {guest.node}"
        full += [named(guest.name, guest.id)] if _is_full(w, guest, storage) else []
    return Offer(terms, {"full": full})


def _is_full(w: Wheel, guest: Guest, storage: str) -> bool:
    """Whether the storage's retention leaves no room for one more of this guest: then vzdump would prune, or refuse."""
    rescue = w.site.cluster.rescue
    keeps = rescue.keeps(guest.node, storage)
    there = [one for one in rescue.backups(guest.id) if one.storage == storage and one.node in ("", guest.node)]
    return 0 < keeps <= sum(not one.protected for one in there)


# ---- one backup ----------------------------------------------------------------------------------------------------


def save(w: Wheel, guest_id: int, name: str, storage: str) -> str:
    """One guest's backup, believed only when it is listed; its volume id. A failed one holds; a retry makes it anew."""
    about = w.key(Stage.BACKUP, f"{guest_id}.end")
    while True:
        began = w.act(Stage.BACKUP, lambda *_: w.site.clock(), f"{guest_id}.began")
        upid = w.act(Stage.BACKUP, lambda *_, since=began: _send(w, guest_id, storage, since), str(guest_id))
        w.say(Stage.BACKUP, str(guest_id), lambda: words.backing_up(name, guest_id, storage, about))
        ended = follow(
            w, Stage.BACKUP, upid, f"the backup of {host(name)}", w.site.managed.limits.restore, f"{guest_id}.end"
        )
        made = w.read(Stage.BACKUP, partial(_made, w, guest_id, began), "looking for the backup", f"{guest_id}.made")
        if isinstance(made, str):  # a former version told the volume id alone
            made = {"volid": made, "protected": False} if made else False
        if made and not ended["error"]:
            w.say(
                Stage.BACKUP,
                f"{guest_id}.made",
                lambda m=made, e=ended: words.backed_up(name, guest_id, e["took"], m["volid"], m["protected"]),  # type: ignore[misc]
            )
            return str(made["volid"])
        why = ended["error"] or "its task says OK, and no new backup is listed"
        failed = f"the backup of {named(name, guest_id)} failed: {host(why)}"
        w.hold(w.key(Stage.BACKUP, str(guest_id)), failed, words.room_for_protected(storage, why))


def _send(w: Wheel, guest_id: int, storage: str, since: float) -> str:
    """Nothing is pruned: where the retention is reached, the new one is protected, and so beside it."""
    guest = find(w, guest_id)
    rescue, notes = w.site.cluster.rescue, "Roundsman, {{guestname}}"
    protected = _is_full(w, guest, storage)
    return start_once(
        w, ("vzdump",), guest_id, since, lambda: rescue.back_up(guest, storage, notes, protected=protected)
    )


def _made(w: Wheel, guest_id: int, since: float) -> Any:
    """{"volid", "protected"} of the new one; False where none is listed."""
    new = [one for one in w.site.cluster.rescue.backups(guest_id) if one.made_at >= since - SKEW_S and one.size > 0]
    return {"volid": new[0].volid, "protected": new[0].protected} if new else False


# ---- what a run makes by itself ------------------------------------------------------------------------------------


def make_missing(w: Wheel) -> None:
    """Before the preflight, if the settings say so: the backups that the gate would miss."""
    settings = w.site.managed.backups
    if not settings.make_missing:
        return
    for row in w.read(Stage.BACKUP, lambda: _missing(w), "looking for missing backups", "missing"):
        save(w, row["id"], row["name"], settings.storage)


def _missing(w: Wheel) -> Any:
    topics = frozenset({Topic.BACKUPS, Topic.STORAGES, Topic.NODES, Topic.GUESTS})
    machines = w.site.cluster.survey(topics, None)
    for reading in (machines.backups, machines.storages, machines.guests):
        if not isinstance(reading, Read):
            return Waiting(reading.why)
    assert isinstance(machines.guests, Read)
    missing = stale(World(w.site.managed, machines), w.site.clock())
    return [{"id": guest.id, "name": guest.name} for guest in machines.guests.value if guest.id in missing]
