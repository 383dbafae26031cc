"""Ways to look at something from outside: one file each, found by looking into this folder.

A look answers within its deadline with ok, failed or unknown, and never raises. What the answers mean together (how
many make an outage, what hides what) is decided in cluster/detector.py.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from cluster.probes._common import Kind


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds by name."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found: list[Kind] = [import_module(f"{__name__}.{name}").KIND for name in names]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}


def table() -> str:
    """All kinds as a Markdown table, for the documentation."""
    rows = [f"| `{kind.name}` | {kind.doc} | {kind.target} |" for kind in kinds().values()]
    return "\n".join(["| kind | what it asks | `target` |", "| --- | --- | --- |", *rows])
