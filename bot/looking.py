"""What `roundsman gates` and `roundsman plan` stand on: the real cluster, and what the bot's database knows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from bot.rotas import Rotas
from bot.settings import Settings
from cluster.gates import judge, topics
from cluster.world import Blocked, GatePhase, Opinion, OwnChanges, Passed, Unknown, Verdict, World
from oncall.pagers import all_pagers
from store.api import Kept, RunRow, ShiftOverrideRow, Store
from store.memory import MemoryStore
from store.opening import read_store
from workflows.readiness import on_call_now
from workflows.settings import ManagedCluster
from workflows.site import ChatDown, Reaction, Site, Watchers

Found = Mapping[str, Sequence[Opinion]]
"""Node -> what each gate says of taking it."""


class NoChat:
    """Looking from a shell asks nobody in Slack; whatever needs it is unknown."""

    bot_user = ""

    def reactions(self, channel: str, ts: str) -> tuple[Reaction, ...]:
        self._nobody()

    def members(self, group: str) -> frozenset[str]:
        self._nobody()

    def quiet(self, user: str) -> bool:
        self._nobody()

    def _nobody(self) -> NoReturn:
        raise ChatDown("Slack is not asked by this command")


class Beside(MemoryStore):
    """What people and earlier runs left in the bot's database is read there; what looking writes is forgotten."""

    def __init__(self, bots: Store) -> None:
        super().__init__()
        self._bots = bots

    def runs(self, *args: Any, **named: Any) -> list[RunRow]:
        return self._bots.runs(*args, **named)

    def kept(self, name: str) -> Kept | None:
        return self._bots.kept(name)

    def kept_all(self, prefix: str) -> list[Kept]:
        return self._bots.kept_all(prefix)

    def shift_overrides(self, since: float) -> list[ShiftOverrideRow]:
        return self._bots.shift_overrides(since)

    def close(self) -> None:
        self._bots.close()


def site(managed: ManagedCluster, settings: Settings) -> Site:
    """The cluster beside a running bot, or without one: what is looked at from a shell leaves no trace in the bot's
    database. Whoever looks closes its store. Raises StoreError for a database that cannot be read."""
    from bot.app import live_cluster
    from cluster.install import helper_checksum

    path = Path(settings.store.path)
    store = Beside(read_store(path)) if path.exists() else MemoryStore()
    people = watchers(settings, store, time.time)
    return Site(managed, live_cluster(managed), NoChat(), store, time.time, helper_checksum(), people)


def watchers(settings: Settings, store: Store, clock: Callable[[], float]) -> Watchers | None:
    """Who would be woken, for the on-call gate. Nobody is rung from here. None without a section `oncall`."""
    oncall = settings.oncall
    if oncall is None:
        return None
    return Watchers(oncall, Rotas(oncall, store, clock).duty, all_pagers(oncall.pagers, "", clock))


def ask(site: Site, nodes: Sequence[str]) -> Found:
    """All gates before a run, for each node, now."""
    phase = GatePhase.PREFLIGHT
    found = {}
    for node in nodes:
        machines = site.cluster.survey(topics(phase), node)
        world = World(site.managed, machines, OwnChanges(), None, site.helper_checksum, on_call_now(site))
        found[node] = judge(world, node, phase, site.clock(), {})
    return found


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 all passed, 1 one is blocked, 3 none is blocked but one is unknown."""
    if any(isinstance(verdict, Blocked) for verdict in verdicts):
        return 1
    return 0 if all(isinstance(verdict, Passed) for verdict in verdicts) else 3


def verdicts_of(found: Found) -> Sequence[Verdict]:
    """Nothing asked is not passed."""
    verdicts = [opinion.verdict for opinions in found.values() for opinion in opinions]
    return verdicts or [Unknown("no gate was asked")]


def as_text(found: Found, also: Sequence[str]) -> str:
    """Each gate of each node, and in the end what it comes to: it is long. `also`: what else is to be known."""
    lines = [line for node, opinions in found.items() for line in (node, *_lines(opinions))]
    return "\n".join([*lines, *also, _sum(found)])


def _sum(found: Found) -> str:
    told = [(node, opinion) for node, opinions in found.items() for opinion in opinions]
    shut = [f"{node} {o.gate} ({_word(o.verdict)})" for node, o in told if not isinstance(o.verdict, Passed)]
    if shut:
        return f"{len(shut)} of {len(told)} gates are not open: {', '.join(shut)}"
    return f"All {len(told)} gates of {', '.join(found)} passed." if told else "No gate was asked."


def _lines(opinions: Sequence[Opinion]) -> list[str]:
    width = max((len(opinion.gate) for opinion in opinions), default=0)
    return [line for opinion in opinions for line in _opinion(opinion, width)]


def _opinion(opinion: Opinion, width: int) -> list[str]:
    verdict = opinion.verdict
    lines = [f"  {_word(verdict):<7}  {opinion.gate:<{width}}  {_reason(verdict)}".rstrip()]
    if not isinstance(verdict, Passed) and verdict.hint:
        lines.append(f"           Hint: {verdict.hint}")
    return [*lines, *(f"           {key}: {_plain(value)}" for key, value in verdict.evidence.items())]


def as_json(cluster: str, found: Found) -> str:
    nodes = {node: [_row(opinion) for opinion in opinions] for node, opinions in found.items()}
    return json.dumps(
        {"cluster": cluster, "exit_code": exit_code(verdicts_of(found)), "nodes": nodes}, indent=2, default=str
    )


def _row(opinion: Opinion) -> dict[str, Any]:
    """`reason` is a passed gate's note, too: what a person should know although it passed."""
    rest = asdict(opinion.verdict)
    at = datetime.fromtimestamp(opinion.at, UTC).isoformat(timespec="seconds")
    row = {"gate": opinion.gate, "verdict": _word(opinion.verdict), "reason": _reason(opinion.verdict), "read_at": at}
    return row | {"hint": rest.get("hint", ""), "evidence": rest["evidence"]}


def _word(verdict: Passed | Blocked | Unknown) -> str:
    return type(verdict).__name__.lower()


def _reason(verdict: Passed | Blocked | Unknown) -> str:
    return verdict.note if isinstance(verdict, Passed) else verdict.reason


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
