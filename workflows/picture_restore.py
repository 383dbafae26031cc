"""What a restore, a drill, a backup or an act of the runbook is doing, read off its row and its journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from store.api import Entry, RunRow
from workflows import messages_restore as words
from workflows.phases import BACKUP, DRILL, RESTORE, RUNBOOK, Stage, unnumbered
from workflows.picture import Wait, state_of, wait_of
from workflows.restore_plan import guest_of

WORKFLOWS = (RESTORE, RUNBOOK, BACKUP, DRILL)
TITLES: Mapping[str, str] = {
    RESTORE: "Restore of {}",
    RUNBOOK: "{}",
    BACKUP: "Backup of {}",
    DRILL: "Restore drill of {}",
}
STAGES: Mapping[Stage, str] = {
    Stage.LOOK: "looking",
    Stage.ASK: "waiting for approval",
    Stage.ASIDE: "setting its disks aside",
    Stage.MOVE: "moving",
    Stage.RESTORE: "writing",
    Stage.BACKUP: "saving",
    Stage.ACT: "acting",
    Stage.NETWORK: "taking its network away",
    Stage.START: "starting",
    Stage.SERVE: "starting",
    Stage.DELETE: "deleting the copy",
    Stage.PUT_BACK: "ending",
}
"""The word that people see for each stage."""


@dataclass(frozen=True, slots=True)
class RescuePicture:
    """`title`: what it is ("Restore of router-a"); `state`: running, holding, done, refused, aborted, failed; `stage`:
    what it does. `left`: what it changed and has not put back. `why`: why it was refused, or failed; or ""."""

    run_id: str
    cluster: str
    title: str
    subject: str
    state: str
    stage: str
    started_at: float
    started_by: str
    finished_at: float | None
    wait: Wait | None
    left: tuple[str, ...] = ()
    why: str = ""


def rescue_picture(run: RunRow, entries: Sequence[Entry]) -> RescuePicture:
    wait = wait_of(run)
    return RescuePicture(
        run_id=run.id,
        cluster=run.cluster,
        title=TITLES[run.workflow].format(title_of(run)),
        subject=str(guest_of(entries) or run.args.get("guest", "")),
        state=state_of(run, wait),
        stage=_stage(entries),
        started_at=run.created_at,
        started_by=run.created_by,
        finished_at=run.finished_at,
        wait=wait,
        left=tuple(_left(entries)) if run.state == "active" else (),
        why=str((run.result or {}).get("why", "")),
    )


def title_of(run: RunRow) -> str:
    """What people typed it about."""
    return str(run.args.get("title") or run.args.get("guest") or run.args.get("group", ""))


def _stage(entries: Sequence[Entry]) -> str:
    words_of = {stage.value: word for stage, word in STAGES.items()}
    for entry in reversed(entries):
        parts = unnumbered(entry.key).split(".")
        if len(parts) > 1 and parts[1] in words_of:
            return words_of[parts[1]]
    return "beginning"


def _left(entries: Sequence[Entry]) -> Iterator[str]:
    """By its results: disks that are detached, an onboot that is off, a copy that a drill has made."""
    guest = guest_of(entries)
    did = {
        unnumbered(entry.key): entry.value
        for entry in entries
        if entry.kind == "result" and isinstance(entry.value, list) and entry.value[:1] == ["did"]
    }
    aside, restored = f"{guest}.{Stage.ASIDE}.detach" in did, f"{guest}.{Stage.RESTORE}.end.wait"
    written = [e.value for e in entries if e.kind == "result" and unnumbered(e.key) == restored]
    if aside and not any(value[:1] == ["saw"] and not value[1]["error"] for value in written if value):
        yield words.left_aside(guest)
    if did.get(f"{guest}.{Stage.RESTORE}.onboot", ["did", False])[1]:
        yield words.left_onboot(guest)
