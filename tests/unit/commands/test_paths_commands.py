"""`/paths` shows the last round as a table; `/drill paths` starts a drill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.facts import PathTest
from commands import answer
from commands.api import Desk
from sandbox.cast import ALICE, MALLORY
from sandbox.simchat import SimChat
from sandbox.spec import default_spec, managed_settings
from store.api import CommandRow
from store.memory import MemoryStore
from workflows.messages_paths import table
from workflows.path_watch import Known, key_of
from workflows.paths import PATH_DRILL

NOW = 1_772_488_800.0
LAB = managed_settings(default_spec())


@pytest.fixture
def desk() -> Desk:
    return Desk({"lab": LAB}, MemoryStore(), SimChat(), NOW, lambda *_: "")


def typed(desk: Desk, text: str, by: str = ALICE, source: str = "t1") -> str:
    slash, _, rest = text.partition(" ")
    return answer(desk, CommandRow(source, rest, slash, by, LAB.channel, "", NOW)).text


def keep(desk: Desk, *, dead: bool) -> None:
    why = "pve2 over lte: it says nothing" if dead else ""
    tests = [PathTest("direct", node, NOW - 23, "", "", 0.02, NOW - 23) for node in ("pve1", "pve2", "pve3")]
    tests += [PathTest("lte", node, NOW - 23, "", "", 0.31, NOW - 23) for node in ("pve1", "pve3")]
    tests += [PathTest("lte", "pve2", NOW - 23, why, why, 10.0 if dead else 0.3, NOW - 600 if dead else NOW - 23)]
    said = ("direct goes through router-a, which is a guest of this cluster; only lte stays when it dies",)
    known = Known(NOW - 23, tuple(tests), {}, {"pve1": "lte"} if dead else {}, said)
    desk.store.keep(key_of("lab"), known.plain(), NOW - 23)


def test_the_table_shows_every_path(desk: Desk) -> None:
    keep(desk, dead=False)
    assert typed(desk, "/paths") == (
        "*lab*: tested 23 seconds ago; a run needs 2 of them to every node.\n"
        "```\n"
        "path    nodes   slowest      answered  goes\n"
        "direct  3 of 3  0.02 s pve1  23 s ago  directly\n"
        "lte     3 of 3  0.31 s pve1  23 s ago  through 198.51.100.7\n"
        "```\n"
        "direct goes through router-a, which is a guest of this cluster; only lte stays when it dies."
    )


def test_what_does_not_answer_is_told_with_its_reason_and_the_detour(desk: Desk) -> None:
    keep(desk, dead=True)
    shown = typed(desk, "/paths lab")
    assert "lte     2 of 3  0.31 s pve1  23 s ago  through 198.51.100.7" in shown
    assert "• lte to pve2: pve2 over lte: it says nothing" in shown
    assert "In use: pve1 over lte." in shown


@pytest.mark.parametrize(
    ("age", "said"),
    [(0.4, "0 s ago"), (119, "119 s ago"), (600, "10 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago_a_path_answered_is_said_shortly(age: float, said: str) -> None:
    tests = [PathTest("lte", "pve1", NOW, "dead", "dead", 1.0, NOW - age)]
    assert f" {said:<8}  through" in table(LAB.paths[1:], tests, NOW, NOW, 2)


def test_before_the_first_round_it_says_so(desk: Desk) -> None:
    assert "were not tested yet" in typed(desk, "/paths")


def test_a_wrong_cluster_is_answered_with_what_is_known(desk: Desk) -> None:
    assert 'unknown argument "lap" (did you mean "lab"?)' in typed(desk, "/paths lap")


def test_a_drill_starts_once_however_often_it_is_delivered(desk: Desk) -> None:
    for _ in range(2):
        assert "The first path of *lab* is cut for me alone now" in typed(desk, "/drill paths")
    (run,) = desk.store.runs(workflow=PATH_DRILL)
    assert (run.cluster, run.args["by"]) == ("lab", ALICE)


def test_a_bystander_may_look_but_not_drill(desk: Desk) -> None:
    keep(desk, dead=False)
    assert "tested 23 seconds ago" in typed(desk, "/paths", MALLORY)
    assert "only operators of *lab* may drill its paths" in typed(desk, "/drill paths", MALLORY, "t2")
    assert desk.store.runs(workflow=PATH_DRILL) == []


def test_the_only_way_in_is_not_cut(desk: Desk) -> None:
    alone = replace(desk, clusters={"lab": LAB.model_copy(update={"paths": ()})})
    assert "has one way in only" in typed(alone, "/drill paths")
    assert desk.store.runs(workflow=PATH_DRILL) == []
