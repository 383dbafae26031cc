"""What became of the ways in from one round of tests to the next: pure. And how that is told: a dead path is said in
the channel; the last but one that dies wakes somebody, for nobody notices a dead backup line until the night in which
it is needed.

A path is dead when it has reached no node for a while (`paths_dead_after`); nodes that our own runs take down do not
count. It is back when it has reached some for a while (`paths_back_after`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cluster.facts import PathTest, WaysIn
from cluster.settings import ClusterSettings
from store.api import Plain, Store
from workflows import messages_paths as messages
from workflows.alerts import Alert, clear_alerts, raise_alerts
from workflows.settings import ManagedCluster

RUN = "paths"
"""These messages belong to no run; their outbox goes by this name."""
SOURCE = "watch"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a path stands. Times in seconds since the epoch. `silent_since`: since when it reaches nobody; `good_since`:
    since when it reaches somebody; `dead`: it was said to be. `answered_at`: its last answer."""

    silent_since: float | None = None
    good_since: float | None = None
    dead: bool = False
    answered_at: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Died:
    """`left`: the paths that are not dead. Pages if that is one or none."""

    path: str
    since: float
    why: str
    left: tuple[str, ...]

    @property
    def pages(self) -> bool:
        return len(self.left) <= 1


@dataclass(frozen=True, slots=True)
class Back:
    path: str
    since: float


News = Died | Back


def judged(
    settings: ClusterSettings,
    tests: Sequence[PathTest],
    before: Mapping[str, Standing],
    knife: frozenset[str],
    now: float,
) -> tuple[dict[str, Standing], list[News]]:
    """How each path stands after this round, and what of it is news. `knife`: nodes that our own runs take down."""
    after = {
        path.name: _after(settings, before.get(path.name, Standing()), _of(path.name, tests, knife), now)
        for path in settings.ways
    }
    left = tuple(name for name, standing in after.items() if not standing.dead)
    news: list[News] = []
    for name, standing in after.items():
        was = before.get(name, Standing())
        if standing.dead and not was.dead and standing.silent_since is not None:
            news.append(Died(name, standing.silent_since, standing.why, left))
        elif was.dead and not standing.dead:
            news.append(Back(name, standing.good_since or now))
    return after, news


def _of(path: str, tests: Sequence[PathTest], knife: frozenset[str]) -> list[PathTest]:
    """Tests that count; if every node is under our knife, none does."""
    return [test for test in tests if test.path == path and test.node not in knife]


def _after(settings: ClusterSettings, was: Standing, tests: Sequence[PathTest], now: float) -> Standing:
    if not tests:
        return was
    answers = [test for test in tests if test.alive]
    if answers:
        since = was.good_since if was.good_since is not None else now
        dead = was.dead and now - since < settings.paths_back_after
        at = max(test.at for test in answers)
        return Standing(was.silent_since if dead else None, since, dead, at)
    since = was.silent_since if was.silent_since is not None else now
    dead = was.dead or now - since >= settings.paths_dead_after
    return replace(was, silent_since=since, good_since=None, dead=dead, why=tests[0].why)


# ---- kept from round to round --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """The last round, as `/paths` shows it. `at`: when it was made. `said`: what of the ways in dies with what."""

    at: float
    tests: tuple[PathTest, ...]
    standings: Mapping[str, Standing] = field(default_factory=dict)
    detours: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def plain(self) -> Plain:
        return asdict(self)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Known:
        return cls(
            value["at"],
            tuple(PathTest(**test) for test in value["tests"]),
            {path: Standing(**standing) for path, standing in value["standings"].items()},
            dict(value["detours"]),
            tuple(value["said"]),
        )


def key_of(cluster: str) -> str:
    return f"paths/{cluster}"


def last_round(store: Store, cluster: str) -> Known | None:
    kept = store.kept(key_of(cluster))
    return Known.of(kept.value) if kept else None


def take_in(
    store: Store,
    managed: ManagedCluster,
    ways: WaysIn,
    said: Sequence[str],
    knife: frozenset[str],
    now: float,
    watched: bool,
) -> list[News]:
    """One round: keep it, and tell what is news. `watched`: somebody is on call, so what pages is an outage. Told
    before it is kept, under ids made from its facts: a crash in between tells nothing twice."""
    known = last_round(store, managed.name)
    before = known.standings if known else {}
    standings, news = judged(managed, ways.tests, before, knife, now)
    for each in news:
        _tell(store, managed, each, now, watched)
    if gone := before.keys() - standings:  # not in the settings any more
        clear_alerts(store, managed.name, [fingerprint(name) for name in sorted(gone)], now)
    tests = tuple(_remembering(ways.tests, known.tests if known else ()))
    store.keep(key_of(managed.name), Known(now, tests, standings, ways.detours, tuple(said)).plain(), now)
    return news


def _remembering(tests: Iterable[PathTest], before: Iterable[PathTest]) -> Iterable[PathTest]:
    """The last answer outlives a restart."""
    answered = {(test.path, test.node): test.answered_at for test in before}
    for test in tests:
        at = test.answered_at if test.answered_at is not None else answered.get((test.path, test.node))
        yield replace(test, answered_at=at)


def _tell(store: Store, managed: ManagedCluster, news: News, now: float, watched: bool) -> None:
    if isinstance(news, Back):
        clear_alerts(store, managed.name, [fingerprint(news.path)], now)
        said = messages.back(managed, news.path, news.since)
    elif watched and news.pages:
        raise_alerts(store, managed, [_alert(news)], now)
        return
    else:
        said = messages.died(managed, news.path, news.since, news.why, news.left, news.pages)
    word = "back" if isinstance(news, Back) else "dead"
    store.put_out(RUN, f"{managed.name}/{news.path}/{word}/{int(news.since)}", said.plain(), now)


def fingerprint(path: str) -> str:
    return f"path/{path}"


def _alert(died: Died) -> Alert:
    return Alert(
        fingerprint(died.path),
        SOURCE,
        f"path {died.path}",
        messages.last_but_one(died.left, died.why),
        "critical",
        died.since,
        {"left": list(died.left)},
    )
