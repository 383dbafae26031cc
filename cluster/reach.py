"""How many ways in there really are: pure, from what was tested and what the paths depend on.

Paths that share something count once: the guests that both go through, or the same jump host or proxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cluster.facts import Guest, PathTest, WaysIn
from cluster.kin import hosts_of
from cluster.settings import ClusterSettings

Dependence = frozenset[int | str]
"""Guests' ids, nodes' names, and hosts outside of the cluster, whose names begin with "host ":"""


@dataclass(frozen=True, slots=True)
class Reach:
    """The ways to one node. `live`: paths that answered; `count`: how many of them share nothing; `free`: one of them
    depends on nothing of this very cluster; `why`: path -> why it does not count."""

    live: tuple[str, ...]
    count: int
    free: bool
    why: Mapping[str, str]


def reach(settings: ClusterSettings, ways: WaysIn, nodes: Iterable[str], gone: frozenset[str]) -> dict[str, Reach]:
    """The ways to each of these nodes while the nodes in `gone` are down, or are about to be."""
    on = dependence(settings, ways)
    tests = {(test.node, test.path): test for test in ways.tests}
    return {node: _reach(on, {path: tests.get((node, path)) for path in on}, gone) for node in nodes}


def _reach(on: Mapping[str, Dependence], tests: Mapping[str, PathTest | None], gone: frozenset[str]) -> Reach:
    why: dict[str, str] = {}
    for path, test in tests.items():
        if test is None:
            why[path] = "it was not tried"
        elif not test.alive:
            why[path] = test.why
        elif through := sorted(str(name) for name in on[path] & gone):
            why[path] = f"it goes through {', '.join(through)}"
    live = tuple(path for path in on if path not in why)
    free = any(not own(on[path]) for path in live)
    return Reach(live, most_apart([on[path] for path in live]), free, why)


def dependence(settings: ClusterSettings, ways: WaysIn) -> dict[str, Dependence]:
    return {
        path.name: frozenset({*path.guests, *ways.depends.get(path.name, {}), *(f"host {h}" for h in hosts_of(path))})
        for path in settings.ways
    }


def own(dependence: Dependence) -> Dependence:
    """What of it belongs to this very cluster."""
    return frozenset(what for what in dependence if isinstance(what, int) or not what.startswith("host "))


def most_apart(dependences: Sequence[Dependence]) -> int:
    """The largest number of them of which no two share anything. There are a handful of paths at most."""
    for size in range(len(dependences), 1, -1):
        if any(_apart(chosen) for chosen in combinations(dependences, size)):
            return size
    return min(len(dependences), 1)


def _apart(chosen: Iterable[Dependence]) -> bool:
    seen: set[int | str] = set()
    for each in chosen:
        if seen & each:
            return False
        seen |= each
    return True


# ---- said in the plan and by `roundsman check` ---------------------------------------------------------------------


def sentences(settings: ClusterSettings, ways: WaysIn, guests: Sequence[Guest]) -> list[str]:
    """What of the ways in dies with what; one sentence each."""
    names = {guest.id: guest.name or str(guest.id) for guest in guests}
    on = dependence(settings, ways)
    found = [text for path in on for text in _of_path(path, on, names)]
    return [*found, *_of_hosts(on), *_of_home(ways, names)]


def strangers(settings: ClusterSettings, guests: Sequence[Guest]) -> dict[str, str]:
    """Of those sentences the ones that tell of a guest which is not there, and what mends each."""
    known = {guest.id for guest in guests}
    return {
        _stranger(path.name, guest): f"correct `guests` of the path {path.name}"
        for path in settings.ways
        for guest in path.guests
        if guest not in known
    }


def _stranger(path: str, guest: int) -> str:
    return f"{path} is said to go through guest {guest}, which this cluster does not have"


def _of_path(path: str, on: Mapping[str, Dependence], names: Mapping[int, str]) -> Iterable[str]:
    through = [what for what in sorted(own(on[path]), key=str) if isinstance(what, int)]
    there = [guest for guest in through if guest in names]
    stays = [other for other in on if not on[other] & frozenset(through)]
    if there:
        kind = "which are guests" if len(there) > 1 else "which is a guest"
        left = f"only {_and(stays)} {'stay' if len(stays) > 1 else 'stays'}" if stays else "no path stays"
        dies = "they die" if len(there) > 1 else "it dies"
        yield f"{path} goes through {_and([names[g] for g in there])}, {kind} of this cluster; {left} when {dies}"
    for guest in (guest for guest in through if guest not in names):
        yield _stranger(path, guest)
    for node in sorted(what for what in own(on[path]) if isinstance(what, str)):
        yield f"{path} goes through {node}, which is a node of this cluster; it is gone while that node is taken"


def _of_hosts(on: Mapping[str, Dependence]) -> Iterable[str]:
    hosts = sorted({what for each in on.values() for what in each - own(each)}, key=str)
    for host in hosts:
        if len(paths := [path for path in on if host in on[path]]) > 1:
            yield f"{_and(paths)} go through the same {host}; they count as one"


def _of_home(ways: WaysIn, names: Mapping[int, str]) -> Iterable[str]:
    if ways.home is None:
        return
    what, how = ways.home
    if isinstance(what, int):
        yield (
            f"Roundsman itself runs in {names.get(what, what)} ({what}), a guest of this cluster ({how}): it is not "
            "there while that guest is not, and wakes nobody then"
        )
    else:
        yield f"Roundsman itself runs on {what}, a node of this cluster ({how}): a reboot of it ends Roundsman too"


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
