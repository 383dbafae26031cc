"""What the model tells of a task's log and of a split image, and the switch at the wall."""

from __future__ import annotations

import re

from cluster.rescue import Side
from sandbox.model.core import US, What
from sandbox.model.gluster import shard_of
from sandbox.model.model import Model
from sandbox.model.tasks import Task

IMAGE = re.compile(r"vm-(\d+)-disk-0\.")
"""The image that a guest was born with; a restored one has a higher number."""


def log_lines(model: Model, task: Task) -> list[str]:
    """A task's log as far as it is written."""
    lines = [f"starting {task.kind} {task.guest}".rstrip()]
    percent = model.archives.progress(task.upid)
    if percent is not None:
        word = (
            "INFO:  {}% (of 16.0 GiB)"
            if task.kind == "vzdump"
            else "progress {}% (read 171835392 bytes, duration 3 sec)"
        )
        lines += [word.format(done) for done in range(0, percent + 1, 10)]
    if not task.running and task.upid in model.archives.errors:
        lines += [f"ERROR: {model.archives.errors[task.upid]}", "INFO: Backup job finished with errors"]
    if task.kind == "migrateall" and not task.running:
        lines.append("All jobs finished")
    if not task.running:
        lines.append("TASK OK" if task.exit == "OK" else f"TASK ERROR: {task.exit}")
    return lines


def known_split(model: Model, volume: str, name: str) -> bool:
    """A shard is listed here only if it is split."""
    found = IMAGE.search(name)
    if not found:
        return name.startswith("/.shard/")
    return any(int(found[1]) in one.split for one in model.gluster.volumes[volume].sets)


def split_entries(model: Model, volume: str, image: str) -> tuple[str, ...]:
    """The base file, unless a shard is torn alone, and, as Gluster cuts images into pieces, one of its shards."""
    found = IMAGE.search(image)
    if not found or not known_split(model, volume, image):
        return ()
    base = () if int(found[1]) in model.gluster.pieces else (image,)
    return (*base, shard_of(image))


def sides(model: Model, volume: str, image: str) -> tuple[Side, ...]:
    """Every copy of it, each blaming the other. The first one was written to last."""
    found = IMAGE.search(image)
    guest = int(found[1]) if found else 0
    one = next(one for one in model.gluster.volumes[volume].sets if guest in one.split)
    copies = [brick for brick in one.bricks.values() if not brick.arbiter]
    size = model.guests.get(guest).spec.disk
    return tuple(
        Side(
            brick=brick.name,
            node=brick.node,
            size=size,
            modified=model.core.start - 60.0 * place,
            changed=model.core.start - 60.0 * place,
            changelog={other.name: (2 + place, 0, 0) for other in copies if other is not brick},
            shards=255,
        )
        for place, brick in enumerate(copies)
    )


def cycle_power(model: Model, now: float, name: str) -> None:
    """Off and on again, whatever it does."""
    model.advance(now)
    node = model.node(name)
    model.core.note(What.POWER_CYCLED, name, by=US)
    model.machines.cut(node, comes_back=False)
    model.machines.light(node)
