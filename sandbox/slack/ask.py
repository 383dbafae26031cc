"""The arguments of one Web API call, from form, query or JSON, read as leniently and as strictly as Slack does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.slack.state import Plain, Refusal


@dataclass(frozen=True, slots=True)
class Ask:
    args: Mapping[str, Any]

    def need(self, *names: str) -> None:
        """Refuse a call that lacks one of these."""
        missing = [name for name in names if not self.args.get(name)]
        if missing:
            raise invalid_arguments(*(f"missing required field: {name}" for name in missing))

    def text(self, name: str, default: str = "") -> str:
        value = self.args.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ("1", "true")

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.text(name) or default)
        except ValueError:
            raise invalid_arguments(f"must be an integer [json-pointer:/{name}]") from None

    def plain(self, name: str, refusal: str) -> Any:
        """A structure: itself in JSON, its JSON text in a form. None where it was not sent."""
        value = self.args.get(name)
        if not isinstance(value, str) or value == "":
            return None if value == "" else value
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(refusal) from None


def invalid_arguments(*messages: str) -> Refusal:
    return Refusal("invalid_arguments", **with_messages(*messages))


def with_messages(*messages: str) -> Plain:
    """Where Slack explains itself."""
    return {"response_metadata": {"messages": [f"[ERROR] {message}" for message in messages]}}
