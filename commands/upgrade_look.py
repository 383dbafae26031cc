"""`/upgrade status`, `why` and `history`: what a run does, what it waits for, what was."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed
from commands.finding import cluster_in, latest, link_to, nothing_else, seen
from workflows import messages
from workflows import messages_waits as waits
from workflows.phases import UPGRADE
from workflows.picture import NodePicture, RunPicture

MOST_RUNS = 10


def status(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/upgrade status", list(desk.clusters))
    run = latest(desk, managed)
    now = seen(desk, run)
    lines = [f"*{managed.name}*: {now.state}, {link_to(desk, run)} (`{run.id}`), started by <@{now.started_by}>."]
    lines += [_node_line(node, desk.now) for node in now.nodes]
    if now.wait:
        lines.append(f"It {waits.shortly(now.wait)}.")
    left = "Left as it is" if now.finished_at else "Changed for now"
    lines += [f"{left}: {text}" for text in now.left]
    lines += [f"Override: {text}" for text in now.overrides]
    return Reply("\n".join(lines))


def _node_line(node: NodePicture, now: float) -> str:
    since = f" for {messages.span(now - node.since)}" if node.since and node.state not in ("done", "skipped") else ""
    note = f" ({node.note})" if node.note and node.note != node.state else ""
    return f"• {node.node}: {node.state}{since}{note}"


def why(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/upgrade why", list(desk.clusters))
    run = latest(desk, managed)
    return Reply(_why(seen(desk, run), desk.now))


def _why(now: RunPicture, at: float) -> str:
    if now.finished_at:
        return f"`{now.run_id}` waits for nothing: it ended {messages.span(at - now.finished_at)} ago ({now.state})."
    if now.wait is None:
        return waits.at_work(now.run_id)
    return waits.why(now.run_id, now.state, now.wait, at)


def history(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/upgrade history", list(desk.clusters))
    runs = desk.store.runs(cluster=managed.name, workflow=UPGRADE, limit=MOST_RUNS)
    if not runs:
        return Reply(f"*{managed.name}* has had no run yet.")
    lines = []
    for run in runs:
        now = seen(desk, run)
        took = f", took {messages.span(now.finished_at - now.started_at)}" if now.finished_at else ""
        nodes = ", ".join(f"{node.node} {node.state}" for node in now.nodes)
        of = f" ({nodes})" if nodes else ""
        began = messages.day(now.started_at)
        lines.append(f"• {began} `{run.id}` by <@{now.started_by}>: {now.state}{took}{of}")
    return Reply("\n".join(lines))


COMMANDS = (
    Command(
        "/upgrade",
        "status",
        "/upgrade status [NAME]",
        "shows where each node is and what is changed.",
        status,
        meant=("state", "show", "progress"),
    ),
    Command(
        "/upgrade",
        "why",
        "/upgrade why [NAME]",
        "says what the run waits for, since when, what would end the wait, and who can.",
        why,
        meant=("waiting", "reason"),
    ),
    Command("/upgrade", "history", "/upgrade history [NAME]", "lists the last runs and how they ended.", history),
)
