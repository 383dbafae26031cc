"""The drill of the ways in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from cluster.facts import PathDrill, PathTest
from engine.port import Plain, Run
from workflows import messages_paths as messages
from workflows.site import Site

PATH_DRILL = "path_drill"
"""The workflow of a drill of the paths."""


def path_drill(run: Run, site: Site, args: Mapping[str, Plain]) -> Plain:
    """Cuts the first path for the bot alone, reads through the others, and says how long each took. Reads only, so that
    doing it again after a crash does no harm; and a cut does not outlive the process. Returns {"state": "done"}."""
    found = run.step("drill", lambda: _plain(site.cluster.drill_paths()))
    run.say("done", lambda: messages.drill_done(site.managed.name, _drill(found), args["by"]))
    return {"state": "done", "alone": found["alone"]}


def _plain(drill: PathDrill) -> Plain:
    usual = {node: list(found) for node, found in drill.usual.items()}
    return {"cut": drill.cut, "usual": usual, "alone": [asdict(test) for test in drill.alone]}


def _drill(value: Mapping[str, Plain]) -> PathDrill:
    usual = {node: (why, seconds) for node, (why, seconds) in value["usual"].items()}
    return PathDrill(value["cut"], usual, tuple(PathTest(**test) for test in value["alone"]))
