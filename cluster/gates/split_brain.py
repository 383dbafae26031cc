"""No file is in split brain: it never heals by itself, and its guest gets EIO. One answer of every peer tells: while
something is to be healed none is asked twice, and the gate `heal` is shut."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.facts import Topic
from cluster.gates._common import ALWAYS, FRESH_S, listed
from cluster.gates._pool import Answer, heal_answers, pool_of
from cluster.world import Blocked, Gate, GatePhase, Passed, Unknown, Verdict, World


def check(world: World, node: str, phase: GatePhase, now: float) -> Verdict:
    answers, unread, _ = heal_answers(world, pool_of(world, now), now)
    counts = _counts(answers)
    found = {place: count for place, count in counts.items() if count}
    evidence = {"split_brain": {f"{volume} {brick}": count for (volume, brick), count in counts.items()}}
    if found:
        what = listed(f"{count} on {brick} of {volume}" for (volume, brick), count in found.items())
        return Blocked(f"files in split brain: {what}", evidence, _hint(next(iter(found))[0]))
    mute = [f"{brick} of {volume} did not say" for (volume, brick), count in counts.items() if count is None]
    silent = [*unread, *mute]
    return Unknown(f"nobody knows about split brain: {listed(silent)}", evidence) if silent else Passed(evidence)


def _counts(answers: Sequence[Answer]) -> dict[tuple[str, str], int | None]:
    """(volume, brick) -> the most that any peer said at any time; None if an answer has no number."""
    counts: dict[tuple[str, str], int | None] = {}
    for answer in dict.fromkeys(answers):
        for brick, row in answer.rows.items():
            place, count = (answer.volume.name, brick), row.split_brain if row else None
            if count != (before := counts.setdefault(place, count)):
                counts[place] = _worse(before, count)
    return counts


def _worse(one: int | None, other: int | None) -> int | None:
    """Some files are worse than no answer, and no answer is worse than none."""
    if one is None or other is None:
        return one or other or None
    return max(one, other)


def _hint(volume: str) -> str:
    choose = f"`gluster volume heal {volume} split-brain source-brick HOST:BRICK FILE`"
    return (
        f"`gluster volume heal {volume} info split-brain` names the files; {choose} chooses a copy; keep a backup first"
    )


GATE = Gate(
    name="split-brain",
    doc="Is no file in split brain on any brick, by every peer's word?",
    phases=ALWAYS,
    reads=frozenset({Topic.GLUSTER}),
    max_age=FRESH_S,
    overridable=False,
    check=check,
)
