"""`/upgrade cluster`: start a rolling upgrade."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, link_to, must_operate, node_of, not_understood, seen
from store.api import AuditRow, RunRow
from workflows.phases import UPGRADE
from workflows.settings import ManagedCluster

USAGE = "/upgrade cluster [NAME] [nodes=pve1,pve2] [reboot=if-needed|always] [dry-run]"
ARGUMENTS = ["nodes=", "reboot=if-needed", "reboot=always", "dry-run"]


@dataclass(frozen=True, slots=True)
class Start:
    """What was asked for. `nodes` empty: all of them, in the order that the plan finds."""

    nodes: tuple[str, ...] = ()
    reboot: str = "if-needed"
    dry_run: bool = False


def parse(managed: ManagedCluster, clusters: list[str], words: list[str]) -> Start:
    nodes: tuple[str, ...] = ()
    reboot, dry_run = "if-needed", False
    for word in words:
        match word.split("=", 1):
            case ["dry-run"]:
                dry_run = True
            case ["nodes", names]:
                nodes = tuple(node_of(managed, name) for name in names.split(",") if name)
                if not nodes:
                    raise Wrong("nodes= names no node; write them with commas: `nodes=pve1,pve2`.")
            case ["reboot", "if-needed" | "always" as how]:
                reboot = how
            case ["reboot", how]:
                raise Wrong(f'reboot="{how}" is not known: use reboot=if-needed or reboot=always.')
            case [node] if node in managed.nodes:
                raise Wrong(f"{node} is a node: write `nodes={','.join([*nodes, node])}`.")
            case _:
                known = ARGUMENTS if "=" in word else [*ARGUMENTS, *clusters]
                raise not_understood(word, USAGE, known)
    if len(set(nodes)) < len(nodes):
        raise Wrong("a node is named twice in nodes=; name each once.")
    return Start(nodes, reboot, dry_run)


def handle(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "start a run")
    start = parse(managed, list(desk.clusters), rest)
    run = _row(desk, typed, managed, start)
    if desk.store.run(run.id) is None:
        for other in desk.store.runs(cluster=managed.name, state="active", workflow=UPGRADE):
            if seen(desk, other).state != "watching":
                raise Wrong(f"a run of *{managed.name}* is active already: {link_to(desk, other)} (`{other.id}`).")
    detail = {"nodes": list(start.nodes), "reboot": start.reboot, "dry_run": start.dry_run}
    desk.store.start_run(run, AuditRow(desk.now, run.id, managed.name, typed.by, "start", detail))
    kind = "dry run" if start.dry_run else "rolling upgrade"
    return Reply(f"👍 A {kind} of *{managed.name}* starts as `{run.id}`; everything goes into its thread here.")


def _row(desk: Desk, typed: Typed, managed: ManagedCluster, start: Start) -> RunRow:
    """The id follows from what was typed, so that a command delivered twice starts one run."""
    mark = hashlib.sha256(f"{managed.name} {typed.source}".encode()).hexdigest()[:8]
    day = datetime.fromtimestamp(desk.now, UTC)
    known = [r for r in desk.store.runs(cluster=managed.name, workflow=UPGRADE) if r.id.endswith(mark)]
    run_id = known[0].id if known else f"{managed.name}-{day:%Y%m%d}-{mark}"
    args = {
        "cluster": managed.name,
        "nodes": list(start.nodes),
        "reboot": start.reboot,
        "dry_run": start.dry_run,
        "by": typed.by,
    }
    return RunRow(run_id, UPGRADE, managed.name, args, "active", desk.now, typed.by, desk.now)


COMMANDS = (
    Command(
        "/upgrade",
        "cluster",
        USAGE,
        "starts a rolling upgrade, node by node, each with your approval; `dry-run` only shows the plan.",
        handle,
        meant=("start", "run", "upgrade", "begin", "nodes", "plan", "dry-run", "reboot"),
    ),
)
