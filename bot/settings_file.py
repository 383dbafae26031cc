"""The settings file as it was written: texts, lists and mappings, and the line on which each stands.

Every scalar stays text: the models decide what it means. So YAML's own guesses (`end: 22:00` read as 1320, `no` as
false) never happen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[str | int, ...]
"""The way to a value: ("clusters", 0, "nodes", "pve1", "host_key")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, half a sentence, and where."""

    place: Place
    text: str


@dataclass(slots=True)
class Document:
    """`lines`: place -> line in the file, counted from 1."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def tell(self, problem: Problem) -> str:
        """`clusters[0].nodes.pve1.host_key (line 12): is missing`; a missing value has the line of its section."""
        known = next(
            (problem.place[:n] for n in range(len(problem.place), 0, -1) if problem.place[:n] in self.lines), ()
        )
        line = f" (line {self.lines[known]})" if known else ""
        return f"{dotted(problem.place)}{line}: {problem.text}" if problem.place else problem.text


def parse(text: str) -> Document:
    """Read YAML. What is no YAML, and keys that stand twice, end up in `problems`."""
    try:
        return _parsed(text)
    except RecursionError:
        return Document(problems=[Problem((), BOTTOMLESS)])


BOTTOMLESS = "the file is nested without an end: does an alias (*name) stand inside of its own &name?"


def _parsed(text: str) -> Document:
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        document.problems.append(Problem((), _not_yaml(error)))
        return document
    if not isinstance(root, yaml.MappingNode):
        document.problems.append(Problem((), "the file must hold sections, such as `slack:` and `clusters:`"))
        return document
    document.data = _plain(root, (), document)
    return document


def dotted(place: Place) -> str:
    """("clusters", 0, "name") -> "clusters[0].name"."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _plain(node: yaml.Node, place: Place, document: Document) -> Any:
    document.lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, index), document) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, document)
    return node.value


def _mapping(node: yaml.MappingNode, place: Place, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in found:
            first = document.lines[(*place, key)]
            document.problems.append(Problem((*place, key), f"stands twice in this section, first on line {first}"))
        found[key] = _plain(value_node, (*place, key), document)
        document.lines[(*place, key)] = key_node.start_mark.line + 1
    return found


def _not_yaml(error: yaml.YAMLError) -> str:
    """In words, without PyYAML's excerpt of the file: a secret might stand in it. The line is the one to look at."""
    said = str(getattr(error, "problem", None) or "it cannot be read")
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    for pattern, at_opening, words in NOT_YAML:
        if found := re.search(pattern, said):
            mark, said = (opened or mark) if at_opening else mark, words.format(*found.groups())
            break
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}this is not YAML: {said}"


NOT_YAML: tuple[tuple[str, bool, str], ...] = (
    (r"found character '\\t'", False, "a tab stands here; indent with blanks"),
    (r"found character '(.)'", False, "a text that begins with {0} wants quotes"),
    (r"expected ',' or '([\]}}])'", True, "what is opened here is not closed: a {0} or a quote is missing"),
    (r"unexpected end of stream", True, "the quote that begins here is not closed"),
    (r"could not find expected ':'", True, "a key without `: ` behind it"),
    (
        r"mapping values are not allowed",
        False,
        "a `: ` too much: is the line above complete, is this one indented as those beside it? A text with `: ` in it "
        "wants quotes",
    ),
    (
        r"expected <block end>, but found '(?:-|<block sequence start>)'",
        False,
        "a list entry (`- `) among keys: are the list's entries indented alike, below a key of their own?",
    ),
    (r"expected <block end>", False, "this line is indented otherwise than those that it belongs to"),
    (r"undefined alias", False, "a text that begins with * wants quotes"),
    (r"another document", False, "a second `---`: everything belongs into one document"),
)
"""PyYAML's problem -> whether to point at where it began, and what to say."""
