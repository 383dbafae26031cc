"""`/paths`: the ways in to a cluster, and whether they live. `/drill paths`: prove that the others carry."""

from __future__ import annotations

import hashlib

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, must_operate, nothing_else
from store.api import AuditRow, RunRow
from workflows import messages_paths as messages
from workflows.messages import host
from workflows.path_watch import last_round
from workflows.paths import PATH_DRILL


def show(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/paths", list(desk.clusters))
    known = last_round(desk.store, managed.name)
    if known is None:
        raise Wrong(messages.not_tested_yet(managed.name))
    lines = [
        f"*{managed.name}*: {messages.table(managed.ways, known.tests, desk.now, known.at, managed.paths_required)}",
        messages.reasons(known.tests),
        f"In use: {used}." if (used := messages.detours(known.detours)) else "",
        *(f"{host(text)}." for text in known.said),
    ]
    return Reply("\n".join(line for line in lines if line))


def drill(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/drill paths", list(desk.clusters))
    must_operate(desk, typed, managed, "drill its paths")
    if len(managed.ways) < 2:
        raise Wrong(messages.one_way_only(managed.name))
    mark = hashlib.sha256(f"{managed.name} {typed.source}".encode()).hexdigest()[:8]
    run_id = f"drill-paths-{managed.name}-{mark}"
    args = {"cluster": managed.name, "by": typed.by}
    row = RunRow(run_id, PATH_DRILL, managed.name, args, "active", desk.now, typed.by, desk.now)
    desk.store.start_run(row, AuditRow(desk.now, run_id, managed.name, typed.by, "drill paths", {}))
    return Reply(messages.drill_begins(managed.name))


COMMANDS = (
    Command(
        "/paths",
        "",
        "/paths [NAME]",
        "shows the ways in to the nodes: which answer, how fast, and when last.",
        show,
        takes_words=True,
    ),
    Command(
        "/drill",
        "paths",
        "/drill paths [NAME]",
        "operators: cut the first path for the bot alone, and read through each other one.",
        drill,
    ),
)
