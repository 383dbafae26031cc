"""`/upgrade pause|resume|abort|skip|retry`: people at the wheel. Each is a row that wakes the run."""

from __future__ import annotations

from commands.api import Command, Desk, Reply, Typed, Wrong
from commands.finding import active, cluster_in, did_you_mean, give, must_operate, nothing_else, seen
from store.api import RunRow
from workflows.orders import Order, paused
from workflows.roles import may_operate, mention
from workflows.settings import ManagedCluster


def _run_for(desk: Desk, typed: Typed, words: list[str], usage: str) -> tuple[ManagedCluster, RunRow]:
    managed, rest = cluster_in(desk, typed, words)
    nothing_else(rest, usage, list(desk.clusters))
    return managed, active(desk, managed)


def pause(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, run = _run_for(desk, typed, words, "/upgrade pause")
    _must_be_near(desk, typed, managed)
    if paused([order for order in desk.store.orders(run.id) if order.source != typed.source]):
        return Reply(f"⏸️ `{run.id}` is paused already; `/upgrade resume` lets it go on.")
    give(desk, typed, run, Order.PAUSE)
    return Reply(f"⏸️ <@{typed.by}> pauses `{run.id}`: what was begun ends, then it waits for `/upgrade resume`.", True)


def _must_be_near(desk: Desk, typed: Typed, managed: ManagedCluster) -> None:
    """Anybody in the cluster's own channel, where everybody reads who it was; operators from anywhere."""
    if typed.channel != managed.channel and not may_operate(typed.by, managed.people, desk.chat):
        raise Wrong(
            f"anybody may pause *{managed.name}*, but in its own channel: type `/upgrade pause` in "
            f"<#{managed.channel}>. From elsewhere only operators may: {mention(managed.people.operators)}."
        )


def resume(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, run = _run_for(desk, typed, words, "/upgrade resume")
    must_operate(desk, typed, managed, "resume a run")
    if not paused(desk.store.orders(run.id)):
        raise Wrong("nothing is paused. A hold ends with `/upgrade retry`; `/upgrade why` shows what is waited for.")
    give(desk, typed, run, Order.RESUME)
    return Reply(f"▶️ <@{typed.by}> resumes `{run.id}`.", True)


def abort(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, run = _run_for(desk, typed, words, "/upgrade abort")
    must_operate(desk, typed, managed, "abort a run")
    give(desk, typed, run, Order.ABORT)
    text = f"🛑 <@{typed.by}> aborts `{run.id}`: what was begun ends first, the storage heals, then it is put back."
    return Reply(text, True)


def skip(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, rest = cluster_in(desk, typed, words)
    must_operate(desk, typed, managed, "skip a node")
    if len(rest) != 1:
        raise Wrong("name the one node to skip: `/upgrade skip NODE`.")
    run, node = active(desk, managed), rest[0]
    places = {place.node: place.state for place in seen(desk, run).nodes} or dict.fromkeys(managed.nodes, "waiting")
    if node not in places:
        raise Wrong(f'this run has no node "{node}"{did_you_mean(node, list(places))}.')
    if places[node] in ("done", "skipped", "nothing to do"):
        raise Wrong(f"{node} is over already ({places[node]}).")
    give(desk, typed, run, Order.SKIP, node)
    return Reply(f"⏭️ <@{typed.by}> skips {node} in `{run.id}`; what was changed on it is put back first.", True)


def retry(desk: Desk, typed: Typed, words: list[str]) -> Reply:
    managed, run = _run_for(desk, typed, words, "/upgrade retry")
    must_operate(desk, typed, managed, "retry")
    hold = ((run.parked or {}).get("detail") or {}).get("hold", "")
    if not hold:
        raise Wrong("nothing to retry: the run does not hold. `/upgrade why` shows what it waits for.")
    give(desk, typed, run, Order.RETRY, hold)
    return Reply(f"🔄 <@{typed.by}> retries in `{run.id}`: {(run.parked or {}).get('why', '')}.", True)


COMMANDS = (
    Command(
        "/upgrade",
        "pause",
        "/upgrade pause [NAME]",
        "anybody in its channel, operators anywhere: stop before the next act.",
        pause,
        meant=("wait", "hold"),
    ),
    Command(
        "/upgrade",
        "resume",
        "/upgrade resume [NAME]",
        "operators: go on after a pause.",
        resume,
        meant=("continue", "unpause", "go"),
    ),
    Command(
        "/upgrade",
        "abort",
        "/upgrade abort [NAME]",
        "operators: end the run and put back what it changed.",
        abort,
        meant=("stop", "cancel", "end", "kill"),
    ),
    Command("/upgrade", "skip", "/upgrade skip NODE [NAME]", "operators: leave a node out, put it back, go on.", skip),
    Command(
        "/upgrade",
        "retry",
        "/upgrade retry [NAME]",
        "operators: try again what the run holds at.",
        retry,
        meant=("again",),
    ),
)
