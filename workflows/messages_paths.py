"""Every sentence about the ways in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cluster.facts import PathDrill, PathTest
from cluster.settings import PathSettings
from cluster.telling import short_span
from engine.port import Saying
from workflows.messages import at, bullets, host, span
from workflows.settings import ManagedCluster

MOST_WHY = 6
"""So many reasons in one message; the rest is counted."""


def last_but_one(left: Sequence[str], why: str) -> str:
    """Half a sentence, for the outage's thread."""
    stays = f"{left[0]} is the only way in that is left" if left else "no way in is left"
    return f"is dead ({why}); {stays}"


def died(managed: ManagedCluster, path: str, since: float, why: str, left: Sequence[str], pages: bool) -> Saying:
    rest = {0: "*None is left*.", 1: f"*{', '.join(left)} alone is left*."}.get(len(left), f"Left: {', '.join(left)}.")
    text = (
        f"🛣️ *{managed.name}*: path {path} reaches no node since {at(since)} ({host(why)}). {rest} Calls take another "
        f"path by themselves, where there is one.\n*Hint:* `/paths {managed.name}` shows all of them."
    )
    place = {"channel": managed.channel}
    if pages:
        return Saying("page", f"🚨 {text}", mention=managed.people.operators, detail=place)
    return Saying("note", text, detail=place)


def back(managed: ManagedCluster, path: str, since: float) -> Saying:
    text = f"🛣️ *{managed.name}*: path {path} reaches its nodes again, since {at(since)}."
    return Saying("note", text, detail={"channel": managed.channel})


# ---- the table -----------------------------------------------------------------------------------------------------

HEAD = ("path", "nodes", "slowest", "answered", "goes")
"""Narrow, for a telephone breaks long lines; what is longest comes last."""


def table(paths: Sequence[PathSettings], tests: Sequence[PathTest], now: float, tested_at: float, required: int) -> str:
    rows = [HEAD, *(_row(path, [test for test in tests if test.path == path.name], now) for path in paths)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = f"tested {span(max(now - tested_at, 0.0))} ago; a run needs {required} of them to every node"
    return f"{head}.\n```\n" + host("\n".join(lines)) + "\n```"


def _row(path: PathSettings, tests: Sequence[PathTest], now: float) -> tuple[str, ...]:
    alive = [test for test in tests if test.alive]
    answered = [test.answered_at for test in tests if test.answered_at is not None]
    slowest = max(alive, key=lambda test: test.latency, default=None)
    return (
        path.name,
        f"{len(alive)} of {len(tests)}",
        f"{slowest.latency:.2f} s {slowest.node}" if slowest else "-",
        f"{short_span(max(now - max(answered), 0.0))} ago" if answered else "never",
        goes(path),
    )


def goes(path: PathSettings) -> str:
    match path.kind:
        case "jump":
            return "through " + ", ".join(jump.address for jump in path.jumps)
        case "socks":
            return f"through the proxy {path.proxy}"
        case _:
            return "directly"


def reasons(tests: Sequence[PathTest]) -> str:
    """Why what does not answer does not; one line for each path and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for test in tests:
        if not test.alive:
            why = test.why.removeprefix(f"{test.node} over {test.path} ")
            found.setdefault((test.path, why), []).append(test.node)
    return bullets([f"{path} to {', '.join(nodes)}: {host(why)}" for (path, why), nodes in found.items()], MOST_WHY)


def detours(used: Mapping[str, str]) -> str:
    ways: dict[str, list[str]] = {}
    for node, path in used.items():
        ways.setdefault(path, []).append(node)
    return "; ".join(f"{', '.join(nodes)} over {path}" for path, nodes in ways.items())


def not_tested_yet(cluster: str) -> str:
    return f"the paths of *{cluster}* were not tested yet; they are, every minute. Ask again in a minute."


# ---- the drill -----------------------------------------------------------------------------------------------------


def one_way_only(cluster: str) -> str:
    return f"*{cluster}* has one way in only, so there is nothing to drill: add another one to `paths` in the settings."


def drill_begins(cluster: str) -> str:
    return f"👍 The first path of *{cluster}* is cut for me alone now, and each other one tried; the answer comes here."


def drill_done(cluster: str, drill: PathDrill, by: str) -> Saying:
    alone = {f"{test.path} to {test.node}": (test.why, test.latency) for test in drill.alone}
    good = bool(alone) and not any(why for why, _ in (*drill.usual.values(), *alone.values()))
    verdict = "✅ Without it every node is reached" if good else "❌ Without it not every node is reached"
    return Saying(
        "note",
        f"🧪 Drill of the paths of *{cluster}*, asked for by <@{by}>: {drill.cut} was cut, for me alone. {verdict}. "
        f"It is in use again; nothing was changed.\nAs calls went meanwhile:\n{_times(drill.usual)}\n"
        f"Each other path by itself:\n{_times(alone) or 'there is none: add one to `paths` in the settings'}",
    )


def _times(found: Mapping[str, tuple[str, float]]) -> str:
    return bullets([f"{what}: {host(why) or f'{seconds:.2f} s'}" for what, (why, seconds) in found.items()], 50)
