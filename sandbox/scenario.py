"""A scenario: a cluster, what goes wrong, what people type and react, and when. Read from `scenario.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from base.settings import seconds
from sandbox.cast import IDS
from sandbox.faults import Fault
from sandbox.spec import BadSpec, ClusterSpec, known_keys

START = 1772488800.0
"""Nights begin on 2026-03-02 at 22:00 UTC, unless a scenario says otherwise."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One thing that somebody does, `after` seconds after its moment.

    The moment is `at` (since the night's start) or `when`: "asked" or "asked pve2" (an approval request), "paged", or
    "said TEXT" (a message with that text), "rung", "rung bob" or "rung bob voice" (his telephone). `each`: every time;
    else the first time only.
    What is done, one of: `types` or `reacts` or `unreacts` by `who`; `slack: down` or `bot: down` for `lasts` seconds.
    """

    who: str = ""
    at: float | None = None
    when: str = ""
    after: float = 0.0
    each: bool = False
    types: str = ""
    reacts: str = ""
    presses: str = ""
    unreacts: str = ""
    slack: str = ""
    bot: str = ""
    lasts: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Cue:
        known_keys(cls, row, "people")
        times = {key: seconds(row[key]) for key in ("at", "after", "lasts") if key in row}
        cue = cls(**{**row, **times})
        if (cue.at is None) == (not cue.when):
            raise BadSpec(f"people: say either `at` or `when`: {dict(row)}")
        if cue.who and cue.who not in IDS:
            raise BadSpec(f'people: nobody is called "{cue.who}" (known: {", ".join(IDS)})')
        return cue

    def meant_by(self, kind: str, node: str, text: str) -> bool:
        """Whether this message of the bot is the moment that is waited for. `text` as a person reads it."""
        word, _, rest = self.when.partition(" ")
        match word:
            case "asked":
                return kind == "approval" and rest in ("", node)
            case "paged":
                return kind == "page" and rest in text
            case "rung":
                return kind == "ring" and node.startswith(rest)
            case "said":
                return rest in text
            case _:
                raise ValueError(
                    f'no moment is called "{self.when}"; use asked [NODE], paged [TEXT], rung [NAME [WAY]] or said TEXT'
                )


@dataclass(frozen=True, slots=True)
class Scenario:
    """`way`: "roundsman", or "fixed-delay", the way of 2017. `lasts`: when the night is over, in seconds. `pages`: how
    many pages it takes, each for a good reason; one more, or one fewer, fails the test."""

    name: str
    why: str
    spec: ClusterSpec
    faults: tuple[Fault | Mapping[str, Any], ...]
    cues: tuple[Cue, ...]
    start: float = START
    lasts: float = 48 * 3600.0
    way: str = "roundsman"
    fixed_delay: float = 300.0
    seed: int = 1
    pages: int = 0
    oncall: Mapping[str, Any] | None = None
    """The section of that name in the settings, over the usual one (sandbox/simpagers.py); None = nobody is on call."""


def load(folder: Path) -> Scenario:
    data = yaml.safe_load((folder / "scenario.yaml").read_text()) or {}
    known = {"cluster", "faults", "people", "start", "lasts", "way", "fixed_delay", "seed", "pages", "oncall"}
    if unknown := set(data) - known:
        raise BadSpec(f"{folder.name}: unknown key {', '.join(sorted(unknown))} (known: {', '.join(sorted(known))})")
    times: dict[str, Any] = {key: seconds(data[key]) for key in ("lasts", "fixed_delay") if key in data}
    plain: dict[str, Any] = {key: data[key] for key in ("way", "seed", "pages", "oncall") if key in data}
    return Scenario(
        name=folder.name,
        why=(folder / "why.md").read_text().strip(),
        spec=ClusterSpec.from_dict(data.get("cluster", {})),
        faults=tuple(data.get("faults", ())),
        cues=tuple(Cue.of(row) for row in data.get("people", ())),
        start=data["start"].timestamp() if "start" in data else START,
        **times,
        **plain,
    )
