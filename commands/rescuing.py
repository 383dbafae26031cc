"""What the commands that bring guests back share: start a run once, find the one that is meant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from commands.api import Desk, Reply, Typed, Wrong
from commands.finding import did_you_mean, link_to
from store.api import AuditRow, RunRow
from workflows.messages import host
from workflows.picture_restore import WORKFLOWS, RescuePicture, rescue_picture
from workflows.settings import ManagedCluster

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
VOLUME_LETTERS = LETTERS | frozenset(":/+@")


def plain_name(word: str, what: str, letters: frozenset[str] = LETTERS) -> str:
    """A name as people and Proxmox VE write them; nothing that could be anything else."""
    if not word or not set(word) <= letters or word.startswith(("-", ".")):
        raise Wrong(f'"{word}" is no {what}.')
    return word


def must_exist(desk: Desk, managed: ManagedCluster, word: str, groups: bool = False) -> str:
    """The id or name of a guest, or where `groups` are taken the name of a guest group. Raises Wrong for one that the
    cluster surely has not; where it does not tell at once, the run itself looks, and refuses in its thread."""
    plain_name(word, "guest or group" if groups else "id or name of a guest")
    known = [group.name for group in managed.groups]
    listed = None if groups and word in known else desk.guests(managed.name)
    if listed is None or any(word in (str(guest.id), guest.name) for guest in listed):
        return word
    for group in managed.groups:
        if group.name == word:
            raise Wrong(f"{word} is a guest group; name one of its guests: {', '.join(map(str, group.guests))}.")
    names = [host(guest.name or str(guest.id)) for guest in listed] + (known if groups else [])
    raise Wrong(f'*{managed.name}* has no guest{" or group" if groups else ""} "{word}"{did_you_mean(word, names)}.')


def start(
    desk: Desk, typed: Typed, managed: ManagedCluster, workflow: str, args: Mapping[str, Any], what: str
) -> Reply:
    """Start a run; the id follows from what was typed, so that a command delivered twice starts one. Raises Wrong, with
    a link, when one about the same is active."""
    mark = hashlib.sha256(f"{workflow} {managed.name} {typed.source}".encode()).hexdigest()[:8]
    known = [r for r in desk.store.runs(cluster=managed.name, workflow=workflow) if r.id.endswith(mark)]
    day = datetime.fromtimestamp(desk.now, UTC)
    run_id = known[0].id if known else f"{managed.name}-{workflow.partition('_')[0]}-{day:%Y%m%d}-{mark}"
    if not known and (other := _same(desk, managed, workflow, args)):
        raise Wrong(f"that is under way already: {link_to(desk, other)} (`{other.id}`).")
    row = RunRow(
        run_id,
        workflow,
        managed.name,
        {**args, "cluster": managed.name, "by": typed.by},
        "active",
        desk.now,
        typed.by,
        desk.now,
    )
    desk.store.start_run(row, AuditRow(desk.now, run_id, managed.name, typed.by, f"start {workflow}", dict(args)))
    return Reply(f"👍 {what} starts as `{run_id}`; everything goes into its thread here.")


def _same(desk: Desk, managed: ManagedCluster, workflow: str, args: Mapping[str, Any]) -> RunRow | None:
    """An active run about the same subject, whichever way that was written."""
    about = {str(args.get(name)) for name in ("guest", "node", "group") if args.get(name)}
    for row in desk.store.runs(cluster=managed.name, workflow=workflow, state="active"):
        if about & subjects(desk, row):
            return row
    return None


def subjects(desk: Desk, row: RunRow) -> set[str]:
    """All words by which people may mean this run."""
    typed = {str(row.args[name]) for name in ("guest", "group") if row.args.get(name)}
    if row.args.get("act") == "power-cycle":
        typed.add(str(row.args["node"]))
    return typed | {seen(desk, row).subject} - {""}


def seen(desk: Desk, row: RunRow) -> RescuePicture:
    return rescue_picture(row, desk.store.entries(row.id))


def all_of(desk: Desk, managed: ManagedCluster, state: str = "") -> list[RunRow]:
    """Newest first."""
    found = [
        row for workflow in WORKFLOWS for row in desk.store.runs(cluster=managed.name, workflow=workflow, state=state)
    ]
    return sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)


def meant(desk: Desk, managed: ManagedCluster, words: list[str], usage: str) -> RunRow:
    """The active run that is about this guest, node or group; the only one, where none is named."""
    rows = all_of(desk, managed, "active")
    if len(words) > 1:
        raise Wrong(f'unknown argument "{words[1]}". Type `{usage}`.')
    if words:
        rows = [row for row in rows if words[0] in subjects(desk, row)]
    if not rows:
        about = f" about {words[0]}" if words else ""
        raise Wrong(f"no restore, backup or drill of *{managed.name}*{about} is active.")
    if len(rows) > 1:
        names = ", ".join(sorted(seen(desk, row).title for row in rows))
        raise Wrong(f"several are active ({names}): name the one that you mean: `{usage}`.")
    return rows[0]
