"""What the models find wrong with a settings file, worded for whoever edits it. Never the input itself: it may be a
secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from base.spelling import meant
from bot.settings_file import Place, Problem
from cluster.settings import NODE_NAME

WORDS = {
    "model_type": "must be a section: indented lines of `key: value`",
    "dict_type": "must be a section: indented lines of `key: value`",
    "string_type": "must be one text, not a list or a section",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
NAME = "must be a name of at most 32 letters, digits, - and _, and begin with a letter or a digit"
ADDRESS = "must be an address with a / at its end, such as https://host.example/"
PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$": NAME,
    r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$": "must be a name of letters, digits, blanks and . _ -, at most 63 of them",
    NODE_NAME: "must be a node's name as Proxmox VE shows it: no domain, as in pve1",
    r"^https?://\S+/$": ADDRESS,
    r"^(https?://[^\s/?#]+)?/?$": "must be an address without a path, such as https://host.example",
    r"^AC[0-9a-f]{32}$": "must be AC and 32 hex digits, as Twilio's console shows it",
    r"^\+[1-9]\d{6,14}$": "must be a number in full, such as +4930123456",
}
"""Pattern of a setting -> what it asks for. One of choices, ^(a|b)$, says so by itself."""
CHOICE = re.compile("'([^']*)'")
ALIKE = 0.8
"""From so much likeness on, a key of this section was meant, rather than one of another section."""
PLACES_MOST = 3


def problems_of(errors: Sequence[ErrorDetails], root: type[BaseModel]) -> list[Problem]:
    """One for each; but a list is not called empty because what is in it is wrong."""
    places = [_place(error) for error in errors]

    def follows(error: ErrorDetails, place: Place) -> bool:
        return error["type"] == "too_short" and any(p != place and p[: len(place)] == place for p in places)

    told = zip(errors, places, strict=True)
    return [Problem(place, _worded(error, place, root)) for error, place in told if not follows(error, place)]


def _place(error: ErrorDetails) -> Place:
    """Where it stands in the file: pydantic says "[key]" behind a key that is wrong itself."""
    place = tuple(error["loc"])
    return place[:-1] if place[-1:] == ("[key]",) else place


def _worded(error: ErrorDetails, place: Place, root: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return unknown_key(place, root)
        case "missing":
            return f"is missing{_meaning(place, root)}"
        case "tuple_type" if section_at((*place, 0), root):
            return "must be a list of sections, each of which begins with `- `"
        case "tuple_type":
            several = isinstance(error["input"], str) and set(error["input"].strip()) & {" ", ","}
            return "must be a list: [ONE, TWO]" if several else "must be a list; a single entry too: [ONE]"
        case "string_pattern_mismatch":
            return _pattern(str(context["pattern"]), error["input"])
        case "literal_error":
            choices = str(context["expected"])
            return f"must be {choices}{meant(str(error['input']), CHOICE.findall(choices))}"
    if kind in WORDS:
        return WORDS[kind].format(**context)
    return error["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _pattern(pattern: str, given: Any) -> str:
    if choices := re.fullmatch(r"\^\(([\w|-]+)\)\$", pattern):
        names = choices[1].split("|")
        return f"must be {', '.join(names[:-1])} or {names[-1]}{meant(str(given), names)}"
    return PATTERNS.get(pattern, "has letters in it that cannot be there")


# ---- keys ------------------------------------------------------------------------------------------------------------


def unknown_key(place: Place, root: type[BaseModel]) -> str:
    """What was meant: a key of this section that is spelled nearly so, or one that belongs into another section."""
    section, key = section_at(place[:-1], root), str(place[-1])
    known = [*section.model_fields] if section else []
    if near := meant(key, known, cutoff=ALIKE):
        return f"unknown key{near}"
    there = [where for where, other in _sections(root) if key in other.model_fields and other is not section]
    if 0 < len(there) <= PLACES_MOST:
        return f"unknown key here; {key} belongs into {' or '.join(there)}"
    return "unknown key" + meant(key, known, f"; known here: {', '.join(known)}")


def _meaning(place: Place, root: type[BaseModel]) -> str:
    section = section_at(place[:-1], root)
    field = section.model_fields.get(str(place[-1])) if section else None
    return f": {field.description}" if field and field.description else ""


def section_at(place: Place, root: type[BaseModel]) -> type[BaseModel] | None:
    """The model that stands at this place of the file."""
    kind: Any = root
    for step in place:
        if _is_section(kind):
            field = kind.model_fields.get(str(step))
            kind = _given(field.annotation) if field else None
        else:
            kind, _ = _entry(kind)
    return kind if _is_section(kind) else None


def _sections(section: type[BaseModel], where: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section below this one, as a path of the file: clusters[].nodes.NAME."""
    for name, field in section.model_fields.items():
        kind = _given(field.annotation)
        path = f"{where}.{name}".removeprefix(".")
        if not _is_section(kind):
            kind, mark = _entry(kind)
            path += mark
        if _is_section(kind):
            yield path, kind
            yield from _sections(kind, path)


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _given(kind: Any) -> Any:
    """Entry | None -> Entry: what it is if it is there."""
    return get_args(kind)[0] if get_origin(kind) is UnionType else kind


def _entry(kind: Any) -> tuple[Any, str]:
    """What each entry of a list or of a section with names of its own is, and how a path says that; None for neither:
    tuple[Entry, ...] -> (Entry, "[]"), dict[str, Entry] -> (Entry, ".NAME")."""
    of = get_args(kind)
    if get_origin(kind) is tuple:
        return _given(of[0]), "[]"
    return (_given(of[1]), ".NAME") if get_origin(kind) is dict else (None, "")
