"""What becomes of the ways in from minute to minute, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cluster.facts import PathTest, WaysIn
from cluster.settings import JumpHost, PathSettings
from sandbox.spec import default_spec, managed_settings
from store.memory import MemoryStore
from workflows.path_watch import RUN, Back, Died, Known, News, Standing, judged, last_round, take_in
from workflows.settings import ManagedCluster

MINUTE = 60.0
NODES = ("pve1", "pve2", "pve3")
WHY = "it says nothing"


def jump(name: str) -> PathSettings:
    return PathSettings(name=name, kind="jump", jumps=(JumpHost(address=f"{name}.example", host_key="ssh-ed25519 B"),))


LAB = managed_settings(default_spec())
THREE = LAB.model_copy(update={"paths": (PathSettings(name="direct"), jump("lte"), jump("vpn"))})


def tried(managed: ManagedCluster, now: float, dead: Sequence[str] = (), nodes: Sequence[str] = ()) -> list[PathTest]:
    """`nodes`: the path in `dead` is dead to these alone; none: to all."""
    found = []
    for path in managed.ways:
        for node in NODES:
            why = WHY if path.name in dead and (not nodes or node in nodes) else ""
            found.append(PathTest(path.name, node, now, why, why, 0.1, None if why else now))
    return found


class Minutes:
    """Rounds of tests, a minute apart."""

    def __init__(self, managed: ManagedCluster) -> None:
        self.managed, self.now = managed, 0.0
        self.standings: dict[str, Standing] = {}
        self.news: list[News] = []

    def go(self, minutes: int, dead: Sequence[str] = (), nodes: Sequence[str] = (), knife: Sequence[str] = ()) -> None:
        for _ in range(minutes):
            self.now += MINUTE
            found = tried(self.managed, self.now, dead, nodes)
            self.standings, news = judged(self.managed, found, self.standings, frozenset(knife), self.now)
            self.news += news


def test_a_path_that_is_silent_for_a_while_is_dead_once_and_notifies() -> None:
    minutes = Minutes(THREE)
    minutes.go(3)
    minutes.go(5, dead=["lte"])
    assert minutes.news == []
    minutes.go(10, dead=["lte"])
    assert minutes.news == [Died("lte", 4 * MINUTE, WHY, ("direct", "vpn"))]
    assert not any(news.pages for news in minutes.news if isinstance(news, Died))


def test_the_last_but_one_that_dies_pages() -> None:
    minutes = Minutes(THREE)
    minutes.go(10, dead=["lte"])
    minutes.go(10, dead=["lte", "direct"])
    died = minutes.news[-1]
    assert isinstance(died, Died)
    assert (died.path, died.left, died.pages) == ("direct", ("vpn",), True)


def test_of_two_paths_the_first_death_pages_already() -> None:
    minutes = Minutes(LAB)
    minutes.go(10, dead=["lte"])
    assert [(news.path, news.pages) for news in minutes.news if isinstance(news, Died)] == [("lte", True)]


def test_all_that_die_at_once_page() -> None:
    minutes = Minutes(THREE)
    minutes.go(10, dead=["direct", "lte", "vpn"])
    assert [(n.path, n.left, n.pages) for n in minutes.news if isinstance(n, Died)] == [
        ("direct", (), True),
        ("lte", (), True),
        ("vpn", (), True),
    ]


def test_a_path_that_still_reaches_one_node_is_not_dead() -> None:
    minutes = Minutes(THREE)
    minutes.go(60, dead=["lte"], nodes=["pve1", "pve2"])
    assert minutes.news == []


def test_a_node_under_our_own_knife_does_not_kill_a_path_and_does_not_keep_one_alive() -> None:
    minutes = Minutes(THREE)
    minutes.go(60, dead=["lte"], nodes=["pve2"], knife=["pve2"])
    assert minutes.news == []
    minutes.go(10, dead=["lte"], nodes=["pve1", "pve3"], knife=["pve2"])
    assert [type(news) for news in minutes.news] == [Died]


def test_a_path_that_flaps_is_dead_once_and_back_once() -> None:
    minutes = Minutes(THREE)
    minutes.go(8, dead=["lte"])
    for _ in range(5):
        minutes.go(2)
        minutes.go(1, dead=["lte"])
    assert [type(news) for news in minutes.news] == [Died]
    assert minutes.standings["lte"].silent_since == MINUTE
    minutes.go(4)
    assert [type(news) for news in minutes.news] == [Died, Back]
    assert minutes.news[-1] == Back("lte", minutes.now - 3 * MINUTE)


def test_a_path_that_is_silent_now_and_then_is_not_dead() -> None:
    minutes = Minutes(THREE)
    for _ in range(10):
        minutes.go(1, dead=["lte"])
        minutes.go(1)
    assert minutes.news == []


def test_the_last_answer_is_kept_while_a_path_is_dead() -> None:
    minutes = Minutes(THREE)
    minutes.go(2)
    minutes.go(10, dead=["lte"])
    assert minutes.standings["lte"].answered_at == 2 * MINUTE


# ---- kept, and told ------------------------------------------------------------------------------------------------


Live = Callable[..., None]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def rounds(store: MemoryStore, managed: ManagedCluster, minutes: int, began: float, watched: bool, **how: Any) -> None:
    for minute in range(minutes):
        now = began + minute * MINUTE
        take_in(store, managed, WaysIn(tuple(tried(managed, now, **how))), ["said"], frozenset(), now, watched)


def said(store: MemoryStore) -> list[tuple[str, str]]:
    return [(row.message["kind"], row.message["text"]) for row in store.outbox(RUN)]


def test_a_dead_path_is_said_once_in_the_cluster_s_channel(store: MemoryStore) -> None:
    rounds(store, THREE, 10, 0.0, watched=True, dead=["lte"])
    (row,) = store.outbox(RUN)
    assert row.message["kind"] == "note"
    assert row.message["detail"] == {"channel": "C0LAB"}
    assert "path lte reaches no node since" in row.message["text"]
    assert "Left: direct, vpn." in row.message["text"]
    assert store.firing("lab") == []


def test_the_last_but_one_is_an_outage_where_somebody_is_on_call_and_ends_when_it_is_back(store: MemoryStore) -> None:
    rounds(store, LAB, 10, 0.0, watched=True, dead=["lte"])
    (alert,) = store.firing("lab")
    assert (alert.subject, alert.source) == ("path lte", "watch")
    assert alert.summary == "is dead (it says nothing); direct is the only way in that is left"
    rounds(store, LAB, 5, 600.0, watched=True)
    assert store.firing("lab") == []
    assert [kind for kind, _ in said(store)] == ["note"]


def test_a_dead_path_that_is_taken_out_of_the_settings_is_no_outage_any_more(store: MemoryStore) -> None:
    """Nobody could ever hear of it again: its outage would wake people until somebody ended it by hand."""
    rounds(store, LAB, 10, 0.0, watched=True, dead=["lte"])
    assert [alert.subject for alert in store.firing("lab")] == ["path lte"]
    without = LAB.model_copy(update={"paths": LAB.paths[:1], "paths_required": 1})
    rounds(store, without, 1, 600.0, watched=True)
    assert store.firing("lab") == []


def test_without_anybody_on_call_the_operators_are_mentioned(store: MemoryStore) -> None:
    rounds(store, LAB, 10, 0.0, watched=False, dead=["lte"])
    (row,) = store.outbox(RUN)
    assert row.message["kind"] == "page"
    assert list(row.message["mention"]) == ["U0ALICE", "U0BOB"]
    assert "*direct alone is left*" in row.message["text"]


def test_what_was_told_before_a_restart_is_not_told_again(store: MemoryStore) -> None:
    rounds(store, THREE, 10, 0.0, watched=True, dead=["lte"])
    known = last_round(store, "lab")
    assert known is not None
    store.keep("paths/lab", Known(known.at, known.tests, {}, {}, ()).plain(), known.at)  # as before it was told
    rounds(store, THREE, 1, known.at, watched=True, dead=["lte"])
    store.keep("paths/lab", known.plain(), known.at)
    rounds(store, THREE, 3, known.at + MINUTE, watched=True, dead=["lte"])
    assert len(said(store)) == 1


def test_the_last_round_comes_back_whole_and_with_each_node_s_last_answer(store: MemoryStore) -> None:
    rounds(store, THREE, 2, 0.0, watched=True)
    rounds(store, THREE, 2, 120.0, watched=True, dead=["lte"])
    known = last_round(store, "lab")
    assert known is not None
    assert known.at == 180.0
    assert known.said == ("said",)
    assert {test.answered_at for test in known.tests if test.path == "lte"} == {MINUTE}
    assert known.standings["lte"].silent_since == 120.0
