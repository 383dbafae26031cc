"""Plain values, as every table keeps them: JSON. One way to write them, so that both stores refuse the same."""

from __future__ import annotations

import json
from typing import Any

_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_READER = json.JSONDecoder()


def dumps(value: Any) -> str:
    """Raises TypeError or ValueError when it is not JSON (NaN is not)."""
    return _WRITER.encode(value)


def exact(value: Any) -> Any:
    """A copy, as it would come back from a database; TypeError if that differs (tuples, keys that are no strings)."""
    back, _ = _READER.raw_decode(dumps(value))
    if back != value:
        raise TypeError(f"not plain: {value!r} would come back as {back!r}")
    return back
