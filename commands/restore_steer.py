"""`/restore status|why|retry|abort`: what restores, backups and drills do, and people at their wheel."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import cluster_in, give, link_to, must_operate, nothing_else
from commands.rescuing import all_of, meant, seen
from workflows import messages
from workflows import messages_waits as waits
from workflows.orders import Order

MOST_RUNS = 10


def status(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, "/restore status", list(desk.clusters))
    rows = all_of(desk, managed)[:MOST_RUNS]
    if not rows:
        return Reply(f"*{managed.name}* has had no restore, backup or drill yet.")
    lines = []
    for row in rows:
        now = seen(desk, row)
        doing = f", {now.stage}" if row.state == "active" else ""
        then = f"; {waits.shortly(now.wait)}" if now.wait else ""
        lines.append(
            f"• {messages.at(row.created_at)} {messages.host(now.title)}: {now.state}{doing}{then}, "
            f"{link_to(desk, row)} (`{row.id}`)"
        )
        lines += [f"   left: {text}" for text in now.left]
    return Reply("\n".join(lines))


def why(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    row = meant(desk, managed, rest, "/restore why GUEST")
    now = seen(desk, row)
    if now.wait is None:
        return Reply(waits.at_work(row.id))
    return Reply(waits.why(row.id, now.state, now.wait, desk.now))


def retry(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "retry")
    row = meant(desk, managed, rest, "/restore retry GUEST")
    hold = ((row.parked or {}).get("detail") or {}).get("hold", "")
    if not hold:
        raise Wrong("nothing to retry: it does not hold. `/restore why` shows what it waits for.")
    give(desk, typed, row, Order.RETRY, hold)
    return Reply(f"🔄 <@{typed.by}> retries in `{row.id}`: {(row.parked or {}).get('why', '')}.", True)


def abort(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "abort a restore")
    row = meant(desk, managed, rest, "/restore abort GUEST")
    give(desk, typed, row, Order.ABORT)
    return Reply(f"🛑 <@{typed.by}> aborts `{row.id}`: what was begun ends first, then it says what is left.", True)


COMMANDS = (
    Command(
        "/restore", "status", "/restore status [NAME]", "lists restores, backups and drills, newest first.", status
    ),
    Command("/restore", "why", "/restore why [GUEST]", "says what a restore waits for, and who can end the wait.", why),
    Command("/restore", "retry", "/restore retry [GUEST]", "operators: try again what a restore holds at.", retry),
    Command("/restore", "abort", "/restore abort [GUEST]", "operators: end a restore; it says what it leaves.", abort),
)
