"""What every test folder shares: which tests are left out of a quick run, and saying so."""

from __future__ import annotations

import ast
import gc
import socket
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as properties
from xdist.scheduler import LoadGroupScheduling

properties.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
properties.load_profile("any machine")
"""How long an example takes says nothing of what is tested: by default more than 200 ms are a failure."""

HEAVY = {
    "lab": "need root and Debian's GlusterFS",
    "chaos": "kill real processes and wait for them to come back",
    "browser": "need Debian's chromium",
    "slow": "take more than two seconds each",
}
"""Markers of the tests that only a full run takes, and why."""

ALONE = ("lab", "chaos", "browser", "timing")
"""Those that measure or kill: one after the other, in one worker, never beside each other."""

NOWHERE = (".example", ".example.org", ".example.com", ".invalid", ".test")
"""Ends of names that are reserved for examples (RFC 2606, RFC 6761)."""

_left_out: Counter[str] = Counter()


@pytest.fixture(scope="session", autouse=True)
def _names_that_exist_nowhere() -> Iterator[None]:
    """Said at once, by no name server: the question would leave this machine, and take as long as that is silent."""
    ask = socket.getaddrinfo

    def known(host: Any, *args: Any, **more: Any) -> Any:
        if isinstance(host, str) and host.endswith(NOWHERE):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", known)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="write the scenarios' transcripts anew, to be read as a diff"
    )
    parser.addoption("--full", action="store_true", help="run the heavy tests too: " + ", ".join(HEAVY))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the heavy tests out, unless they are asked for with --full or by name with -m."""
    if config.option.full or config.option.markexpr:
        return
    heavy = [item for item in items if _why_heavy(item)]
    if heavy:
        _left_out.update(_why_heavy(item) for item in heavy)
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if not _why_heavy(item)]


def pytest_collection_finish() -> None:
    """What was loaded before the first test is no garbage: looking through it time and again took a tenth."""
    gc.freeze()
    gc.set_threshold(10_000)


class OneByOne(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """xdist 3.8 hands a group on as a suffix of the test's id, which it writes where pytest 9.2 does not keep ids any
    more: so no group arrives, and `xdist_group` has no effect. Here the marks are read off the tests' own source."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        alone = tests_alone(self.config.rootpath / file)
        return "alone" if alone & {"*", test.partition("[")[0]} else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne | None:
    return OneByOne(config, log) if config.getoption("dist") == "loadgroup" else None


@cache
def tests_alone(file: Path) -> frozenset[str]:
    """The functions of a test file that are marked as one of ALONE; "*" if the file as a whole is."""
    found: set[str] = set()
    for part in ast.parse(file.read_text()).body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_marks_alone, part.decorator_list)):
            found.add(part.name)
        elif isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "pytestmark" and _marks_alone(part.value):
            found.add("*")
    return frozenset(found)


def _marks_alone(code: ast.expr) -> bool:
    marks = {ast.unparse(node) for node in ast.walk(code) if isinstance(node, ast.Attribute)}
    return not marks.isdisjoint(f"pytest.mark.{name}" for name in ALONE)


def _why_heavy(item: pytest.Item) -> str:
    return next((name for name in HEAVY if item.get_closest_marker(name)), "")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells the process that prints what it left out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Every worker collects everything: the numbers of one stand for all."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - _left_out)


@pytest.hookimpl(hookwrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    yield
    for name, number in _left_out.items():
        terminalreporter.write_line(
            f"left out: {number} {name} tests, which {HEAVY[name]}; scripts/test --full runs them"
        )
    seed = getattr(config.option, "randomly_seed", None)
    if terminalreporter.stats.get("failed") and seed is not None:
        terminalreporter.write_line(f"the same order and luck again: scripts/test --randomly-seed={seed}")
