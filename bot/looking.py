"""What `roundsman gates` and `roundsman plan` stand on: the real cluster, and nothing else of the bot."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NoReturn

from cluster.gates import judge, topics
from cluster.world import Blocked, GatePhase, Opinion, OwnChanges, Passed, Unknown, World
from store.memory import MemoryStore
from workflows.settings import ManagedCluster
from workflows.site import ChatDown, Reaction, Site

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


def site(managed: ManagedCluster) -> Site:
    """The cluster with a store in memory: what is looked at from a shell leaves no trace in the bot's database."""
    from bot.app import live_cluster
    from cluster.install import helper_checksum

    return Site(managed, live_cluster(managed), NoChat(), MemoryStore(), time.time, helper_checksum())


def ask(site: Site, nodes: Sequence[str]) -> Found:
    """All gates before a run, for each node, now."""
    phase = GatePhase.PREFLIGHT
    found = {}
    for node in nodes:
        machines = site.cluster.survey(topics(phase), node)
        world = World(site.managed, machines, OwnChanges(), None, site.helper_checksum)
        found[node] = judge(world, node, phase, site.clock(), {})
    return found


def exit_code(found: Found) -> int:
    """0 all passed, 1 one is blocked, 3 none is blocked but one is unknown."""
    verdicts = [opinion.verdict for opinions in found.values() for opinion in opinions]
    if any(isinstance(verdict, Blocked) for verdict in verdicts):
        return 1
    return 0 if verdicts and all(isinstance(verdict, Passed) for verdict in verdicts) else 3


def as_text(found: Found) -> str:
    return "\n".join(line for node, opinions in found.items() for line in (node, *_lines(opinions)))


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
    return json.dumps({"cluster": cluster, "exit_code": exit_code(found), "nodes": nodes}, indent=2, default=str)


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
