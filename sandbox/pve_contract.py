"""Is this a request that a real Proxmox VE would take? And is this an answer that it could give?

`contract/pve-api.json` holds the methods that the bot calls or might well call, one a line: parameters,
permissions, which node it is forwarded to, what it returns. They were read on 2026-11-22 out of the API registry of
Proxmox VE 9.2 (pve-manager 9.2.11); descriptions, defaults and rarely used text formats are left out. A method that is
not in the file is answered like a method that does not exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parent / "contract" / "pve-api.json"

Schema = Mapping[str, Any]


class PveError(Exception):
    """An answer of 400 or above, in PVE's words. `errors`: parameter -> why, for 400 only."""

    def __init__(self, status: int, message: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = dict(errors or {})


@dataclass(frozen=True, slots=True)
class Method:
    """`proxy`: the path parameter that names the node which answers, or "" if any node does."""

    verb: str
    path: str
    params: Mapping[str, Schema]
    permissions: Schema
    returns: Schema
    proxy: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Method:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", row["path"])
        return cls(
            row["method"],
            row["path"],
            row["params"],
            row["permissions"],
            row.get("returns", {}),
            row.get("proxyto", ""),
            re.compile(pattern),
        )

    def checked(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The parameters as typed values; raises 400 that names each wrong one."""
        errors = {name: UNKNOWN for name in given if name not in self.params}
        values: dict[str, Any] = {}
        for name, schema in self.params.items():
            if name in given:
                try:
                    values[name] = _value(schema, given[name])
                except ValueError as why:
                    errors[name] = str(why)
            elif not schema.get("optional"):
                errors[name] = "property is missing and it is not optional"
        for name in given:
            needed = self.params.get(name, {}).get("requires")
            if needed and needed not in given:
                errors[needed] = f"missing property - '{name}' requires this property"
        if errors:
            raise PveError(400, "Parameter verification failed.", errors)
        return values


UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"


class Contract:
    """All vendored methods."""

    def __init__(self, file: Path = CONTRACT) -> None:
        self.methods = [Method.of(row) for row in json.loads(file.read_text())["methods"]]

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method and its path parameters; raises 501 as PVE does for whatever it does not know (never 404)."""
        for method in self.methods:
            if method.verb == verb and (match := method.pattern.fullmatch(path)):
                return method, match.groupdict()
        raise PveError(501, f"Method '{verb} {path}' not implemented")


# ---- values ------------------------------------------------------------------------------------------------------

_FORMATS = {
    "pve-node": (r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?", "value does not look like a valid node name"),
    "pve-storage-id": (r"(?i)[a-z][a-z0-9\-_.]*[a-z0-9]", "storage ID '{}' contains illegal characters"),
    "pve-vmid-list": (r"\d{3,9}([,; ]\d{3,9})*", "value does not look like a valid VM ID list"),
}


def _value(schema: Schema, text: str) -> Any:
    """One parameter as the schema wants it. Raises ValueError in PVE's words."""
    kind = schema.get("type", "string")
    if kind == "boolean":
        return _boolean(text)
    if kind in ("integer", "number"):
        return _number(schema, kind, text)
    return _text(schema, text)


def _boolean(text: str) -> bool:
    # PVE also takes on, yes and true in lower case; Python's True is refused, and 0 and 1 are what it documents.
    if text not in ("0", "1"):
        raise ValueError(f"type check ('boolean') failed - got '{text}'")
    return text == "1"


def _number(schema: Schema, kind: str, text: str) -> float | int:
    if not re.fullmatch(r"-?\d+" if kind == "integer" else r"-?\d+(\.\d+)?", text):
        raise ValueError(f"type check ('{kind}') failed - got '{text}'")
    value = int(text) if kind == "integer" else float(text)
    if value < schema.get("minimum", value):
        raise ValueError(f"value must have a minimum value of {schema['minimum']}")
    if value > schema.get("maximum", value):
        raise ValueError(f"value must have a maximum value of {schema['maximum']}")
    return value


def _text(schema: Schema, text: str) -> str:
    if (choices := schema.get("enum")) and text not in choices:
        raise ValueError(f"value '{text}' does not have a value in the enumeration '{', '.join(choices)}'")
    if len(text) > schema.get("maxLength", len(text)):
        raise ValueError(f"value may only be {schema['maxLength']} characters long")
    if (pattern := schema.get("pattern")) and not re.fullmatch(pattern, text):
        raise ValueError("value does not match the regex pattern")
    rule, why = _FORMATS.get(str(schema.get("format", "")), ("", ""))
    if rule and not re.fullmatch(rule, text):
        raise ValueError(why.format(text))
    return text


# ---- answers -----------------------------------------------------------------------------------------------------


def answer_errors(schema: Schema, value: Any, where: str = "data") -> list[str]:
    """What a real PVE could not have answered: wrong types, missing keys, words outside of an enumeration."""
    kind = schema.get("type")
    if kind == "array":
        rows = value if isinstance(value, list) else None
        if rows is None:
            return [f"{where} is no list"]
        return [e for n, row in enumerate(rows) for e in answer_errors(schema.get("items", {}), row, f"{where}[{n}]")]
    if kind == "object":
        return _object_errors(schema, value, where)
    return [] if _fits(schema, kind, value) else [f"{where} is {value!r}, not {schema.get('enum', kind)}"]


def _object_errors(schema: Schema, value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    found = []
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            found += answer_errors(inner, value[name], f"{where}.{name}")
        elif not inner.get("optional"):
            found.append(f"{where}.{name} is missing")
    return found


def _fits(schema: Schema, kind: str | None, value: Any) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return value in (0, 1) and not isinstance(value, bool)  # JSON true is not what PVE prints
    if kind in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str) and value in schema.get("enum", (value,))
    return True


# ---- who may -----------------------------------------------------------------------------------------------------

AUDIT = frozenset({"Sys.Audit"})

BOT_ROLE: Mapping[str, frozenset[str]] = {
    "/": AUDIT,
    "/nodes": AUDIT,
    "/vms": frozenset(
        {
            *("VM.Audit", "VM.Migrate", "VM.PowerMgmt", "VM.Config.Options", "VM.GuestAgent.Audit", "VM.Backup"),
            *("VM.Config.Disk", "VM.Config.Network", "VM.Allocate"),
        }
    ),
    "/storage": frozenset({"Datastore.Audit", "Datastore.AllocateSpace"}),
}
"""What the bot's token is given: no root, no Sys.Console, no Sys.PowerMgmt."""


@dataclass(slots=True)
class Acl:
    """Path -> privileges. As in PVE, an entry that lies deeper replaces what is inherited; it does not add to it."""

    entries: dict[str, frozenset[str]] = field(default_factory=lambda: dict(BOT_ROLE))

    def at(self, path: str) -> frozenset[str]:
        """The privileges on `path`: those of the deepest entry on the way to it."""
        while path not in self.entries:
            if path == "/":
                return frozenset()
            path = path.rsplit("/", 1)[0] or "/"
        return self.entries[path]

    def give(self, path: str, privilege: str) -> None:
        """There, besides what it has; an entry that lies deeper keeps what it has."""
        self.entries = {**self.entries, path: self.at(path) | {privilege}}

    def take(self, privilege: str) -> None:
        """Nowhere any more."""
        self.entries = {path: held - {privilege} for path, held in self.entries.items()}

    def require(self, check: Any, values: Mapping[str, Any]) -> None:
        """Proxmox's own check expression; raises 403 in its words. `None`: any user."""
        if check is None:
            return
        kind, *rest = check
        if kind != "perm":
            raise NotImplementedError(f"the contract checks with {kind!r}, which this stand-in cannot")
        path = str(rest[0]).format(**values)
        wanted, any_of = rest[1], "any" in rest[2:]
        held = self.at(path)
        lacking = [privilege for privilege in wanted if privilege not in held]
        if len(lacking) == len(wanted) if any_of else lacking:
            raise PveError(403, f"Permission check failed ({path}, {'|'.join(wanted) if any_of else lacking[0]})")
