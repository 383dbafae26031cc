"""A split image is healed from the side that a person chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from cluster.api import NotSplit, Refused
from cluster.rescue import Disk, Side, Split
from engine.port import Plain, Waiting
from workflows import messages_rescue
from workflows import messages_runbook as words
from workflows.guestwork import must_be_stopped, stop_if_dead, until_stopped
from workflows.journey import find
from workflows.messages import heal_state, host, named
from workflows.phases import Stage
from workflows.restore_look import image_in, is_image_of, mounts_of, nameless
from workflows.steward import Offer, Step, Steward
from workflows.untouchable import untouchable


def heal(w: Steward, guest: int, name: str, args: Mapping[str, Plain]) -> None:
    """Gluster's resolution by source brick: the same brick for base file and shards, while the guest is stopped."""
    brick = str(args.get("brick", ""))
    found = w.read(Stage.LOOK, lambda: _sides(w, guest, brick), "reading both sides of its image")
    if found["refused"]:
        w.decline(found["refused"], found["hint"])
    w.say(Stage.LOOK, "", lambda: messages_rescue.shown(found["told"]))
    if not brick:
        w.say(Stage.LOOK, "choose", lambda: words.choose_one(guest, found["nodes"]))
        return
    stop_dead(w, guest, name)
    step = Step(
        Stage.ACT,
        f"healing the image of {named(name, guest)} from {host(brick)}",
        lambda: _side_offer(w, guest, name, brick),
        lambda offer: offer.data["question"],
        "the side was taken before you took your mark back",
    )
    w.approved(step, partial(_choose, w, guest), lambda _: _chosen(w, w.offered()))
    data = w.offered().data
    took = w.wait(
        Stage.ACT,
        lambda at: _no_longer_split(w, data, at.now - at.since),
        w.site.managed.limits.serving,
        why="its image to leave split-brain",
        who="Gluster, by healing it from the side that was taken",
        detail="healed",
    )
    w.say(Stage.ACT, "", lambda: words.side_taken(data["image"], data["brick"], took))


def stop_dead(w: Steward, guest: int, name: str) -> None:
    """What is left of a guest that got errors from its disk is stopped, with an approval of its own."""
    if w.read(Stage.ASIDE, lambda: find(w, guest).status == "stopped", "whether it is stopped", "needed"):
        return
    step = Step(
        Stage.ASIDE,
        f"stopping {named(name, guest)}",
        lambda: _stop_offer(w, guest, name),
        lambda offer: messages_rescue.ask_stop(name, guest, offer.data["status"]),
        "it was stopped before you took it back",
    )
    w.approved(step, lambda *_: stop_if_dead(w, guest))
    until_stopped(w, Stage.ASIDE, guest, host(name))


def _stop_offer(w: Steward, guest_id: int, name: str) -> Offer | Waiting:
    guest = find(w, guest_id)
    return untouchable(guest) or Offer({"guest": named(name, guest_id), "node": guest.node}, {"status": guest.status})


def _split_of(w: Steward, guest_id: int) -> Split | None:
    """The first image of this guest that is in split-brain. Gluster lists it by its path; where only pieces of it are
    split, by theirs alone, which name no image: then each image of the guest is looked at."""
    rescue = w.site.cluster.rescue
    config = rescue.config(find(w, guest_id))
    disks = (*config.disks, *config.unused)
    torn = [trouble for trouble in rescue.troubles() if trouble.split]
    if named := [trouble for trouble in torn if is_image_of(trouble.name, disks)]:
        return rescue.split(named[0].volume, named[0].name)
    return _by_its_pieces(w, disks, nameless(torn))


def _by_its_pieces(w: Steward, disks: Sequence[Disk], volumes: Sequence[str]) -> Split | None:
    if not volumes:
        return None
    rescue, mounts = w.site.cluster.rescue, mounts_of(w.site)
    spaces = {space.storage: space for space in rescue.spaces()}
    for disk in disks:
        if disk.storage in spaces and (image := image_in(w.site.managed, spaces[disk.storage], disk, mounts)):
            for volume in volumes:
                with suppress(NotSplit):
                    return rescue.split(volume, image)
    return None


def _sides(w: Steward, guest_id: int, brick: str) -> Any:
    """`nodes`: what to type for each. `brick`: the side that is wanted, "" if none was named yet."""
    split = _split_of(w, guest_id)
    if split is None:
        refused, hint = words.no_split_image(guest_id, nameless(w.site.cluster.rescue.troubles()))
        return {"refused": refused, "hint": hint}
    refused, hint = _no_such_side(split, brick) if brick else ("", "")
    told = words.sides_shown(split.image, split.volume, split.sides, split.entries)
    return {"refused": refused, "hint": hint, "told": told, "nodes": _names(split)}


def _names(split: Split) -> list[str]:
    """What to type for each side: its node, or its whole name where that node has several."""
    nodes = [side.node for side in split.sides]
    return [side.node if nodes.count(side.node) == 1 else side.brick for side in split.sides]


def _meant(split: Split, brick: str) -> list[Side]:
    return [side for side in split.sides if brick in (side.node, side.brick)]


def _no_such_side(split: Split, brick: str) -> tuple[str, str]:
    """Why this word does not mean exactly one side, and a hint; "" if it does."""
    meant = len(_meant(split, brick))
    return ("", "") if meant == 1 else words.no_such_side(brick, meant > 1, _names(split))


def _side_offer(w: Steward, guest_id: int, name: str, brick: str) -> Offer:
    """Bound to the image, the side that is kept and what is split of it. `brick`: its node, or its whole name."""
    guest = find(w, guest_id)
    if guest.status != "stopped":
        return Offer(
            no=f"it is {host(guest.status)} on {guest.node}", hint="its image is only touched while it is stopped"
        )
    split = _split_of(w, guest_id)
    if split is None:
        return Offer(no="no image of it is in split-brain any more", hint="`/restore abort` ends this")
    no, hint = _no_such_side(split, brick)
    if no:
        return Offer(no=no, hint=hint)
    (kept,) = _meant(split, brick)
    others = [side for side in split.sides if side is not kept]
    terms = {
        "guest": named(name, guest_id),
        "image": split.image,
        "kept": kept.brick,
        "entries": split.mark,
    }
    question = words.ask_side(name, guest_id, split.image, kept, others, len(split.entries))
    found = {"volume": split.volume, "image": split.image, "gfid": split.gfid, "brick": kept.brick}
    return Offer(terms, {**found, "question": question})


def _choose(w: Steward, guest_id: int, _: str, offer: Offer) -> str:
    """Asked of the world once more: stopped, and split in the very same way (the node compares that itself, with what
    it is given here). Another image means that the approved one has healed."""
    must_be_stopped(w, guest_id)
    split = _split_of(w, guest_id)
    if split is not None and split.image == offer.data["image"]:
        if split.mark != offer.terms["entries"]:
            raise Refused("what is split of its image has changed since it was approved", "a retry asks for it again")
        w.site.cluster.rescue.choose(split, offer.data["brick"])
    return str(offer.data["brick"])


def _chosen(w: Steward, offer: Offer) -> str | None:
    """Done by a try of which nobody heard the end: it is split no more."""
    return None if _is_split(w, offer.data) else str(offer.data["brick"])


def _is_split(w: Steward, image: Mapping[str, Any]) -> bool:
    if "volume" not in image:  # approved under a former version
        return any(trouble.split and trouble.name == image["image"] for trouble in w.site.cluster.rescue.troubles())
    try:
        w.site.cluster.rescue.split(image["volume"], image["image"])
    except NotSplit:
        return False
    return True


def _no_longer_split(w: Steward, image: Mapping[str, Any], took: float) -> Any:
    """A brick that is away lists nothing: the good one alone lists what it has for the others."""
    if _is_split(w, image):
        return Waiting("it is still listed as split")
    pieces = f"/.shard/{image.get('gfid', '-')}."
    torn = [t for t in w.site.cluster.rescue.troubles() if t.name == image["image"] or t.name.startswith(pieces)]
    if torn:
        return Waiting(f"it heals: {len(torn)} entries of it are listed")
    progress = w.site.cluster.heal_progress("")
    return Waiting(heal_state(progress)) if progress.down else took
