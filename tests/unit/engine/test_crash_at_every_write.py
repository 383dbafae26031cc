"""The bot is killed once at every point where that could matter: before and after each write, each act's effect.

Whatever the point, after the next start the same night has happened: every act's effect once, every message once, the
same end. The world is guarded as the real one is (a reboot compares the boot id); without the guard the kill is felt,
which proves that this test can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import pytest

from engine.port import Again, Look, Plain, Run, Saying, Waiting
from store.api import Store
from store.memory import MemoryStore
from tests.unit.engine.engine_night import STRICT, Night, ask

WRITES = {"start_run", "poke", "unpoke", "park", "finish", "again", "write", "put_out", "order", "vote"}


class Killed(BaseException):
    """kill -9: no `except Exception` sees it."""


@dataclass
class Luck:
    """Kills at the point of this number, once; 0 never."""

    kill_at: int
    passed: int = 0

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.kill_at:
            raise Killed


@dataclass
class CrashingStore:
    """Any store, with a point before and after each of its writes."""

    inside: Store
    luck: Luck

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inside, name)
        return self._unlucky(method) if name in WRITES else method

    def _unlucky(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.luck.point()
            result = method(*args, **kwargs)
            self.luck.point()
            return result

        return call


@dataclass
class Node:
    """One node. `guarded`: its helper compares the boot id before it reboots."""

    luck: Luck
    guarded: bool = True
    boots: int = 1
    upgrades: int = 0
    units: set[str] = field(default_factory=set)

    def upgrade(self, unit: str) -> str:
        self.luck.point()
        if unit not in self.units:
            self.units.add(unit)
            self.upgrades += 1
        self.luck.point()
        return "started"

    def reboot(self, boot_id: int) -> str:
        self.luck.point()
        if boot_id == self.boots or not self.guarded:
            self.boots += 1
        self.luck.point()
        return "sent"


def walk(run: Run, night: Night, node: Node, turn: str) -> Plain:
    """Two rounds over one node, with every verb of the port."""
    run.say(f"{turn}.begun", lambda: Saying("note", f"round {turn} begun"))
    boot_id = run.step(f"{turn}.status", lambda: node.boots)
    run.step(f"{turn}.upgrade", lambda: node.upgrade(f"unit-{turn}"))
    approver = ask(run, night, key=f"{turn}.ask")
    run.step(f"{turn}.reboot", lambda: node.reboot(boot_id))

    def booted(look: Look) -> int | Waiting:
        return node.boots if node.boots != boot_id else Waiting("still the old boot")

    run.until(f"{turn}.booted", booted, 600, why="boot", who="nobody")
    run.say(f"{turn}.done", lambda: Saying("note", f"round {turn} done, approved by {approver}"))
    return approver


def one_night(store: Store, kill_at: int, guarded: bool = True) -> tuple[Night, Node]:
    """The whole night, killed at most once; the bot is started again at once."""
    luck = Luck(kill_at)
    shaky = cast(Store, CrashingStore(store, luck))
    node = Node(luck, guarded)
    night = Night(shaky, STRICT, run_id=f"up-lab-{guarded}-{kill_at}")

    def workflow(run: Run, args: Mapping[str, Plain]) -> Plain | Again:
        turn = str(args["round"])
        approver = run.part(turn, lambda: walk(run, night, node, turn))
        return Again({"round": 2}) if turn == "1" else approver

    acts: Iterator[Callable[[], None]] = iter(
        [
            lambda: night.begin(workflow, {"round": 1}),
            lambda: night.approve("carol", "1.ask"),
            lambda: night.awake(60),
            lambda: night.approve("bob", "2.ask"),
            lambda: night.awake(60),
        ]
    )
    for act in acts:
        try:
            act()
        except Killed:
            act()  # whoever was cut off tries again: Slack delivers twice, the start reads reactions
    return night, node


def test_a_kill_at_any_point_changes_nothing_that_a_reader_could_tell(store: Store) -> None:
    # In memory at every point; in the file, where a night takes 0.1 s, at every seventh: before and after in turn.
    for kill_at in count(0, 1 if isinstance(store, MemoryStore) else 7):
        night, node = one_night(store, kill_at)
        assert (node.boots, node.upgrades) == (3, 2), f"killed at point {kill_at}"
        assert night.row.result == "bob"
        assert night.said == [
            "round 1 begun",
            "round 1 done, approved by carol",
            "round 2 begun",
            "round 2 done, approved by bob",
        ]
        if kill_at > node.luck.passed:
            break
    assert kill_at > 80, "the night has fewer points than it must have"


def test_without_the_guard_a_kill_between_reboot_and_result_reboots_twice() -> None:
    boots = [one_night(MemoryStore(), kill_at, guarded=False)[1].boots for kill_at in range(1, 100)]
    assert max(boots) == 4


@pytest.mark.parametrize("kill_at", [1, 2])
def test_the_killer_kills(store: Store, kill_at: int) -> None:
    with pytest.raises(Killed):
        Night(cast(Store, CrashingStore(store, Luck(kill_at)))).begin(lambda run, args: None)
