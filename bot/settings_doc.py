"""The table of all settings, written from the models themselves, so that docs/settings.md cannot drift from them."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from base.settings import seconds
from bot.settings import Settings

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def table() -> str:
    """One Markdown row for each setting, in the order of the file."""
    head = "| setting | kind | default | meaning |\n| --- | --- | --- | --- |"
    return "\n".join([head, *_rows(Settings, "")])


def _rows(section: type[BaseModel], path: str) -> Iterator[str]:
    for key, field in section.model_fields.items():
        inner, step = _inner(field.annotation)
        if inner:
            if not field.is_required() and field.default is None:
                yield f"| `{path}{key}` | section | none | {field.description or ''} |"
            yield from _rows(inner, f"{path}{key}{step}.")
        else:
            yield f"| `{path}{key}` | {_kind(field)} | {_default(field)} | {field.description or ''} |"


def _inner(kind: Any) -> tuple[type[BaseModel] | None, str]:
    """The section inside a section, a list of them, or a mapping to them; and how a path goes into it."""
    step = {tuple: "[]", dict: ".NAME"}.get(get_origin(kind), "")
    for inner in (kind, *get_args(kind)):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, step
    return None, ""


def _kind(field: FieldInfo) -> str:
    if _is_duration(field):
        return "duration"
    return _word(field.annotation)


def _word(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is tuple:
        many = _word(get_args(kind)[0])
        return f"list of {many}" if " or " in many else f"list of {many}s"
    if origin is dict:
        return f"by {_word(get_args(kind)[0])}: {_word(get_args(kind)[1])}"
    if origin in (Union, UnionType):
        return " or ".join(_word(part) for part in get_args(kind))
    return {type(None): "not set", str: "text", int: "number", float: "number", bool: "yes/no", SecretStr: "secret"}[
        kind
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**must be set**"
    value = field.default
    if _is_duration(field):
        return f"`{duration(value)}`"
    if field.default_factory is not None or isinstance(value, SecretStr) or value in ("", (), None):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _is_duration(field: FieldInfo) -> bool:
    return any(isinstance(mark, BeforeValidator) and mark.func is seconds for mark in field.metadata)


def duration(value: float) -> str:
    """1800.0 -> "30m": the largest unit that divides it."""
    unit, size = next(((unit, size) for unit, size in _UNITS if value >= size and value % size == 0), ("s", 1))
    return f"{value / size:g}{unit}"
